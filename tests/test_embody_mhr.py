"""People on MHR's rig against the joints that real SAM 3D Body output says they have, in its camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from rigdrop.convert.embody_mhr import embody_mhr, mhr_person
from rigdrop.convert.rigs.mhr_parameters import BODY, load_mhr_model
from rigdrop.errors import MissingPartError, ReadError
from rigdrop.ingest.recording import Actor, MhrMotion, SmplMotion
from rigdrop.motion.take import Camera

SAMPLES = ("sam3d_body_subj00", "sam3d_body_subj01")
TO_GLTF = np.array([1.0, -1.0, -1.0])  # the files' points are in OpenCV's axes


@pytest.fixture(scope="module")
def model(shared):
    return load_mhr_model(shared / "mhr" / "lod3")


def _sample(shared, name: str = SAMPLES[0]) -> dict[str, np.ndarray]:
    with np.load(shared / "samples" / f"{name}.npz") as archive:
        return {key: np.asarray(archive[key], dtype=np.float64) for key in archive.files}


def _actor(motion: MhrMotion | SmplMotion, visible: np.ndarray | None = None) -> Actor:
    frames = motion.frame_count
    return Actor(3, "someone", motion, np.ones(frames, bool) if visible is None else visible, np.full(frames, 0.9, np.float32))


def _motion(sample: dict[str, np.ndarray], frames: int = 1, joints: bool = False) -> MhrMotion:
    """The person of a sample, in as many frames, walking 10 cm to the right and turning by 0.1 rad a frame."""
    step = np.arange(frames)[:, None]
    camera = sample["pred_cam_t"] * TO_GLTF + step * [0.1, 0, 0]
    params = np.tile(sample["mhr_model_params"], (frames, 1))
    params[:, 4:5] += 0.1 * step
    places = np.tile(sample["pred_joint_coords"] * TO_GLTF, (frames, 1, 1)) if joints else None
    return MhrMotion(np.tile(sample["shape_params"], (frames, 1)), camera, None if joints else params, joints_m=places)


def _times(frames: int) -> np.ndarray:
    return np.arange(frames) / 30


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("joints", [False, True], ids=["parameters", "joints"])
def test_every_joint_is_where_the_file_has_it_in_the_camera(model, shared, name, joints):
    sample = _sample(shared, name)
    performance = embody_mhr(_actor(_motion(sample, joints=joints)), np.zeros(1), model)
    truth_m = (sample["pred_joint_coords"] + sample["pred_cam_t"]) * TO_GLTF
    # The issue asks for 10 µm. Parameters are float32 of the joints' own, and the solve reaches 3e-7 a coordinate.
    np.testing.assert_allclose(performance.joints_m[0], truth_m, atol=2e-6)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_persons_joints_are_on_their_pixels(model, shared, name):
    """Where the file's own picture has hips, knees and ankles tells axes and sides without any convention."""
    sample = _sample(shared, name)
    performance = embody_mhr(_actor(_motion(sample)), np.zeros(1), model)
    keypoints = {"left_hip": 9, "right_hip": 10, "left_knee": 11, "right_knee": 12, "left_ankle": 13, "right_ankle": 14}
    pixels = sample["pred_keypoints_2d"][list(keypoints.values())]
    in_camera = (sample["pred_keypoints_3d"] + sample["pred_cam_t"])[list(keypoints.values())]
    # The lens that the file's own points and pixels imply, by least squares.
    rows = in_camera[:, :2] / in_camera[:, 2:]
    focal, centre_x, centre_y = np.linalg.lstsq(
        np.concatenate([np.column_stack([rows[:, 0], np.ones(6), np.zeros(6)]), np.column_stack([rows[:, 1], np.zeros(6), np.ones(6)])]),
        pixels.T.ravel(), rcond=None)[0]
    camera = Camera(2000, 2000, np.array([[focal, 0, centre_x], [0, focal, centre_y], [0, 0, 1]]), np.eye(4))
    joints = [performance.rig.skeleton.semantic[key] for key in keypoints]
    seen = camera.project(performance.joints_m[:, joints])[0]
    # Keypoints are stand-ins up to 3 cm from the joints, at 8 m; a person is some 500 pixels tall.
    assert np.linalg.norm(seen - pixels, axis=1).max() < 0.05 * focal / in_camera[:, 2].min()


def test_local_values_are_the_models_with_hands_scaled(model, shared):
    sample = _sample(shared)
    performance = embody_mhr(_actor(_motion(sample)), np.zeros(1), model)
    quat, translation_m, scale = model.local(sample["mhr_model_params"])
    np.testing.assert_allclose(np.abs(np.sum(performance.quat_xyzw[0] * quat, axis=-1)), 1, atol=1e-12)
    np.testing.assert_allclose(performance.translation_m[0, 1:], translation_m[1:], atol=1e-12)
    assert performance.scale is not None
    np.testing.assert_allclose(performance.scale[0], scale, atol=1e-12)
    wrists = [performance.rig.skeleton.semantic[f"{side}_wrist"] for side in ("left", "right")]
    np.testing.assert_allclose(performance.scale[0, wrists], 2.0 ** sample["mhr_model_params"][[145, 144]], atol=1e-12)
    motion = performance.to_motion()
    assert motion.local_scale is not None and motion.local_scale[0, wrists].max() < 0.95


