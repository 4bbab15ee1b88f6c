from __future__ import annotations

import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.registry import read_recording, reader_of
from rigdrop.ingest.motion_files.sam3d_body import is_mine, read
from rigdrop.ingest.recording import MhrMotion, Recording

from .sam3d_files import Runs, person, save_objects, stacked, table, without

PLAIN = MotionFileOptions(source_fps="30")
TRUST = MotionFileOptions(trust=True, source_fps="30")


def _people(recording: Recording) -> dict[int, tuple[MhrMotion, np.ndarray]]:
    return {actor.track: (actor.motion, actor.visible) for actor in recording.actors}


def _check_person(motion: MhrMotion, visible: np.ndarray, number: int, there: list[int], first: int = 0) -> None:
    """Expect person ``number`` in these frames, exactly, and NaN in all others."""
    assert np.flatnonzero(visible).tolist() == there
    for values, key, sign in (
        (motion.model_params, "mhr_model_params", 1), (motion.shape_params, "shape_params", 1),
        (motion.expression_params, "expr_params", 1), (motion.camera_translation_m, "pred_cam_t", np.array([1, -1, -1])),
    ):
        assert np.array_equal(values[visible], [person(number, frame + first)[key] * sign for frame in there])
        assert np.isnan(values[~visible]).all()


def _order(recording: Recording) -> list[int]:
    """Return who each actor is, by shape, which everybody has alone."""
    shapes = [person(number, 0)["shape_params"] for number in range(6)]
    found = [np.nanmedian(actor.motion.shape_params, axis=0) for actor in recording.actors]
    return [next(number for number, own in enumerate(shapes) if np.allclose(shape, own)) for shape in found]


# The real ones.


@pytest.mark.parametrize("subject", ["subj00", "subj01"])
def test_a_real_file_says_what_upstream_wrote(shared, subject):
    path = shared / "samples" / f"sam3d_body_{subject}.npz"
    truth = np.load(path)
    recording = read_recording(path, MotionFileOptions(keep_vertices=True))
    assert reader_of(path).name == "sam3d-body"
    (actor,) = recording.actors
    assert np.array_equal(actor.motion.model_params[0], truth["mhr_model_params"])
    assert np.array_equal(actor.motion.shape_params[0], truth["shape_params"])
    assert np.array_equal(actor.motion.camera_translation_m[0] * [1, -1, -1], truth["pred_cam_t"])
    assert actor.motion.joints_m is None
    assert np.array_equal(actor.motion.vertices_m[0] * np.float32([1, -1, -1]), truth["pred_vertices"])
    assert np.array_equal(actor.raw["pred_keypoints_2d"][0], truth["pred_keypoints_2d"])
    assert actor.raw["lhand_bbox"].dtype == truth["lhand_bbox"].dtype
    assert recording.times_s.tolist() == [0.0]
    assert recording.fps == 30
    assert [warning for warning in recording.warnings if "fps" in warning]


def test_real_joints_are_metres_where_there_are_no_parameters(shared, tmp_path):
    truth = dict(np.load(shared / "samples" / "sam3d_body_subj00.npz"))
    np.savez(tmp_path / "joints.npz", **without(truth, "mhr_model_params"))
    recording = read(tmp_path / "joints.npz", PLAIN)
    motion = recording.actors[0].motion
    assert motion.model_params is None
    assert np.array_equal(motion.joints_m[0] * [1, -1, -1], truth["pred_joint_coords"])
    # A grown person with bent knees who stands upright in our axes: metres, not centimetres, and the head on top.
    names = json.loads((shared / "mhr" / "mhr_skeleton.json").read_text())["joint_names"]
    height_m = dict(zip(names, motion.joints_m[0, :, 1], strict=True))
    assert 1.0 < height_m["c_head"] - height_m["l_foot"] < 1.8
    assert any("pred_global_rots" in warning and "stale" in warning for warning in recording.warnings)
    np.savez(tmp_path / "mesh.npz", **without(truth, "mhr_model_params", "pred_joint_coords"))
    motion = read(tmp_path / "mesh.npz", PLAIN).actors[0].motion
    assert (motion.model_params, motion.joints_m) == (None, None)
    assert np.array_equal(motion.vertices_m[0] * np.float32([1, -1, -1]), truth["pred_vertices"])


