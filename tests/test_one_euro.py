"""One-Euro against the paper's own recipe written out, and on turns that go round."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.cleaning.one_euro import one_euro_places, one_euro_turns

from .tumbling import angles_deg, even_times, rms, shaken, tumbling, turned_world, uneven_times, wandering


def _seen(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), bool)


def _paper(signal: np.ndarray, times_s: np.ndarray, cutoff_hz: float, gain: float) -> list[float]:
    """Casiez et al. 2012, algorithm 1, one number at a time."""

    def alpha(interval: float, cutoff: float) -> float:
        return 1 / (1 + (1 / (2 * math.pi * cutoff)) / interval)

    kept, speed = [float(signal[0])], 0.0
    for frame in range(1, len(signal)):
        interval = times_s[frame] - times_s[frame - 1]
        share = alpha(interval, 1.0)
        speed = share * (signal[frame] - signal[frame - 1]) / interval + (1 - share) * speed
        share = alpha(interval, cutoff_hz + gain * abs(speed))
        kept.append(share * signal[frame] + (1 - share) * kept[-1])
    return kept


def test_run_forward_it_is_the_papers_filter_at_uneven_times():
    times_s = uneven_times(200)
    signal = np.sin(3 * times_s) + np.random.default_rng(0).normal(0, 0.05, 200)
    places = signal[:, None, None] * np.array([1.0, 0.0, 0.0])
    kept = one_euro_places(places, times_s, _seen(places), 1.5, 2.0, causal=True)
    assert np.abs(kept[:, 0, 0] - _paper(signal, times_s, 1.5, 2.0)).max() < 1e-12
    assert np.abs(kept[:, 0, 1:]).max() == 0


def test_a_turn_about_one_axis_is_the_papers_filter_of_its_angle():
    times_s = even_times(300)
    angle = 2.5 * times_s + 0.3 * np.sin(4 * times_s)  # twice round, through π
    angle -= angle[0]
    quat = Rotation.from_rotvec(angle[:, None] * np.array([0.0, 0.6, 0.8])).as_quat()[:, None]
    kept = one_euro_turns(shaken(quat, 0.0), times_s, _seen(quat), 1.5, 1.0, causal=True)
    expected = Rotation.from_rotvec(np.array(_paper(angle, times_s, 1.5, 1.0))[:, None] * np.array([0.0, 0.6, 0.8])).as_quat()
    # A chordal mean against the angle's, over lags of some 15°: they part by the third power of the angle.
    assert angles_deg(kept[:, 0], expected).max() < 0.2


@pytest.mark.parametrize("turns", [0.6, 3.0, 7.5])
def test_noise_falls_by_a_third_whatever_a_joint_turns_through(turns):
    times_s = even_times(600)
    truth = tumbling(times_s, turns=turns)
    given = shaken(truth, 0.03)
    kept = one_euro_turns(given, times_s, _seen(given))
    assert rms(angles_deg(kept, truth)) < 0.66 * rms(angles_deg(given, truth))
    assert (np.sum(kept[1:] * kept[:-1], axis=-1) > 0).all()


def test_somebody_who_is_still_is_smoothed_more_than_somebody_who_moves():
    times_s = even_times(600)
    left = []
    for turns in (0.0, 20.0):
        truth = tumbling(times_s, turns=turns) if turns else np.tile([0.0, 0.0, 0.0, 1.0], (600, 3, 1))
        given = shaken(truth, 0.01)
        left.append(rms(angles_deg(one_euro_turns(given, times_s, _seen(given)), truth)) / rms(angles_deg(given, truth)))
    assert left[0] < 0.45
    assert left[0] < 0.7 * left[1] < 0.7


def test_forward_and_back_nothing_lags():
    times_s = even_times(300)
    places = np.exp(-0.5 * ((times_s - 10.0) / 0.3) ** 2)[:, None, None] * np.ones(3)

    def middle(values: np.ndarray) -> float:
        return float((values[:, 0, 0] * times_s).sum() / values[:, 0, 0].sum())

    assert abs(middle(one_euro_places(places, times_s, _seen(places))) - 10) < 1e-4
    assert middle(one_euro_places(places, times_s, _seen(places), causal=True)) - 10 > 0.02


def test_what_stands_still_stands_still():
    times_s = uneven_times(50)
    quat = np.broadcast_to(Rotation.random(4, random_state=1).as_quat(), (50, 4, 4))
    assert angles_deg(one_euro_turns(quat, times_s, _seen(quat)), quat).max() < 1e-5
    places = np.broadcast_to(wandering(times_s)[:1], (50, 3, 3))
    assert np.abs(one_euro_places(places, times_s, _seen(places)) - places).max() < 1e-12


def test_a_reversed_clip_gives_the_reversed_result():
    times_s = uneven_times(120)
    back = (times_s[-1] - times_s)[::-1]
    quat, places = shaken(tumbling(times_s), 0.05), wandering(times_s)
    assert np.abs(one_euro_places(places[::-1], back, _seen(places))[::-1] - one_euro_places(places, times_s, _seen(places))).max() < 1e-9
    assert angles_deg(one_euro_turns(quat[::-1], back, _seen(quat))[::-1], one_euro_turns(quat, times_s, _seen(quat))).max() < 1e-5


def test_a_turned_world_gives_the_turned_result():
    times_s = uneven_times(120)
    quat, turn = shaken(tumbling(times_s), 0.05), np.array([2.0, -1.0, 0.5])
    kept = one_euro_turns(quat, times_s, _seen(quat))
    assert angles_deg(one_euro_turns(turned_world(quat, turn), times_s, _seen(quat)), turned_world(kept, turn)).max() < 1e-5


def test_a_nan_frame_is_forgotten_after_a_few_time_constants():
    times_s = even_times(300)
    truth = wandering(times_s)
    given = truth + np.random.default_rng(0).normal(0, 0.01, truth.shape)
    holed = given.copy()
    holed[150] = np.nan
    kept, around = (one_euro_places(values, times_s, _seen(values)) for values in (given, holed))
    apart = np.abs(kept - around).max((1, 2))
    assert np.isfinite(around).all()
    assert apart.max() < 0.02  # no more than the noise of the frame that is missing
    # 1.5 Hz is a time constant of 0.106 s: 3.2 frames, and the speed's 1 Hz one of 4.8; after 60 nothing is left to see.
    assert apart[np.abs(np.arange(300) - 150) > 60].max() < 1e-5


def test_a_walk_does_not_feel_a_nan_frame_at_all():
    times_s = even_times(100)
    walk = times_s[:, None, None] * np.array([[1.2, 0.0, -0.4]])
    holed = walk.copy()
    holed[50] = np.nan
    assert np.abs(one_euro_places(holed, times_s, _seen(walk)) - one_euro_places(walk, times_s, _seen(walk))).max() < 1e-9


def test_one_frame_is_itself():
    quat = tumbling(even_times(5))[:1]
    assert angles_deg(one_euro_turns(quat, np.array([5.0]), np.ones(1, bool)), quat).max() < 1e-5