def test_the_rig_is_the_persons_own(model, shared):
    sample = _sample(shared)
    rig = embody_mhr(_actor(_motion(sample)), np.zeros(1), model).rig
    own = model.person_rig(sample["shape_params"], sample["mhr_model_params"])
    np.testing.assert_array_equal(rig.vertices_m, own.vertices_m)
    np.testing.assert_array_equal(rig.skeleton.rest_local, own.skeleton.rest_local)


def test_gaps_are_bridged_and_marked_and_touch_no_other_frame(model, shared):
    """Frame 0 absent, 3 a NaN among the parameters, 4 without a place: held at the start, halfway between 2 and 5 inside."""
    frames, times_s = 7, np.array([0.0, 0.1, 0.2, 0.3, 0.35, 0.5, 0.6])
    whole = _motion(_sample(shared), frames)
    assert whole.model_params is not None
    visible = np.arange(frames) != 0
    params, camera = whole.model_params.copy(), whole.camera_translation_m.copy()
    params[0], params[3, 17], camera[0], camera[4] = np.nan, np.nan, np.nan, np.nan
    gappy = _actor(replace(whole, model_params=params, camera_translation_m=camera), visible)
    ours, truth = embody_mhr(gappy, times_s, model), embody_mhr(_actor(whole), times_s, model)
    seen = [1, 2, 5, 6]
    np.testing.assert_array_equal(ours.visible, np.isin(np.arange(frames), seen))
    np.testing.assert_array_equal(ours.known.all(axis=1), ours.visible)
    np.testing.assert_array_equal(ours.known.any(axis=1), ours.visible)
    np.testing.assert_allclose(ours.confidence, np.where(ours.visible, 0.9, 0), atol=1e-7)
    np.testing.assert_allclose(ours.T_world_joint[seen], truth.T_world_joint[seen], atol=1e-12)
    np.testing.assert_allclose(ours.T_world_joint[0], truth.T_world_joint[1], atol=1e-12)
    turning = Slerp([0.2, 0.5], Rotation.from_quat(truth.quat_xyzw[[2, 5], 1]))([0.3, 0.35])
    np.testing.assert_allclose((turning.inv() * Rotation.from_quat(ours.quat_xyzw[[3, 4], 1])).magnitude(), 0, atol=1e-7)
    start, end = truth.translation_m[2, 0], truth.translation_m[5, 0]
    np.testing.assert_allclose(ours.translation_m[[3, 4], 0], [start + (end - start) / 3, start + (end - start) / 2], atol=1e-12)


def test_a_steady_person_keeps_shape_and_bones_and_outliers_do_not_count(model, shared):
    sample, frames = _sample(shared), 9
    motion = _motion(sample, frames)
    assert motion.model_params is not None
    wrong = np.random.default_rng(0).normal(0, 0.3, (3, 74))
    params, shapes = motion.model_params.copy(), motion.shape_params.copy()
    params[[1, 4, 8], BODY] += wrong
    shapes[[1, 4, 8]] += 2
    actor = _actor(replace(motion, model_params=params, shape_params=shapes))
    steady, loose = embody_mhr(actor, _times(frames), model), embody_mhr(actor, _times(frames), model, steady=False)
    own = model.person_rig(sample["shape_params"], sample["mhr_model_params"])
    np.testing.assert_array_equal(steady.rig.vertices_m, own.vertices_m)
    assert np.ptp(steady.translation_m[:, 1:], axis=0).max() < 1e-12
    # What the file has for each frame is kept on request.
    np.testing.assert_allclose(loose.translation_m[4, 2:], model.local(params[4])[1][2:], atol=1e-12)
    assert np.ptp(loose.translation_m[:, 2:], axis=0).max() > 0.01


def test_joints_fill_in_where_parameters_are_missing(model, shared):
    sample, frames = _sample(shared), 3
    motion = _motion(sample, frames)
    assert motion.model_params is not None
    joints_m = model.joints_m(motion.model_params)
    params = motion.model_params.copy()
    params[1] = np.nan
    actor = _actor(replace(motion, model_params=params, joints_m=joints_m))
    person = mhr_person(actor, model)
    np.testing.assert_array_equal(person.solved, [False, True, False])
    assert person.apart_m[1] < 1e-5 and np.isnan(person.apart_m[[0, 2]]).all() and person.known.all()
    performance = embody_mhr(actor, _times(frames), model)
    assert performance.visible.all()


def test_meshes_alone_say_how_to_get_a_rig(model, shared):
    sample = _sample(shared)
    baked = MhrMotion(sample["shape_params"][None], np.zeros((1, 3)), vertices_m=sample["pred_vertices"][None].astype(np.float32))
    with pytest.raises(MissingPartError, match="found meshes alone, expected mhr_model_params or pred_joint_coords"):
        embody_mhr(_actor(baked), np.zeros(1), model)


def test_another_body_and_nothing_at_all_are_refused(model, shared):
    other = SmplMotion("smpl", np.tile([0.0, 0, 0, 1], (1, 24, 1)), np.zeros((1, 3)), np.eye(3))
    with pytest.raises(ReadError, match="found SmplMotion"):
        embody_mhr(_actor(other), np.zeros(1), model)
    motion = _motion(_sample(shared))
    with pytest.raises(ReadError, match="mhr_model_params: found no frame without NaN"):
        embody_mhr(_actor(replace(motion, model_params=np.full((1, 204), np.nan))), np.zeros(1), model)
    with pytest.raises(ReadError, match="pred_cam_t"):
        embody_mhr(_actor(replace(motion, camera_translation_m=np.full((1, 3), np.nan))), np.zeros(1), model)
