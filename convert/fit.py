"""From landmarks to a moving body: one solve over all frames of a track.

Unknowns: the pelvis' place and 22 joint turns a frame, one height and nine bone-group scales a person, and the scale of
the 3D landmarks (a nuisance: they come 6 to 20 % short). Levenberg-Marquardt on block-banded normal equations; a second
pass knows which soles stand. Long tracks are solved in windows that overlap and are blended where they do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..ingest.tracks import Track
from ..motion.frames import opencv_to_gltf
from ..motion.rotations import quat_slerp
from .banded import NormalEquations
from .body import Body
from .ground import Ground, find_ground, stance_of
from .initial import fill_gaps, pose_from_landmarks, root_from_rays
from .landmarks import LandmarkTable, landmark_table
from .points import POSE_SIZE, SHAPE_NAMES, PointSet, Pose, Posed, place_points, pose_points, turned
from .shape import shaped_body
from .terms import (
    TermSigmas,
    add_contacts,
    add_ground,
    add_hinges,
    add_landmarks_2d,
    add_landmarks_3d,
    add_pose_prior,
    add_smooth_joints,
    add_smooth_root,
    add_smooth_turns,
)

Array = NDArray[np.float64]

WINDOW_FRAMES, OVERLAP_FRAMES = 300, 45
_VISIBILITY_FLOOR = 0.02
# 3D landmarks of seven rendered people came 6 to 20 % short.
_SEEN_SCALE_PRIOR, _SEEN_SCALE_SIGMA = np.log(1.12), 0.12
# Height is as good as given: smaller people have smaller residuals, so that a free height always shrinks.
_HEIGHT_SIGMA, _GROUP_SIGMA = 0.0005, 0.01
# A sole that moves slower than the first speed stands, faster than the second does not (18 to 30 mm a frame at 30 fps).
_STANDING_M_S = (0.54, 0.9)
# A step that lowers the cost by less than this share ends the descent, before it is known which soles stand and after: what
# is left moves joints by tenths of a millimetre.
_ENOUGH_GAIN = {False: 1e-2, True: 2e-3}
# A ground is believed when this many soles stood on it, half of them within this of one plane.
_GROUND_SOLES, _GROUND_SPREAD_M = 20, 0.05


@dataclass(frozen=True)
class FitOptions:
    """How a body is fitted to what was seen."""

    height_m: float | None = None
    """Height of the people in metres; nothing means a grown-up's mean, 1.70 m."""
    iterations: int = 12
    """Most steps of the solve before contacts are known; half as many after."""
    contacts: bool = True
    """Keep standing feet still."""
    sigmas: TermSigmas = field(default_factory=TermSigmas)


DEFAULT_HEIGHT_M = 1.70


@dataclass(frozen=True)
class Lens:
    """A pinhole's numbers in pixels."""

    focal_px: float
    center_x_px: float
    center_y_px: float

    def rays(self, points_px: Array) -> Array:
        """Directions (…,2), x right and y up at depth 1, of pixels (…,2)."""
        center = np.array([self.center_x_px, self.center_y_px])
        return np.asarray((points_px - center) / self.focal_px * np.array([1.0, -1.0]))


@dataclass(frozen=True, eq=False)
class FitResult:
    """A fitted track, in glTF camera axes."""

    quat_xyzw: Array  # (L,22,4), canonical local turns
    root_m: Array  # (L,3), the pelvis
    log_shape: Array  # (10,), log of height against the rig's, then of bone groups
    planted: Array  # (L,4), 0…1 for `body.SOLE_POINTS`
    seen_scale: float
    iterations: int
    cost: float


@dataclass(frozen=True, eq=False)
class _Evidence:
    """What was seen, in the fit's axes, gaps filled and weighted zero."""

    times_s: Array  # (L,)
    points_m: Array  # (L,33,3), glTF camera axes
    rays: Array  # (L,33,2)
    weight: Array  # (L,33)
    seen: NDArray[np.bool_]
    depth_m: Array  # (L,), a first guess of the pelvis' depth

    def part(self, frames: slice) -> _Evidence:
        return _Evidence(
            self.times_s[frames], self.points_m[frames], self.rays[frames], self.weight[frames], self.seen[frames], self.depth_m[frames]
        )


def fit_track(
    body: Body, track: Track, lens: Lens, times_s: Array, options: FitOptions, on_progress: Callable[[int], None] | None = None
) -> FitResult:
    """Fit ``body`` to ``track``, whose frames have ``times_s`` (L,). Returns the motion in glTF camera axes."""
    evidence = _evidence(track, lens, times_s)
    problem = _Problem.of(body, options)
    start = _first_guess(problem, evidence)
    windows = _windows(len(times_s))
    shape, scale = problem.log_shape, float(_SEEN_SCALE_PRIOR)
    results = []
    # The window in which most was seen decides the person's shape; the others keep it, so that bones never change.
    leader = int(np.argmax([evidence.weight[window].sum() for window in windows]))
    for row in [leader, *[row for row in range(len(windows)) if row != leader]]:
        window = windows[row]
        pose = Pose(start.quat_xyzw[window], start.root_m[window], shape)
        solved = _solve(problem, evidence.part(window), pose, scale, free_shape=row == leader)
        if row == leader:
            shape, scale = solved.pose.log_shape, solved.seen_scale
        results.append((row, solved))
        if on_progress is not None:
            on_progress(window.stop - window.start)
    ordered = [solved for _, solved in sorted(results, key=lambda item: item[0])]
    return _joined(windows, ordered, len(times_s))


