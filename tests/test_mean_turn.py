"""The mean of rotations: exact where there is a truth, and unmoved by what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.motion.mean_turn import angles_to, mean_turn

TRUTH = Rotation.from_rotvec([0.4, -2.2, 1.1])


def _noisy(sigma_rad: float, count: int = 400) -> np.ndarray:
    noise = np.random.default_rng(2).normal(0, sigma_rad, (count, 3))
    return (TRUTH * Rotation.from_rotvec(np.concatenate([noise, -noise]))).as_quat()


def _off_deg(quat: np.ndarray) -> float:
    return float(np.degrees((TRUTH.inv() * Rotation.from_quat(quat)).magnitude()))


def test_noise_averages_out_whatever_the_signs_of_the_quaternions():
    quat = _noisy(0.1)
    quat[::2] *= -1
    # Noise and its opposite are both there, so that the mean is the truth up to curvature: (0.1 rad)³ at most.
    assert _off_deg(mean_turn(quat)) < 0.06


@pytest.mark.parametrize("share", [0.1, 0.3, 0.4])
def test_a_minority_that_is_far_off_moves_it_little(share):
    quat = _noisy(0.03)
    wrong = int(share * len(quat))
    quat[:wrong] = (TRUTH * Rotation.from_rotvec([0, 1.4, 0])).as_quat()
    plain = float(np.degrees((TRUTH.inv() * Rotation.from_quat(quat).mean()).magnitude()))
    # 1.4 rad is 80°: a plain mean goes along with the wrong ones.
    assert plain > 5 * share * 10
    assert _off_deg(mean_turn(quat)) < 1.0


def test_turns_that_are_all_alike_give_that_turn():
    assert _off_deg(mean_turn(np.tile(TRUTH.as_quat(), (5, 1)))) < 1e-6


def test_each_set_of_a_batch_has_its_own_mean():
    rng = np.random.default_rng(5)
    quat = Rotation.from_rotvec(rng.normal(0, 1, (4 * 9, 3))).as_quat().reshape(4, 9, 4)
    together = mean_turn(quat)
    for one, mean in zip(quat, together):
        assert abs(abs(mean_turn(one) @ mean) - 1) < 1e-12


def test_angles_are_scipys():
    quat = _noisy(1.0, 50)
    expected = (TRUTH.inv() * Rotation.from_quat(quat)).magnitude()
    np.testing.assert_allclose(angles_to(-quat, TRUTH.as_quat()), expected, atol=1e-7)  # arcsine near π loses half the digits