@pytest.fixture
def sequence(shared, tmp_path) -> tuple[Path, list[dict[int, int]]]:
    """Forty frames of the two real people as upstream would list them: out of order, sometimes absent, with batch pops."""
    rng = np.random.default_rng(0)
    people = [dict(np.load(shared / "samples" / f"sam3d_body_subj0{number}.npz")) for number in range(2)]
    frames: list[list[dict]] = []
    for frame in range(40):
        here = []
        for number, fields in enumerate(people):
            if (number == 0 and 12 <= frame < 19) or (number == 1 and frame in (5, 6, 30)) or frame == 25:
                continue
            moved = without(fields, "pred_vertices")
            x = (1 - 2 * number) * (frame - 20) * 0.05  # they cross in the middle, half a metre apart
            moved["pred_cam_t"] = np.float32([x, 1.15, 6 + 0.5 * number + 0.4 * (frame >= 32)]) + rng.normal(0, 0.02, 3).astype(np.float32)
            moved["mhr_model_params"] = fields["mhr_model_params"] + rng.normal(0, 0.02, 204).astype(np.float32)
            moved["pred_global_rots"] = rng.permutation(fields["pred_global_rots"])  # stale
            here.append((number, moved))
        order = rng.permutation(len(here))
        frames.append([here[place][1] for place in order])
    return save_objects(tmp_path / "sequence.npy", frames), people


def test_a_sequence_of_real_people_keeps_who_is_who_and_when(sequence):
    path, people = sequence
    recording = read(path, TRUST)
    assert recording.times_s == pytest.approx(np.arange(40) / 30, abs=1e-12)
    assert len(recording.actors) == 2
    absent = {0: {*range(12, 19), 25}, 1: {5, 6, 25, 30}}
    for actor in recording.actors:
        (number,) = [n for n in (0, 1) if np.allclose(np.nanmedian(actor.motion.shape_params, 0), people[n]["shape_params"])]
        assert set(np.flatnonzero(~actor.visible).tolist()) == absent[number]
        assert np.array_equal(actor.motion.shape_params[actor.visible], np.tile(people[number]["shape_params"], (actor.visible.sum(), 1)))
        assert np.isnan(actor.motion.model_params[~actor.visible]).all()


# Who is who.


@pytest.mark.parametrize("key", ["track_id", "person_ids", "obj_id", "id"])
def test_people_are_known_by_their_track_ids(tmp_path, key):
    # The ids change places within the list, one frame lacks 30, and no place or pose would tell that they exchange.
    ids = {0: (30, 11), 1: (11, 30), 2: (11,), 3: (30, 11)}
    value = [[{**person(0 if track == 11 else 1, frame), key: track} for track in ids[frame]] for frame in range(4)]
    recording = read(save_objects(tmp_path / "a.npy", value), TRUST)
    people = _people(recording)
    assert list(people) == [11, 30]
    _check_person(*people[11], 0, [0, 1, 2, 3])
    _check_person(*people[30], 1, [0, 1, 3])
    assert recording.warnings == ()
    assert recording.details["people_by"] == "track ids"


def test_ids_of_a_table_count_even_where_continuity_would_say_otherwise(tmp_path):
    fields = table(6, 2)
    fields["pred_cam_t"][3:] = fields["pred_cam_t"][3:, ::-1]  # they exchange places from one frame to the next
    np.savez(tmp_path / "a.npz", **fields, track_id=[5, 9])
    people = _people(read(tmp_path / "a.npz", PLAIN))
    for place, track in enumerate((5, 9)):
        assert np.array_equal(people[track][0].model_params, fields["mhr_model_params"][:, place])


def test_places_in_a_list_are_not_ids(tmp_path):
    # An exporter that numbers people by their place in each frame's list: whoever is left becomes number 0.
    there = {0: (0, 1), 1: (1,), 2: (1,), 3: (0, 1)}
    value = [[{**person(who, frame), "person_id": place} for place, who in enumerate(there[frame])] for frame in range(4)]
    recording = read(save_objects(tmp_path / "a.npy", value), TRUST)
    people = _people(recording)
    _check_person(*people[0], 0, [0, 3])
    _check_person(*people[1], 1, [0, 1, 2, 3])
    assert any("places in a list" in warning for warning in recording.warnings)


def test_places_in_a_table_are_not_people(tmp_path):
    fields = table(8, 3)
    for frame in range(8):
        order = np.random.default_rng(frame).permutation(3)
        for key in fields:
            fields[key][frame] = fields[key][frame][order]
    np.savez(tmp_path / "a.npz", **fields)
    recording = read(tmp_path / "a.npz", PLAIN)
    assert _order(recording) == [0, 1, 2]  # numbered from left to right
    for number, (motion, visible) in _people(recording).items():
        _check_person(motion, visible, number, list(range(8)))


