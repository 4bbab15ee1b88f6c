"""Laws of rotations, and agreement with SciPy and roma, which share no code with ours."""

from __future__ import annotations

import numpy as np
import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation, Slerp

from rigdrop.motion.rotations import (
    IDENTITY_XYZW,
    matrix_to_quat,
    quat_apply,
    quat_between,
    quat_continuous,
    quat_inverse,
    quat_multiply,
    quat_normalize,
    quat_slerp,
    quat_to_matrix,
    quat_to_rotvec,
    rotvec_to_quat,
)

# A dozen double-precision products: a few ulp each.
TIGHT = 1e-12

law = settings(derandomize=True, deadline=None, max_examples=60)

_axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda axis: np.linalg.norm(axis) > 0.1)
# Where formulas break: nothing, next to nothing, around the switch to a series, a half turn and just about it, a whole turn.
_angles = st.one_of(
    st.sampled_from([0.0, 1e-300, 1e-12, 1e-8, 9.9e-5, 1.01e-4, np.pi - 1e-9, np.pi, np.pi + 1e-9, 2 * np.pi - 1e-7, 2 * np.pi]),
    st.floats(0, 2 * np.pi),
)


@st.composite
def rotvecs(draw: st.DrawFn) -> np.ndarray:
    axis = np.array(draw(_axes))
    return axis / np.linalg.norm(axis) * draw(_angles)


@st.composite
def quats(draw: st.DrawFn) -> np.ndarray:
    return Rotation.from_rotvec(draw(rotvecs())).as_quat() * draw(st.sampled_from([-1.0, 1.0]))


def _same(left, right) -> bool:
    """The same rotation, whatever the sign of the quaternion."""
    return bool(min(np.abs(left - right).max(), np.abs(left + right).max()) < TIGHT)


@law
@given(quats(), quats(), quats())
def test_products_form_a_group(a, b, c):
    assert np.allclose(quat_multiply(quat_multiply(a, b), c), quat_multiply(a, quat_multiply(b, c)), atol=TIGHT)
    assert np.allclose(quat_multiply(a, IDENTITY_XYZW), a, atol=TIGHT)
    assert np.allclose(quat_multiply(IDENTITY_XYZW, a), a, atol=TIGHT)
    assert np.allclose(quat_multiply(a, quat_inverse(a)), IDENTITY_XYZW, atol=TIGHT)
    assert abs(np.linalg.norm(quat_multiply(a, b)) - 1) < TIGHT


@law
@given(quats(), quats())
def test_a_product_turns_by_the_right_one_first(a, b):
    expected = (Rotation.from_quat(a) * Rotation.from_quat(b)).as_quat()
    assert _same(quat_multiply(a, b), expected)
    assert np.allclose(quat_to_matrix(quat_multiply(a, b)), quat_to_matrix(a) @ quat_to_matrix(b), atol=TIGHT)
    assert np.allclose(quat_multiply(a, b), roma.quat_product(torch.tensor(a), torch.tensor(b)).numpy(), atol=TIGHT)


@law
@given(quats(), st.tuples(*[st.floats(-10, 10)] * 3))
def test_vectors_turn_as_scipy_turns_them(quat, vector):
    assert np.allclose(quat_apply(quat, np.array(vector)), Rotation.from_quat(quat).apply(vector), atol=1e-11)


@law
@given(quats())
def test_matrices_are_scipys_and_come_back(quat):
    matrix = quat_to_matrix(quat)
    assert np.allclose(matrix, Rotation.from_quat(quat).as_matrix(), atol=TIGHT)
    assert _same(matrix_to_quat(matrix), quat)
    assert np.allclose(quat_to_matrix(matrix_to_quat(matrix)), roma.unitquat_to_rotmat(torch.tensor(quat)).numpy(), atol=TIGHT)


@law
@given(rotvecs())
def test_rotation_vectors_become_scipys_and_romas_quaternions(rotvec):
    assert np.allclose(quat_to_matrix(rotvec_to_quat(rotvec)), Rotation.from_rotvec(rotvec).as_matrix(), atol=TIGHT)
    if np.linalg.norm(rotvec) > 1e-6:  # roma divides by the angle
        assert np.allclose(rotvec_to_quat(rotvec), roma.rotvec_to_unitquat(torch.tensor(rotvec)[None])[0].numpy(), atol=TIGHT)


