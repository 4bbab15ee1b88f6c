"""Measures motion of a real man against landmarks triangulated from the other cameras that saw him (Pose2Sim's demo).

    python -m benchmarks.pose2sim [--videos DIR] [--folder DIR]

A body is judged where the fit believes BlazePose's landmarks to lie on it, because landmarks are what is triangulated.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from rigdrop.convert.body import Body
from rigdrop.convert.character import CharacterOptions, fit_people
from rigdrop.convert.fit import FitOptions, Lens, rig_height_m
from rigdrop.convert.fitting.initial import fill_gaps, root_from_rays
from rigdrop.convert.fitting.landmarks import landmark_table
from rigdrop.convert.fitting.points import JOINTS, SHAPE_NAMES, PointSet, Pose, place_points
from rigdrop.convert.rigs.registry import load_rig
from rigdrop.convert.root import CameraOptions
from rigdrop.ingest.tracks import Observations, Track
from rigdrop.motion.frames import opencv_to_gltf
from rigdrop.motion.metrics import acceleration_error_mm_f2, jitter_10m_s3, mpjpe_mm, pa_mpjpe_mm
from rigdrop.motion.rig import Rig
from rigdrop.motion.take import Take

from .accuracy import LIMB_LANDMARKS
from .calibrated import CalibratedCamera, Met, meet, read_qualisys
from .judge import LIMBS, joints_in_camera, landmarks_in_camera
from .kept import add_folder, observed, tell
from .table import Figure, limits_table, shown, table

Array = NDArray[np.float64]
Figures = dict[str, float]

VIDEOS = Path(__file__).resolve().parent.parent.parent / "shared" / "videos" / "pose2sim_single"
# This camera's clip starts two frames late, and its pictures were cut otherwise than its calibration says, by so many
# pixels: of whole frames and eight-pixel steps these bring its rays nearest to the other cameras'.
LATE_FRAMES = {"cam03": 2}
SHIFT_PX = {"cam03": (-8.0, -16.0)}
# Rays that pass a point farther away than this are of another point.
_MOST_PX = 40.0
# Motion capture's usual low-pass for gait (Winter, Biomechanics and Motor Control of Human Movement).
_LOW_PASS_HZ = 6.0
# What the same man measured in a trial, on cameras 1, 2 and 4.
TRIAL_MM = {"cam01": 84.0, "cam02": 67.0, "cam04": 75.0}
# Chains whose lengths say how tall somebody is: pairs of places in `LIMBS`.
_BONES = ((0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11))
_HIPS = (LIMB_LANDMARKS.index(23), LIMB_LANDMARKS.index(24))


@dataclass(frozen=True, eq=False)
class Views:
    """The man as every camera saw him, in frames of the first camera's clip."""

    cameras: dict[str, CalibratedCamera]
    observations: dict[str, Observations]
    tracks: dict[str, Track]

    def met(self, names: Sequence[str]) -> Met:
        """Where the rays of these cameras meet: landmarks (F,33,3)."""
        seen = [_in_step(name, self.tracks[name]) for name in names]
        rays = np.stack([self.cameras[name].rays(points_px) for name, (points_px, _) in zip(names, seen, strict=True)])
        return meet([self.cameras[name] for name in names], rays, np.stack([visibility for _, visibility in seen]), _MOST_PX)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, default=VIDEOS, help="folder with cam01.mp4 … cam04.mp4 and Calib.qca.txt")
    add_folder(parser)
    arguments = parser.parse_args()
    print(_report(look(arguments.videos, arguments.folder), load_rig("unreal")))


def look(videos: Path, folder: Path) -> Views:
    """Read the four clips and find the one person whom all cameras saw."""
    cameras = read_qualisys(videos / "Calib.qca.txt")
    folder.mkdir(parents=True, exist_ok=True)
    observations = {name: observed(videos / f"{name}.mp4", "high", folder) for name in cameras}
    return Views(cameras, observations, _same_person(cameras, observations))


def _same_person(cameras: dict[str, CalibratedCamera], observations: dict[str, Observations]) -> dict[str, Track]:
    """The choice of one track a camera whose rays meet best."""
    def misfit(tracks: dict[str, Track]) -> float:
        met = Views(cameras, observations, tracks).met(list(cameras))
        return float(np.mean(np.where(met.cameras == len(cameras), met.error_px, _MOST_PX)))

    choices = product(*(observations[name].tracks for name in cameras))
    return min((dict(zip(cameras, choice, strict=True)) for choice in choices), key=misfit)


