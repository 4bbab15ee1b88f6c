"""Signs of quaternions over time."""

import numpy as np

from rigdrop.formats.signs import same_side
from rigdrop.motion.rotations import rotvec_to_quat


def _turning():
    angle = np.linspace(0, 4 * np.pi, 50)
    return rotvec_to_quat(np.stack([angle, 0 * angle, 0 * angle], axis=-1)[:, None]).astype(np.float32)


def test_a_joint_that_turns_twice_keeps_every_rotation_and_never_jumps():
    quat = _turning()
    flipped = quat * np.where(np.arange(50) % 3 == 0, -1, 1)[:, None, None].astype(np.float32)
    fixed = same_side(flipped)
    assert (np.sum(fixed[1:] * fixed[:-1], axis=-1) > 0).all()
    np.testing.assert_allclose(np.abs(np.sum(fixed * quat, axis=-1)), 1, atol=1e-6)


def test_what_is_continuous_is_handed_on_as_it_is():
    quat = same_side(_turning())
    assert same_side(quat) is quat
