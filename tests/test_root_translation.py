"""A person who walks before a camera, whose depth trembles and leaps and is missing at times."""

from __future__ import annotations

import numpy as np
import pytest

from rigdrop.convert.cleaning.parts import body_places
from rigdrop.convert.cleaning.root_translation import apply_root_translation, moved_roots, steady_depth
from rigdrop.convert.performance import Performance, rest_performance
from rigdrop.errors import SettingsError

from .bodies import humanoid
from .tumbling import even_times, shaken

FRAMES = 200


@pytest.fixture(scope="module")
def at_origin() -> Performance:
    rest = rest_performance(humanoid(), even_times(FRAMES))
    return rest.with_turns(np.repeat(shaken(rest.quat_xyzw[:1], 0.2), FRAMES, axis=0))


def _path() -> np.ndarray:
    """Walks to and fro, 3 to 5 m away, at up to 1.2 m/s."""
    time = even_times(FRAMES) - 5
    return np.stack([0.8 * np.sin(0.9 * time), -1.0 + 0.03 * np.sin(9 * time), -4.0 + np.cos(0.8 * time)], axis=-1)


def _trembling(sigma: float, seed: int = 0) -> np.ndarray:
    """The same path seen along the right rays, at depths that are off by a share of themselves."""
    share = 1 + np.random.default_rng(seed).normal(0, sigma, FRAMES)
    return _path() * share[:, None]


def _seen_at(performance: Performance) -> np.ndarray:
    places = body_places(performance)
    return places[..., :2] / -places[..., 2:]


def test_without_smoothing_the_person_is_moved_and_nothing_else(at_origin):
    moved = apply_root_translation(at_origin, _path(), depth_sigma_s=0)
    assert np.abs(moved.joints_m - at_origin.joints_m - _path()[:, None]).max() < 1e-12
    assert np.array_equal(moved.quat_xyzw, at_origin.quat_xyzw)


def test_depth_comes_nearer_to_the_truth_and_its_acceleration_falls_to_a_thirtieth(at_origin):
    truth = moved_roots(at_origin, _path()).joints_m[:, 1]
    rough = apply_root_translation(at_origin, _trembling(0.01), depth_sigma_s=0).joints_m[:, 1]
    steady = apply_root_translation(at_origin, _trembling(0.01)).joints_m[:, 1]
    error = [np.sqrt(np.mean((each - truth)[..., 2] ** 2)) for each in (rough, steady)]
    # 3.6 frames of Gaussian leave the root of 1 / (2·√π·3.6) = 0.28 of white noise.
    assert error[1] < 0.4 * error[0]
    acceleration = [np.abs(np.diff(each[:, 2], n=2)).mean() for each in (rough, steady)]
    assert acceleration[1] < acceleration[0] / 30  # 40 to 1.3 mm a frame² was measured on real estimates


def test_the_picture_stays_as_it_was(at_origin):
    rough = apply_root_translation(at_origin, _trembling(0.01), depth_sigma_s=0)
    steady = steady_depth(rough)
    depth = -body_places(rough)[..., 2].mean()
    # In the mean over the joints exactly; each of them, half a metre off the middle at 4 m, by its parallax: some
    # 4 cm of depth · 0.9 m / 4 m, 10 mm at that depth.
    apart = (_seen_at(steady) - _seen_at(rough)) * depth
    # A depth that changes by 1 % shrinks the person by as much: what is left in the mean is of the second order.
    assert np.abs(apart.mean(1)).max() < 0.003
    assert np.abs(apart).max() < 0.03
    sideways = apply_root_translation(at_origin, _trembling(0.01), depth_sigma_s=0)
    only_depth = sideways.translation_m.copy()
    only_depth[:, 0, 2] = steady.translation_m[:, 0, 2]
    unmoved = (_seen_at(sideways.with_turns(sideways.quat_xyzw, only_depth)) - _seen_at(rough)) * depth
    assert np.abs(apart.mean(1)).mean() < 0.2 * np.abs(unmoved.mean(1)).mean()


def test_frames_that_are_missing_are_crossed_and_change_no_others(at_origin):
    path = _path()
    holed = path.copy()
    holed[80], holed[120:124, 2] = np.nan, np.inf
    whole = apply_root_translation(at_origin, path, depth_sigma_s=0).joints_m
    crossed = apply_root_translation(at_origin, holed, depth_sigma_s=0).joints_m
    gap = np.isin(np.arange(FRAMES), [80, 120, 121, 122, 123])
    assert np.array_equal(whole[~gap], crossed[~gap])
    # A straight line under four frames of a step's bob (3 cm at 9 rad/s): a · T² / 8 = 2.4 m/s² · (5/30 s)² / 8.
    assert np.linalg.norm((whole - crossed)[gap], axis=-1).max() < 0.012


def test_a_leap_of_depth_is_not_smeared(at_origin):
    path = _path()
    path[100] *= 1.5
    steady = apply_root_translation(at_origin, path).joints_m[:, 1]
    truth = apply_root_translation(at_origin, _path()).joints_m[:, 1]
    assert np.abs(steady - truth)[..., 2].max() < 0.02  # smeared, 2 m over 0.12 s would be 20 cm
    later = steady_depth(moved_roots(at_origin, path)).joints_m[:, 1]
    assert np.abs(later - truth)[..., 2].max() < 0.02


def test_frames_in_which_nobody_was_seen_do_not_count(at_origin):
    seen = np.ones(FRAMES, bool)
    seen[50:90] = False
    lies = np.where(seen[:, None], _path(), [0.0, 0.0, 1e6])
    assert np.abs(apply_root_translation(at_origin, lies, seen).translation_m
                  - apply_root_translation(at_origin, np.where(seen[:, None], _path(), np.nan), seen).translation_m).max() < 1e-9


def test_motion_that_is_not_before_a_camera_is_refused(at_origin):
    with pytest.raises(SettingsError, match="root-depth: found"):
        steady_depth(moved_roots(at_origin, np.tile([0.0, 0.0, 2.0], (FRAMES, 1))))
