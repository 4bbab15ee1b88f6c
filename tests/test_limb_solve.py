"""Limbs of two bones: triangles whose sides say their angles, and laws over random limbs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.retargeting.limb_solve import hinged, reach_for

ALONG, FOLD = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])


def _limbs(count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random limbs that bend forward, by up to 140 degrees, with some twist of the far bone."""
    rng = np.random.default_rng(seed)
    near = Rotation.random(count, random_state=seed)
    bend = Rotation.from_rotvec(rng.uniform(0.05, 2.4, (count, 1)) * [0, 0, 1.0])
    twist = Rotation.from_rotvec(rng.uniform(-1, 1, (count, 1)) * ALONG)
    return near.as_quat(), (near * bend * twist).as_quat()


def _end(near: np.ndarray, far: np.ndarray, lengths: tuple[float, float]) -> np.ndarray:
    return Rotation.from_quat(near).apply(ALONG) * lengths[0] + Rotation.from_quat(far).apply(ALONG) * lengths[1]


def test_a_right_triangle_by_hand():
    # Bones of 3 and 4 that are to reach 5 along x: a right angle at the joint between, which stands out opposite the fold.
    straight = np.array([[0, 0, 0, 1.0]])
    near, far = reach_for(straight, straight, (3.0, 4.0), np.array([[5.0, 0, 0]]))
    np.testing.assert_allclose(Rotation.from_quat(near).apply(ALONG)[0], [0.6, -0.8, 0], atol=1e-9)
    np.testing.assert_allclose(Rotation.from_quat(far).apply(ALONG)[0], [0.8, 0.6, 0], atol=1e-9)


def test_every_goal_in_reach_is_reached():
    near, far = _limbs()
    goal = Rotation.random(200, random_state=5).apply(ALONG) * np.random.default_rng(1).uniform(0.15, 0.79, (200, 1))
    np.testing.assert_allclose(_end(*reach_for(near, far, (0.45, 0.35), goal), (0.45, 0.35)), goal, atol=1e-9)


def test_a_goal_out_of_reach_is_pointed_at():
    near, far = _limbs(20)
    goal = Rotation.random(20, random_state=5).apply(ALONG) * 3
    np.testing.assert_allclose(_end(*reach_for(near, far, (0.45, 0.35), goal), (0.45, 0.35)), goal * 0.8 / 3, atol=1e-6)


def test_a_limb_that_is_there_stays_as_it_is():
    near, far = _limbs()
    again = reach_for(near, far, (0.45, 0.35), _end(near, far, (0.45, 0.35)))
    for was, now in zip((near, far), again, strict=True):
        # Nearly straight limbs are drawn a little toward their hinge.
        assert (Rotation.from_quat(was).inv() * Rotation.from_quat(now)).magnitude().max() < 1e-5


def test_the_limb_bends_in_its_own_plane():
    near, far = _limbs()
    end = _end(near, far, (0.45, 0.35))
    turned = reach_for(near, far, (0.45, 0.35), 0.9 * end)  # nearer, in the same direction: only the bend changes
    normal = np.cross(Rotation.from_quat(near).apply(ALONG), end)
    for bone in turned:
        direction = Rotation.from_quat(bone).apply(ALONG)
        assert np.abs(np.sum(direction * normal, axis=-1)).max() < 1e-4


def test_a_backward_bend_becomes_the_same_bend_forward():
    near = np.tile([0, 0, 0, 1.0], (3, 1))
    far = Rotation.from_rotvec([[0, 0, -0.4], [0, 0, 0.3], [0, 0, 0]]).as_quat()
    np.testing.assert_allclose(Rotation.from_quat(hinged(near, far)).as_rotvec(), [[0, 0, 0.4], [0, 0, 0.3], [0, 0, 0]], atol=1e-9)


@pytest.mark.parametrize("aside", [0.0, 0.3])
def test_the_hinge_is_continuous_where_the_limb_is_straight(aside):
    near = np.tile([0, 0, 0, 1.0], (201, 1))
    far = Rotation.from_rotvec(np.linspace(-0.2, 0.2, 201)[:, None] * [0, 0, 1.0] + [0, aside, 0]).as_quat()
    steps = Rotation.from_quat(hinged(near, far)).as_matrix()
    assert np.abs(np.diff(steps, axis=0)).max() < 0.003  # as large as the source's own steps, 0.002
    assert (Rotation.from_quat(hinged(near, far)).apply(ALONG) @ FOLD).min() > -1e-12
