from __future__ import annotations

import numpy as np

from rigdrop.ingest.people.appearance import torso_colours
from rigdrop.ingest.people.sightings import Sighting, Sightings

from .stick_world import StickPerson, StickWorld

PERSON = StickPerson(lambda frame: (100.3 + 3 * frame, 180.0), 50.0, (30, 30, 200))
CLOTHES = torso_colours(StickWorld([PERSON]).picture(0), PERSON.pose(0))


def log_of(*strands):
    """What strands, each a list of frames, leave when their sightings come one after another."""
    log = Sightings()
    for strand, frames in enumerate(strands):
        for frame in frames:
            log.add(Sighting(frame, strand, PERSON.pose(frame), CLOTHES))
    return log


def test_what_was_seen_comes_back_in_single_precision():
    log = log_of([4, 5, 6])
    poses = [PERSON.pose(frame) for frame in (6, 4)]
    for name in ("points_px", "points_m", "visibility", "score"):
        column = log.column(name, np.array([2, 0]))
        np.testing.assert_array_equal(column, np.array([getattr(pose, name) for pose in poses], dtype=np.float32))
        assert column.dtype == np.float32 and column.base is None


def test_strands_come_apart_in_order_of_time():
    # The second was followed back: its first frames came last.
    log = log_of([0, 1, 2], [5, 6, 3, 4], [9])
    one, other = log.chains({1, 0})
    assert one.frame.tolist() == [0, 1, 2] and other.frame.tolist() == [3, 4, 5, 6]
    assert other.row.tolist() == [5, 6, 3, 4] and other.strand.tolist() == [1] * 4
    assert log.chains({7}) == [] and Sightings().chains({0}) == []


def test_a_chain_knows_place_size_and_clothes():
    (chain,) = log_of(range(5)).chains({0})
    np.testing.assert_allclose(chain.centre_px, [PERSON.centre(frame) for frame in range(5)], atol=1e-4)
    np.testing.assert_allclose(chain.length_px, PERSON.pose(0).torso_px, rtol=1e-6)
    np.testing.assert_array_equal(chain.clothes, CLOTHES)


def test_parts_and_wholes():
    (chain,) = log_of(range(6)).chains({0})
    late, early = chain.part(slice(3, None)), chain.part(chain.frame < 3)
    assert (late.first_frame, late.last_frame, len(early)) == (3, 5, 3)
    np.testing.assert_array_equal(late.with_others(early).row, chain.row)
