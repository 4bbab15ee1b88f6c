"""Clean-up of motion from elsewhere, in one order: depth, spikes, gaps, smoothing, hands. Each stage is off until asked for.

Spikes go before gaps and gaps before smoothing, so that no average ever takes in a value that is known to be wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..motion.metrics import jitter_10m_s3
from ..motion.rotations import quat_inverse, quat_multiply, quat_to_rotvec
from .cleaning.adaptive_ema import GLOBAL_GROUP, adaptive_ema_places, adaptive_ema_turns
from .cleaning.fill import SHORT_GAP_S, bridge_places, bridge_turns, long_gaps
from .cleaning.gaussian import frames_to_seconds, gaussian_places, gaussian_turns
from .cleaning.hand_mode import limit_fingers, smooth_hands, still_hands
from .cleaning.one_euro import PLACE_GAIN, TURN_CUTOFF_HZ, TURN_GAIN, one_euro_places, one_euro_turns
from .cleaning.parts import body_places, hand_joints, root_joints
from .cleaning.root_translation import steady_depth
from .cleaning.spikes import mend_places, mend_turns, place_pops, turn_pops
from .performance import Performance

Array = NDArray[np.float64]
Joints = NDArray[np.intp]
Done = tuple[Performance, dict[str, Any]]
Filter = tuple[Callable[[Array], Array], Callable[[Array], Array], dict[str, Any]]  # of turns, of places, and what they were set to

# What suits motion that a net read picture by picture: it leaps for a picture or two, and sees least well how far somebody is.
_SPIKE_FRAMES, _ROOT_DEPTH_S = 3, 0.12


@dataclass(frozen=True)
class CleanOptions:
    """What is done about noise, gaps and seams in motion that comes from elsewhere."""

    root_depth_s: float = 0.0
    """Smooth how far people are from a single camera by this many seconds, along the rays they were seen on; 0.12 suits most."""
    spike_frames: int = 0
    """Mend joints that leap away and back within so many frames; 3 suits most, 0 mends none."""
    fill_gaps: bool = False
    """Fill anew what the source did not see: short gaps the short way, long ones between the mean poses around them."""
    short_gap_s: float = SHORT_GAP_S
    """Gaps up to this many seconds are short."""
    smoothing: Literal["auto", "none", "gaussian", "one-euro", "adaptive-ema"] = "auto"
    """Smooth the whole clip: gaussian closes seams between batches, one-euro spares fast moves, adaptive-ema is SAM-Body4D's. auto
    leaves motion files as they are, and cleans what SAM 3D Body reads picture by picture from video."""
    sigma_frames: float = 2.0
    """How wide the Gaussian is, in frames."""
    sigma_s: float = 0.0
    """How wide the Gaussian is, in seconds, in place of frames; 0 takes the frames."""
    cutoff_hz: float = TURN_CUTOFF_HZ
    """What One-Euro lets through of somebody who is still, in Hz."""
    cutoff_rise: float = 1.0
    """How fast One-Euro lets more through with speed; 1 suits most, 0 never does."""
    hand_motion: Literal["full", "smoothed", "static"] = "full"
    """Fingers as they are, smoothed, or held still as they were for most of the clip."""
    hand_sigma_frames: float = 3.0
    """How much smoothed hands are, in frames."""
    finger_limits: bool = False
    """Keep fingers within what human joints can do."""

    def __post_init__(self) -> None:
        for name in ("root_depth_s", "spike_frames", "short_gap_s", "sigma_frames", "sigma_s", "cutoff_rise", "hand_sigma_frames"):
            self._check(name, lambda value: value >= 0, "0 or more")
        self._check("cutoff_hz", lambda value: value > 0, "a frequency above 0")

    def of_pictures(self) -> CleanOptions:
        """Return what is done about motion that was read picture by picture, each without the others; what was asked for counts."""
        if self.smoothing != "auto":
            return self
        return replace(self, smoothing="gaussian", fill_gaps=True, spike_frames=self.spike_frames or _SPIKE_FRAMES,
                       root_depth_s=self.root_depth_s or _ROOT_DEPTH_S)

    def _check(self, name: str, holds: Callable[[float], bool], expected: str) -> None:
        value = getattr(self, name)
        if not (np.isfinite(value) and holds(value)):
            raise SettingsError(f"{name.replace('_', '-')}: found {value}, expected {expected}")


Stage = Callable[[Performance, CleanOptions], Done]


def clean(performance: Performance, options: CleanOptions | None = None) -> tuple[Performance, dict[str, Any]]:
    """Return the performance after the stages that were asked for, and figures for the report.

    The figures are ``stages``, in order, each with its name, what it did, and ``before`` and ``after`` it: ``jitter_10m_s3`` of
    the body's joints, ``angular_acceleration_most_rad_s2`` of any joint, and ``pops``, the steps between frames at which
    some joint goes on from somewhere else. Values that the source did not see stay marked as not known. Raises
    `SettingsError` for depth smoothing of motion that is not in a camera's axes, `ReadError` for finger limits on a rig
    that does not name every joint of a body.
    """
    options = options or CleanOptions()
    stages = _asked_for(options)
    figures: list[dict[str, Any]] = []
    before = _figures(performance) if stages else {}
    for name, stage in stages:
        performance, did = stage(performance, options)
        after = _figures(performance)
        closed = {"pops_closed": max(before["pops"] - after["pops"], 0)}
        figures.append({"stage": name, **did, **closed, "before": before, "after": after})
        before = after
    return performance, {"stages": figures}


def _asked_for(options: CleanOptions) -> list[tuple[str, Stage]]:
    stages: list[tuple[str, bool, Stage]] = [
        ("root_depth", options.root_depth_s > 0, _steadied),
        ("spikes", options.spike_frames > 0, _mended),
        ("gaps", options.fill_gaps, _filled),
        (f"smoothing_{options.smoothing.replace('-', '_')}", options.smoothing not in ("auto", "none"), _smoothed),
        (f"hands_{options.hand_motion}", options.hand_motion != "full", _with_hands),
        ("finger_limits", options.finger_limits, _limited),
    ]
    return [(name, stage) for name, asked, stage in stages if asked]


def _steadied(performance: Performance, options: CleanOptions) -> Done:
    return steady_depth(performance, depth_sigma_s=options.root_depth_s), {"sigma_s": options.root_depth_s}


def _mended(performance: Performance, options: CleanOptions) -> Done:
    times_s, known, moving = performance.times_s, performance.known, _moving(performance)
    quat, spiked = mend_turns(performance.quat_xyzw, times_s, known, options.spike_frames)
    translation = performance.translation_m.copy()
    places, leapt = mend_places(translation[:, moving], times_s, known[:, moving], options.spike_frames)
    # What the source did not see was made up before, and not by us: it stays as it is.
    quat = np.where(spiked[..., None], quat, performance.quat_xyzw)
    translation[:, moving] = np.where(leapt[..., None], places, translation[:, moving])
    spiked[:, moving] |= leapt
    mended = replace(performance.with_turns(quat, translation), known=known & ~spiked)
    return mended, {"frames_mended": int(spiked.any(1).sum()), "values_mended": int(spiked.sum())}


def _filled(performance: Performance, options: CleanOptions) -> Done:
    seen, moving = performance.known.copy(), _moving(performance)
    # Fingers that were lost for long while the person was seen lie flat, as their reader left them.
    fingers = _fingers(performance)
    seen[:, fingers] |= performance.visible[:, None] & long_gaps(seen[:, fingers], performance.times_s, options.short_gap_s)
    seen[:, ~seen.any(0)] = True  # nothing to fill it from
    quat = bridge_turns(performance.quat_xyzw, performance.times_s, seen, options.short_gap_s)
    quat = np.where(seen[..., None], performance.quat_xyzw, quat)
    translation = performance.translation_m.copy()
    translation[:, moving] = bridge_places(translation[:, moving], performance.times_s, seen[:, moving], options.short_gap_s)
    return performance.with_turns(quat, translation), {"frames_filled": int((~seen).any(1).sum()), "values_filled": int((~seen).sum())}


def _smoothed(performance: Performance, options: CleanOptions) -> Done:
    turns, places, did = _FILTERS[options.smoothing](performance, options)
    translation, moving = performance.translation_m.copy(), _moving(performance)
    if len(moving):
        translation[:, moving] = places(translation[:, moving])
    return performance.with_turns(turns(performance.quat_xyzw), translation), did


# A performance is whole: what was not seen has been filled, and counts as it is, so that nothing is filled twice.


def _gaussian(performance: Performance, options: CleanOptions) -> Filter:
    times_s, whole = performance.times_s, np.ones(performance.frame_count, dtype=bool)
    sigma_s = options.sigma_s or frames_to_seconds(options.sigma_frames, times_s)
    return (lambda quat: gaussian_turns(quat, times_s, whole, sigma_s), lambda places: gaussian_places(places, times_s, whole, sigma_s),
            {"sigma_s": sigma_s})


def _one_euro(performance: Performance, options: CleanOptions) -> Filter:
    times_s, whole, rise = performance.times_s, np.ones(performance.frame_count, dtype=bool), options.cutoff_rise
    return (lambda quat: one_euro_turns(quat, times_s, whole, options.cutoff_hz, TURN_GAIN * rise),
            lambda places: one_euro_places(places, times_s, whole, options.cutoff_hz, PLACE_GAIN * rise),
            {"cutoff_hz": options.cutoff_hz, "cutoff_rise": rise})


def _adaptive_ema(performance: Performance, options: CleanOptions) -> Filter:
    times_s, whole = performance.times_s, np.ones(performance.frame_count, dtype=bool)
    group = _groups(performance)
    return (lambda quat: adaptive_ema_turns(quat, times_s, whole, group), lambda places: adaptive_ema_places(places, times_s, whole), {})


_FILTERS: dict[str, Callable[[Performance, CleanOptions], Filter]] = {
    "gaussian": _gaussian, "one-euro": _one_euro, "adaptive-ema": _adaptive_ema,
}


def _with_hands(performance: Performance, options: CleanOptions) -> Done:
    rig, quat, times_s = performance.rig, performance.quat_xyzw, performance.times_s
    if options.hand_motion == "static":
        return performance.with_turns(still_hands(rig, quat, times_s, performance.known)), {}
    sigma_s = frames_to_seconds(options.hand_sigma_frames, times_s)
    whole = np.ones(performance.frame_count, dtype=bool)
    return performance.with_turns(smooth_hands(rig, quat, times_s, whole, sigma_s)), {"sigma_s": sigma_s}


def _limited(performance: Performance, options: CleanOptions) -> Done:
    del options  # the limits are a body's own
    quat, beyond = limit_fingers(performance.rig, performance.quat_xyzw)
    return performance.with_turns(quat), {"frames_limited": int(beyond.any(1).sum()), "values_limited": int(beyond.sum())}


def _moving(performance: Performance) -> Joints:
    """The joints whose places change against their parents'; the others keep theirs to the last bit."""
    return np.flatnonzero(np.ptp(performance.translation_m, axis=0).max(-1) > 0)