@dataclass(frozen=True, eq=False)
class _Problem:
    body: Body
    points: PointSet
    table: LandmarkTable
    options: FitOptions
    log_shape: Array  # the prior's mean

    @classmethod
    def of(cls, body: Body, options: FitOptions) -> _Problem:
        own = rig_height_m(body)
        height = options.height_m or DEFAULT_HEIGHT_M
        log_shape = np.zeros(len(SHAPE_NAMES))
        log_shape[0] = np.log(height / own)
        table = landmark_table()
        return cls(body, PointSet.of(body, table, own), table, options, log_shape)

    @property
    def shape_sigma(self) -> Array:
        return np.array([_HEIGHT_SIGMA, *[_GROUP_SIGMA] * (len(SHAPE_NAMES) - 1)])


@dataclass(frozen=True, eq=False)
class _Solved:
    pose: Pose
    seen_scale: float
    planted: Array
    iterations: int
    cost: float


def rig_height_m(body: Body) -> float:
    """Height of the rig's own body, metres, from the ground to the top of its mesh."""
    heights = body.rig.vertices_m[:, 1]
    return float(heights.max() - heights.min())


def _evidence(track: Track, lens: Lens, times_s: Array) -> _Evidence:
    seen = track.seen
    points = opencv_to_gltf(fill_gaps(track.landmarks_m, seen))
    rays = lens.rays(fill_gaps(track.landmarks_px, seen))
    visibility = np.where(seen[:, None], np.nan_to_num(track.visibility), 0.0)
    weight = np.where(seen[:, None], np.maximum(visibility, _VISIBILITY_FLOOR), 0.0)
    origin = root_from_rays(points * np.exp(_SEEN_SCALE_PRIOR), rays, np.maximum(weight, 1e-3))
    return _Evidence(times_s, points, rays, weight, seen, -origin[:, 2])


def _first_guess(problem: _Problem, evidence: _Evidence) -> Pose:
    scale = np.exp(_SEEN_SCALE_PRIOR)
    origin = root_from_rays(evidence.points_m * scale, evidence.rays, np.maximum(evidence.weight, 1e-3))
    quat = pose_from_landmarks(evidence.points_m)
    hips = problem.points.landmarks
    pose = Pose(quat, origin, problem.log_shape)
    place, _, _ = place_points(problem.body, problem.points, pose)
    rows = np.flatnonzero(np.isin(problem.table.landmark, (23, 24)))
    return replace(pose, root_m=origin - (place[:, hips][:, rows].mean(1) - origin))


def _windows(frames: int) -> list[slice]:
    if frames <= WINDOW_FRAMES + OVERLAP_FRAMES:
        return [slice(0, frames)]
    starts = range(0, frames - OVERLAP_FRAMES, WINDOW_FRAMES - OVERLAP_FRAMES)
    return [slice(start, min(start + WINDOW_FRAMES, frames)) for start in starts]


@dataclass(frozen=True, eq=False)
class _Standing:
    """What the second pass knows: which soles stand (F,4; 0…1 until the next frame), and on what."""

    planted: Array
    ground: Ground | None


