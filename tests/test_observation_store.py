"""Observations on the disk: every number comes back as it was, and what is not whole is an error that says so."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.observation_store import read_observations, write_observations
from rigdrop.ingest.tracks import Observations, Track


def _track(number: int, length: int) -> Track:
    random = np.random.default_rng(number)
    shapes = {
        "landmarks_px": (33, 2), "landmarks_m": (33, 3), "visibility": (33,), "score": (), "box_px": (4,), "hands_px": (2, 21, 2),
        "hands_m": (2, 21, 3), "hand_score": (2,),
    }
    arrays = {name: random.normal(size=(length, *shape)) for name, shape in shapes.items()}
    arrays["hands_px"][0] = np.nan  # a hand that was not seen
    return Track(id=number, first_frame=number, seen=np.arange(length) != 1, **arrays)


@pytest.mark.parametrize("people", [0, 2])
def test_what_is_written_is_read(tmp_path, people):
    observations = Observations(
        times_s=np.arange(9) / 29.97, fps=Fraction(30000, 1001), width=1280, height=720, tracks=[_track(n, 5 + n) for n in range(people)],
        focal_px=1450.25, timecode="01:00:00;02", details={"warnings": ["暗い"], "net": {"sha256": "ab"}},
    )
    write_observations(tmp_path / "observations.h5", observations)
    again = read_observations(tmp_path / "observations.h5")
    for own in fields(Observations):
        if own.name not in ("tracks", "times_s"):
            assert getattr(again, own.name) == getattr(observations, own.name)
    np.testing.assert_array_equal(again.times_s, observations.times_s)
    assert len(again.tracks) == people
    for one, other in zip(again.tracks, observations.tracks, strict=True):
        for own in fields(Track):
            np.testing.assert_array_equal(getattr(one, own.name), getattr(other, own.name))
            assert np.asarray(getattr(one, own.name)).dtype == np.asarray(getattr(other, own.name)).dtype


@pytest.mark.parametrize("content", [None, b"", b"half"])
def test_what_is_not_whole_says_so(tmp_path, content):
    path = tmp_path / "observations.h5"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReadError, match=r"observations\.h5: found no whole observations"):
        read_observations(path)
