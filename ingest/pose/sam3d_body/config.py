"""The sizes of a network, as its checkpoint's tensors and yaml give them (section 0)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ....errors import ReadError

Shapes = Mapping[str, tuple[int, ...]]

# What decides how the network computes and shows in no tensor's name or shape: this engine computes it in one way.
_COMPUTED = {
    ("DECODER", "FFN_TYPE"): "origin",
    ("DECODER", "ENABLE_TWOWAY"): False,
    ("DECODER", "REPEAT_PE"): True,
    ("DECODER", "CONDITION_TYPE"): "cliff",
    ("DECODER", "DO_INTERM_PREDS"): True,
    ("DECODER", "KEYPOINT_TOKEN_UPDATE"): "v2",
    ("PERSON_HEAD", "POSE_TYPE"): "mhr",
    ("PERSON_HEAD", "CAMERA_TYPE"): "perspective",
}


@dataclass(frozen=True)
class BackboneConfig:
    """A vision transformer: DINOv3's, or the plainer one of the ViT-H variant."""

    kind: str = "dinov3"
    """``dinov3`` or ``vit``."""
    width: int = 1280
    depth: int = 32
    heads: int = 20
    hidden: int = 5120
    patch: int = 16
    extra_tokens: int = 4
    """Storage tokens beside the class token; DINOv3 alone."""
    patches: int = 0
    """Patches that the position table knows; ViT alone."""


@dataclass(frozen=True)
class DecoderConfig:
    """The promptable decoder."""

    width: int = 1024
    depth: int = 6
    heads: int = 8
    head_width: int = 64
    hidden: int = 1024


@dataclass(frozen=True)
class NetworkConfig:
    """A whole network; the defaults are the official DINOv3-H+ one."""

    crop_px: int = 512
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    hand_camera_factor: float = 10.0
    own_centre: bool = True
    """The crop's place is reckoned from the camera's principal point, not from the frame's middle."""
    mapping: tuple[int, int] = (308, 18566)
    """Shape of the keypoint regressor: keypoints, and vertices with joints."""
    nonhand: int = 145
    """How many of MHR's parameters a lone hand has not."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches; the ViT-H variant sees the crop's middle three quarters of columns alone."""
        rows = self.crop_px // self.backbone.patch
        return rows, rows - 2 * self.margin // self.backbone.patch

    @property
    def margin(self) -> int:
        """Columns of pixels cut off left and right before the backbone."""
        return self.crop_px // 8 if self.backbone.kind == "vit" else 0


def read_config(shapes: Shapes, settings: Mapping[str, Any], where: str) -> NetworkConfig:
    """Return the sizes that a checkpoint's tensors have, by their official names; heads and crop come from its yaml.

    Raises `ReadError`, beginning with ``where``, for a checkpoint that lacks what the sizes are read off.
    """
    model = _section(settings, "MODEL")
    try:
        decoder, backbone = _section(model, "DECODER"), _backbone(shapes)
        head_width = int(decoder.get("DIM_HEAD", 64))
        crop = model.get("IMAGE_SIZE", (512, 512))
        config = NetworkConfig(
            crop_px=int(crop[0]),
            mean=_three(model.get("IMAGE_MEAN", NetworkConfig.mean)),
            std=_three(model.get("IMAGE_STD", NetworkConfig.std)),
            backbone=backbone,
            decoder=DecoderConfig(
                width=shapes["decoder.norm_final.weight"][0],
                depth=_count(shapes, "decoder.layers"),
                heads=shapes["decoder.layers.0.self_attn.q_proj.weight"][0] // head_width,
                head_width=head_width,
                hidden=shapes["decoder.layers.0.ffn.layers.0.0.weight"][0],
            ),
            hand_camera_factor=float(_section(model, "CAMERA_HEAD").get("DEFAULT_SCALE_FACTOR_HAND", 10)),
            own_centre=bool(decoder.get("USE_INTRIN_CENTER", True)),
            mapping=_two(shapes["head_pose.keypoint_mapping"]),
            nonhand=shapes["head_pose_hand.nonhand_param_idxs"][0],
        )
        _check_crop(config)
        return config
    except KeyError as error:
        raise ReadError(f"{where}: found no {error}, expected a SAM 3D Body checkpoint's state") from error
    except (TypeError, ValueError, IndexError) as error:
        raise ReadError(f"{where}: found sizes that no SAM 3D Body network has ({error}), expected the official ones") from error


def check_settings(settings: Mapping[str, Any], where: str) -> None:
    """Make sure that a checkpoint's yaml asks for nothing that this engine does not compute. Raises `ReadError`.

    In which half precision the original ran (TRAIN.FP16_TYPE) and how it was trained changes nothing here.
    """
    model = _section(settings, "MODEL")
    for (section, name), computed in _COMPUTED.items():
        found = _section(model, section).get(name, computed)
        if found != computed:
            raise ReadError(f"{where}: MODEL.{section}.{name}: found {found!r}, expected {computed!r}, which is what this engine computes")


def _backbone(shapes: Shapes) -> BackboneConfig:
    if "backbone.encoder.patch_embed.proj.weight" not in shapes:
        width, _, patch, _ = shapes["backbone.patch_embed.proj.weight"]
        return BackboneConfig(
            "vit", width, _count(shapes, "backbone.blocks"), max(width // 80, 1), shapes["backbone.blocks.0.mlp.fc1.weight"][0],
            patch, 0, shapes["backbone.pos_embed"][1] - 1,
        )
    width, _, patch, _ = shapes["backbone.encoder.patch_embed.proj.weight"]
    # A quarter of a head's width turns with each period.
    heads = width // (4 * shapes["backbone.encoder.rope_embed.periods"][0])
    return BackboneConfig(
        "dinov3", width, _count(shapes, "backbone.encoder.blocks"), heads, shapes["backbone.encoder.blocks.0.mlp.w1.weight"][0],
        patch, shapes["backbone.encoder.storage_tokens"][1], 0,
    )


def _check_crop(config: NetworkConfig) -> None:
    (rows, columns), patches = config.grid, config.backbone.patches
    if config.crop_px < 1 or config.crop_px % config.backbone.patch:
        raise ValueError(f"crops of {config.crop_px} pixels, patches of {config.backbone.patch}")
    if config.backbone.kind == "vit" and rows * columns != patches:
        raise ValueError(f"places of {patches} patches, crops of {rows} × {columns}")


def _count(shapes: Shapes, prefix: str) -> int:
    numbers = {int(key[len(prefix) + 1:].split(".")[0]) for key in shapes if key.startswith(f"{prefix}.")}
    return max(numbers, default=-1) + 1


def _section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = settings.get(name)
    return section if isinstance(section, Mapping) else {}


def _three(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _two(values: tuple[int, ...]) -> tuple[int, int]:
    first, second = values
    return first, second
