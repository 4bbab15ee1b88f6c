"""The focal length of a clip: one for all its frames, so that nobody jumps toward the camera or away from it between batches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....errors import ReadError
from ...video import Clip, open_clip
from .options import Sam3dOptions

# MoGe-2 (Microsoft, MIT), which tells a camera's field of view from a picture; taken where its weights are in the hub's cache.
_MOGE_WEIGHTS = ("Ruicheng/moge-2-vitl-normal", "model.pt")
_LOOKS = 5
# No lens that people are filmed with sees less or more across the diagonal than these.
_NARROWEST, _WIDEST = math.radians(5), math.radians(150)


def clip_focal(clip: Clip, given_px: float | None = None, device: str = "auto") -> tuple[float, str]:
    """Return a clip's focal length in pixels, and where it comes from as `motion.take.Camera` says it.

    The user's word comes first, then the file's own (``metadata``), then MoGe-2's where it is installed (``estimator``), and
    then the picture's diagonal (``default``), with which the network was trained where nothing was known.
    """
    if given_px is not None:
        return given_px, "user"
    if clip.focal_px is not None:
        return clip.focal_px, "metadata"
    diagonal_px = math.hypot(clip.width, clip.height)
    estimated_px = steady_focal(_estimates(clip, device), diagonal_px)
    return (diagonal_px, "default") if estimated_px is None else (estimated_px, "estimator")


def steady_focal(estimates_px: Iterable[float], diagonal_px: float) -> float | None:
    """Return the median of what was estimated, pixels, on a scale of ratios, without what no lens has; nothing of nothing."""
    least, most = (diagonal_px / 2 / math.tan(angle / 2) for angle in (_WIDEST, _NARROWEST))
    likely = [math.log(focal) for focal in estimates_px if least <= focal <= most]
    return float(np.exp(np.median(likely))) if likely else None


def _estimates(clip: Clip, device: str) -> Iterator[float]:
    """What MoGe-2 says of a few of the clip's pictures; nothing where it, or its weights, are not on this machine."""
    weights = _moge_weights()
    if weights is None:
        return
    import torch

    from .device import choose_device

    place = choose_device(Sam3dOptions(device=device)).device
    model = import_module("moge.model.v2").MoGeModel.from_pretrained(weights).to(place).eval()
    for image_bgr in _pictures(clip):
        image = torch.from_numpy(np.ascontiguousarray(image_bgr[..., ::-1].transpose(2, 0, 1))).to(place).float() / 255
        with torch.inference_mode():
            found: Any = model.infer(image)
        # Told as a share of the picture's width.
        yield float(found["intrinsics"][0, 0]) * clip.width


def _moge_weights() -> str | None:
    """Return the file of MoGe-2's weights, if there is one: nothing is fetched."""
    if find_spec("moge") is None or find_spec("huggingface_hub") is None:
        return None
    found = import_module("huggingface_hub").try_to_load_from_cache(*_MOGE_WEIGHTS)
    return found if isinstance(found, str) else None


def _pictures(clip: Clip) -> Iterator[NDArray[np.uint8]]:
    """Pictures (H,W,3) from all over the clip; the first alone where its length is not known."""
    start_s, end_s = max(clip.options.start_s, 0.0), clip.options.end_s or clip.duration_s
    shares = [0.0] if end_s is None else [(look + 0.5) / _LOOKS for look in range(_LOOKS)]
    for share in shares:
        at_s = start_s + share * (max(end_s or 0.0, start_s) - start_s)
        try:
            yield next(open_clip(clip.path, replace(clip.options, start_s=at_s)).frames()).image_bgr
        except ReadError:
            continue  # the file ends before it says that it does
