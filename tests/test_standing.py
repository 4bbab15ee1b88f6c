"""Which soles stand after a first solve, on soles whose motion in the camera's axes is planted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rigdrop.convert.fitting.standing import standing, standing_on

Array = NDArray[np.float64]

TIMES_S = np.arange(60) / 30
# Four soles 4 m before a camera that looks along -Z.
PLACE_M = np.array([[0.1, -1.3, -4.0], [0.1, -1.3, -3.8], [-0.1, -1.3, -4.0], [-0.1, -1.3, -3.8]])


def _soles(velocity_m_s: tuple[float, float, float]) -> Array:
    return np.asarray(PLACE_M + TIMES_S[:, None, None] * np.array(velocity_m_s))


@pytest.mark.parametrize(
    ("velocity_m_s", "stands"),
    [
        ((0.0, 0.0, 0.0), True),
        ((0.2, 0.0, 0.0), True),
        ((0.6, 0.0, 0.0), False),
        ((0.0, 0.0, 0.6), True),  # drifts along the line of sight, as whole bodies do
        ((0.0, 0.0, -3.0), False),  # and no drift is as fast as a swing
        ((0.0, 0.6, 0.0), False),
    ],
)
def test_motion_along_the_line_of_sight_counts_less(velocity_m_s, stands):
    # The camera sees the soles 18 degrees below: of 0.6 m/s along Z, 0.19 are across, and of 0.57 along the sight 0.24 count.
    sure = standing(_soles(velocity_m_s), TIMES_S)
    assert sure.shape == (60, 4)
    assert ((sure[0] > 0.5) == stands).all()


def test_the_rate_does_not_matter():
    slow, fast = (standing(PLACE_M + times_s[:, None, None] * np.array([0.35, 0.0, 0.0]), times_s)
                  for times_s in (np.arange(20) / 25, np.cumsum(np.full(90, 1 / 120))))
    assert slow[0] == pytest.approx(fast[0], abs=0.01)


def _told(jump: slice, others: float, height_m: float = 0.0) -> tuple[Array, Array]:
    """The left heel stands but for some frames, in which it is ``height_m`` high; the others as surely as told. Before and after."""
    sure = np.full((60, 4), others)
    sure[:, 0] = 1.0
    sure[jump, 0] = 0.0
    heights = np.zeros((60, 4))
    heights[jump, 0] = height_m
    return sure, standing_on(sure, heights, TIMES_S)


def test_a_jump_within_a_stance_is_filled_where_nothing_else_stands():
    assert (_told(slice(30, 36), others=0.0)[1][:, 0] == 1).all()


@pytest.mark.parametrize(
    ("jump", "others", "height_m"),
    [(slice(30, 36), 1.0, 0.0), (slice(30, 36), 0.0, 0.1), (slice(20, 40), 0.0, 0.0)],
    ids=["the other foot stands", "it was lifted", "it is too long"],
)
def test_a_step_is_not_filled(jump, others, height_m):
    before, after = _told(jump, others, height_m)
    assert (after[jump, 0] == 0).all()
    assert (after[:, 1:] == before[:, 1:]).all()


def test_what_is_high_does_not_stand():
    heights = np.linspace(0.0, 0.12, 60)[:, None] * np.ones(4)
    sure = standing_on(np.ones((60, 4)), heights, TIMES_S)
    assert (sure[heights < 0.03] == 1).all() and (sure[heights > 0.081] == 0).all()
    assert (np.diff(sure[:, 0]) <= 0).all()
