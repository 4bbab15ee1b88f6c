"""Where a person stands before one camera: the estimator's translation put onto the root, its depth made steady.

A camera measures directions well and distances badly, so depth trembles most. Depth is smoothed as its logarithm, since
its error grows with it, and what moves a person nearer or farther moves them along the ray on which they were seen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...errors import SettingsError
from ..performance import Performance
from .fill import whole_places
from .gaussian import gaussian_places
from .parts import body_places
from .spikes import mend_places

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DEPTH_SIGMA_S = 0.12
# A depth that is off by so much for a frame or two was misjudged: 5 %, told as a change of the logarithm.
_DEPTH_SPIKE = 0.05
_NEAREST_M = 0.1


def apply_root_translation(
    performance: Performance, camera_translation_m: Array, seen: Mask | None = None, depth_sigma_s: float = DEPTH_SIGMA_S
) -> Performance:
    """Return the person moved by ``camera_translation_m`` (F,3), glTF's camera axes, depth smoothed over ``depth_sigma_s``.

    Frames that are not ``seen`` (F,), not finite, or a spike are crossed along straight lines; the ends are held. A sigma
    of 0 leaves the depth. Raises `SettingsError` as `steady_depth` does.
    """
    there = performance.visible if seen is None else seen
    mended, _ = mend_places(camera_translation_m[:, None], performance.times_s, there)
    moved = moved_roots(performance, mended[:, 0])
    return steady_depth(moved, there, depth_sigma_s) if depth_sigma_s > 0 else moved


def steady_depth(performance: Performance, seen: Mask | None = None, depth_sigma_s: float = DEPTH_SIGMA_S) -> Performance:
    """Return the person with smoothed depth before a camera that looks down -Z from the origin, seen where they were.

    With depth d = -z of the body's joints and u = (x, y) / d where they are seen, a change Δ of depth leaves the picture
    as it is, in the mean over the joints, when the root moves by (ū·Δ, -Δ). Frames not ``seen`` (F,) don't count. Raises
    `SettingsError` where somebody is beside the camera or behind it, which no motion in a camera's own axes is.
    """
    places = body_places(performance)
    there = performance.visible if seen is None else seen
    depth = -np.median(places[..., 2], axis=1)
    if (depth[there] < _NEAREST_M).any():
        raise SettingsError(f"root-depth: found somebody {depth[there].min():.2f} m before the camera, "
                            "expected motion in one camera's own axes; set it to 0 for motion in the world's")
    logs = np.log(np.maximum(depth, _NEAREST_M))[:, None, None]
    known = there & ~mend_places(logs, performance.times_s, there, least_m=_DEPTH_SPIKE)[1][:, 0]
    change = np.exp(gaussian_places(logs, performance.times_s, known, depth_sigma_s)[:, 0, 0]) - depth
    direction = _mean_direction(places, performance.times_s, there)
    return moved_roots(performance, np.concatenate([direction * change[:, None], -change[:, None]], axis=1))


def moved_roots(performance: Performance, shift_m: Array) -> Performance:
    """Return the person moved by ``shift_m`` (F,3), world: every joint without a parent moves, and all below with it."""
    translation = performance.translation_m.copy()
    translation[:, performance.rig.joint_parents < 0] += shift_m[:, None]
    return performance.with_turns(performance.quat_xyzw, translation)


def _mean_direction(places_m: Array, times_s: Array, seen: Mask) -> Array:
    """Mean of (x, y) / depth (F,2) over the joints that are before the camera; filled where nobody was seen."""
    depth = -places_m[..., 2:]
    before = depth > _NEAREST_M
    direction = np.where(before, places_m[..., :2] / np.where(before, depth, 1.0), 0.0)
    mean = direction.sum(1) / np.maximum(before.sum(1), 1)
    return whole_places(mean[:, None], times_s, seen)[0][:, 0]
