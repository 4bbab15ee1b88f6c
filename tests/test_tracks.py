from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.errors import RigdropError

from .bodies import seen_track

TRACK = seen_track(np.random.default_rng(0).normal((0, 0, -3), 0.3, (5, 33, 3)))


def test_numbers_are_kept_in_single_precision_whatever_comes():
    exact = np.full((5, 33, 2), 100.0001)
    track = replace(TRACK, landmarks_px=exact)
    np.testing.assert_array_equal(track.landmarks_px, exact.astype(np.float32))
    assert {getattr(track, name).dtype for name in ("landmarks_px", "landmarks_m", "score", "hands_m")} == {np.dtype(np.float32)}


def test_single_precision_is_taken_as_it_is():
    assert replace(TRACK).landmarks_px is TRACK.landmarks_px


def test_a_seen_frame_has_landmarks():
    hole = np.where(np.arange(5)[:, None, None] == 2, np.nan, TRACK.landmarks_m)
    with pytest.raises(RigdropError, match="found NaN in a frame that is marked as seen"):
        replace(TRACK, landmarks_m=hole)
    assert not replace(TRACK, landmarks_m=hole, seen=np.arange(5) != 2).seen[2]


def test_shapes_and_an_empty_track_are_refused():
    with pytest.raises(RigdropError, match="hand_score"):
        replace(TRACK, hand_score=np.zeros((4, 2)))
    with pytest.raises(RigdropError, match="found no frame"):
        replace(TRACK, seen=np.zeros(5, dtype=bool))