def test_people_without_some_ids_are_told_apart_by_place(tmp_path):
    np.savez(tmp_path / "a.npz", **table(3, 2), track_id=[[0, 1], [0, -1], [0, 1]])
    recording = read(tmp_path / "a.npz", PLAIN)
    assert len(recording.actors) == 2
    assert any("track_id: found none for 1 of 6" in warning for warning in recording.warnings)


def test_a_file_of_one_person_is_one_person_however_far_they_jump(tmp_path):
    fields = stacked([person(0, frame) for frame in range(6)])
    fields["pred_cam_t"][3:] += 20
    np.savez(tmp_path / "a.npz", **fields)
    assert len(read(tmp_path / "a.npz", PLAIN).actors) == 1


def test_an_id_twice_in_a_frame_or_between_numbers_is_an_error(tmp_path):
    np.savez(tmp_path / "a.npz", **table(3, 2), track_id=[[4, 6], [6, 6], [4, 6]])
    with pytest.raises(ReadError, match=r"a\.npz: track_id: found 6 twice in frame 1"):
        read(tmp_path / "a.npz", PLAIN)
    np.savez(tmp_path / "b.npz", **table(1, 2), track_id=[[4, 6.5]])
    with pytest.raises(ReadError, match=r"b\.npz: track_id: found \[6.5\], expected whole numbers"):
        read(tmp_path / "b.npz", PLAIN)


# Who is there, and when.


def test_missing_files_are_absent_frames_in_true_time(tmp_path):
    for frame in (7, 8, 11, 12):
        np.savez(tmp_path / f"clip_{frame:05d}.npz", **person(0, frame))
    recording = read_recording(tmp_path, MotionFileOptions(source_fps="30000/1001"))
    assert recording.times_s == pytest.approx(np.arange(6) * 1001 / 30000, abs=1e-12)
    _check_person(*_people(recording)[0], 0, [0, 1, 4, 5], first=7)
    assert recording.details["first_frame"] == 7


def test_every_second_frame_is_half_the_rate(tmp_path):
    frames = [frame for frame in range(0, 60, 2) if frame != 14]
    np.savez(tmp_path / "a.npz", **stacked([person(0, frame) for frame in frames]), frame_indices=frames, fps=25.0)
    recording = read(tmp_path / "a.npz", MotionFileOptions())
    assert recording.fps == Fraction(25, 2)
    assert recording.times_s == pytest.approx(np.arange(30) * 0.08, abs=1e-12)
    assert np.flatnonzero(~recording.actors[0].visible).tolist() == [7]
    assert recording.warnings == ()


def test_nan_takes_away_its_frame_alone_and_is_counted(tmp_path):
    fields = table(6, 2)
    fields["mhr_model_params"][2, 0, 100] = np.nan
    fields["shape_params"][4, 1, 0] = np.inf
    fields["pred_cam_t"][5, 1] = 0  # padding
    np.savez(tmp_path / "a.npz", **fields)
    recording = read(tmp_path / "a.npz", PLAIN)
    people = _people(recording)
    _check_person(*people[0], 0, [0, 1, 3, 4, 5])
    _check_person(*people[1], 1, [0, 1, 2, 3])
    assert np.isnan(recording.actors[0].raw["bbox"][2]).all()
    assert recording.actors[0].confidence.tolist() == [1, 1, 0, 1, 1, 1]
    (warning,) = recording.warnings
    assert warning.endswith("mhr_model_params, shape_params: found NaN for 2 of 12 people in frames, took them for absent")


def test_people_whom_the_file_masks_are_absent(tmp_path):
    visible = np.array([[1, 1], [0, 1], [1, 0]], bool)
    np.savez(tmp_path / "a.npz", **table(3, 2), visible=visible)
    people = _people(read(tmp_path / "a.npz", PLAIN))
    assert np.array_equal(np.stack([people[0][1], people[1][1]], 1), visible)


def test_a_limit_counts_frames_with_and_without_people(tmp_path):
    value = [[person(0, 0)], [], [person(0, 2)], [person(0, 3)]]
    recording = read(save_objects(tmp_path / "a.npy", value), MotionFileOptions(trust=True, frame_limit=3))
    _check_person(*_people(recording)[0], 0, [0, 2])
    recording = read(save_objects(tmp_path / "b.npy", [*value, [], []]), TRUST)
    assert len(recording.times_s) == 6


