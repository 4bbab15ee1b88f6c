"""From landmarks to a moving body: one solve over all frames of a track.

Unknowns: the pelvis' place and 22 joint turns a frame, one height and nine bone-group scales a person, and the scale of
the 3D landmarks (a nuisance: they come 6 to 20 % short). Levenberg-Marquardt on block-banded normal equations; a second
pass knows which soles stand, and how far arms come toward the camera. Long tracks are solved in windows that overlap and
are blended where they do.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..ingest.tracks import Track
from ..motion.frames import opencv_to_gltf
from ..motion.rotations import quat_slerp
from .body import Body
from .fitting.banded import NormalEquations
from .fitting.foreshortening import ARMS, ArmLengths, find_arms
from .fitting.ground import Ground, find_ground, stance_of
from .fitting.initial import fill_gaps, pose_from_landmarks, root_from_rays, with_arms_along
from .fitting.landmarks import ELBOWS, WRISTS_AND_HANDS, LandmarkTable, evidence_of_joints, landmark_table
from .fitting.points import POSE_SIZE, SHAPE_NAMES, PointSet, Pose, Posed, place_points, pose_points, turned
from .fitting.shape import shaped_body
from .fitting.standing import standing, standing_on
from .fitting.terms import (
    TermSigmas,
    add_contacts,
    add_depths,
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
_PART_FRAMES = 75  # whose equations are computed at a time
# Landmarks below this visibility are guessed: on rendered clips they miss by 60 to 600 mm, those of 0.02 to 0.05 by 30 to
# 100, those of 0.1 to 0.3 by 15 to 40, and those above 0.9 by 10 to 25 (medians, and what nine in ten keep).
_GUESSED_VISIBILITY, _LEAST_TRUST = 0.02, 2e-4
# 3D landmarks of seven rendered people came 6 to 20 % short.
_SEEN_SCALE_PRIOR, _SEEN_SCALE_SIGMA = np.log(1.12), 0.12
# Height is as good as given: smaller people have smaller residuals, so that a free height always shrinks.
_HEIGHT_SIGMA, _GROUP_SIGMA = 0.0005, 0.01
# A step that lowers the cost by less than this share ends the descent, before it is known which soles stand and after: what
# is left moves joints by tenths of a millimetre.
_ENOUGH_GAIN = {False: 1e-2, True: 2e-3}
# An arm of which this much is sure may have come to bend the wrong way, where no small step leads out: it starts anew.
_SURE_ENOUGH = 0.5
# Upper arm and forearm of the left, then of the right.
_ARM_BONES = tuple((upper, lower) for arm in ARMS for upper, lower in pairwise(arm))
# How much stronger habits are where a joint is not seen at all, and how well seen a joint is that needs no such help.
_BLIND_STRENGTH, _BLIND_BELOW = 2.0, 0.05
# How much trust in the network's depth an arm loses that surely reaches further.
_MOST_DOUBT = 0.9
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
    arm_depth_m: Array  # (L,4), how far each of `_ARM_BONES` comes toward the camera
    arm_sure: Array  # (L,4), 0…1, how surely it does, whatever the network reads
    seen: NDArray[np.bool_]
    depth_m: Array  # (L,), a first guess of the pelvis' depth

    def part(self, frames: slice) -> _Evidence:
        return _Evidence(**{field.name: getattr(self, field.name)[frames] for field in fields(self)})


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
    visibility = np.where(seen[:, None], np.nan_to_num(track.visibility).astype(np.float64), 0.0)
    weight = np.where(seen[:, None], np.maximum(_trust(visibility), _LEAST_TRUST), 0.0)
    origin = root_from_rays(points * np.exp(_SEEN_SCALE_PRIOR), rays, np.maximum(weight, 1e-3))
    unknown = np.zeros((len(seen), len(_ARM_BONES)))
    return _Evidence(times_s, points, rays, weight, unknown, unknown, seen, -origin[:, 2])


def _trust(visibility: Array) -> Array:
    """How much a landmark counts: as much as it is visible, and next to nothing where it is only guessed."""
    return np.asarray(visibility**3 / (visibility**2 + _GUESSED_VISIBILITY**2))


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

    def part(self, frames: slice) -> _Standing:
        return _Standing(self.planted[frames], self.ground)


def _solve(problem: _Problem, evidence: _Evidence, pose: Pose, seen_scale: float, free_shape: bool) -> _Solved:
    most, unknown = problem.options.iterations, _Standing(np.zeros((len(evidence.times_s), 4)), None)
    pose, log_scale, cost, steps = _descend(problem, evidence, pose, seen_scale, unknown, most, free_shape)
    known = _stand(problem, evidence, pose) if problem.options.contacts and len(evidence.times_s) > 1 else unknown
    # Only now is it known how long arms are, and how far away.
    evidence, pose = _with_longer_arms(problem, evidence, pose, log_scale)
    pose, log_scale, cost, more = _descend(problem, evidence, pose, log_scale, known, max(most // 2, 1), free_shape)
    return _Solved(pose, log_scale, known.planted, steps + more, cost)


def _with_longer_arms(problem: _Problem, evidence: _Evidence, pose: Pose, log_scale: float) -> tuple[_Evidence, Pose]:
    """Give arms that the network read too short their depth, and start them anew from there."""
    table, scale = problem.table, np.exp(log_scale)
    place = place_points(problem.body, problem.points, pose)[0][:, problem.points.landmarks]
    torso = table.landmark[table.torso]
    shift = place[:, table.torso].mean(1, keepdims=True) - evidence.points_m[:, torso].mean(1, keepdims=True) * scale
    points = evidence.points_m * scale + shift
    arms = find_arms(points, evidence.rays, evidence.weight, evidence.times_s, _arm_lengths(table, place))
    anew = arms.sure.max(axis=(1, 2)) > _SURE_ENOUGH
    quat = np.where(anew[:, None, None], with_arms_along(problem.body, pose.quat_xyzw, arms.points(points)), pose.quat_xyzw)
    told = replace(evidence, arm_depth_m=arms.bones_m[..., 2].reshape(-1, 4), arm_sure=arms.sure.reshape(-1, 4))
    return told, replace(pose, quat_xyzw=quat)


def _arm_lengths(table: LandmarkTable, place_m: Array) -> ArmLengths:
    """Median distances of shoulders', elbows' and wrists' landmarks (F,N,3)."""
    def between(upper: tuple[int, int], lower: tuple[int, int]) -> float:
        ends = [place_m[:, np.searchsorted(table.landmark, pair)] for pair in (upper, lower)]
        return float(np.median(np.linalg.norm(ends[1] - ends[0], axis=-1)))

    return ArmLengths(between((11, 12), (13, 14)), between((13, 14), (15, 16)))


