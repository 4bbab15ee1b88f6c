from __future__ import annotations

import numpy as np

from rigdrop.ingest.picture_memory import PictureMemory


def address(picture):
    return picture.__array_interface__["data"][0]


def test_a_picture_is_as_large_as_asked_and_can_be_written():
    picture = PictureMemory(4, 6).picture()
    picture[:] = 7
    assert picture.shape == (4, 6, 3) and picture.dtype == np.uint8 and picture.flags.c_contiguous and (picture == 7).all()


def test_no_two_pictures_that_are_held_share_memory():
    memory = PictureMemory(4, 6)
    pictures = [memory.picture() for _ in range(5)]
    for number, picture in enumerate(pictures):
        picture[:] = number
    assert [int(picture.max()) for picture in pictures] == [int(picture.min()) for picture in pictures] == [0, 1, 2, 3, 4]


def test_what_was_let_go_is_used_again():
    memory = PictureMemory(4, 6)
    picture = memory.picture()
    place = address(picture)
    del picture
    assert address(memory.picture()) == place


def test_a_view_keeps_its_picture():
    memory = PictureMemory(4, 6)
    picture = memory.picture()
    picture[:] = 3
    view = picture[1:, ::2].reshape(-1)[4:]
    del picture
    other = memory.picture()
    other[:] = 9
    assert (view == 3).all()


def test_nothing_is_kept_once_it_is_closed():
    memory = PictureMemory(4, 6)
    held, gone = memory.picture(), memory.picture()
    held[:] = 5
    del gone
    memory.close()
    assert (held == 5).all() and memory.picture().shape == (4, 6, 3)
    del held  # and its memory with it, which nobody can ask for any more
    assert memory._free is None
