"""One branch of the network, for bodies or for hands: tokens through the decoder, and a body after every layer (sections 4, 5).

The two have the same parts under other weights. Nothing adds up from layer to layer but through the tokens: each layer's
body is reckoned from the start anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .camera import View, see
from .config import NetworkConfig
from .constants import constant
from .crop import Crops
from .decoder import Decoder
from .feed_forward import FeedForward
from .heads import HAND_KEYPOINTS, KEYPOINTS, NUMBERS, BodyParams, CameraHead, PoseHead
from .mhr import Joints, Keypoints, Mhr, flip_yz
from .rays import RayConditioning

# The two hips, whose middle is the origin of keypoints as tokens know them.
_HIPS = slice(9, 11)
_NEAREST_M = 1e-5


@dataclass(frozen=True)
class Sight:
    """What a pass looks at: B crops, and their conditioned feature maps."""

    crops: Crops
    context: Tensor  # (B,D,rows,columns)
    code: Tensor  # (D,rows,columns), where patches are


@dataclass(frozen=True)
class Prompts:
    """What a pass is told beside the picture."""

    tokens: Tensor  # (B,K,C)
    heard: Tensor | None = None  # (B,K) bool: prompts that are not heard are as if not there
    previous: Tensor | None = None  # (B,522), the estimate to better; None: the start itself


@dataclass(frozen=True)
class Found:
    """B bodies that a pass found."""

    params: BodyParams
    camera: Tensor  # (B,3)
    joints: Joints
    keypoints_m: Tensor  # (B,70,3), camera axes, about the body's own origin
    view: View
    box_tokens: Tensor  # (B,2,C), of the left and the right hand's box


class Branch(nn.Module):
    """A decoder with its tokens, ray conditioning and heads."""

    keypoints: Keypoints

    def __init__(self, config: NetworkConfig, hand: bool) -> None:
        super().__init__()
        self.config, self.hand = config, hand
        self.factor = config.hand_camera_factor if hand else 1.0
        width, features = config.decoder.width, config.backbone.width
        self.init_pose = nn.Embedding(1, NUMBERS)
        self.init_camera = nn.Embedding(1, 3)
        self.init_to_token_mhr = nn.Linear(3 + NUMBERS + 3, width)
        self.prev_to_token_mhr = nn.Linear(NUMBERS + 3, width)
        self.keypoint_embedding = nn.Embedding(KEYPOINTS, width)
        self.keypoint_posemb_linear = FeedForward(2, width, width, nn.ReLU())
        self.keypoint_feat_linear = nn.Linear(features, width)
        self.keypoint3d_embedding = nn.Embedding(KEYPOINTS, width)
        self.keypoint3d_posemb_linear = FeedForward(3, width, width, nn.ReLU())
        self.ray_cond_emb = RayConditioning(features)
        self.decoder = Decoder(config.decoder, features)
        self.head_pose = PoseHead(config, hand)
        self.head_camera = CameraHead(width)

    def attach(self, mhr: Mhr) -> None:
        """Carry the checkpoint's keypoint regressor through MHR's skinning; call it once the weights are there."""
        mapping = self.head_pose.keypoint_mapping[:KEYPOINTS].clone()
        if self.hand:
            lone = mapping.new_zeros(mapping.shape)
            lone[HAND_KEYPOINTS] = mapping[HAND_KEYPOINTS]
            mapping = lone
        self.keypoints = Keypoints(mhr.arrays, mapping)

    def forward(self, sight: Sight, prompts: Prompts, box_embedding: Tensor, mhr: Mhr) -> Found:
        """Return the bodies in a sight; ``box_embedding`` (2,C) starts the hand boxes' tokens."""
        tokens, places = self._tokens(sight.crops, prompts, box_embedding)
        count = prompts.tokens.shape[1]
        context, code = sight.context.flatten(2).transpose(1, 2), sight.code.flatten(1).T[None]
        heard = None if prompts.heard is None else _all_heard(prompts.heard, tokens.shape[1])
        last = len(self.decoder.layers) - 1
        for number, layer in enumerate(self.decoder.layers):
            tokens = layer(tokens, context, places, code, heard)
            normed = self.decoder.norm_final(tokens)
            found = self._found(normed[:, 0], normed[:, 2 + count:4 + count], sight.crops, mhr)
            if number < last:
                tokens, places = self._updated(tokens, places, found, sight.context)
        return found

    def _tokens(self, crops: Crops, prompts: Prompts, box_embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens (B,T,C) of a pass, and where they are."""
        batch = len(crops)
        start = torch.cat([self.init_pose.weight, self.init_camera.weight], dim=-1).expand(batch, -1)
        pose = self.init_to_token_mhr(torch.cat([crops.condition(), start], dim=-1))[:, None]
        previous = self.prev_to_token_mhr(start if prompts.previous is None else prompts.previous)[:, None]
        fixed = torch.cat([box_embedding, self.keypoint_embedding.weight, self.keypoint3d_embedding.weight])
        fixed = fixed[None].expand(batch, -1, -1)
        tokens = torch.cat([pose, previous, prompts.tokens, fixed], dim=1)
        places = torch.cat([torch.zeros_like(pose), previous, prompts.tokens, torch.zeros_like(fixed)], dim=1)
        return tokens, places

    def _found(self, token: Tensor, box_tokens: Tensor, crops: Crops, mhr: Mhr) -> Found:
        params = self.head_pose(token, self.init_pose.weight)
        camera = self.head_camera(token, self.init_camera.weight)
        return self.placed(params, camera, box_tokens, crops, mhr)

    def placed(self, params: BodyParams, camera: Tensor, box_tokens: Tensor, crops: Crops, mhr: Mhr) -> Found:
        """Return bodies of these parameters with their joints and keypoints, seen by these cameras (B,3)."""
        joints = mhr.joints(self.head_pose.model_params(params))
        keypoints = flip_yz(self.keypoints(joints, params.shape))
        view = see(keypoints, camera, crops, self.factor, self.config.own_centre)
        return Found(params, camera, joints, keypoints, view, box_tokens)

    def _updated(self, tokens: Tensor, places: Tensor, found: Found, context: Tensor) -> tuple[Tensor, Tensor]:
        """Tell the keypoints' tokens where their keypoints now are, and what the map holds there."""
        flat = found.view.cropped
        inside = (flat.abs() <= 0.5).all(-1) & (found.view.depths_m >= _NEAREST_M)
        inside = inside[..., None].to(flat.dtype)
        rows, columns = context.shape[-2:]
        # The map may be narrower than the crop, about the same middle.
        at = 2 * flat * constant((rows / columns, 1.0), flat.device)
        sampled = functional.grid_sample(context, at[:, :, None], mode="bilinear", padding_mode="zeros", align_corners=False)
        # The bias reaches keypoints outside the crop too, as in training.
        gained = self.keypoint_feat_linear(sampled[..., 0].transpose(1, 2) * inside)
        solid = found.keypoints_m - found.keypoints_m[:, _HIPS].mean(1, keepdim=True)
        here = [self.keypoint_posemb_linear(flat) * inside, self.keypoint3d_posemb_linear(solid)]
        first = tokens.shape[1] - 2 * KEYPOINTS
        tokens = torch.cat([tokens[:, :first], tokens[:, first:first + KEYPOINTS] + gained, tokens[:, first + KEYPOINTS:]], dim=1)
        return tokens, torch.cat([places[:, :first], *here], dim=1)


def _all_heard(heard: Tensor, count: int) -> Tensor:
    """Return which of all tokens (B,T) are heard, given which prompts (B,K) are."""
    others = heard.new_ones(len(heard), count - 2 - heard.shape[1])
    return torch.cat([heard.new_ones(len(heard), 2), heard, others], dim=1)