def _in_step(name: str, track: Track) -> tuple[Array, Array]:
    """Landmarks (F,33,2) in the calibration's pixels and their visibility (F,33) at the frames of the clips that started in time."""
    frames = np.arange(len(track.seen)) + LATE_FRAMES.get(name, 0) - track.first_frame
    inside = (frames >= 0) & (frames < len(track.seen))
    rows = np.clip(frames, 0, len(track.seen) - 1)
    known = inside & track.seen[rows]
    points_px = np.where(known[:, None, None], track.landmarks_px[rows] + SHIFT_PX.get(name, (0.0, 0.0)), np.nan)
    return points_px, np.where(known[:, None], np.nan_to_num(track.visibility[rows]), 0.0)


@dataclass(frozen=True, eq=False)
class Truth:
    """What the other cameras say of the twelve limb landmarks, in one camera's glTF axes."""

    places_m: Array  # (F,12,3), low-passed
    raw_m: Array  # (F,12,3), frame by frame
    known: NDArray[np.bool_]  # (F,), where every landmark was met
    error_px: float  # root mean square of the rays that were used
    cameras: float  # used for a landmark, on average


def truth_for(views: Views, name: str) -> Truth:
    """Triangulate from every camera but ``name``."""
    met = views.met([other for other in views.cameras if other != name])
    limbs = list(LIMB_LANDMARKS)
    points, known = met.points_m[:, limbs], np.asarray(np.isfinite(met.points_m[:, limbs]).all((1, 2)))
    raw = opencv_to_gltf(views.cameras[name].to_camera(fill_gaps(points, known)))
    filtered = sosfiltfilt(butter(2, _LOW_PASS_HZ, fs=float(views.observations[name].fps), output="sos"), raw, axis=0)
    return Truth(filtered, raw, known, float(np.sqrt(np.nanmean(met.error_px[:, limbs] ** 2))), float(met.cameras[:, limbs].mean()))


def height_of(views: Views, rig: Rig) -> float:
    """Height of the man: the rig's, times how much longer his limbs are between landmarks that all cameras met."""
    places = views.met(list(views.cameras)).points_m[:, list(LIMB_LANDMARKS)]
    own = _rest_landmarks(rig)
    first, second = np.array(_BONES).T
    lengths = np.linalg.norm(places[:, second] - places[:, first], axis=-1)
    return rig_height_m(Body.of(rig)) * float(np.median(np.nanmedian(lengths, axis=0) / np.linalg.norm(own[second] - own[first], axis=-1)))


def _rest_landmarks(rig: Rig) -> Array:
    """Where the limb landmarks (12,3) lie on a rig's body in the T-pose."""
    body, used = Body.of(rig), landmark_table()
    pose = Pose(np.tile([0.0, 0.0, 0.0, 1.0], (1, JOINTS, 1)), np.zeros((1, 3)), np.zeros(len(SHAPE_NAMES)))
    places, _, _ = place_points(body, PointSet.of(body, used, rig_height_m(body)), pose)
    return np.asarray(places[0, [used.landmark.tolist().index(landmark) for landmark in LIMB_LANDMARKS]])


def fitted(views: Views, name: str, rig: Rig, height_m: float | None, focal: bool) -> Take:
    """Fit the man as one camera saw him."""
    seen = replace(views.observations[name], tracks=(views.tracks[name],))
    camera = CameraOptions(focal_px=views.cameras[name].focal_px if focal else None)
    found = fit_people(seen, rig, CharacterOptions(camera=camera, fit=FitOptions(height_m=height_m)))
    return Take(seen.times_s, seen.fps, found.camera, found.people, f"{name}.mp4", "", "", "")


def landmark_places(views: Views, name: str) -> Array:
    """Landmarks (F,12,3) as they come, placed where the picture shows them, in the camera's glTF axes."""
    track, seen = views.tracks[name], views.observations[name]
    lens = Lens(views.cameras[name].focal_px, seen.width / 2, seen.height / 2)
    points = opencv_to_gltf(fill_gaps(track.landmarks_m, track.seen))
    weight = np.maximum(np.nan_to_num(track.visibility), 1e-3)
    origin = root_from_rays(points, lens.rays(fill_gaps(track.landmarks_px, track.seen)), weight)
    return np.asarray((points + origin[:, None])[:, LIMB_LANDMARKS])