@pytest.mark.parametrize(("key", "value", "fps"), [
    ("fps", 24, Fraction(24)), ("frame_rate", 29.97002997002997, Fraction(30000, 1001)), ("meta_fps", 120.00004577, Fraction(120.00004577)),
])
def test_the_rate_is_the_users_else_the_files_else_thirty(tmp_path, key, value, fps):
    np.savez(tmp_path / "a.npz", **stacked([person(0, 0), person(0, 1)]), **{key: value})
    assert read(tmp_path / "a.npz", MotionFileOptions()).fps == fps
    assert read(tmp_path / "a.npz", MotionFileOptions(source_fps="50")).fps == 50


# What else is said.


def test_vertices_are_kept_when_asked_for(tmp_path):
    np.savez(tmp_path / "a.npz", **table(2, 2))
    assert all(actor.motion.vertices_m is None for actor in read(tmp_path / "a.npz", PLAIN).actors)
    kept = read(tmp_path / "a.npz", MotionFileOptions(source_fps="30", keep_vertices=True))
    for number, (motion, _) in _people(kept).items():
        assert motion.vertices_m.dtype == np.float32
        expected = [person(number, frame)["pred_vertices"] * np.float32([1, -1, -1]) for frame in range(2)]
        assert np.array_equal(motion.vertices_m, expected)
    np.savez(tmp_path / "b.npz", **without(table(2, 2), "pred_vertices"))
    asked = read(tmp_path / "b.npz", MotionFileOptions(source_fps="30", keep_vertices=True))
    assert any("pred_vertices: found none to keep" in warning for warning in asked.warnings)


def test_stale_rotations_change_nothing(tmp_path):
    fields = stacked([person(0, frame) for frame in range(3)])
    stale = np.full((3, 127, 3, 3), np.nan, np.float32)
    np.savez(tmp_path / "a.npz", **fields)
    np.savez(tmp_path / "b.npz", **{**fields, "pred_global_rots": stale})
    np.savez(tmp_path / "c.npz", **{**fields, "pred_global_rots": stale[:, :5]})
    recordings = [read(tmp_path / name, PLAIN) for name in ("a.npz", "b.npz", "c.npz")]
    motions = [recording.actors[0].motion for recording in recordings]
    for motion in motions:
        assert np.array_equal(motion.model_params, fields["mhr_model_params"])
    # They are handed on as they are, for a check; of another shape they are nothing to check.
    assert np.array_equal(motions[0].global_rotations, fields["pred_global_rots"])
    assert np.array_equal(motions[1].global_rotations, stale, equal_nan=True)
    assert motions[2].global_rotations is None
    assert [recording.warnings for recording in recordings[:2]] == [(), ()]
    (warning,) = recordings[2].warnings
    assert "pred_global_rots: found (3, 5, 3, 3), expected (3, 127, 3, 3); left it out" in warning


def test_rotations_of_absent_frames_are_unknown(tmp_path):
    value = [[person(0, 0)], [], [without(person(0, 2), "pred_global_rots")]]
    motion = read(save_objects(tmp_path / "a.npy", value), TRUST).actors[0].motion
    assert np.isfinite(motion.global_rotations).all(axis=(1, 2, 3)).tolist() == [True, False, False]


def test_faces_are_kept_with_the_vertices(tmp_path):
    faces = np.random.default_rng(0).integers(0, 20, (30, 3))
    np.savez(tmp_path / "a.npz", **table(2, 2), faces=faces)
    assert all(actor.motion.faces is None for actor in read(tmp_path / "a.npz", PLAIN).actors)
    keeping = MotionFileOptions(source_fps="30", trust=True, keep_vertices=True)
    for actor in read(tmp_path / "a.npz", keeping).actors:
        assert actor.motion.faces.dtype == np.int32
        assert np.array_equal(actor.motion.faces, faces)
    # One frame that has them tells of all, for all meshes are of one kind.
    value = [[person(0, 0)], [{**person(0, 1), "faces": faces}]]
    assert np.array_equal(read(save_objects(tmp_path / "b.npy", value), keeping).actors[0].motion.faces, faces)
    value[0][0]["faces"] = faces[::-1]
    with pytest.raises(ReadError, match="faces: found others than in"):
        read(save_objects(tmp_path / "c.npy", value), keeping)


@pytest.mark.parametrize(("faces", "said"), [
    ([[0, 1, 20]], "found 0 to 20, expected 0 to 19, as there are vertices"),
    ([[0, 1, 2, 3]], r"found int64 \(1, 4\), expected whole numbers"),
    ([[0.0, 1, 2]], r"found float64 \(1, 3\), expected whole numbers"),
])
def test_faces_that_are_none_are_an_error(tmp_path, faces, said):
    np.savez(tmp_path / "a.npz", **table(1, 1), faces=faces)
    with pytest.raises(ReadError, match=rf"a\.npz: faces: {said}"):
        read(tmp_path / "a.npz", MotionFileOptions(source_fps="30", keep_vertices=True))


