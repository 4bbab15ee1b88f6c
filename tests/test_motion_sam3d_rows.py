from __future__ import annotations

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.sam3d_rows import Rows, numbered_files, read_rows

from .sam3d_files import person, save_objects, stacked, table, without

TRUST = MotionFileOptions(trust=True, keep_vertices=True)
PLAIN = MotionFileOptions()


def _check_rows(rows: Rows, expected: list[tuple[int, int]]) -> None:
    """Expect just these (frame, person), in this order, with all their numbers."""
    assert rows.frame.tolist() == [frame for frame, _ in expected]
    for key in ("mhr_model_params", "shape_params", "pred_cam_t", "focal_length", "pred_keypoints_2d", "bbox"):
        assert np.array_equal(rows.columns[key], [person(number, frame)[key] for frame, number in expected])


def test_one_person_in_one_frame(tmp_path):
    np.savez(tmp_path / "a.npz", **person(0, 0))
    rows = read_rows(tmp_path / "a.npz", PLAIN)
    _check_rows(rows, [(0, 0)])
    assert rows.one_person
    assert not {"pred_vertices", "pred_joint_coords"} & rows.columns.keys()


def test_a_leading_axis_of_frames(tmp_path):
    np.savez(tmp_path / "a.npz", **stacked([person(3, frame) for frame in range(5)]))
    rows = read_rows(tmp_path / "a.npz", PLAIN)
    _check_rows(rows, [(frame, 3) for frame in range(5)])
    assert rows.one_person


def test_leading_axes_of_frames_and_people(tmp_path):
    np.savez(tmp_path / "a.npz", **table(4, 3))
    rows = read_rows(tmp_path / "a.npz", PLAIN)
    _check_rows(rows, [(frame, number) for frame in range(4) for number in range(3)])
    assert not rows.one_person


@pytest.mark.parametrize("people", [2, 3, 4])  # 4 is the count of frames too, where axes could be taken for each other
def test_what_is_said_once_is_spread_over_frames_and_people(tmp_path, people):
    fields = without(table(4, people), "shape_params", "focal_length")
    shape = np.arange(people * 45.0).reshape(people, 45)
    said = {"shape_params": shape, "focal_length": [900.0, 901, 902, 903], "track_id": np.arange(people) + 7, "visible": True}
    np.savez(tmp_path / "a.npz", **fields, **said)
    rows = read_rows(tmp_path / "a.npz", PLAIN)
    assert np.array_equal(rows.columns["shape_params"], np.tile(shape, (4, 1)))
    assert np.array_equal(rows.columns["focal_length"], np.repeat([900.0, 901, 902, 903], people))
    assert np.array_equal(rows.columns["track_id"], np.tile(np.arange(people) + 7, 4))
    np.savez(tmp_path / "b.npz", **without(fields, "expr_params"), shape_params=shape[0], focal_length=[900.0], expr_params=np.ones(72))
    rows = read_rows(tmp_path / "b.npz", PLAIN)
    assert np.array_equal(rows.columns["shape_params"], np.tile(shape[0], (4 * people, 1)))
    assert np.array_equal(rows.columns["focal_length"], np.full(4 * people, 900.0))


def test_rows_with_frame_numbers_of_their_own(tmp_path):
    pairs = [(7, 0), (7, 1), (9, 1), (12, 0)]
    np.savez(tmp_path / "a.npz", **stacked([person(number, frame) for frame, number in pairs]), frame_idx=[frame for frame, _ in pairs])
    rows = read_rows(tmp_path / "a.npz", PLAIN)
    _check_rows(rows, pairs)
    assert rows.frames.tolist() == [7, 9, 12]
    assert not rows.one_person


@pytest.mark.parametrize("form", ["dict", "lists", "dicts", "by number", "object array", "own numbers"])
def test_pickled_forms(tmp_path, form):
    pairs = [(0, 0), (2, 0)] if form == "dicts" else [(0, 0), (0, 1), (2, 1), (3, 0), (3, 1)]
    frames = [[person(number, frame) for at, number in pairs if at == frame] for frame in range(4)]
    flat = [{**person(number, frame), "frame_idx": frame} for frame, number in pairs]
    value = {
        "dict": {**stacked([person(number, frame) for frame, number in pairs]), "frame_indices": [frame for frame, _ in pairs]},
        "lists": frames,
        "dicts": [people[0] if people else None for people in frames],
        "by number": {str(frame): people for frame, people in enumerate(frames)},
        "object array": frames,
        "own numbers": flat,
    }[form]
    if form == "object array":
        array = np.empty(4, object)
        array[:] = value
        np.save(tmp_path / "a.npy", array)
    else:
        save_objects(tmp_path / "a.npy", value)
    rows = read_rows(tmp_path / "a.npy", TRUST)
    _check_rows(rows, pairs)
    assert np.array_equal(rows.columns["pred_vertices"], [person(number, frame)["pred_vertices"] for frame, number in pairs])
    with pytest.raises(ReadError, match=r"a\.npy: found pickled Python objects.*--trust"):
        read_rows(tmp_path / "a.npy", PLAIN)


