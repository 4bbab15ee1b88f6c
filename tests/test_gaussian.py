"""The Gaussian against scipy's, against its own law of noise, and on turns that go round."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from rigdrop.convert.cleaning.gaussian import frames_to_seconds, gaussian_places, gaussian_turns, gaussian_weights

from .tumbling import angles_deg, even_times, rms, shaken, steady_turns, tumbling, turned_world, uneven_times, wandering

ALL = slice(None)


def _seen(values: np.ndarray) -> np.ndarray:
    return np.ones(len(values), bool)


def test_inside_the_clip_it_is_scipys_gaussian():
    times_s = even_times(100)
    places = np.random.default_rng(0).normal(size=(100, 2, 3))
    kept = gaussian_places(places, times_s, _seen(places), frames_to_seconds(2.0, times_s))
    # Both cut the Gaussian off: scipy where told, at 3.5 deviations, as ours.
    assert np.abs(kept - gaussian_filter1d(places, 2.0, axis=0, truncate=3.5))[8:-8].max() < 1e-9


def test_turns_are_the_chordal_mean_of_their_window():
    times_s = even_times(60)
    quat = tumbling(times_s, turns=1.0)
    sigma_s = frames_to_seconds(2.0, times_s)
    kept = gaussian_turns(quat, times_s, _seen(quat), sigma_s)
    for frame in (10, 30, 47):
        weight = np.exp(-0.5 * ((times_s - times_s[frame]) / sigma_s) ** 2)
        weight[np.abs(times_s - times_s[frame]) > 3.5 * sigma_s] = 0
        for joint in range(quat.shape[1]):
            mean = Rotation.from_quat(quat[:, joint]).mean(weights=weight).as_quat()
            # scipy's mean weighs far turns a little less: its eigenvector against our sum, windows of ±42° here.
            assert angles_deg(kept[frame, joint], mean) < 0.05


def test_rows_of_weights_sum_to_one_and_steady_motion_passes_at_any_times():
    times_s = uneven_times(150)
    weights = gaussian_weights(times_s, 0.08)
    assert np.abs(weights.sum(axis=1) - 1).max() < 1e-12
    assert np.abs(weights @ times_s - times_s).max() < 1e-9
    walk = times_s[:, None, None] * np.array([[1.2, 0.0, -0.4]])
    assert np.abs(gaussian_places(walk, times_s, _seen(walk), 0.08) - walk).max() < 1e-9


def test_a_steady_turn_passes_ends_included():
    times_s = uneven_times(150)
    quat = steady_turns(times_s, np.array([[0.0, 3.0, 0.0], [-1.0, 0.5, 2.0]]))
    # At the ends, one-sided sums of quaternions bend by the third power of the window's angle: 3 rad/s · 0.14 s at the most.
    off = angles_deg(gaussian_turns(quat, times_s, _seen(quat), 0.067), quat)
    assert off.max() < 0.3
    # Inside, uneven windows leave far less.
    assert off[10:-10].max() < 0.1


@pytest.mark.parametrize("turns", [0.6, 3.0, 7.5])
def test_noise_falls_as_the_windows_law_says_whatever_a_joint_turns_through(turns):
    times_s = even_times(600)
    truth = tumbling(times_s, turns=turns)
    given = shaken(truth, 0.02)
    kept = gaussian_turns(given, times_s, _seen(given), frames_to_seconds(2.0, times_s))
    # White noise through a Gaussian of 2 frames: deviation falls by the root of 2·√π·2 = 7.09, to 0.376 of it. 1800 turns,
    # of which about 250 are independent: a few percent of scatter.
    assert rms(angles_deg(kept, truth)) == pytest.approx(0.376 * rms(angles_deg(given, truth)), rel=0.06)
    assert (np.sum(kept[1:] * kept[:-1], axis=-1) > 0).all()


def test_a_seam_every_64_frames_is_closed_to_a_fifth_a_frame():
    times_s = even_times(256)
    batch = np.arange(256) // 64
    step = Rotation.from_rotvec(np.radians(8) * np.array([0.0, 0.6, 0.8]))
    quat = np.stack([(Rotation.from_rotvec([0.3, 0, 0]) * step ** float(number % 2)).as_quat() for number in batch])[:, None]
    kept = gaussian_turns(quat, times_s, _seen(quat), frames_to_seconds(2.0, times_s))
    assert angles_deg(quat[1:], quat[:-1]).max() == pytest.approx(8.0)
    # The middle of a Gaussian of deviation 2 holds Φ(¼) − Φ(−¼) = 0.197 of it in one frame; sampled, and cut off, 0.2.
    assert angles_deg(kept[1:], kept[:-1]).max() == pytest.approx(0.2 * 8.0, rel=0.01)
    places = (0.05 * (batch % 2))[:, None, None] * np.ones(3)
    closed = gaussian_places(places, times_s, _seen(places), frames_to_seconds(2.0, times_s))
    assert np.abs(np.diff(closed, axis=0)).max() == pytest.approx(0.2 * 0.05, rel=0.01)


def test_what_stands_still_stands_still():
    times_s = uneven_times(50)
    quat = np.broadcast_to(Rotation.random(4, random_state=1).as_quat(), (50, 4, 4))
    assert angles_deg(gaussian_turns(quat, times_s, _seen(quat), 0.1), quat).max() < 1e-5
    places = np.broadcast_to(wandering(times_s)[:1], (50, 3, 3))
    assert np.abs(gaussian_places(places, times_s, _seen(places), 0.1) - places).max() < 1e-12


def test_a_reversed_clip_gives_the_reversed_result():
    times_s = uneven_times(120)
    back = (times_s[-1] - times_s)[::-1]
    quat, places = shaken(tumbling(times_s), 0.05), wandering(times_s)
    assert np.abs(gaussian_places(places[::-1], back, _seen(places), 0.06)[::-1]
                  - gaussian_places(places, times_s, _seen(places), 0.06)).max() < 1e-9
    assert angles_deg(gaussian_turns(quat[::-1], back, _seen(quat), 0.06)[::-1],
                      gaussian_turns(quat, times_s, _seen(quat), 0.06)).max() < 1e-5


def test_a_turned_world_gives_the_turned_result():
    times_s = uneven_times(120)
    quat, turn = shaken(tumbling(times_s), 0.05), np.array([2.0, -1.0, 0.5])
    kept = gaussian_turns(quat, times_s, _seen(quat), 0.06)
    assert angles_deg(gaussian_turns(turned_world(quat, turn), times_s, _seen(quat), 0.06), turned_world(kept, turn)).max() < 1e-5


def test_one_nan_frame_is_felt_no_further_than_the_window_and_there_by_no_more_than_its_noise():
    times_s = even_times(200)
    truth = tumbling(times_s)
    given = shaken(truth, 0.02)
    holed = given.copy()
    holed[100] = np.nan
    sigma_s = frames_to_seconds(2.0, times_s)
    kept, around = (gaussian_turns(values, times_s, _seen(values), sigma_s) for values in (given, holed))
    apart = angles_deg(kept, around).max(1)
    far = np.abs(np.arange(200) - 100) > 7  # 3.5 deviations of 2 frames
    assert apart[far].max() < 1e-5
    # The frame counts for a fifth of its own average, and is replaced by its neighbours' mean: 5 deviations of 1.15° at most.
    assert apart.max() < 0.2 * 5 * np.degrees(0.02)
    assert np.isfinite(around).all()


def test_steady_motion_does_not_feel_a_nan_frame_at_all():
    times_s = even_times(100)
    walk = times_s[:, None, None] * np.array([[1.2, 0.0, -0.4]])
    holed = walk.copy()
    holed[50] = np.nan
    assert np.abs(gaussian_places(holed, times_s, _seen(walk), 0.07) - walk).max() < 1e-9


def test_no_width_leaves_everything():
    places = wandering(uneven_times(30))
    assert np.array_equal(gaussian_places(places, uneven_times(30), _seen(places), 0.0), places)
    assert frames_to_seconds(2.0, np.array([1.0])) == 0.0


def test_a_frame_that_is_alone_in_its_window_stays():
    times_s = np.array([0.0, 1.0, 1.03, 3.0])
    places = np.arange(4.0)[:, None, None] * np.ones((1, 1, 3))
    kept = gaussian_places(places, times_s, _seen(places), 0.05)
    assert np.abs(kept[[0, 3]] - places[[0, 3]]).max() < 1e-12
    assert np.isfinite(kept).all()
