"""Measures motion against the truth of eight rendered clips, stage by stage, with and without what a user may know.

    python -m benchmarks.accuracy [--quality high ...] [--cases punch ...] [--folder DIR]

Clips and landmarks are kept in the folder. The clips are those with the seeds that nothing was tuned on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rigdrop.convert.body import Body
from rigdrop.convert.character import CharacterOptions, fit_people
from rigdrop.convert.fit import DEFAULT_HEIGHT_M, FitOptions, Lens, rig_height_m
from rigdrop.convert.fitting.initial import fill_gaps, root_from_rays
from rigdrop.convert.rigs.registry import load_rig
from rigdrop.convert.root import CameraOptions
from rigdrop.convert.smooth import SmoothOptions
from rigdrop.ingest.pose.options import Quality
from rigdrop.ingest.tracks import Observations, Track
from rigdrop.motion.frames import opencv_to_gltf
from rigdrop.motion.rig import Rig
from rigdrop.motion.take import Take

from .clips import Case, cases, rendered
from .judge import ALL_JOINTS, LIMBS, joints_in_camera, judge, mean_figures
from .kept import QUALITIES, add_folder, clips_folder, observed, tell
from .table import Figure, limits_table, shown, table

Array = NDArray[np.float64]
Figures = dict[str, float]

LIMB_LANDMARKS = (11, 13, 15, 23, 25, 27, 12, 14, 16, 24, 26, 28)
SOLE_LANDMARKS = (29, 31, 30, 32)


@dataclass(frozen=True)
class Setting:
    """What the fit is told, and how far it goes."""

    height: bool = True
    focal: float | None = 1.0  # times the true focal length; nothing leaves it to the default
    fit: FitOptions = field(default_factory=FitOptions)
    smooth: float = 1.0


STAGES = {
    "fitted, not knowing which feet stand": Setting(fit=FitOptions(contacts=False), smooth=0.0),
    "fitted": Setting(smooth=0.0),
    "smoothed": Setting(),
}
SETTINGS = {
    "height and focal length given": Setting(),
    "focal length given": Setting(height=False),
    "nothing given": Setting(height=False, focal=None),
    "height given, focal length 25 % too short": Setting(focal=0.75),
    "height given, focal length 25 % too long": Setting(focal=1.25),
}


@dataclass(frozen=True, eq=False)
class Seen:
    """A clip, its truth, and the person whom the estimator saw in most of its frames."""

    case: Case
    truth: Take
    track: Track
    people: int  # how many were seen; there is one

    @property
    def focal_px(self) -> float:
        """The true focal length."""
        return float(self.truth.camera.intrinsics_px[0, 0])

    @property
    def height_m(self) -> float:
        """The true height."""
        return rig_height_m(Body.of(self.truth.people[0].rig))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quality", nargs="+", choices=QUALITIES, default=["high"], help="how landmarks are read")
    parser.add_argument("--cases", nargs="+", choices=[case.name for case in cases()], help="only these clips")
    add_folder(parser)
    arguments = parser.parse_args()
    rig = load_rig("unreal")
    for quality in arguments.quality:
        chosen = [case for case in cases() if arguments.cases is None or case.name in arguments.cases]
        print(_report([look(case, quality, arguments.folder) for case in chosen], rig, quality))


def look(case: Case, quality: Quality, folder: Path) -> Seen:
    """Render a clip and read it, or take both from ``folder``."""
    made = clips_folder(folder)
    clip, truth = rendered(case, made)
    tracks = observed(clip, quality, made).tracks
    return Seen(case, truth, max(tracks, key=lambda track: int(track.seen.sum())), len(tracks))


def _report(clips: Sequence[Seen], rig: Rig, quality: Quality) -> str:
    stages = {"landmarks as they come": [landmark_figures(seen) for seen in clips]}
    stages |= {name: _figures(name, clips, rig, setting) for name, setting in STAGES.items()}
    final = stages["smoothed"]
    settings = {name: final if setting == Setting() else _figures(name, clips, rig, setting) for name, setting in SETTINGS.items()}
    per_clip = [(f"{seen.case.name}, {seen.height_m:.2f} m", figures) for seen, figures in zip(clips, final, strict=True)]
    several = [f"{seen.case.name} ({seen.people})" for seen in clips if seen.people != 1]
    return "\n\n".join([
        f"### `{quality}`: stage by stage\n\nMean of {len(clips)} clips over the twelve limb joints; height and focal length given.",
        _table(LIMB_COLUMNS, [(name, mean_figures(rows)) for name, rows in stages.items()]),
        f"### `{quality}`: clip by clip\n\nThe final motion over 22 joints; height and focal length given."
        + (f" More than one person was seen in {', '.join(several)}." if several else ""),
        _table(COLUMNS, [*per_clip, ("mean", mean_figures(final))]),
        f"### `{quality}`: what the user knows\n\nMean over 22 joints. Where no height is given, {DEFAULT_HEIGHT_M:.2f} m is taken. The"
        " clips' focal length happens to be the default, so that the last two rows say more of an unknown lens.",
        _table(COLUMNS, [(name, mean_figures(rows)) for name, rows in settings.items()]),
        *([f"### `{quality}`: limits", limits_table(_limits(clips, final, settings["nothing given"]))] if quality == "high" else []),
    ])


def _figures(name: str, clips: Sequence[Seen], rig: Rig, setting: Setting) -> list[Figures]:
    tell(name)
    return [fitted_figures(seen, rig, setting) for seen in clips]


def fitted_figures(seen: Seen, rig: Rig, setting: Setting) -> Figures:
    """Fit a rig to what was seen of one person, and judge it."""
    truth, camera = seen.truth, seen.truth.camera
    observations = Observations(truth.times_s, truth.fps, camera.width, camera.height, (seen.track,))
    options = CharacterOptions(
        camera=CameraOptions(focal_px=None if setting.focal is None else setting.focal * seen.focal_px),
        fit=replace(setting.fit, height_m=seen.height_m if setting.height else None), smooth=SmoothOptions(setting.smooth),
    )
    wall, processor = time.perf_counter(), time.process_time()
    found = fit_people(observations, rig, options)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    joints, soles = joints_in_camera(replace(truth, camera=found.camera, people=found.people), found.people[0])
    figures = _judged(seen, joints, soles)
    true_pitch = np.degrees(np.arcsin(camera.world_from_camera[1, 2]))
    per_100 = 100 / truth.frame_count
    return figures | {
        "pitch_deg": abs(float(found.details["camera_pitch_deg"] - true_pitch)),
        "fit_s": wall * per_100, "fit_processor_s": processor * per_100,
    }


def landmark_figures(seen: Seen) -> Figures:
    """Judge landmarks as if they were joints, placed where the picture shows them; gaps are filled linearly."""
    joints, soles = landmark_places(seen)
    return {name: value for name, value in _judged(seen, joints, soles).items() if name not in ("mpjpe_mm", "pa_mm")}


def landmark_places(seen: Seen) -> tuple[Array, Array]:
    """Limb joints (F,22,3; NaN elsewhere) and soles (F,4,3) where the landmarks are, the pelvis between the hips; camera axes."""
    track, intrinsics = seen.track, seen.truth.camera.intrinsics_px
    lens = Lens(seen.focal_px, float(intrinsics[0, 2]), float(intrinsics[1, 2]))
    points = opencv_to_gltf(fill_gaps(track.landmarks_m, track.seen))
    rays = lens.rays(fill_gaps(track.landmarks_px, track.seen))
    places = points + root_from_rays(points, rays, np.maximum(np.nan_to_num(track.visibility), 1e-3))[:, None]
    rows = np.clip(np.arange(seen.truth.frame_count) - track.first_frame, 0, len(places) - 1)
    joints = np.full((len(rows), len(ALL_JOINTS), 3), np.nan)
    joints[:, LIMBS] = places[rows][:, LIMB_LANDMARKS]
    joints[:, 0] = places[rows][:, (23, 24)].mean(1)
    return joints, places[rows][:, SOLE_LANDMARKS]


def _judged(seen: Seen, joints: Array, soles: Array) -> Figures:
    """All figures over the limb joints, under names of their own, and over every joint where they are known."""
    truth = seen.truth
    true_joints, true_soles = joints_in_camera(truth, truth.people[0])
    R_world_camera = truth.camera.world_from_camera[:3, :3]

    def over(chosen: Sequence[int]) -> Figures:
        return judge(joints, soles, true_joints, true_soles, float(truth.fps), chosen, R_world_camera)

    limbs = over(LIMBS)
    alone = {f"limb_{name}": limbs[name] for name in ("pa_mm", "accel_mm_f2", "jitter", "true_jitter")}
    return {**(over(ALL_JOINTS) if np.isfinite(joints).all() else limbs), **alone}


# Heading, the figure's name, digits, factor
Column = tuple[str, str, int, float]
_SHARED: tuple[Column, ...] = (
    ("root mm", "root_mm", 0, 1), ("slide mm/f", "slide_mm_f", 1, 1), ("drift %", "bone_drift", 1, 100), ("punch %", "punch", 0, 100),
)
LIMB_COLUMNS: tuple[Column, ...] = (
    ("MPJPE mm", "limbs_mm", 1, 1), ("PA mm", "limb_pa_mm", 1, 1), ("accel mm/f²", "limb_accel_mm_f2", 2, 1),
    ("jitter", "limb_jitter", 1, 1), ("true", "limb_true_jitter", 1, 1), *_SHARED,
    ("all 22: MPJPE", "mpjpe_mm", 1, 1), ("PA", "pa_mm", 1, 1),
)
COLUMNS: tuple[Column, ...] = (
    ("MPJPE mm", "mpjpe_mm", 1, 1), ("limbs mm", "limbs_mm", 1, 1), ("PA mm", "pa_mm", 1, 1), ("accel mm/f²", "accel_mm_f2", 2, 1),
    ("jitter", "jitter", 1, 1), ("true", "true_jitter", 1, 1), *_SHARED, ("pitch °", "pitch_deg", 1, 1),
)


def _table(columns: Sequence[Column], rows: Sequence[tuple[str, Figures]]) -> str:
    cells = [[name, *(shown(_of(figures, key) * factor, digits) for _, key, digits, factor in columns)] for name, figures in rows]
    return table(("", *(heading for heading, _, _, _ in columns)), cells)


def _of(figures: Figures, name: str) -> float:
    return figures.get(name, float("nan"))


def _limits(clips: Sequence[Seen], final: Sequence[Figures], nothing_given: Sequence[Figures]) -> list[Figure]:
    mean, blind = mean_figures(final), mean_figures(nothing_given)
    # A punch toward the camera is the harder one, so each view is a row of its own.
    punches = {seen.case.name: 100 * _of(figures, "punch") for seen, figures in zip(clips, final, strict=True)}
    views = {"punch-side": "across the picture", "punch": "toward the camera"}
    return [
        Figure("MPJPE", mean["mpjpe_mm"], 75, "mm"),
        Figure("PA-MPJPE", mean["pa_mm"], 57, "mm"),
        Figure("acceleration error", mean["accel_mm_f2"], 6, "mm/f²", 2),
        Figure(f"jitter (the truth's is {mean['true_jitter']:.1f})", mean["jitter"], 15),
        Figure("slide of standing feet", mean["slide_mm_f"], 4, "mm/f", 2),
        Figure("bone drift", 100 * max(figures["bone_drift"] for figures in final), 0, "%", 3),
        Figure("MPJPE, nothing given", blind["mpjpe_mm"], 85, "mm"),
        *(Figure(f"peak speed of the wrist left of a punch {view}", punches[name], 75, "%", 0, at_least=True)
          for name, view in views.items() if name in punches),
        Figure("fit, hands and smoothing of 100 frames", mean["fit_s"], 2, "s", 2),
        Figure("the same, processor time on one core", mean["fit_processor_s"], None, "s", 2),
    ]


if __name__ == "__main__":
    main()
