"""Arms whose course is known, before a network that reads their depth wrong. Rays and lengths are exact unless a test says otherwise."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from rigdrop.convert.fitting import foreshortening
from rigdrop.convert.fitting.foreshortening import ArmLengths, Arms, find_arms

UPPER_M, FORE_M = 0.3, 0.26
LENGTHS = ArmLengths(UPPER_M, FORE_M)
AT_M = np.array([0.3, 0.2, -4.0])
SURE = np.ones(33)
DOWN = np.array([[0, -1.0, 0], [0, -1, 0]])
TO_CAMERA = np.array([[0.3, -0.1, 1.0], [0.1, 0.2, 1]])


def _person(left_arm: np.ndarray, away: bool = False) -> np.ndarray:
    """Landmarks (F,33,3) of somebody whose left arm's bones point along ``left_arm`` (F,2,3), the right arm hanging; facing the camera
    or ``away``."""
    points = np.zeros((len(left_arm), 33, 3))
    for landmark, spot in ((11, (0.18, 0.5, 0)), (12, (-0.18, 0.5, 0)), (23, (0.1, 0, 0)), (24, (-0.1, 0, 0))):
        points[:, landmark] = np.array(spot) * ([-1, 1, -1] if away else [1, 1, 1])
    for (shoulder, elbow, wrist), bones in zip(foreshortening.ARMS, (left_arm, np.broadcast_to(DOWN, left_arm.shape)), strict=True):
        along = bones / np.linalg.norm(bones, axis=-1, keepdims=True) * [[UPPER_M], [FORE_M]]
        points[:, (elbow, wrist)] = points[:, shoulder, None] + np.cumsum(along, axis=1)
    return points + AT_M


def _rays(points: np.ndarray) -> np.ndarray:
    return points[..., :2] / -points[..., 2:]


def _flat(points: np.ndarray, share: float = 0.0) -> np.ndarray:
    """What a network reads that keeps only a share of every arm's depth."""
    read = points.copy()
    for shoulder, elbow, wrist in foreshortening.ARMS:
        read[:, (elbow, wrist), 2] = read[:, shoulder, None, 2] + share * (read[:, (elbow, wrist), 2] - read[:, shoulder, None, 2])
    return read


def _found(points: np.ndarray, read: np.ndarray, fps: float = 30.0, weight: np.ndarray = SURE) -> Arms:
    return find_arms(read, _rays(points), np.broadcast_to(weight, points.shape[:2]), np.arange(len(points)) / fps, LENGTHS)


def test_an_arm_toward_the_camera_that_is_read_flat():
    points = _person(np.tile(TO_CAMERA, (9, 1, 1)))
    arms = _found(points, _flat(points, 0.2))
    left = foreshortening.ARMS[0]
    assert np.allclose(arms.bones_m[:, 0], np.diff(points[:, left], axis=1), atol=1e-9)
    assert (arms.sure[:, 0] == 1).all()
    assert (arms.sure[:, 1] == 0).all()  # the other one hangs
    assert np.allclose(arms.points(points), points, atol=1e-9)


def test_somebody_who_shows_the_back_strikes_away_from_the_camera():
    points = _person(np.tile(TO_CAMERA * [1, 1, -1], (9, 1, 1)), away=True)
    arms = _found(points, _flat(points))
    assert (arms.bones_m[:, 0, :, 2] < -0.2).all()
    assert (arms.sure[:, 0] == 1).all()


def test_a_network_that_reads_right_is_left_alone():
    points = _person(np.tile(TO_CAMERA, (5, 1, 1)))
    assert (_found(points, points).sure == 0).all()


@pytest.mark.parametrize("short_m", [0.0, 0.02])
def test_an_arm_across_the_view_says_nothing_of_its_depth(short_m):
    # A centimetre or two of length would be a decimetre of depth.
    points = _person(np.tile([[1.0, 0.1, 0.0], [1, 0.2, 0.0]], (5, 1, 1)))
    lengths = ArmLengths(UPPER_M + short_m, FORE_M + short_m)
    arms = find_arms(points, _rays(points), np.ones(points.shape[:2]), np.arange(5) / 30, lengths)
    assert (arms.sure == 0).all()