def _fingers(performance: Performance) -> Joints:
    return np.concatenate([hand_joints(performance.rig, side) for side in ("left", "right")])


def _groups(performance: Performance) -> Joints:
    """Which joints (J,) are judged together: the whole person's turn, the body, each hand."""
    group = np.full(len(performance.rig.joint_names), GLOBAL_GROUP + 1)
    for number, side in enumerate(("left", "right"), start=GLOBAL_GROUP + 2):
        group[hand_joints(performance.rig, side)] = number
    group[root_joints(performance.rig)] = GLOBAL_GROUP
    return group


def _figures(performance: Performance) -> dict[str, Any]:
    times_s = performance.times_s
    if performance.frame_count < 2:
        return {"jitter_10m_s3": 0.0, "angular_acceleration_most_rad_s2": 0.0, "pops": 0}
    popped = turn_pops(performance.quat_xyzw).any(1) | place_pops(performance.translation_m[:, _moving(performance)]).any(1)
    return {
        "jitter_10m_s3": jitter_10m_s3(body_places(performance), 1 / float(np.median(np.diff(times_s)))),
        "angular_acceleration_most_rad_s2": _most_angular_acceleration(performance.quat_xyzw, times_s),
        "pops": int(popped.sum()),
    }


def _most_angular_acceleration(quat_xyzw: Array, times_s: Array) -> float:
    """The largest change of a joint's own angular speed over time, rad/s²; 0 for fewer than three frames."""
    interval = np.diff(times_s)
    speed = quat_to_rotvec(quat_multiply(quat_inverse(quat_xyzw[:-1]), quat_xyzw[1:])) / interval[:, None, None]
    change = np.diff(speed, axis=0) / ((interval[1:] + interval[:-1]) / 2)[:, None, None]
    return float(np.linalg.norm(change, axis=-1).max()) if change.size else 0.0