def test_a_shape_that_is_not_told_is_the_average_one(tmp_path):
    np.savez(tmp_path / "a.npz", **without(stacked([person(0, 0), person(0, 1)]), "mhr_model_params", "shape_params", "pred_global_rots"))
    recording = read(tmp_path / "a.npz", PLAIN)
    assert np.array_equal(recording.actors[0].motion.shape_params, np.zeros((2, 45)))
    assert [warning.split(": ")[1] for warning in recording.warnings] == ["shape_params"]


def test_the_camera_has_the_median_focal_length(tmp_path):
    fields = stacked([person(0, frame) for frame in range(5)])
    fields["focal_length"] = np.array([900, 900, 900, 1300, np.nan], np.float32)
    np.savez(tmp_path / "a.npz", **fields, width=720, height=1280)
    recording = read(tmp_path / "a.npz", PLAIN)
    camera = recording.camera
    assert np.array_equal(camera.intrinsics_px, [[900, 0, 360], [0, 900, 640], [0, 0, 1]])
    assert (camera.width, camera.height, camera.focal_source) == (720, 1280, "estimator")
    assert any("focal_length: found 900 to 1300 pixels, took the median, 900" in warning for warning in recording.warnings)
    # Somebody straight ahead in the files' axes is in the middle of the picture.
    assert camera.project(np.array([[[0.0, 0, -5]]]))[0, 0].tolist() == [360, 640]
    np.savez(tmp_path / "b.npz", **fields)
    assert read(tmp_path / "b.npz", PLAIN).camera is None


# Whose a file is.


def test_files_of_others_are_not_taken(tmp_path):
    np.savez(tmp_path / "amass_01.npz", poses=np.zeros((5, 156)), trans=np.zeros((5, 3)))
    np.save(tmp_path / "plain_02.npy", np.zeros(3))
    assert not is_mine(tmp_path / "amass_01.npz")
    assert not is_mine(tmp_path / "plain_02.npy")
    assert not is_mine(tmp_path)
    np.savez(tmp_path / "frame_03.npz", **person(0, 0))
    assert is_mine(tmp_path / "frame_03.npz")
    assert is_mine(tmp_path)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "frame_03.npz").read_bytes()[:5000])
    with pytest.raises(ReadError, match=r"cut\.npz: found no whole \.npz"):
        read_recording(tmp_path / "cut.npz", PLAIN)


@pytest.mark.parametrize("form", ["npy", "bare", "npz", "folder"])
def test_hostile_files_run_nothing(tmp_path, form):
    trace = tmp_path / "ran"
    folder = tmp_path / "in"
    folder.mkdir()
    path = folder / ("a_1.npz" if form == "npz" else "a_1.npy")
    if form == "bare":
        path.write_bytes(pickle.dumps(Runs(trace)))
    elif form == "npz":
        np.savez(path, **{**person(0, 0), "mhr_model_params": np.array([Runs(trace)], object)})
    else:
        save_objects(path, [Runs(trace)])
    with pytest.raises(ReadError, match=r"a_1\.np.: (mhr_model_params: )?found pickled Python objects.*--trust"):
        read_recording(folder if form == "folder" else path, PLAIN)
    assert not trace.exists()


def test_numbers_that_number_no_frames_are_an_error(tmp_path):
    for name in ("1.npz", "20261121134604.npz"):
        np.savez(tmp_path / name, **person(0, 0))
    with pytest.raises(ReadError, match="frame numbers: found 1 to 20261121134604"):
        read(tmp_path, PLAIN)


def test_a_file_in_which_everybody_is_absent_is_an_error(tmp_path):
    fields = table(2, 2)
    fields["mhr_model_params"][:] = np.nan
    np.savez(tmp_path / "a.npz", **fields)
    with pytest.raises(ReadError, match=r"a\.npz: .*found nobody in any frame"):
        read(tmp_path / "a.npz", PLAIN)


@pytest.mark.parametrize(("rows", "one"), [(3, True), (200, False)], ids=["a frame of three people", "a clip"])
def test_a_folder_of_clips_is_no_clip(tmp_path, rows, one):
    """Otherwise each clip would be a frame, and its frames a crowd."""
    for number in (1, 2):
        np.savez(tmp_path / f"take_{number}.npz", mhr_model_params=np.zeros((rows, 204)), shape_params=np.zeros((rows, 45)),
                 pred_cam_t=np.tile([0.0, 0.0, 4.0], (rows, 1)))
    assert is_mine(tmp_path) is one
