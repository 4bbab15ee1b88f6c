"""Feet that stand do not move, and feet that swing do not dip into the ground."""

import numpy as np
import pytest

from rigdrop.convert.body import Body
from rigdrop.motion.rotations import quat_apply, quat_multiply
from rigdrop.render.gait import Foot, plan_steps, track_foot
from rigdrop.render.score import Path, Score

from .bodies import humanoid


@pytest.fixture(scope="module")
def walk():
    score = Score()
    score.hold(0.5)
    score.drive(2.6, 0.5, 0.54, 5)
    score.hold(0.6)
    body = Body.of(humanoid())
    feet = {side: Foot.of(body, side) for side in ("left", "right")}
    path = Path.of(score, 0.4, score.now_s)
    return score, path, feet, plan_steps(score, path, feet, 0.7, 0.1)


def points(foot, track):
    """Heel and toe (F,3) of a foot, by its own turns."""
    heel = track.ankle_m + quat_apply(track.quat_xyzw, foot.heel_from_ankle_m)
    ball = track.ankle_m + quat_apply(track.quat_xyzw, foot.ball_from_ankle_m)
    return heel, ball + quat_apply(quat_multiply(track.quat_xyzw, track.toe_quat_xyzw), foot.toe_from_ball_m)


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_is_down_stands_still_on_the_ground(walk, side):
    score, _, feet, plants = walk
    times = np.arange(0, score.now_s, 1 / 60)
    track = track_foot(feet[side], plants[side], times)
    for point, down in zip(points(feet[side], track), (track.heel_down, track.toe_down), strict=True):
        both = down[1:] & down[:-1]
        assert np.linalg.norm(np.diff(point, axis=0), axis=1)[both].max() < 1e-9
        np.testing.assert_allclose(point[down, 1], 0, atol=1e-9)
        assert 0.4 < down.mean() < 1.0


@pytest.mark.parametrize("side", ["left", "right"])
def test_nothing_of_a_foot_goes_into_the_ground_or_jumps(walk, side):
    score, _, feet, plants = walk
    times = np.arange(0, score.now_s, 1 / 240)
    track = track_foot(feet[side], plants[side], times)
    for point in points(feet[side], track):
        assert point[:, 1].min() > -1e-9
        # A walker's foot is at most about four times as fast as the walker, who does 1.2 m/s.
        assert np.linalg.norm(np.diff(point, axis=0), axis=1).max() * 240 < 5.5


def test_feet_take_turns_and_one_is_always_down(walk):
    score, _, feet, plants = walk
    assert [len(plants[side]) for side in ("left", "right")] == [4, 3]
    times = np.arange(0, score.now_s, 1 / 240)
    tracks = [track_foot(feet[side], plants[side], times) for side in feet]
    down = np.stack([track.heel_down | track.toe_down for track in tracks])
    assert down.any(axis=0).all() and not down.all()


def test_heel_strikes_first_and_leaves_first(walk):
    _, _, feet, plants = walk
    landed = plants["left"][1].land_s
    lifts = plants["left"][1].lift_s
    for time, heel, toe in ((landed + 0.02, True, False), ((landed + lifts) / 2, True, True), (lifts - 0.05, False, True)):
        track = track_foot(feet["left"], plants["left"], np.array([time]))
        assert (bool(track.heel_down[0]), bool(track.toe_down[0])) == (heel, toe)


def test_the_feet_end_where_the_walk_ends_left_on_the_left(walk):
    score, path, _, plants = walk
    x, z, yaw = path.at(score.now_s)
    to_left = np.array([np.cos(yaw), -np.sin(yaw)])
    last = {side: np.array([plants[side][-1].x_m - x, plants[side][-1].z_m - z]) for side in plants}
    assert last["left"] @ to_left > 0.04 and last["right"] @ to_left < -0.04
    assert max(np.linalg.norm(place) for place in last.values()) < 0.3
