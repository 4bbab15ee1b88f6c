"""The whole network: a backbone, a branch for bodies and one for hands, and what the two share."""

from __future__ import annotations

import threading

import torch
from torch import Tensor, nn

from .backbone import Backbone
from .backbone_vith import VitBackbone
from .branch import Branch, Found, Prompts, Sight
from .config import NetworkConfig
from .constants import constant
from .crop import Crops
from .feed_forward import Ladder
from .mhr import Mhr
from .prompts import NO_POINT, PlaceCode, PromptEncoder
from .rays import ray_cells


class Network(nn.Module):
    """SAM 3D Body. Its own names differ from the checkpoint's only in where a branch's name stands: see `checkpoint`."""

    mean: Tensor
    std: Tensor
    mhr: Mhr

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config, self.dtype = config, torch.float32
        self.turn = threading.Lock()  # whoever runs the network on a clip holds it for a batch
        self.warnings: list[str] = []  # what its user should know
        width, features = config.decoder.width, config.backbone.width
        self.backbone = VitBackbone(config.backbone) if config.backbone.kind == "vit" else Backbone(config.backbone)
        self.body = Branch(config, hand=False)
        self.hands = Branch(config, hand=True)
        self.prompt_encoder = PromptEncoder(features)
        self.hand_pe_layer = PlaceCode(features)
        self.prompt_to_token = nn.Linear(features, width)
        self.hand_box_embedding = nn.Embedding(2, width)
        self.bbox_embed = Ladder(width, 4)

    def attach(self, mhr: Mhr) -> None:
        """Give the network its body model, and all else that is no weight; call it once the weights are there."""
        for name, values in (("mean", self.config.mean), ("std", self.config.std)):
            self.register_buffer(name, torch.tensor(values, device=mhr.base.device)[:, None, None], persistent=False)
        self.mhr = mhr
        self.body.attach(mhr)
        self.hands.attach(mhr)

    def lighten(self, dtype: torch.dtype) -> None:
        """Let the backbone multiply in bfloat16 or float16, its weights kept so: half the memory, and no way back.

        Norms, sums and turns stay float32, and so does all after the backbone.
        """
        for module in self.backbone.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.to(dtype)
        self.dtype = dtype

    @torch.inference_mode()
    def features(self, pixels: Tensor) -> Tensor:
        """Return the backbone's maps (B,D,rows,columns), float32, of crops (B,3,N,N), RGB uint8."""
        # A processor is as busy with one crop, and what it holds for one is small enough to be used again: with twelve at once
        # the system has to clear new memory for every step's result, and that took over a third of the time.
        if pixels.device.type != "cpu":
            return self._features(pixels)
        maps = pixels.new_empty((len(pixels), self.config.backbone.width, *self.config.grid), dtype=torch.float32)
        for number in range(len(pixels)):
            maps[number] = self._features(pixels[number:number + 1])[0]
        return maps

    def _features(self, pixels: Tensor) -> Tensor:
        margin = self.config.margin
        normal = (pixels.float() / 255 - self.mean) / self.std
        seen = normal[..., margin:normal.shape[-1] - margin]
        with torch.autocast(seen.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            maps: Tensor = self.backbone(seen)
        return maps.float()

    def masked(self, maps: Tensor, masks: Tensor | None, scores: Tensor) -> Tensor:
        """Return the maps (B,D,rows,columns) with masks (B,1,N,N), 0 or 1, told; a score (B,) of 0 means there is none."""
        return maps + self.prompt_encoder.mask(masks, scores, *self.config.grid)

    def sight(self, maps: Tensor, crops: Crops, hand: bool) -> Sight:
        """Return what a branch looks at: maps with rays mixed in, and where their patches are."""
        branch = self.hands if hand else self.body
        cells = ray_cells(crops, self.config.backbone.patch, self.config.margin)
        code = self.hand_pe_layer if hand else self.prompt_encoder.pe_layer
        rows, columns = self.config.grid
        spare = (rows - columns) // 2
        return Sight(crops, branch.ray_cond_emb(maps, cells), code.dense(rows, rows)[:, :, spare:spare + columns])

    def told(self, prompts: Tensor, heard: Tensor | None = None, previous: Tensor | None = None) -> Prompts:
        """Return prompts (B,K,3), x and y from 0 to 1 and a label, as tokens."""
        return Prompts(self.prompt_to_token(self.prompt_encoder(prompts)), heard, previous)

    def look(self, sight: Sight, prompts: Prompts | None = None, hand: bool = False) -> Found:
        """Return the bodies, or hands, in a sight; without prompts it is told one that says nothing."""
        if prompts is None:
            nothing = constant((0.0, 0.0, NO_POINT), sight.context.device)
            prompts = self.told(nothing.expand(len(sight.crops), 1, 3))
        branch = self.hands if hand else self.body
        found: Found = branch(sight, prompts, self.hand_box_embedding.weight, self.mhr)
        return found

    def hand_boxes(self, found: Found) -> Tensor:
        """Return the boxes (B,2,4) of the left and the right hand: centre and size, 0 to 1 of the crop."""
        boxes: Tensor = self.bbox_embed(found.box_tokens)
        return boxes.sigmoid()
