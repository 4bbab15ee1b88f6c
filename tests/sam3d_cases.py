"""The recorded cases of SAM 3D Body from end to end: whom the original was shown, and what it said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rigdrop.ingest.pose.sam3d_body.crop import default_K
from rigdrop.ingest.pose.sam3d_body.passes import Bodies, PassOptions, People, find_bodies

from .sam3d_network import Recorded

CASES = (
    "full_all", "full_none", "full_mixed", "full_default_thr", "full_nomask_defaultcam", "single_all", "single_none", "single_onehand",
    "full_hand_kps_outside", "body_only", "body_only_nomask_edgebox",
)


def people_of(recorded: Recorded, about: Mapping[str, Any]) -> People:
    """Return whom a case shows."""
    boxes = torch.tensor(about["boxes_xyxy"])
    image = recorded.body["input/image_rgb"]
    K = torch.tensor(about["cam_int"]) if about["cam_int"] else default_K(torch.tensor([[image.shape[1], image.shape[0]]]))
    masks = recorded.body["input/masks01"][:len(boxes)] if about["uses_masks"] else None
    return People(image[None], boxes, K.expand(len(boxes), 3, 3), torch.zeros(len(boxes), dtype=torch.int64), masks)


def run_case(recorded: Recorded, name: str, mode: str = "", exact_upstream: bool = True) -> tuple[Mapping[str, Any], Bodies]:
    """Return what is known of a case, and what our network finds in it; ``mode`` is the case's own where it is empty."""
    about = recorded.about["cases"][name]
    options = PassOptions(mode or about["inference_type"], about["thresh_wrist_angle"], vertices=True, exact_upstream=exact_upstream)
    return about, find_bodies(recorded.network(about["weight_overrides"]), people_of(recorded, about), options)


def truth_of(recorded: Recorded, name: str, key: str) -> Tensor:
    """Return what the original said of a case's people (P,…)."""
    count = len(recorded.about["cases"][name]["boxes_xyxy"])
    return torch.stack([recorded.body[f"{name}/person{person}/{key}"] for person in range(count)])
