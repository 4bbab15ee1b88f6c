"""Where contacts are placed: a foot of known length, its places planted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rigdrop.convert.stance.plants import plant

Array = NDArray[np.float64]

AHEAD_M = 0.18


def _flat(frames: int, heel_xz: tuple[float, float], yaw: float) -> tuple[Array, Array]:
    """Heel and ball (F,3) of a foot that lies still."""
    heel = np.tile([heel_xz[0], 0.0, heel_xz[1]], (frames, 1))
    return heel, heel + AHEAD_M * np.array([np.sin(yaw), 0.0, np.cos(yaw)])


def test_a_noisy_stance_has_one_place_and_the_foots_own_length() -> None:
    rng = np.random.default_rng(0)
    heel_m, ball_m = _flat(60, (0.3, -1.0), 0.4)
    heel = np.arange(60) < 40
    toe = np.arange(60) >= 10
    noise = rng.normal(scale=0.004, size=(2, 60, 3))
    plants = plant(heel, toe, heel_m + noise[0], ball_m + noise[1], AHEAD_M, np.arange(60) / 30, 1.0, 0.2)
    assert np.ptp(plants.heel_xz[heel], axis=0).max() == 0 and np.ptp(plants.ball_xz[toe], axis=0).max() == 0
    toward = plants.ball_xz[20] - plants.heel_xz[20]
    np.testing.assert_allclose(toward, AHEAD_M * np.array([np.sin(plants.yaw[20]), np.cos(plants.yaw[20])]), atol=1e-12)
    # Medians of 40 and 50 frames: 4 mm · 1.25 / √40 is 0.8 mm, and three times that for the worst of four.
    np.testing.assert_allclose(plants.heel_xz[20], [0.3, -1.0], atol=2.4e-3)
    assert abs(plants.yaw[20] - 0.4) < 0.02


def test_a_foot_that_pivots_on_its_ball_keeps_it_and_has_two_headings() -> None:
    """Flat, heel up while it turns by 0.6 rad about the ball, flat again: the ball stays, the heel has two places."""
    frames = 90
    yaw = np.interp(np.arange(frames), [30, 60], [0.0, 0.6])
    ball_m = np.tile([0.1, 0.0, 0.2], (frames, 1))
    heel_m = ball_m - AHEAD_M * np.stack([np.sin(yaw), 0 * yaw, np.cos(yaw)], -1)
    heel = (np.arange(frames) < 30) | (np.arange(frames) >= 60)
    plants = plant(heel, np.ones(frames, bool), heel_m, ball_m, AHEAD_M, np.arange(frames) / 30, 1.0, 0.2)
    np.testing.assert_allclose(plants.ball_xz, ball_m[:, [0, 2]], atol=1e-12)
    np.testing.assert_allclose(plants.heel_xz[heel], heel_m[heel][:, [0, 2]], atol=1e-12)
    np.testing.assert_allclose(plants.yaw[heel], yaw[heel], atol=1e-12)
    assert np.abs(np.diff(plants.yaw)).max() < 0.6 / 29  # the toes' heading goes from one to the other


def test_swings_after_slides_are_spared() -> None:
    """Two stances that slide back by 10 cm each: the jump between their corrections shrinks, and each still has one place."""
    frames, times_s = 100, np.arange(100) / 30
    slide = np.where(np.arange(frames) < 45, np.arange(frames), np.arange(frames) - 55) * (0.1 / 45)
    step = np.where(np.arange(frames) < 50, 0.0, 0.7)
    held = (np.arange(frames) < 45) | (np.arange(frames) >= 55)
    heel_m, ball_m = _flat(frames, (0.0, 0.0), 0.0)
    for place in (heel_m, ball_m):
        place[:, 2] += step - slide
    plants = plant(held, held, heel_m, ball_m, AHEAD_M, times_s, 1.0, 0.2)
    correction = plants.ball_xz[:, 1] - ball_m[:, 2]
    assert np.ptp(plants.ball_xz[:45], axis=0).max() < 1e-12 and np.ptp(plants.ball_xz[55:], axis=0).max() < 1e-12
    # At each one's own middle the jump J would be 9.8 cm. Moved by s each, the least of 2 m s² + w (J - 2 s)² is at
    # s = w J / (m + 2 w), with m the stance's seconds over fade⁴ and w = 25 · 12 / T³.
    jump, m, w = 44 * 0.1 / 45, 44 / 30 / 0.2**4, 25 * 12 / (11 / 30) ** 3
    np.testing.assert_allclose(correction[44] - correction[55], jump - 2 * w * jump / (m + 2 * w), atol=1e-6)


def test_a_foot_put_down_where_it_was_lifted_did_not_step() -> None:
    """Contact is lost for five frames in the middle of a stance that wanders by 3 cm: one place all the same."""
    frames = 80
    heel_m, ball_m = _flat(frames, (0.0, 0.0), 0.0)
    for place in (heel_m, ball_m):
        place[:, 0] += 0.03 * np.sin(np.arange(frames) / 10)
    held = (np.arange(frames) < 38) | (np.arange(frames) >= 43)
    plants = plant(held, held, heel_m, ball_m, AHEAD_M, np.arange(frames) / 30, 1.0, 0.2)
    step = plants.ball_xz[43] - plants.ball_xz[37]
    np.testing.assert_allclose(step, (ball_m[43] - ball_m[37])[[0, 2]], atol=1e-12)  # and the way between is as it was


def test_a_slide_that_is_too_long_is_cut() -> None:
    frames = 120
    heel_m, ball_m = _flat(frames, (0.0, 0.0), 0.0)
    for place in (heel_m, ball_m):
        place[:, 0] += np.linspace(0, 1.0, frames)
    held = np.ones(frames, bool)
    plants = plant(held, held, heel_m, ball_m, AHEAD_M, np.arange(frames) / 30, 0.4, 0.1)
    assert 0 < (~plants.held).sum() < 20
    assert np.abs(plants.ball_xz - ball_m[:, [0, 2]])[plants.held].max() < 0.4