@law
@given(quats())
def test_rotation_vectors_are_at_most_a_half_turn_and_come_back(quat):
    rotvec = quat_to_rotvec(quat)
    assert np.linalg.norm(rotvec) <= np.pi + TIGHT
    assert np.allclose(rotvec, quat_to_rotvec(-quat), atol=TIGHT) or np.linalg.norm(rotvec) > np.pi - 1e-6
    assert _same(rotvec_to_quat(rotvec), quat)
    assert abs(np.linalg.norm(rotvec) - Rotation.from_quat(quat).magnitude()) < 1e-9


@law
@given(quats(), quats(), st.floats(0, 1))
def test_slerp_is_scipys(start, end, share):
    if (Rotation.from_quat(start).inv() * Rotation.from_quat(end)).magnitude() > np.pi - 1e-6:
        return  # either way round is the short one
    expected = Slerp([0, 1], Rotation.from_quat([start, end]))(share).as_matrix()
    assert np.allclose(quat_to_matrix(quat_slerp(start, end, np.array(share))), expected, atol=1e-10)


@law
@given(_axes, _axes)
def test_the_turn_between_two_directions_is_the_smallest_that_does_it(start, end):
    start, end = np.array(start), np.array(end)
    quat = quat_between(start, end)
    assert np.allclose(quat_apply(quat, start / np.linalg.norm(start)), end / np.linalg.norm(end), atol=1e-7)
    angle = np.arctan2(np.linalg.norm(np.cross(start, end)), start @ end)
    assert abs(Rotation.from_quat(quat).magnitude() - angle) < 1e-7


@pytest.mark.parametrize("direction", [*np.eye(3), *-np.eye(3), np.array([1.0, 1, 1])])
def test_opposite_directions_take_a_half_turn(direction):
    quat = quat_between(direction, -direction)
    assert np.allclose(quat_apply(quat, direction), -direction, atol=TIGHT)


@pytest.mark.parametrize("angle", [0.0, 1e-9, np.pi - 1e-9, np.pi])
@pytest.mark.parametrize("axis", [(1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0), (0.6, 0.8, 0), (-0.6, 0, 0.8)])
def test_matrices_of_half_turns_lose_no_digits(axis, angle):
    rotation = Rotation.from_rotvec(np.array(axis) * angle)
    assert _same(matrix_to_quat(rotation.as_matrix()), rotation.as_quat())


def test_any_leading_shape_goes_in_and_float64_comes_out():
    rng = np.random.default_rng(0)
    for batch in [(), (3,), (2, 0), (2, 3, 4)]:
        quat = quat_normalize(rng.normal(size=(*batch, 4)).astype(np.float32))
        small = quat.astype(np.float32)
        for result, tail in [
            (quat_multiply(small, small), (4,)),
            (quat_inverse(small), (4,)),
            (quat_apply(small, small[..., :3]), (3,)),
            (quat_to_matrix(small), (3, 3)),
            (matrix_to_quat(quat_to_matrix(quat)), (4,)),
            (quat_to_rotvec(small), (3,)),
            (rotvec_to_quat(small[..., :3]), (4,)),
            (quat_slerp(quat, quat, np.full(batch, 0.5)), (4,)),
            (quat_between(small[..., :3], quat[..., :3]), (4,)),
        ]:
            assert result.shape == (*batch, *tail)
            assert result.dtype == np.float64


def test_a_zero_quaternion_becomes_the_identity():
    assert np.array_equal(quat_normalize(np.zeros((2, 4))), np.tile(IDENTITY_XYZW, (2, 1)))


def test_signs_are_made_continuous_joint_by_joint():
    rng = np.random.default_rng(1)
    # Two joints that turn three times round, so that an honest path of quaternions changes sign on its way.
    angle = np.linspace(0, 6 * np.pi, 200)[:, None] * [1.0, -0.7]
    smooth = rotvec_to_quat(angle[..., None] * np.array([0.6, 0.0, 0.8]))
    flipped = smooth * rng.choice([-1.0, 1.0], size=(200, 2, 1))
    continuous = quat_continuous(flipped)
    assert (np.sum(continuous[1:] * continuous[:-1], axis=-1) > 0).all()
    assert np.array_equal(continuous[0], flipped[0])
    assert np.array_equal(np.abs(continuous), np.abs(smooth))


@pytest.mark.parametrize("frames", [0, 1])
def test_a_path_of_one_frame_is_continuous_as_it_is(frames):
    quat = np.tile(-IDENTITY_XYZW, (frames, 3, 1))
    assert np.array_equal(quat_continuous(quat), quat)