def test_an_arm_that_is_too_long_for_its_length_lies_across_the_view():
    points = _person(np.tile([[1.0, 0.1, 0.0], [1, 0.2, 0.0]], (5, 1, 1)))
    short = find_arms(points, _rays(points), np.ones(points.shape[:2]), np.arange(5) / 30, ArmLengths(0.2, 0.2))
    assert np.isfinite(short.bones_m).all()
    view = points[:, (13, 15)] / np.linalg.norm(points[:, (13, 15)], axis=-1, keepdims=True)
    assert np.abs(np.sum(short.bones_m[:, 0] * view, axis=-1)).max() < 1e-6


def test_an_arm_that_is_not_seen_is_not_known():
    points = _person(np.tile(TO_CAMERA, (9, 1, 1)))
    weight = SURE.copy()
    weight[13] = 0.0
    assert (_found(points, _flat(points), weight=weight).sure == 0).all()


def test_an_arm_does_not_jump_for_one_wrong_frame():
    points = _person(np.tile(TO_CAMERA, (11, 1, 1)))
    read = _flat(points, 0.3)
    read[5] = _flat(points, -0.3)[5]
    assert (_found(points, read).bones_m[:, 0, :, 2] > 0).all()


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_what_is_sure_holds_for_the_frames_around(fps):
    # A blow of a sixth of a second and more, in a second of an arm that hangs.
    frames = round(fps)
    struck = np.abs(np.arange(frames) / fps - 0.5) < 0.1
    points = _person(np.where(struck[:, None, None], TO_CAMERA, DOWN))
    sure = _found(points, _flat(points), fps).sure[:, 0].min(axis=1)
    times_s = np.arange(frames) / fps
    assert (sure[struck] == 1).all()
    assert (sure[np.abs(times_s - 0.5) < 0.14] > 0.8).all()
    assert (sure[np.abs(times_s - 0.5) > 0.27] == 0).all()


def test_a_frame_that_stands_alone_is_hardly_sure():
    points = _person(np.where((np.arange(31) == 15)[:, None, None], TO_CAMERA, DOWN))
    assert _found(points, _flat(points)).sure.max() < 0.5


def test_one_frame_is_enough_of_a_clip():
    points = _person(TO_CAMERA[None])
    assert (_found(points, _flat(points, 0.2)).sure[:, 0] == 1).all()


def test_the_path_is_the_best_of_all_paths():
    rng = np.random.default_rng(3)
    points = _person(TO_CAMERA + rng.normal(0, 0.6, (5, 2, 3)))
    read, trust = points + rng.normal(0, 0.2, points.shape), rng.uniform(0.2, 1, 5)
    arm = foreshortening._Arm.of(read, _rays(points), foreshortening.ARMS[0], LENGTHS)
    forward = foreshortening._chest_forward(read)
    own = (foreshortening._against_net(arm) + foreshortening._against_habit(arm, forward)) * trust[:, None]

    def cost(path: tuple[int, ...]) -> float:
        ends = np.cumsum(np.stack([arm.possible[frame, course] for frame, course in enumerate(path)]), axis=1)
        way = np.linalg.norm(np.diff(ends, axis=0), axis=-1).sum() / foreshortening._WAY_M
        return float(way + sum(own[frame, course] for frame, course in enumerate(path)))

    best = min(product(range(4), repeat=5), key=cost)
    assert tuple(foreshortening._likely_path(arm, forward, trust)) == best


def test_a_mirrored_person_has_mirrored_arms():
    rng = np.random.default_rng(1)
    points = _person(TO_CAMERA + rng.normal(0, 0.3, (6, 2, 3)))
    other = points * [-1, 1, 1]
    twins = np.arange(33)
    for left in range(11, 33, 2):
        twins[[left, left + 1]] = left + 1, left
    arms, mirror = (_found(seen, _flat(seen)) for seen in (points, other[:, twins]))
    assert np.allclose(mirror.bones_m[:, ::-1] * [-1, 1, 1], arms.bones_m, atol=1e-9)
    assert np.allclose(mirror.sure[:, ::-1], arms.sure)