def test_a_folder_of_one_file_a_frame(tmp_path):
    np.savez(tmp_path / "v2_frame_000009.npz", **person(0, 9))
    np.savez(tmp_path / "v2_frame_000010.npz", **stacked([person(1, 10), person(0, 10)]))
    save_objects(tmp_path / "v2_frame_000012.npy", [{**person(1, 12), "frame_idx": 99}])  # the name counts
    np.save(tmp_path / "v2_frame_000014.npy", [])  # nobody: an empty list becomes an array
    np.savez(tmp_path / "v2_frame_000015.npz")
    (tmp_path / "README.txt").write_text("3")
    assert [number for number, _ in numbered_files(tmp_path)] == [9, 10, 12, 14, 15]
    rows = read_rows(tmp_path, TRUST)
    _check_rows(rows, [(9, 0), (10, 1), (10, 0), (12, 1)])
    assert rows.frames.tolist() == [9, 10, 12, 14, 15]


def test_files_past_the_limit_are_not_opened(tmp_path):
    for frame in range(4):
        np.savez(tmp_path / f"{frame}.npz", **person(0, frame))
    (tmp_path / "3.npz").write_bytes(b"broken")
    _check_rows(read_rows(tmp_path, MotionFileOptions(frame_limit=3)), [(0, 0), (1, 0), (2, 0)])
    with pytest.raises(ReadError, match=r"3\.npz"):
        read_rows(tmp_path, PLAIN)


def test_what_only_some_frames_have_is_nan_in_others(tmp_path):
    value = [person(0, 0), without(person(0, 1), "focal_length", "bbox")]
    rows = read_rows(save_objects(tmp_path / "a.npy", value), TRUST)
    assert np.isnan(rows.columns["focal_length"]).tolist() == [False, True]
    assert np.isnan(rows.columns["bbox"]).all(axis=1).tolist() == [False, True]


def test_facts_are_told_once_for_all(tmp_path):
    about = {"fps": 30000 / 1001, "width": 720, "height": 1280}
    rows = read_rows(save_objects(tmp_path / "a.npy", [{**person(0, frame), **about} for frame in range(3)]), TRUST)
    assert {meaning: float(value) for meaning, (_, value) in rows.facts.items()} == {"rate": 30000 / 1001, "width": 720, "height": 1280}
    with pytest.raises(ReadError, match=r"frame 1: fps: found 25, expected 30 as in .*frame 0: fps"):
        read_rows(save_objects(tmp_path / "a.npy", [{**person(0, frame), "fps": 30 - 5 * frame} for frame in range(2)]), TRUST)


# Malformed.


@pytest.mark.parametrize(("lacks", "says"), [
    (("pred_cam_t",), "pred_cam_t: found no such field"),
    (("shape_params",), "shape_params: found no such field"),
    (("mhr_model_params", "pred_joint_coords", "pred_vertices"), "mhr_model_params: found no such field"),
])
def test_a_missing_key_is_named(tmp_path, lacks, says):
    np.savez(tmp_path / "a.npz", **without(table(3, 2), *lacks))
    with pytest.raises(ReadError, match=rf"a\.npz: {says} among .*, expected"):
        read_rows(tmp_path / "a.npz", PLAIN)


