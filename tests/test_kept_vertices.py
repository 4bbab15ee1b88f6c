"""Meshes that files hold: where the files have them, gaps filled, and carried along with their body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.embody_mhr import embody_mhr
from rigdrop.convert.mhr.kept_vertices import carried_along, kept_vertices, moved_vertices, seen_meshes
from rigdrop.convert.performance import moved
from rigdrop.convert.place import PlaceOptions, place
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model
from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.sam3d_body import read
from rigdrop.ingest.recording import Actor, MhrMotion
from rigdrop.motion.kinematics import skin_vertices

TIMES_S = np.array([0.0, 0.1, 0.2, 0.3, 0.35, 0.5])


def _actor(frames: int = 6, vertices: int = 7) -> Actor:
    rng = np.random.default_rng(0)
    camera, meshes = rng.normal(size=(frames, 3)), rng.normal(size=(frames, vertices, 3)).astype(np.float32)
    motion = MhrMotion(np.zeros((frames, 45)), camera, vertices_m=meshes)
    return Actor(1, "Person 1", motion, np.ones(frames, bool), np.ones(frames, np.float32))


def test_a_real_files_mesh_is_where_its_camera_saw_it(shared):
    path = shared / "samples" / "sam3d_body_subj01.npz"
    (actor,) = read(path, MotionFileOptions(source_fps="30", keep_vertices=True)).actors
    with np.load(path) as sample:
        truth = (sample["pred_vertices"].astype(np.float64) + sample["pred_cam_t"]) * [1, -1, -1]
    # The file's own rounding, at 8 m from the camera.
    np.testing.assert_allclose(kept_vertices(actor, np.zeros(1))[0], truth, atol=1e-6)


def test_the_kept_mesh_and_the_rigs_skin_are_one_body(shared):
    """Vertices made from the rig by hand, y and z negated as upstream does, come back where embody_mhr has the skin."""
    model = load_mhr_model(shared / "mhr" / "lod3")
    with np.load(shared / "samples" / "sam3d_body_subj00.npz") as sample:
        params, shape, camera = (sample[key][None].astype(np.float64) for key in ("mhr_model_params", "shape_params", "pred_cam_t"))
    actor = Actor(1, "a", MhrMotion(shape, camera * [1, -1, -1], params), np.ones(1, bool), np.ones(1, np.float32))
    body = embody_mhr(actor, np.zeros(1), model)
    skin = skin_vertices(body.rig, body.T_world_joint)
    keeping = replace(actor, motion=replace(actor.motion, vertices_m=(skin - camera * [1, -1, -1]).astype(np.float32)))
    np.testing.assert_allclose(kept_vertices(keeping, np.zeros(1), body.rig), skin, atol=1e-6)


def test_gaps_lie_between_their_neighbours_in_time():
    actor = _actor()
    meshes = actor.motion.vertices_m.copy()
    meshes[4, 3, 1] = np.nan
    camera = actor.motion.camera_translation_m.copy()
    camera[3] = np.nan
    visible = np.array([False, True, True, True, True, True])
    gappy = replace(actor, motion=replace(actor.motion, vertices_m=meshes, camera_translation_m=camera), visible=visible)
    whole = (actor.motion.vertices_m + actor.motion.camera_translation_m[:, None]).astype(np.float32)
    np.testing.assert_array_equal(seen_meshes(gappy), [False, True, True, False, False, True])
    ours = kept_vertices(gappy, TIMES_S)
    np.testing.assert_array_equal(ours[[1, 2, 5]], whole[[1, 2, 5]])
    np.testing.assert_array_equal(ours[0], whole[1])
    np.testing.assert_allclose(ours[3], whole[2] + (whole[5] - whole[2]) / 3, atol=1e-6)
    np.testing.assert_allclose(ours[4], (whole[2] + whole[5]) / 2, atol=1e-6)


def test_what_does_not_fit_is_an_error(shared):
    rig = load_mhr_model(shared / "mhr" / "lod3").rig
    with pytest.raises(ReadError, match=r"Person 1: pred_vertices: found 7 vertices, expected 4899, as rig mhr has; name .* --mhr DIR"):
        kept_vertices(_actor(), TIMES_S, rig)
    actor = _actor()
    without = replace(actor, motion=replace(actor.motion, vertices_m=None, model_params=np.zeros((6, 204))))
    with pytest.raises(ReadError, match=r"pred_vertices: found none, expected a mesh a frame; leave out --keep-vertices"):
        kept_vertices(without, TIMES_S)
    nowhere = replace(actor, motion=replace(actor.motion, camera_translation_m=np.full((6, 3), np.nan)))
    with pytest.raises(ReadError, match="pred_vertices: found no frame without NaN"):
        kept_vertices(nowhere, TIMES_S)


def test_meshes_move_by_one_move_or_each_frames():
    meshes, rng = _actor().motion.vertices_m, np.random.default_rng(1)
    moves = np.tile(np.eye(4), (6, 1, 1))
    turns = Rotation.from_rotvec(rng.normal(size=(6, 3)))
    moves[:, :3, :3], moves[:, :3, 3] = turns.as_matrix(), rng.normal(size=(6, 3))
    truth = np.stack([turn.apply(mesh) + move[:3, 3] for turn, mesh, move in zip(turns, meshes, moves, strict=True)])
    np.testing.assert_allclose(moved_vertices(meshes, moves), truth, atol=1e-6)
    np.testing.assert_allclose(moved_vertices(meshes, moves[2])[2], truth[2], atol=1e-6)


@pytest.mark.parametrize("root", ["keep", "in-place", "hips"])
def test_kept_meshes_go_where_the_body_goes(shared, root):
    """The rig's own skin, kept before the body is moved and placed, is its skin after it."""
    model = load_mhr_model(shared / "mhr" / "lod3")
    with np.load(shared / "samples" / "sam3d_body_subj00.npz") as sample:
        params = np.tile(sample["mhr_model_params"].astype(np.float64), (3, 1))
    params[:, 4] += [0, 0.4, 0.8]
    camera = np.array([[0, 0, -3.0], [0.2, 0, -3.1], [0.5, 0.1, -3.3]])
    actor = Actor(1, "a", MhrMotion(np.zeros((3, 45)), camera, params), np.ones(3, bool), np.ones(3, np.float32))
    body = embody_mhr(actor, np.arange(3) / 30, model)
    T_new_old = np.eye(4)
    T_new_old[:3, :3], T_new_old[:3, 3] = Rotation.from_rotvec([0.1, 2, -0.3]).as_matrix(), [1, 2, 3]
    there = place(moved(body, T_new_old), PlaceOptions(root=root, at=(1, 2), yaw=30))
    kept = skin_vertices(body.rig, body.T_world_joint).astype(np.float32)
    np.testing.assert_allclose(carried_along(kept, body, there), skin_vertices(there.rig, there.T_world_joint), atol=5e-6)
