from __future__ import annotations

import numpy as np

from rigdrop.ingest.people.outlines import Outlines, outline_box

HEIGHT, WIDTH = 360, 640


def ellipse(x, y, across, down):
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return ((columns - x) / across) ** 2 + ((rows - y) / down) ** 2 <= 1


def test_what_is_kept_is_what_was_given():
    kept, rng = Outlines(HEIGHT, WIDTH), np.random.default_rng(0)
    masks = {(number, frame): ellipse(*rng.uniform((0, 0), (WIDTH, HEIGHT)), 60, 120) for number in (3, 5) for frame in (0, 7)}
    masks[5, 8] = rng.random((HEIGHT, WIDTH)) > 0.4  # ragged, but one piece
    for (number, frame), mask in masks.items():
        box = kept.keep(number, frame, mask)
        rows, columns = np.nonzero(mask)
        np.testing.assert_array_equal(box, [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    for (number, frame), mask in masks.items():
        found = kept.get(number, frame)
        assert found.dtype == np.uint8 and found.shape == (HEIGHT, WIDTH)
        np.testing.assert_array_equal(found, mask)
    assert kept.get(3, 1) is None and kept.get(4, 0) is None


def test_outlines_are_kept_in_little_room():
    kept = Outlines(HEIGHT, WIDTH)
    for frame in range(20):
        kept.keep(1, frame, ellipse(200 + frame, 180, 60, 120))
    assert kept.kept_bytes < 20 * 1500  # a picture of bytes takes 230,400, one of bits 28,800


def test_specks_do_not_widen_a_box_and_an_arm_seen_apart_does():
    body = ellipse(200, 180, 40, 100)
    speck, arm = ellipse(500, 50, 4, 4), ellipse(300, 150, 30, 30)
    assert outline_box(body | speck) == outline_box(body) == (160, 80, 241, 281)
    assert outline_box(body | arm) == (160, 80, 331, 281)


def test_nothing_is_no_outline():
    kept = Outlines(HEIGHT, WIDTH)
    assert outline_box(np.zeros((HEIGHT, WIDTH), bool)) is None and kept.keep(1, 0, np.zeros((HEIGHT, WIDTH), bool)) is None
    assert kept.get(1, 0) is None and kept.kept_bytes == 0
    whole = np.ones((HEIGHT, WIDTH), bool)
    assert kept.keep(1, 1, whole).tolist() == [0, 0, WIDTH, HEIGHT] and kept.get(1, 1).all()