@pytest.mark.parametrize(("key", "value", "says"), [
    ("mhr_model_params", np.zeros((5, 203)), r"found \(5, 203\), expected \(204,\) after"),
    ("mhr_model_params", np.zeros(3), r"found \(3,\), expected \(204,\) after"),
    ("mhr_model_params", np.zeros((1, 2, 5, 204)), r"found \(1, 2, 5, 204\), expected \(204,\) after"),
    ("mhr_model_params", np.zeros((4, 204)), r"found"),  # then it's the other fields that have too many frames
    ("pred_cam_t", np.zeros((4, 3)), r"found \(4, 3\), expected \(5, 3\)"),
    ("pred_cam_t", np.zeros((5, 4)), r"found \(5, 4\), expected \(5, 3\)"),
    ("pred_cam_t", np.zeros(3), r"found \(3,\), expected \(5, 3\)"),
    ("pred_cam_t", np.full((5, 3), "x"), r"found values of type <U1, expected numbers"),
    ("pred_cam_t", np.zeros((5, 3), complex), r"found values of type complex128, expected numbers"),
    ("shape_params", np.zeros((6, 45)), r"found \(6, 45\), expected \(5, 45\)"),
    ("focal_length", np.zeros((5, 2)), r"found \(5, 2\), expected \(5,\)"),
    ("track_id", np.zeros(4), r"found \(4,\), expected \(5,\)"),
    ("frame_idx", np.arange(5) + 0.5, r"found \[0.5, 1.5.*expected whole numbers"),
    ("frame_idx", np.full(5, np.nan), r"found .*nan.*expected whole numbers"),
    ("frame_idx", np.arange(4), r"found \(4,\), expected \(5,\)"),
    ("fps", np.array(0.0), r"found 0.0, expected one rate above 0"),
    ("width", np.array(np.nan), r"found nan, expected one length in pixels"),
])
def test_a_wrong_shape_or_value_is_named(tmp_path, key, value, says):
    fields = {**stacked([person(0, frame) for frame in range(5)]), key: value}
    np.savez(tmp_path / "a.npz", **fields)
    named = "shape_params|pred_cam_t" if says == "found" else key
    with pytest.raises(ReadError, match=rf"a\.npz: ({named}): {says}"):
        read_rows(tmp_path / "a.npz", PLAIN)


def test_a_fault_in_what_is_only_kept_is_left_out_and_said(tmp_path):
    np.savez(tmp_path / "a.npz", **{**person(0, 0), "bbox": np.zeros(5), "lhand_bbox": np.array([None])})
    rows = read_rows(tmp_path / "a.npz", PLAIN)
    assert "bbox" not in rows.columns
    assert "bbox: found (5,), expected (4,)" in rows.left_out["bbox"]
    assert "lhand_bbox: found pickled Python objects" in rows.left_out["lhand_bbox"]


@pytest.mark.parametrize(("second", "says"), [
    (without(person(0, 1), "mhr_model_params"), "frame 1: mhr_model_params: found no such field"),
    (without(person(0, 1), "expr_params"), "frame 1: expr_params: found no such field"),
    ({**person(0, 1), "pred_vertices": np.zeros((9, 3))}, r"frame 1: pred_vertices: found \(9, 3\) a person, expected \(20, 3\)"),
    (stacked([person(0, 1)] * 2) | {"pred_cam_t": np.zeros((3, 3))}, r"pred_cam_t: found \(3, 3\), expected \(2, 3\)"),
    ({**person(0, 1), "pred_cam_t": object()}, "frame 1: pred_cam_t: found no array"),
    (3, "frame 1: found int, expected a dict"),
])
def test_a_frame_unlike_the_others_is_named(tmp_path, second, says):
    with pytest.raises(ReadError, match=says):
        read_rows(save_objects(tmp_path / "a.npy", [person(0, 0), second]), TRUST)


def test_other_faults_of_files_and_folders_are_named(tmp_path):
    with pytest.raises(ReadError, match=r"found no \.npz or \.npy with a number"):
        read_rows(tmp_path, PLAIN)
    np.save(tmp_path / "plain.npy", np.zeros((5, 204)))
    with pytest.raises(ReadError, match=r"plain\.npy: found an array \(5, 204\), expected a dict"):
        read_rows(tmp_path / "plain.npy", PLAIN)
    with pytest.raises(ReadError, match="found nobody"):
        read_rows(save_objects(tmp_path / "nobody.npy", [[], None, []]), TRUST)
    np.savez(tmp_path / "none.npz", **{key: array[:0] for key, array in stacked([person(0, 0)]).items()})
    with pytest.raises(ReadError, match="found nobody"):
        read_rows(tmp_path / "none.npz", PLAIN)
    folder = tmp_path / "twice"
    folder.mkdir()
    for name in ("a_1.npz", "b_01.npz"):
        np.savez(folder / name, **person(0, 1))
    with pytest.raises(ReadError, match=r"b_01\.npz: name: found frame 1, which a_1\.npz is too"):
        read_rows(folder, PLAIN)