def _solve(problem: _Problem, evidence: _Evidence, pose: Pose, seen_scale: float, free_shape: bool) -> _Solved:
    planted = np.zeros((len(evidence.times_s), 4))
    most, unknown = problem.options.iterations, _Standing(planted, None)
    pose, log_scale, cost, steps = _descend(problem, evidence, pose, seen_scale, unknown, most, free_shape)
    if problem.options.contacts and len(planted) > 1:
        known = _stand(problem, evidence, pose)
        planted = known.planted
        pose, log_scale, cost, more = _descend(problem, evidence, pose, log_scale, known, max(most // 2, 1), free_shape)
        steps += more
    return _Solved(pose, log_scale, planted, steps, cost)


def _stand(problem: _Problem, evidence: _Evidence, pose: Pose) -> _Standing:
    planted = standing(problem.body, problem.points, pose, evidence.times_s)
    stance = stance_of(shaped_body(problem.body, pose.log_shape), pose.quat_xyzw, pose.root_m, planted, evidence.seen)
    ground = find_ground(stance)
    flat = ground.standing >= _GROUND_SOLES and ground.spread_m < _GROUND_SPREAD_M
    return _Standing(planted, ground if flat else None)


def _descend(
    problem: _Problem, evidence: _Evidence, pose: Pose, log_scale: float, known: _Standing, most: int, free_shape: bool
) -> tuple[Pose, float, float, int]:
    """Levenberg-Marquardt: a step that lowers the cost is taken and trusted more, one that does not is tried again shorter."""
    damping = 1e-3
    equations = _equations(problem, evidence, pose, log_scale, known, free_shape)
    for taken in range(most):
        step, shared = equations.step(damping)
        shared = shared if free_shape else np.zeros_like(shared)
        moved, moved_scale = turned(pose, step, shared[:-1]), log_scale + float(shared[-1])
        candidate = _equations(problem, evidence, moved, moved_scale, known, free_shape)
        if candidate.cost < equations.cost:
            gain = 1 - candidate.cost / equations.cost
            pose, log_scale, equations = moved, moved_scale, candidate
            damping = max(damping / 5, 1e-7)
            if gain < _ENOUGH_GAIN[bool(known.planted.any())]:
                return pose, log_scale, equations.cost, taken + 1
        else:
            damping *= 10
    return pose, log_scale, equations.cost, most


def _equations(problem: _Problem, evidence: _Evidence, pose: Pose, log_scale: float, known: _Standing, free_shape: bool) -> NormalEquations:
    equations = NormalEquations(len(evidence.times_s), POSE_SIZE, len(SHAPE_NAMES) + 1)
    posed = pose_points(problem.body, problem.points, pose)
    _add_seen(equations, problem, evidence, posed, log_scale)
    _add_likely(equations, problem, evidence, posed, pose)
    sigmas, soles = problem.options.sigmas, problem.points.soles
    if known.planted.any():
        add_contacts(equations, posed, soles, known.planted[:-1], sigmas.contact_m)
    if known.ground is not None:
        add_ground(equations, posed, soles, known.ground.up_in_camera, -known.ground.height_m, known.planted, sigmas.ground_m, huber=1.5)
    prior = np.concatenate([pose.log_shape - problem.log_shape, [log_scale - _SEEN_SCALE_PRIOR]])
    equations.add_shared(prior, 1 / np.concatenate([problem.shape_sigma, [_SEEN_SCALE_SIGMA]]))
    if not free_shape:
        equations.border[:] = 0
    return equations


def _add_seen(equations: NormalEquations, problem: _Problem, evidence: _Evidence, posed: Posed, log_scale: float) -> None:
    """What was seen: 3D and 2D landmarks."""
    table, rows, sigmas = problem.table, problem.points.landmarks, problem.options.sigmas
    seen_m, rays = evidence.points_m[:, table.landmark], evidence.rays[:, table.landmark]
    weight = np.sqrt(evidence.weight[:, table.landmark] * table.weight)
    add_landmarks_3d(equations, posed, rows, table.torso, seen_m, weight, log_scale, sigmas.landmark_m, huber=1.5)
    add_landmarks_2d(equations, posed, rows, evidence.depth_m, rays, weight, sigmas.pixel_m, huber=1.0)


def _add_likely(equations: NormalEquations, problem: _Problem, evidence: _Evidence, posed: Posed, pose: Pose) -> None:
    """What bodies do: move smoothly, within their joints' ranges."""
    sigmas, times_s = problem.options.sigmas, evidence.times_s
    add_smooth_turns(equations, pose, times_s, sigmas.turn_rad_s2, huber=sigmas.turn_huber)
    add_smooth_joints(equations, posed, problem.points.joints, times_s, sigmas.joint_m_s2, huber=sigmas.joint_huber)
    add_smooth_root(equations, pose, times_s, sigmas.root_m_s2)
    strength = np.ones(len(times_s))
    add_pose_prior(equations, pose, strength)
    add_hinges(equations, pose, strength)


def standing(body: Body, points: PointSet, pose: Pose, times_s: Array) -> Array:
    """How sure it is that each sole stands from a frame to the next: (F,4), 0…1, from its speed; the last frame as the one before."""
    place, _, _ = place_points(body, points, pose)
    speed = np.linalg.norm(np.diff(place[:, points.soles], axis=0), axis=-1) / np.diff(times_s)[:, None]
    slow, fast = _STANDING_M_S
    sure = np.clip((fast - speed) / (fast - slow), 0.0, 1.0)
    return np.concatenate([sure, sure[-1:]])


def _joined(windows: list[slice], solved: list[_Solved], frames: int) -> FitResult:
    """Put windows together; where two overlap, one eases into the other."""
    quat, root = np.zeros((frames, *solved[0].pose.quat_xyzw.shape[1:])), np.zeros((frames, 3))
    planted = np.zeros((frames, 4))
    done = 0
    for window, part in zip(windows, solved, strict=True):
        both = slice(window.start, done)
        share = (np.arange(both.stop - both.start) + 1) / (both.stop - both.start + 1)
        quat[both] = quat_slerp(quat[both], part.pose.quat_xyzw[: len(share)], share[:, None])
        root[both] += (part.pose.root_m[: len(share)] - root[both]) * share[:, None]
        quat[both.stop:window.stop], root[both.stop:window.stop] = part.pose.quat_xyzw[len(share):], part.pose.root_m[len(share):]
        planted[both.stop:window.stop] = part.planted[len(share):]
        done = window.stop
    first = solved[0]
    iterations, cost = sum(part.iterations for part in solved), sum(part.cost for part in solved)
    return FitResult(quat, root, first.pose.log_shape, planted, float(np.exp(first.seen_scale)), iterations, cost)