def compare(found: Array, truth: Truth, late: int, fps: float) -> Figures:
    """Figures of places (F,12,3) against the truth, over the frames that both know; a clip that starts ``late`` is that far behind."""
    rows = np.flatnonzero(truth.known[: len(found)])
    rows = rows[(rows + late < len(found)) & (rows + late >= 0)]
    ours, theirs, smooth = found[rows + late], truth.raw_m[rows], truth.places_m[rows]
    return {
        "mpjpe_mm": mpjpe_mm(ours, theirs, _HIPS), "pa_mm": pa_mpjpe_mm(ours, theirs),
        "accel_mm_f2": acceleration_error_mm_f2(ours, smooth),
        "jitter": jitter_10m_s3(ours, fps), "true_jitter": jitter_10m_s3(smooth, fps),
        "root_mm": float(1000 * np.linalg.norm((ours - theirs)[:, _HIPS].mean(1), axis=-1).mean()),
    }


def _report(views: Views, rig: Rig) -> str:
    height = height_of(views, rig)
    settings = {
        "height and focal length given": (height, True), "focal length given": (None, True), "nothing given": (None, False),
    }
    rows, trial = [], list[Figure]()
    truths = {name: truth_for(views, name) for name in views.cameras}
    for name, truth in truths.items():
        tell(name)
        late, fps = LATE_FRAMES.get(name, 0), float(views.observations[name].fps)
        rows.append([f"{name}: landmarks as they come", *_cells(compare(landmark_places(views, name), truth, late, fps))])
        for setting, (height_m, focal) in settings.items():
            take = fitted(views, name, rig, height_m, focal)
            figures = compare(landmarks_in_camera(take, take.people[0])[:, LIMB_LANDMARKS], truth, late, fps)
            joints = compare(joints_in_camera(take, take.people[0])[0][:, LIMBS], truth, late, fps)
            rows.append([f"{name}: {setting}", *_cells(figures | {"joints_mm": joints["mpjpe_mm"]})])
            if name in TRIAL_MM and setting == "focal length given":
                trial.append(Figure(f"{name}: MPJPE against the trial's, {setting}", figures["mpjpe_mm"], TRIAL_MM[name], "mm"))
    return "\n\n".join([_about(views, truths, height), table(("", *(heading for heading, _, _ in _COLUMNS)), rows), limits_table(trial)])


def _about(views: Views, truths: dict[str, Truth], height_m: float) -> str:
    whole = views.met(list(views.cameras))
    points, error = whole.points_m[:, LIMB_LANDMARKS], whole.error_px[:, LIMB_LANDMARKS]

    def apart_mm(name: str) -> float:
        away = opencv_to_gltf(views.cameras[name].to_camera(points)) - truths[name].raw_m
        return float(1000 * np.nanmedian(np.linalg.norm(away, axis=-1)))

    lines = [
        [name, shown(truth.cameras, 2), shown(truth.error_px), shown(100 * float(truth.known.mean()), 0), shown(apart_mm(name), 0)]
        for name, truth in truths.items()
    ]
    return (
        f"The man is {height_m:.2f} m tall by his triangulated limbs; rays of all four cameras miss their points by"
        f" {np.sqrt(np.nanmean(error**2)):.1f} px. The truth of each camera comes from the other three:\n\n"
        + table(("truth for", "cameras used", "its own error px", "frames known %", "off the truth of all four mm"), lines)
    )


_COLUMNS = (
    ("MPJPE mm", "mpjpe_mm", 1), ("PA mm", "pa_mm", 1), ("accel mm/f²", "accel_mm_f2", 2), ("jitter", "jitter", 1),
    ("true", "true_jitter", 1), ("root mm", "root_mm", 0), ("joints' MPJPE mm", "joints_mm", 1),
)


def _cells(figures: Figures) -> list[str]:
    return [shown(figures.get(name), digits) for _, name, digits in _COLUMNS]


if __name__ == "__main__":
    main()