def _stand(problem: _Problem, evidence: _Evidence, pose: Pose) -> _Standing:
    soles_m = place_points(problem.body, problem.points, pose)[0][:, problem.points.soles]
    planted = standing(soles_m, evidence.times_s)
    stance = stance_of(shaped_body(problem.body, pose.log_shape), pose.quat_xyzw, pose.root_m, planted, evidence.seen)
    ground = find_ground(stance)
    if ground.standing < _GROUND_SOLES or ground.spread_m >= _GROUND_SPREAD_M:
        return _Standing(planted, None)
    return _Standing(standing_on(planted, soles_m @ ground.up_in_camera + ground.height_m, evidence.times_s), ground)


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
    """Collect all terms, some frames at a time: what is computed of those stays near the processor, and two parts go side by side."""
    equations = NormalEquations(len(evidence.times_s), POSE_SIZE, len(SHAPE_NAMES) + 1)

    def add_part(start: int) -> NormalEquations:
        # Two more frames than its own: accelerations span three.
        frames = slice(start, start + _PART_FRAMES + 2)
        part = equations.part(frames)
        _add_part(part, problem, evidence.part(frames), pose.part(frames), log_scale, known.part(frames))
        return part

    with ThreadPoolExecutor(2, thread_name_prefix="fit") as threads:
        # Neighbours share frames, so that every other part is added first, and then those between.
        for first in (0, _PART_FRAMES):
            for part in threads.map(add_part, range(first, len(evidence.times_s), 2 * _PART_FRAMES)):
                equations.settle(part)
    prior = np.concatenate([pose.log_shape - problem.log_shape, [log_scale - _SEEN_SCALE_PRIOR]])
    equations.add_shared(prior, 1 / np.concatenate([problem.shape_sigma, [_SEEN_SCALE_SIGMA]]))
    if not free_shape:
        equations.border[:] = 0
    return equations


