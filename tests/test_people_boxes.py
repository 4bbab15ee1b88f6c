from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rigdrop.errors import RigdropError
from rigdrop.ingest.people.boxes import PersonBoxes, Sighted


def boxes(frame=(2, 3, 7), box_xyxy=None, score=None, occluded=None):
    count = len(frame)
    return PersonBoxes(
        4, np.array(frame), np.tile(np.float32([10, 20, 50, 90]), (count, 1)) if box_xyxy is None else np.float32(box_xyxy),
        np.ones(count, np.float32) if score is None else np.float32(score),
        np.zeros(count, bool) if occluded is None else np.array(occluded),
    )


def test_boxes_of_somebody_keep_what_they_are_given():
    path = boxes(score=[0.5, 0.6, 0.7], occluded=[False, True, False])
    assert path.id == 4 and path.frame.tolist() == [2, 3, 7] and path.occluded.tolist() == [False, True, False]
    with pytest.raises(dataclasses.FrozenInstanceError):
        path.id = 5


@pytest.mark.parametrize(("changed", "message"), [
    ({"box_xyxy": np.zeros((2, 4))}, r"person 4: box_xyxy: found \(2, 4\), expected \(3, 4\)"),
    ({"score": [1.0]}, r"person 4: score: found \(1,\), expected \(3,\)"),
    ({"occluded": [[False]] * 3}, r"person 4: occluded: found \(3, 1\), expected \(3,\)"),
    ({"frame": ()}, "found no frame"),
    ({"frame": (2, 2, 3)}, "frames that do not rise"),
    ({"frame": (3, 2, 7)}, "frames that do not rise"),
    ({"box_xyxy": np.full((3, 4), np.nan)}, "NaN"),
])
def test_boxes_that_can_not_be_are_refused(changed, message):
    with pytest.raises(RigdropError, match=message):
        boxes(**changed)


def test_nobody_in_a_clip_is_a_result():
    sighted = Sighted(np.arange(3.0), ())
    assert sighted.people == () and sighted.mask_of is None and sighted.warnings == () and sighted.details == {}
