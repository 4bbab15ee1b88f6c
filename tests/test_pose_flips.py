from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.ingest.pose.body_pose import LEGS, SWAPPED
from rigdrop.ingest.pose.flips import unflip
from rigdrop.ingest.tracks import Track

FRAMES, FPS = 150, 30
TIMES_S = np.arange(FRAMES) / FPS
NO_HANDS = np.full((FRAMES, 2), np.nan)


def walking(turn_rad_s=0.0, noise_m=0.01, seed=0):
    """Somebody who walks, seen from the side or turning about: 33 points in metres from the hips, camera axes, y down."""
    phase = 2 * np.pi * 0.9 * TIMES_S
    points = np.zeros((FRAMES, 33, 3))
    for left, x, y, swing in [
        (11, 0.18, -0.5, 0.03), (13, 0.22, -0.25, -0.12), (15, 0.24, 0.0, -0.25), (17, 0.24, 0.05, -0.27), (19, 0.23, 0.08, -0.28),
        (21, 0.22, 0.05, -0.27), (23, 0.1, 0.0, 0.01), (25, 0.11, 0.42, 0.22), (27, 0.11, 0.85, 0.38), (29, 0.11, 0.9, 0.36),
        (31, 0.12, 0.9, 0.45),
    ]:
        for side, sign in ((0, 1), (1, -1)):
            points[:, left + side] = np.stack([np.full(FRAMES, sign * x), np.full(FRAMES, y), -sign * swing * np.sin(phase)], axis=1)
    points[:, :11] = (0.0, -0.7, -0.1)
    for left, x in ((1, 0.03), (7, 0.08), (9, 0.02), (2, 0.04), (3, 0.05)):
        points[:, left, 0] = x
        points[:, SWAPPED[left], 0] = -x
    angle = np.pi / 3 + turn_rad_s * TIMES_S
    zero = np.zeros(FRAMES)
    rows = [(np.cos(angle), zero, np.sin(angle)), (zero, zero + 1, zero), (-np.sin(angle), zero, np.cos(angle))]
    rotation = np.stack([np.stack(row, axis=1) for row in rows], axis=1)
    return points @ np.swapaxes(rotation, 1, 2) + np.random.default_rng(seed).normal(0, noise_m, points.shape)


def track_of(points_m):
    score = np.ones(FRAMES)
    hands = np.zeros((FRAMES, 2, 21, 3))
    hands[:, 1] = 1.0
    return Track(
        id=1, first_frame=0, landmarks_px=300 + 200 * points_m[..., :2], landmarks_m=points_m, visibility=np.ones((FRAMES, 33)),
        seen=np.ones(FRAMES, dtype=bool), score=score, box_px=np.zeros((FRAMES, 4)), hands_px=hands[..., :2], hands_m=hands,
        hand_score=np.tile([0.9, 0.6], (FRAMES, 1)),
    )


def with_swaps(track, frames, order=SWAPPED):
    swapped = np.zeros(FRAMES, dtype=bool)
    swapped[frames] = True
    where = swapped[:, None, None]
    return replace(
        track, landmarks_m=np.where(where, track.landmarks_m[:, order], track.landmarks_m),
        landmarks_px=np.where(where, track.landmarks_px[:, order], track.landmarks_px),
    ), swapped


@pytest.mark.parametrize("turn", [0.0, 1.0, -2.5])
@pytest.mark.parametrize("seed", range(3))
def test_a_walk_and_a_turn_are_left_alone(turn, seed):
    track = track_of(walking(turn, seed=seed))
    fixed, swapped = unflip(track, TIMES_S, NO_HANDS)
    assert not swapped.any()
    np.testing.assert_array_equal(fixed.landmarks_m, track.landmarks_m)


@pytest.mark.parametrize("frames", [[40], [10, 11, 70], [*range(60, 95)], [0, 1, 2], [148, 149], [*range(20, 30), *range(100, 130)]])
@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_planted_flips_are_found_exactly_and_put_right(frames, turn):
    true = track_of(walking(turn))
    planted, expected = with_swaps(true, frames)
    fixed, swapped = unflip(planted, TIMES_S, NO_HANDS)
    np.testing.assert_array_equal(swapped, expected)
    np.testing.assert_array_equal(fixed.landmarks_m, true.landmarks_m)
    np.testing.assert_array_equal(fixed.landmarks_px, true.landmarks_px)
    # The hands go with their arms.
    np.testing.assert_array_equal(fixed.hands_m[expected], planted.hands_m[expected][:, ::-1])
    np.testing.assert_array_equal(fixed.hand_score[expected], planted.hand_score[expected][:, ::-1])


def test_legs_that_change_places_alone_are_put_right():
    true = track_of(walking())
    legs = np.where(np.isin(np.arange(33), LEGS), SWAPPED, np.arange(33))
    # While they are apart: where legs pass each other nobody could tell, and nothing is lost.
    apart = [frame for frame in range(40, 60) if np.linalg.norm(true.landmarks_m[frame, 27] - true.landmarks_m[frame, 28]) > 0.4]
    planted, expected = with_swaps(true, apart, legs)
    fixed, swapped = unflip(planted, TIMES_S, NO_HANDS)
    np.testing.assert_array_equal(swapped, expected)
    np.testing.assert_array_equal(fixed.landmarks_m, true.landmarks_m)
    np.testing.assert_array_equal(fixed.hands_m, true.hands_m)


def test_frames_in_which_nobody_is_seen_are_stepped_over():
    true = track_of(walking())
    planted, expected = with_swaps(true, list(range(50, 60)))
    gap = np.ones(FRAMES, dtype=bool)
    gap[[30, 31, 52, 53, 90]] = False
    hole = replace(planted, seen=gap, landmarks_m=np.where(gap[:, None, None], planted.landmarks_m, np.nan))
    _, swapped = unflip(hole, TIMES_S, NO_HANDS)
    np.testing.assert_array_equal(swapped, expected & gap)


def test_most_of_a_track_is_swapped_only_on_the_word_of_its_hands():
    true = track_of(walking())
    most = list(range(30, FRAMES))
    planted, expected = with_swaps(true, most)
    hands = np.full((FRAMES, 2), 0.95)
    hands[most] = 0.05
    _, swapped = unflip(planted, TIMES_S, hands)
    np.testing.assert_array_equal(swapped, expected)
    # Without that, the sides of the greater part are taken for true.
    _, swapped = unflip(planted, TIMES_S, NO_HANDS)
    np.testing.assert_array_equal(swapped, ~expected)


def test_brief_tracks_are_left_alone():
    track = track_of(walking())
    once = np.zeros(FRAMES, dtype=bool)
    once[3] = True
    fixed, swapped = unflip(replace(track, seen=once), TIMES_S, NO_HANDS)
    assert not swapped.any() and fixed.landmarks_m is track.landmarks_m
