"""People without a rig: the file's meshes as they are, in baked files alone, with triangles from somewhere or not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.convert.mhr.bare_mesh import BARE_MESH, bare_mesh, bare_note
from rigdrop.convert.mhr.kept_vertices import moved_vertices
from rigdrop.convert.performance import moved
from rigdrop.convert.place import PlaceOptions, place
from rigdrop.errors import MissingPartError, ReadError, SettingsError
from rigdrop.formats.glb_baked import write_glb_baked
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.skeleton import require_skeleton
from rigdrop.formats.usd_skel import write_usd_skel
from rigdrop.formats.verify.glb import verify_glb_baked
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.sam3d_body import read
from rigdrop.ingest.recording import Actor, MhrMotion
from rigdrop.motion.take import Person

from .synthetic import small_take

CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
TETRAHEDRON = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)  # counter-clockwise from outside


def _actor(frames: int = 4, faces: np.ndarray | None = TETRAHEDRON, visible: np.ndarray | None = None) -> Actor:
    """A tetrahedron that slides to the left and hops in frame 2."""
    meshes = np.tile(CORNERS, (frames, 1, 1)) * np.float32(1.5)
    camera = np.stack([0.1 * np.arange(frames), np.where(np.arange(frames) == 2, 0.3, 0.0), np.full(frames, -4.0)], axis=1)
    motion = MhrMotion(np.zeros((frames, 45)), camera, vertices_m=meshes, faces=faces)
    return Actor(7, "Person 7", motion, np.ones(frames, bool) if visible is None else visible, np.full(frames, 0.9, np.float32))


def _person(actor: Actor, times_s: np.ndarray) -> Person:
    performance, vertices_m = bare_mesh(actor, times_s)
    return Person("person_01", actor.name, actor.track, performance.rig, performance.to_motion(), vertices_m)


def test_the_joint_is_under_the_mesh_and_the_rig_stands_on_the_origin():
    performance, vertices_m = bare_mesh(_actor(), np.arange(4) / 30)
    # The middle of a tetrahedron's corners is a quarter along each edge.
    under = np.array([[0.375 + 0.1 * frame, 0.3 if frame == 2 else 0, 0.375 - 4] for frame in range(4)])
    np.testing.assert_allclose(performance.joints_m[:, 0], under, atol=1e-6)
    np.testing.assert_allclose(vertices_m[2], CORNERS * 1.5 + [0.2, 0.3, -4], atol=1e-6)
    rig = performance.rig
    assert (rig.name, rig.joint_names) == (BARE_MESH, ("body",))
    np.testing.assert_allclose(rig.vertices_m, CORNERS * 1.5 - [0.375, 0, 0.375], atol=1e-6)
    np.testing.assert_array_equal(rig.faces, TETRAHEDRON)


def test_frames_without_a_mesh_are_filled_and_not_visible():
    actor = _actor(4, visible=np.array([False, True, False, True]))
    performance, vertices_m = bare_mesh(actor, np.arange(4) / 30)
    np.testing.assert_array_equal(performance.visible, actor.visible)
    np.testing.assert_array_equal(performance.known[:, 0], actor.visible)
    np.testing.assert_allclose(performance.confidence, [0, 0.9, 0, 0.9], atol=1e-7)
    np.testing.assert_allclose(vertices_m[2], CORNERS * 1.5 + [0.2, 0, -4], atol=1e-6)
    np.testing.assert_allclose(performance.rig.vertices_m[:, 1].min(), 0, atol=1e-7)


def test_a_real_body_is_a_closed_one_with_the_faces_of_the_folder(shared, tmp_path):
    faces = np.load(shared / "mhr" / "mhr_faces_lod1.npy")
    np.save(tmp_path / "faces.npy", faces)
    (actor,) = read(shared / "samples" / "sam3d_body_subj00.npz", MotionFileOptions(source_fps="30", keep_vertices=True)).actors
    performance, vertices_m = bare_mesh(actor, np.zeros(1), tmp_path)
    corners = vertices_m[0].astype(np.float64)[faces]
    litres = 1000 * np.einsum("ti,ti->t", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6
    assert 40 < litres < 150  # positive where triangles face outward; a person weighs about as many kilograms
    np.testing.assert_array_equal(performance.rig.faces, faces)
    assert np.ptp(performance.rig.vertices_m[:, 1]) > 1.4 and performance.rig.vertices_m[:, 1].min() == 0


def test_faces_are_looked_for_by_their_count_of_vertices(tmp_path):
    actor, times_s = _actor(faces=None), np.zeros(4) + np.arange(4)
    np.savez(tmp_path / "mhr_lod1.npz", faces=TETRAHEDRON, base_vertices=np.zeros((5, 3)))
    with pytest.raises(MissingPartError):
        bare_mesh(actor, times_s, tmp_path)
    np.savez(tmp_path / "mhr_lod3.npz", faces=TETRAHEDRON[:2].astype(np.int64), base_vertices=np.zeros((4, 3)))
    np.testing.assert_array_equal(bare_mesh(actor, times_s, tmp_path)[0].rig.faces, TETRAHEDRON[:2])
    # The file's own come first.
    np.testing.assert_array_equal(bare_mesh(_actor(), times_s, tmp_path)[0].rig.faces, TETRAHEDRON)


@pytest.mark.parametrize("folder", [None, "nowhere", "empty"])
def test_without_faces_the_message_says_where_they_are_from(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingPartError) as caught:
        bare_mesh(_actor(faces=None), np.arange(4) / 30, None if folder is None else tmp_path / folder)
    assert str(caught.value) == (
        "Person 7: found neither the Momentum Human Rig nor faces for pred_vertices' 4 vertices, expected either; get assets.zip of "
        "facebookresearch/MHR's release v1.0 and name its folder with --mhr DIR, "
        "or put SAM 3D Body's estimator.faces into the file as faces")


def test_faces_that_cannot_be_read_are_an_error_with_their_file(tmp_path):
    path = tmp_path / "faces.npy"
    for content in (b"", b"no array", b"\x93NUMPY"):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=r"faces\.npy: faces: found none"):
            bare_mesh(_actor(faces=None), np.arange(4) / 30, tmp_path)
    np.save(path, np.zeros((4, 4), int))
    with pytest.raises(ReadError, match=r"faces\.npy: faces: found int64 \(4, 4\), expected indices"):
        bare_mesh(_actor(faces=None), np.arange(4) / 30, tmp_path)
    path.unlink()
    (tmp_path / "mhr_lod1.npz").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(ReadError, match=r"mhr_lod1\.npz: faces: found none"):
        bare_mesh(_actor(faces=None), np.arange(4) / 30, tmp_path)


def test_pickles_among_the_faces_run_nothing(tmp_path):
    np.save(tmp_path / "faces.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ReadError, match=r"faces\.npy: faces: found none"):
        bare_mesh(_actor(faces=None), np.arange(4) / 30, tmp_path)


def test_baked_files_hold_just_these_meshes_and_skeletal_ones_refuse(tmp_path):
    take = small_take(frames=4)
    person = _person(_actor(), take.times_s)
    alone = replace(take, people=[person])
    write_glb_baked(alone, person, tmp_path / "a.glb")
    report = verify_glb_baked(alone, person, tmp_path / "a.glb", None)
    assert report.ok and report.max_mm < 1e-3
    with pytest.raises(SettingsError, match=r"person_01: .*expected one for glb-skeletal; .* get assets\.zip .* --mhr DIR"):
        require_skeleton(person, "glb-skeletal")
    require_skeleton(take.people[0], "glb-skeletal")
    require_skeleton(replace(person, vertices_m=None), "glb-skeletal")  # a prop of one joint that moves as it should


def test_the_mesh_can_be_moved_and_put_on_the_ground():
    performance, vertices_m = bare_mesh(_actor(), np.arange(4) / 30)
    T_new_old = np.eye(4)
    T_new_old[:3, 3] = [0, 1, 4]
    there = place(moved(performance, T_new_old), PlaceOptions(to_ground=True, at=(0, 0)))
    # Three of four frames stand, a hop is none the less one.
    np.testing.assert_allclose(there.joints_m[:, 0, 1], [0, 0, 0.3, 0], atol=1e-6)
    np.testing.assert_allclose(there.joints_m[0, 0], 0, atol=1e-6)
    np.testing.assert_allclose(moved_vertices(vertices_m, T_new_old)[1], vertices_m[1] + [0, 1, 4], atol=1e-6)


def test_the_note_says_how_to_get_a_skeleton():
    assert bare_note(_actor()) == (
        "Person 7: found no Momentum Human Rig, kept the meshes of the file, for glb-baked alone; for a skeleton, get assets.zip of "
        "facebookresearch/MHR's release v1.0 and name its folder with --mhr DIR")


@pytest.mark.parametrize(("write", "name"), [(write_glb_skeletal, "a.glb"), (write_usd_skel, "a.usdc")])
def test_writers_of_skeletons_refuse_and_leave_nothing(tmp_path, write, name):
    take = small_take(frames=4)
    with pytest.raises(SettingsError, match="no skeleton"):
        write(take, _person(_actor(), take.times_s), tmp_path / name)
    assert not list(tmp_path.iterdir())
