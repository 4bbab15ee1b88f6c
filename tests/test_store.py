"""A take goes into the store and comes back, whole, in part, or looked at from outside."""

from __future__ import annotations

import json
import re
import tracemalloc
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.motion.store import open_take, read_take, write_take
from rigdrop.motion.take import Person, Take

from .bodies import humanoid
from .stored import full_take
from .synthetic import SHA256, rig_take, small_take
from .test_origin import origin_for


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_take(tmp_path / "take.h5", full_take())
    return tmp_path / "take.h5"


def _assert_same_person(left: Person, right: Person, frames: slice = slice(None)) -> None:
    assert (left.id, left.name, left.source_track, left.rig.name) == (right.id, right.name, right.source_track, right.rig.name)
    assert left.rig.joint_names == right.rig.joint_names
    assert left.rig.skeleton.semantic == right.rig.skeleton.semantic
    for name in ("joint_parents", "bind_world", "vertices_m", "faces", "normals", "skin_joints", "skin_weights", "uvs", "morph_targets_m"):
        assert np.array_equal(getattr(left.rig, name), getattr(right.rig, name)), name
    assert np.array_equal(left.rig.skeleton.rest_local, right.rig.skeleton.rest_local)
    for name in ("local_quat_xyzw", "local_translation_m", "local_scale", "morph_weights", "visible", "confidence"):
        expected = getattr(right.motion, name)
        assert expected is None or np.array_equal(getattr(left.motion, name), expected[frames]), name
    assert (left.vertices_m is None) == (right.vertices_m is None)
    assert left.vertices_m is None or np.array_equal(left.vertices_m, right.vertices_m[frames])


def test_a_take_comes_back_as_it_was(stored):
    take, back = full_take(), read_take(stored)
    assert np.array_equal(back.times_s, take.times_s)
    assert back.fps == Fraction(30000, 1001)
    assert (back.source_name, back.source_sha256, back.created_utc, back.rigdrop_version) == (
        "踊り 🕺.mp4",
        SHA256,
        take.created_utc,
        take.rigdrop_version,
    )
    assert (back.camera.width, back.camera.height, back.camera.focal_source) == (640, 480, "default")
    assert np.array_equal(back.camera.intrinsics_px, take.camera.intrinsics_px)
    assert np.array_equal(back.camera.world_from_camera, take.camera.world_from_camera)
    assert [person.id for person in back.people] == ["person_01", "person_02"]
    for left, right in zip(back.people, take.people, strict=True):
        _assert_same_person(left, right)
        for folder in ("raw", "params"):
            assert set(getattr(left, folder)) == set(getattr(right, folder))
            assert all(
                np.array_equal(values, getattr(right, folder)[name], equal_nan=True) for name, values in getattr(left, folder).items()
            )


def test_numbers_of_the_provenance_stay_numbers(stored):
    assert read_take(stored).provenance == {
        "stages": [{"name": "fit", "seconds": 1.5, "frames": 3, "values": [0, 1], "ok": True}],
        "path": "a",
        "名": "踊り",
    }


@pytest.mark.parametrize("frames", [slice(3, 7), slice(0, 1), slice(None, None, 2), slice(-2, None), slice(5, 500)])
def test_a_range_of_frames_is_that_range(stored, frames):
    take, back = full_take(), read_take(stored, frames)
    assert np.array_equal(back.times_s, take.times_s[frames])
    assert np.array_equal(back.camera.world_from_camera, take.camera.world_from_camera[frames])
    assert back.camera.intrinsics_px.shape == (3, 3)
    for left, right in zip(back.people, take.people, strict=True):
        _assert_same_person(left, right, frames)
    first, whole = back.people[0], take.people[0]
    assert np.array_equal(first.raw["landmarks_m"], whole.raw["landmarks_m"][frames])
    assert np.array_equal(first.params["mhr_model_params"], whole.params["mhr_model_params"][frames])
    # As many shape parameters as the take has frames: they are no frames for that.
    assert np.array_equal(first.params["shape_params"], whole.params["shape_params"])
    assert np.array_equal(first.params["log_shape"], whole.params["log_shape"])


def test_a_range_without_frames_is_an_error(stored):
    with pytest.raises(ReadError, match=r"take\.h5: .*times_s.*one frame or more"):
        read_take(stored, slice(100, 200))


def test_a_take_of_one_frame_and_nobody_is_a_take(tmp_path):
    write_take(tmp_path / "take.h5", replace(small_take(frames=1), people=[]))
    back = read_take(tmp_path / "take.h5")
    assert (back.frame_count, back.people) == (1, ())


def test_people_come_in_the_order_of_their_numbers(tmp_path):
    person = small_take(frames=2).people[0]
    people = [replace(person, id=f"person_{number:02d}") for number in (2, 99, 100, 101)]
    write_take(tmp_path / "take.h5", replace(small_take(frames=2), people=people))
    with open_take(tmp_path / "take.h5") as take:
        assert take.person_ids == ("person_02", "person_99", "person_100", "person_101")


