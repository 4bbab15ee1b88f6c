"""Which frames are evaluated, and what they should show."""

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.formats.verify.truth import blocks, chosen_frames, stored_vertices

from .format_contract import truth_m
from .synthetic import small_take


@pytest.mark.parametrize(("most", "expected"), [(None, 50), (50, 50), (600, 50), (7, 7), (2, 2)])
def test_frames_are_all_or_spread_from_the_first_to_the_last(most, expected):
    frames = chosen_frames(small_take(50), most)
    assert len(frames) == expected and frames[0] == 0 and frames[-1] == 49
    assert np.concatenate(list(blocks(frames))).tolist() == frames.tolist()


@pytest.mark.parametrize("scale", ["none", "varying"])
def test_chosen_frames_are_skinned_alone(scale):
    person = small_take(20, scale=scale).people[0]
    frames = np.array([0, 7, 19])
    np.testing.assert_array_equal(stored_vertices(person, frames), truth_m(person)[frames])


def test_stored_vertices_are_the_truth_where_there_are_any():
    person = small_take(4).people[0]
    person = replace(person, vertices_m=truth_m(person) + 1)
    np.testing.assert_array_equal(stored_vertices(person, np.array([2])), person.vertices_m[[2]])
