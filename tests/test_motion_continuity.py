from __future__ import annotations

import numpy as np
import pytest

from rigdrop.ingest.motion_files.continuity import follow_people

FPS = 30


def _followed(places_m: np.ndarray, poses_m: np.ndarray, there: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the true and the found person of each sighting of (F,P,3) places and (F,P,K,3) poses, shuffled throughout."""
    frame, truth = np.nonzero(there)
    order = np.random.default_rng(seed).permutation(len(frame))
    frame, truth = frame[order], truth[order]
    return truth, follow_people(frame / FPS, places_m[frame, truth], poses_m[frame, truth])


def _same_people(truth: np.ndarray, found: np.ndarray) -> bool:
    """Say whether two numberings name the same people, whatever their numbers."""
    pairs = {tuple(pair) for pair in np.stack([truth, found], 1).tolist()}
    return len(pairs) == len(set(truth.tolist())) == len(set(found.tolist()))


def _poses(rng: np.random.Generator, frames: int, people: int) -> np.ndarray:
    """Return ten points for each person (F,P,10,3): their own stance, slowly swinging, 2 cm of noise."""
    own = rng.normal(0, 0.3, (people, 10, 3))
    swing = 0.1 * np.sin(np.arange(frames)[:, None, None, None] / 8 + rng.uniform(0, 6, (people, 10, 1)))
    return own + swing + rng.normal(0, 0.02, (frames, people, 10, 3))


def _crossing(rng: np.random.Generator, frames: int, apart_m: float) -> np.ndarray:
    """Two who walk past each other, 1.4 m/s, ``apart_m`` between their ways in depth; 3 cm of noise, three times that in depth."""
    x = np.linspace(-frames / FPS * 0.7, frames / FPS * 0.7, frames)
    zero = np.zeros(frames)
    places = np.stack([np.stack([x, zero + 1, zero + 5], 1), np.stack([-x, zero + 1, zero + 5 + apart_m], 1)], 1)
    return places + rng.normal(0, 1, places.shape) * [0.03, 0.03, 0.09]


@pytest.mark.parametrize("seed", range(8))
def test_people_who_stand_apart_keep_their_numbers_whatever_the_list_says(seed):
    rng = np.random.default_rng(seed)
    frames, people = 60, 4
    places = np.arange(people)[None, :, None] * [1.0, 0, 0.3] + [0, 1, 5] + rng.normal(0, 0.03, (frames, people, 3))
    there = rng.random((frames, people)) > 0.3
    truth, found = _followed(places, _poses(rng, frames, people), there, seed)
    assert _same_people(truth, found)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("apart_m", [0.4, 1.0])
def test_people_who_cross_are_not_exchanged(seed, apart_m):
    rng = np.random.default_rng(seed)
    places = _crossing(rng, 90, apart_m)
    truth, found = _followed(places, _poses(rng, 90, 2), np.ones((90, 2), bool), seed)
    assert _same_people(truth, found)


@pytest.mark.parametrize("seed", range(8))
def test_people_who_cross_while_one_is_hidden_are_not_exchanged(seed):
    rng = np.random.default_rng(seed)
    places, there = _crossing(rng, 90, 0.6), np.ones((90, 2), bool)
    there[38:53, 1] = False  # half a second behind the other
    truth, found = _followed(places, _poses(rng, 90, 2), there, seed)
    assert _same_people(truth, found)


@pytest.mark.parametrize("away_s", [0.2, 1, 3, 8, 50])
def test_somebody_who_comes_back_to_where_they_were_is_the_same(away_s):
    rng = np.random.default_rng(1)
    frames = 60 + int(away_s * FPS)
    places = np.array([[-1.0, 1, 5], [1.0, 1, 5]]) + rng.normal(0, 0.03, (frames, 2, 3))
    there = np.ones((frames, 2), bool)
    there[30 : 30 + int(away_s * FPS), 0] = False
    truth, found = _followed(places, _poses(rng, frames, 2), there)
    assert _same_people(truth, found)


def test_whoever_comes_after_minutes_is_new():
    found = follow_people(np.array([0.0, 100]), np.array([[0.0, 1, 5], [0, 1, 5]]), np.zeros((2, 1, 3)))
    assert found.tolist() == [0, 1]


def test_somebody_out_of_reach_is_new_and_does_not_become_who_just_left():
    frames = 40
    places = np.tile(np.array([[-2.0, 1, 5], [2.0, 1, 5]]), (frames, 1, 1))
    there = np.ones((frames, 2), bool)
    there[20:, 0] = there[:20, 1] = False  # one leaves in the frame before the other comes, four metres away
    truth, found = _followed(places, np.zeros((frames, 2, 10, 3)), there)
    assert _same_people(truth, found)
    assert sorted(set(found.tolist())) == [0, 1]


def test_who_left_does_not_take_over_who_stays():
    # They stood 30 cm apart; one is gone for good, and the other steps half way over to where they were.
    frames = 60
    x = np.stack([np.zeros(frames), np.where(np.arange(frames) < 30, 0.3, np.clip(0.3 - (np.arange(frames) - 30) * 0.01, 0.05, None))], 1)
    places = np.stack([x, np.ones_like(x), 4 + np.zeros_like(x)], 2)
    there = np.ones((frames, 2), bool)
    there[20:, 0] = False
    truth, found = _followed(places, _poses(np.random.default_rng(0), frames, 2), there)
    assert _same_people(truth, found)


@pytest.mark.parametrize("seed", range(4))
def test_who_left_long_ago_does_not_take_over_who_walks_through_their_place(seed):
    # Both hold themselves alike; one is gone for good after a second, the other passes the very place three seconds later.
    rng = np.random.default_rng(seed)
    x = np.stack([np.zeros(180), np.linspace(-3, 1.5, 180)], 1)
    places = np.stack([x, np.ones_like(x), 5 + np.zeros_like(x)], 2) + rng.normal(0, 0.04, (180, 2, 3))
    there = np.ones((180, 2), bool)
    there[30:, 0] = False
    truth, found = _followed(places, np.zeros((180, 2, 10, 3)), there, seed)
    assert _same_people(truth, found)


@pytest.mark.parametrize("seed", range(4))
def test_people_who_cross_while_both_are_hidden_walk_on(seed):
    # Behind a pillar for 0.4 s; they hold themselves alike, so nothing but the way they were going tells them apart.
    places, there = _crossing(np.random.default_rng(seed), 90, 0.3), np.ones((90, 2), bool)
    there[39:51] = False
    truth, found = _followed(places, np.zeros((90, 2, 10, 3)), there, seed)
    assert _same_people(truth, found)


def test_nobody_jumps_by_a_persons_height_from_one_frame_to_the_next():
    found = follow_people(np.array([0.0, 1 / FPS]), np.array([[0.0, 1, 5], [1.8, 1, 5]]), np.zeros((2, 1, 3)))
    assert found.tolist() == [0, 1]


@pytest.mark.parametrize("pop_m", [0.3, 0.8, 1.5])
def test_everybody_may_jump_in_depth_at_once(pop_m):
    # A new batch of frames with another focal length moves all people away from the camera.
    rng = np.random.default_rng(2)
    frames = 128
    places = np.array([[-0.5, 1, 5], [0.5, 1, 5.5], [0.1, 1, 7]]) + rng.normal(0, 0.03, (frames, 3, 3))
    places[64:, :, 2] += pop_m
    truth, found = _followed(places, _poses(rng, frames, 3), np.ones((frames, 3), bool))
    assert _same_people(truth, found)


def test_pose_tells_apart_those_whom_place_does_not():
    # Both in one place, as far as noise lets see; only how they stand differs, by 40 cm a point.
    rng = np.random.default_rng(3)
    places = np.array([0.0, 1, 5]) + rng.normal(0, 0.1, (60, 2, 3))
    poses = np.array([0.0, 0.4])[None, :, None, None] + rng.normal(0, 0.02, (60, 2, 10, 3))
    truth, found = _followed(places, poses, np.ones((60, 2), bool))
    assert _same_people(truth, found)


def test_numbers_go_by_first_sighting_then_from_left_to_right():
    places = np.array([[3.0, 1, 5], [-3, 1, 5], [0, 1, 5], [3, 1, 5], [-3, 1, 5]])
    found = follow_people(np.array([0.0, 0, 0.1, 0.1, 0.1]), places, np.zeros((5, 1, 3)))
    assert found.tolist() == [1, 0, 2, 1, 0]


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_list_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    times_s, places = rng.integers(0, 20, 60) / FPS, rng.uniform(-1, 1, (60, 3)) + [0, 1, 5]
    poses, order = rng.normal(0, 0.2, (60, 5, 3)), rng.permutation(60)
    assert np.array_equal(follow_people(times_s, places, poses)[order], follow_people(times_s[order], places[order], poses[order]))


def test_nobody_is_twice_in_a_frame():
    rng = np.random.default_rng(5)
    frame = rng.integers(0, 30, 200)
    found = follow_people(frame / FPS, rng.normal(0, 0.3, (200, 3)) + [0, 0, 4], rng.normal(0, 0.1, (200, 4, 3)))
    assert len({*zip(frame.tolist(), found.tolist(), strict=True)}) == 200


def test_no_sightings_give_nobody():
    assert follow_people(np.zeros(0), np.zeros((0, 3)), np.zeros((0, 1, 3))).shape == (0,)