def test_what_is_asked_of_an_open_take(stored):
    take = full_take()
    with open_take(stored) as opened:
        assert opened.frame_count == 12
        assert opened.fps == take.fps
        assert opened.attributes["schema"] == "rigdrop.take"
        assert {type(value) for value in opened.attributes.values()} == {str, int, float}
        assert np.array_equal(opened.times_s(slice(2, 4)), take.times_s[2:4])
        assert opened.person_summary("person_01") == {
            "id": "person_01",
            "name": "Person 1",
            "source_track": 1,
            "rig": "tube",
            "joints": 7,
            "vertices": 122,
            "faces": 240,
            "visible_frames": 8,
        }
        json.dumps([opened.attributes, opened.person_summary("person_02"), opened.provenance])
        with pytest.raises(ReadError, match=r"take\.h5: people/person_09: person_09: found nothing"):
            opened.person("person_09")


def test_names_of_numpys_own_kind_are_names(tmp_path):
    take = small_take(frames=2)
    person = replace(take.people[0], name=str(np.str_("A")), source_track=np.int64(4))
    write_take(tmp_path / "take.h5", replace(take, people=[person]))
    assert read_take(tmp_path / "take.h5").people[0].source_track == 4


@pytest.mark.parametrize("name", ["踊り テスト.h5", "x" * 252 + ".h5", "a b#?%.h5"])
def test_any_name_that_the_disk_takes(tmp_path, name):
    write_take(tmp_path / "よ" / name, small_take(frames=2))
    assert read_take(tmp_path / "よ" / name).frame_count == 2


# A take of an hour is inspected in the memory of a postcard.


def _long_take(path: Path) -> None:
    frames = 30 * 60 * 30
    take = small_take(frames=2)
    person = take.people[0]
    places = np.random.default_rng(0).normal(size=(frames, 7, 3)).astype(np.float32)
    motion = replace(
        person.motion,
        local_quat_xyzw=np.broadcast_to(person.motion.local_quat_xyzw[:1], (frames, 7, 4)),
        local_translation_m=places,
        visible=np.ones(frames, bool),
        confidence=np.ones(frames),
    )
    write_take(path, replace(take, times_s=np.arange(frames) / 30, people=[replace(person, motion=motion)]))


def _bytes_read() -> int:
    return int(re.search(r"rchar: (\d+)", Path("/proc/self/io").read_text()).group(1))


def test_half_an_hour_is_inspected_without_being_read(tmp_path):
    _long_take(tmp_path / "take.h5")
    size = (tmp_path / "take.h5").stat().st_size
    assert size > 4_000_000  # noise does not compress, so that reading it would show
    counts_bytes = Path("/proc/self/io").exists()
    before = _bytes_read() if counts_bytes else 0
    tracemalloc.start()
    try:
        with open_take(tmp_path / "take.h5") as take:
            assert take.frame_count == 54_000
            assert take.person_summary("person_01")["visible_frames"] == 54_000
            assert take.fps == 30
            some = take.read(slice(30_000, 30_100))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert some.times_s[0] == pytest.approx(1000.0)
    # The mask is 54 kB, a hundred frames and the rig less than 100 kB; the whole motion is 12 MB.
    assert peak < 1_000_000
    # One or two chunks of 256 frames of each array, of 211.
    assert not counts_bytes or _bytes_read() - before < 0.25 * size


def _own_character(content: bytes = b"hero") -> Take:
    rig = humanoid()
    take = rig_take(replace(rig, origin=origin_for(rig, content=content, materials=(), face_materials=np.full(len(rig.faces), -1))), 4)
    return replace(take, people=[take.people[0], replace(take.people[0], id="person_02")])


def test_a_characters_file_is_in_the_take_once(tmp_path):
    content = np.random.default_rng(2).bytes(1_000_000)
    take = _own_character(content)
    write_take(tmp_path / "take.h5", take)
    assert (tmp_path / "take.h5").stat().st_size < 1_400_000, "two people, one file"
    for person in read_take(tmp_path / "take.h5").people:
        found, origin = person.rig.origin, take.people[0].rig.origin
        assert found.content == content
        for name in ("format", "file_name", "sha256", "skeleton", "joints", "meshes", "materials"):
            assert getattr(found, name) == getattr(origin, name), name
        for name in ("T_world_joint_bind", "vertex_counts", "points", "face_materials"):
            assert np.array_equal(getattr(found, name), getattr(origin, name)), name


def test_a_rig_of_no_file_has_no_origin(stored):
    assert [person.rig.origin for person in read_take(stored).people] == [None, None]


def test_a_characters_file_that_was_changed_is_an_error(tmp_path):
    write_take(tmp_path / "take.h5", _own_character())
    with h5py.File(tmp_path / "take.h5", "r+") as file:
        file["people/person_01/rig/origin/content"][1] = 0
    with pytest.raises(ReadError, match=r"take\.h5: people/person_01: origin: sha256: found .*, as was noted; convert the source again"):
        read_take(tmp_path / "take.h5")