def _add_part(
    equations: NormalEquations, problem: _Problem, evidence: _Evidence, pose: Pose, log_scale: float, known: _Standing
) -> None:
    """Add the terms of the first `_PART_FRAMES` frames, and those that begin in one of them and span the next ones too."""
    posed = pose_points(problem.body, problem.points, pose)
    own = slice(_PART_FRAMES)
    alone = posed.part(own)
    _add_seen(equations, problem, evidence.part(own), alone, log_scale)
    _add_habits(equations, evidence.part(own), pose.part(own))
    _add_smooth(equations, problem, evidence.times_s, posed, pose)
    sigmas, soles = problem.options.sigmas, problem.points.soles
    if known.planted.any():
        steps = slice(min(_PART_FRAMES + 1, len(known.planted)))
        add_contacts(equations, posed.part(steps), soles, known.planted[steps][:-1], sigmas.contact_m)
    if known.ground is not None:
        up, height_m = known.ground.up_in_camera, -known.ground.height_m
        add_ground(equations, alone, soles, up, height_m, known.planted[own], sigmas.ground_m, huber=1.5)


def _add_seen(equations: NormalEquations, problem: _Problem, evidence: _Evidence, posed: Posed, log_scale: float) -> None:
    """What was seen: 3D and 2D landmarks, and how far arms come toward the camera."""
    table, rows, sigmas = problem.table, problem.points.landmarks, problem.options.sigmas
    seen_m, rays = evidence.points_m[:, table.landmark], evidence.rays[:, table.landmark]
    weight = np.sqrt(evidence.weight[:, table.landmark] * table.weight)
    sigma_m = np.array(sigmas.landmark_m) * _doubt(evidence)[:, table.landmark]
    add_landmarks_3d(equations, posed, rows, table.torso, seen_m, weight, log_scale, sigma_m, huber=1.5)
    add_landmarks_2d(equations, posed, rows, evidence.depth_m, rays, weight, sigmas.pixel_m, huber=1.0)
    ends = np.searchsorted(table.landmark, np.array(_ARM_BONES))
    add_depths(equations, posed, ends, evidence.arm_depth_m, np.sqrt(evidence.arm_sure), sigmas.arm_depth_m, huber=1.5)


def _doubt(evidence: _Evidence) -> Array:
    """How many of its sigmas (L,33,3) a 3D landmark counts as one: many for the depth of an arm that is read too short."""
    doubt = np.ones(evidence.points_m.shape)
    upper, whole = evidence.arm_sure[:, ::2], np.maximum(evidence.arm_sure[:, ::2], evidence.arm_sure[:, 1::2])
    for sure, landmarks in ((upper, ELBOWS), *((whole, pair) for pair in WRISTS_AND_HANDS)):
        doubt[:, landmarks, 2] = 1 / (1 - _MOST_DOUBT * sure)
    return doubt


def _add_smooth(equations: NormalEquations, problem: _Problem, times_s: Array, posed: Posed, pose: Pose) -> None:
    """Bodies move smoothly."""
    sigmas = problem.options.sigmas
    add_smooth_turns(equations, pose, times_s, sigmas.turn_rad_s2, huber=sigmas.turn_huber)
    add_smooth_joints(equations, posed, problem.points.joints, times_s, sigmas.joint_m_s2, huber=sigmas.joint_huber)
    add_smooth_root(equations, pose, times_s, sigmas.root_m_s2)


def _add_habits(equations: NormalEquations, evidence: _Evidence, pose: Pose) -> None:
    """Joints keep to their ranges, and to what bodies usually do."""
    blind = np.maximum(1 - evidence_of_joints(evidence.weight) / _BLIND_BELOW, 0.0)
    strength = 1 + (_BLIND_STRENGTH - 1) * blind
    add_pose_prior(equations, pose, strength)
    add_hinges(equations, pose, strength)


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
