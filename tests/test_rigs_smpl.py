"""A person's own SMPL rig, driven by `embody_smpl`, against SMPL's formula written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.embody_smpl import embody_smpl
from rigdrop.convert.rigs.smpl import load_smpl, load_smpl_model, stood
from rigdrop.convert.rigs.smpl_options import SmplOptions
from rigdrop.errors import MissingPartError
from rigdrop.ingest.recording import Actor, SmplMotion
from rigdrop.motion.kinematics import skin_vertices
from rigdrop.motion.smpl_joints import JOINT_NAMES

from .smpl_files import made_up_model, moves, save_model, smpl_formula

FRAMES = 10
TIMES_S = np.arange(FRAMES) / 30
MODELS = ["smpl", "smplh", "smplx"]
BETAS = np.random.default_rng(2).normal(0, 1.0, 16)


def _folder(tmp_path: Path, model: str, gender: str = "male", **choices: int):
    arrays = made_up_model(model, **choices)
    save_model(tmp_path / f"{model.upper()}_{gender.upper()}.npz", arrays)
    return arrays


def _actor(model: str) -> tuple[Actor, np.ndarray, np.ndarray]:
    rotvec, trans_m = moves(model, FRAMES)
    quat = Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_quat().reshape(FRAMES, -1, 4)
    motion = SmplMotion(model, quat, trans_m, np.eye(3))  # type: ignore[arg-type]
    return Actor(0, "somebody", motion, np.ones(FRAMES, bool), np.ones(FRAMES, np.float32)), rotvec, trans_m


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [0, 4, 10, 16])
def test_the_rig_moves_as_smpls_formula_says(tmp_path, model, count):
    arrays = _folder(tmp_path, model)
    actor, rotvec, trans_m = _actor(model)
    joints, vertices = smpl_formula(arrays, BETAS[:count], rotvec, trans_m)
    performance = embody_smpl(actor, TIMES_S, load_smpl(tmp_path, model, "male", BETAS[:count] if count else None))
    # Doubles along ten joints; 0.001 mm is asked for.
    assert 1000 * np.linalg.norm(performance.joints_m - joints, axis=-1).max() < 1e-9
    # Vertices and weights are kept in single precision: 1e-7 of two metres; 0.01 mm is asked for.
    assert 1000 * np.linalg.norm(skin_vertices(performance.rig, performance.T_world_joint) - vertices, axis=-1).max() < 0.001


@pytest.mark.parametrize("model", MODELS)
def test_at_rest_it_is_the_person_in_a_t_pose(tmp_path, model):
    arrays = _folder(tmp_path, model)
    rig = load_smpl(tmp_path, model, "male", BETAS)
    shaped = arrays["v_template"] + sum(BETAS[number] * arrays["shapedirs"][:, :, number] for number in range(16))
    np.testing.assert_allclose(rig.vertices_m, shaped, atol=1e-7)  # single precision
    np.testing.assert_allclose(rig.bind_world[:, :3, 3], arrays["J_regressor"] @ shaped, atol=1e-12)
    np.testing.assert_array_equal(rig.bind_world[:, :3, :3], np.tile(np.eye(3), (len(JOINT_NAMES[model]), 1, 1)))
    np.testing.assert_array_equal(rig.faces, arrays["f"])
    assert rig.joint_names == JOINT_NAMES[model]
    # Boxes: a corner's normal looks away from the middle of its box.
    middles = np.repeat(rig.vertices_m.reshape(-1, 8, 3).mean(axis=1), 8, axis=0)
    assert (np.sum(rig.normals * (rig.vertices_m - middles), axis=1) > 0).all()


def test_joints_mean_what_their_names_say(tmp_path):
    _folder(tmp_path, "smplx")
    rig = load_smpl(tmp_path, "smplx", "male", None)
    for meaning, name in {"pelvis": "pelvis", "spine_2": "spine2", "left_clavicle": "left_collar", "right_wrist": "right_wrist",
                          "left_thumb_ip": "left_thumb3", "right_pinky_mcp": "right_pinky1"}.items():
        assert rig.joint_names[rig.skeleton.semantic[meaning]] == name
    assert len(rig.skeleton.semantic) == 52  # 22 of the body, 30 of the fingers; jaw and eyes have no meaning


def test_betas_that_the_model_lacks_are_left_out_with_a_warning(tmp_path):
    _folder(tmp_path, "smplx", shapes=20)
    model = load_smpl_model(tmp_path, "smplx", "male")
    with pytest.warns(UserWarning, match=r"SMPLX_MALE\.npz: shapedirs: found 10 shapes, and a motion with 16 betas; took the first 10"):
        rig = model.person_rig(BETAS)
    np.testing.assert_array_equal(rig.vertices_m, model.person_rig(BETAS[:10]).vertices_m)
    padded = np.concatenate([BETAS[:10], np.zeros(6)])  # zeros beyond the model's say nothing, so nobody is warned
    np.testing.assert_array_equal(rig.vertices_m, model.person_rig(padded).vertices_m)


def test_neutral_stands_in_for_a_gender_that_the_folder_lacks_with_a_warning(tmp_path):
    _folder(tmp_path, "smplh", "neutral")
    with pytest.warns(UserWarning, match=r"found no female smplh model, took SMPLH_NEUTRAL\.npz: it has betas of its own"):
        rig = load_smpl(tmp_path, "smplh", "female", None)
    np.testing.assert_array_equal(rig.vertices_m, load_smpl(tmp_path, "smplh", "neutral", None).vertices_m)


def test_each_gender_has_its_own_body(tmp_path):
    _folder(tmp_path, "smplh", "male", seed=1)
    _folder(tmp_path, "smplh", "female", seed=2)
    male, female = (load_smpl(tmp_path, "smplh", gender, None) for gender in ("male", "female"))
    assert np.abs(male.vertices_m - female.vertices_m).max() > 0.001


def test_a_vertex_hangs_on_eight_joints_at_most(tmp_path):
    arrays = _folder(tmp_path, "smplx", influences=12)
    rig = load_smpl(tmp_path, "smplx", "male", None)
    assert rig.skin_joints.shape == (440, 8)
    strongest = np.sort(arrays["weights"], axis=1)[:, :-9:-1]
    np.testing.assert_allclose(rig.skin_weights, strongest / strongest.sum(axis=1, keepdims=True), atol=1e-7)


def test_stood_on_the_ground_it_keeps_its_bones_and_its_mesh(tmp_path):
    _folder(tmp_path, "smplx")
    rig = load_smpl(tmp_path, "smplx", "male", BETAS)
    ground = stood(rig)
    lift = [0, -rig.vertices_m[:, 1].min(), 0]
    assert abs(ground.vertices_m[:, 1].min()) < 1e-7 and lift[1] > 1
    np.testing.assert_allclose(ground.vertices_m, rig.vertices_m + lift, atol=2e-7)
    np.testing.assert_allclose(ground.bind_world[:, :3, 3], rig.bind_world[:, :3, 3] + lift, atol=1e-7)
    np.testing.assert_allclose(ground.skeleton.rest_local[1:], rig.skeleton.rest_local[1:], atol=1e-12)


def test_without_the_option_there_is_no_folder(tmp_path):
    assert SmplOptions().smpl is None
    with pytest.raises(MissingPartError, match="found no SMPL-X model"):
        load_smpl(tmp_path, "smplx", "male", None)
