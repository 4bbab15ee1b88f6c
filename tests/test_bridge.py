"""Corrections carried from held frames to free ones, against the differential equation that they must solve."""

from __future__ import annotations

import numpy as np
import pytest

from rigdrop.convert.stance.bridge import bridge


def test_held_frames_stay_and_far_ones_are_free() -> None:
    times_s = np.arange(300) / 30
    fixed = np.zeros(300, bool)
    fixed[100:120] = True
    values = np.cos(np.arange(300)[:, None] / 20 + [0, 1, 2])
    carried = bridge(values, fixed, times_s, 0.2)
    np.testing.assert_allclose(carried[fixed], values[fixed], atol=1e-12)
    # The fading wave falls by exp(-1/(√2·0.2) · t): after two seconds by 8e-4 and more.
    assert np.abs(carried[:40]).max() < 5e-3 and np.abs(carried[180:]).max() < 5e-3


def test_closed_form_of_a_single_end() -> None:
    """From a held stretch of constant c a free half-line follows c·exp(-k t)·(cos kt + sin kt), k = 1/(√2 fade)."""
    rate, fade = 1000, 0.2
    times_s = np.arange(2000) / rate
    fixed = times_s < 0.1
    carried = bridge(np.ones((2000, 1)), fixed, times_s, fade)[:, 0]
    t = np.maximum(times_s - times_s[99], 0.0)
    k = 1 / (np.sqrt(2) * fade)
    # The difference equation differs from the differential one by about a step, 1 ms of 0.2 s.
    np.testing.assert_allclose(carried, np.exp(-k * t) * (np.cos(k * t) + np.sin(k * t)), atol=5e-3)


def test_short_way_between_two_ends_is_a_cubic() -> None:
    """Between held stretches with slopes 0 and much nearer than the fade the bridge is 3s² - 2s³."""
    frame = np.arange(1000)
    fixed = (frame < 100) | (frame >= 900)
    carried = bridge(np.where(frame < 500, 0.0, 1.0)[:, None], fixed, frame / 1000, 50.0)[:, 0]
    s = np.clip((frame - 99) / 801, 0, 1)
    np.testing.assert_allclose(carried, 3 * s**2 - 2 * s**3, atol=2e-3)  # half a frame at either end


def test_frame_rate_hardly_matters_even_an_uneven_one() -> None:
    rng = np.random.default_rng(1)
    dense = np.arange(0, 2, 1 / 480)
    uneven = np.sort(np.concatenate([rng.choice(dense[1:-1], 240, replace=False), dense[[0, -1]]]))
    results = []
    for times_s in (dense, uneven):
        fixed = (times_s < 0.5) | (times_s > 1.2)
        carried = bridge(np.sin(3 * times_s)[:, None], fixed, times_s, 0.15)[:, 0]
        results.append(np.interp(np.linspace(0, 2, 50), times_s, carried))
    np.testing.assert_allclose(results[0], results[1], atol=0.02)  # what a step of up to 20 ms at the edge changes


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_frames(frames: int) -> None:
    times_s, values = np.arange(frames) / 30, np.ones((frames, 2))
    assert (bridge(values, np.zeros(frames, bool), times_s, 0.2) == 0).all()
    np.testing.assert_array_equal(bridge(values, np.ones(frames, bool), times_s, 0.2), values)
    fixed = np.arange(frames) == 0
    assert np.isfinite(bridge(values, fixed, times_s, 0.2)).all()
