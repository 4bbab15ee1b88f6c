"""SMPL motion on somebody's own body, against SMPL's formula written out; the way from a file is in test_amass_end_to_end."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.embody_own import embody_own
from rigdrop.errors import MissingPartError, RigdropError
from rigdrop.ingest.recording import Actor, MhrMotion, SmplMotion
from rigdrop.motion.kinematics import skin_vertices

from .smpl_files import made_up_model, moves, save_model, smpl_formula

FRAMES = 12
TIMES_S = np.arange(FRAMES) / 30
BETAS = np.random.default_rng(2).normal(0, 1.0, 16)


def _actor(motion) -> Actor:
    return Actor(0, "somebody", motion, np.ones(FRAMES, bool), np.ones(FRAMES, np.float32))


def _motion(model: str, gender: str = "male") -> tuple[SmplMotion, np.ndarray, np.ndarray]:
    rotvec, trans_m = moves(model, FRAMES)
    quat = Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_quat().reshape(FRAMES, -1, 4)
    return SmplMotion(model, quat, trans_m, np.eye(3), BETAS, gender), rotvec, trans_m  # type: ignore[arg-type]


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
def test_joints_and_mesh_are_the_persons_and_the_rig_stands_on_the_ground(tmp_path, model):
    arrays = made_up_model(model)
    save_model(tmp_path / "bodies" / f"{model.upper()}_MALE.npz", arrays)
    motion, rotvec, trans_m = _motion(model)
    performance, figures = embody_own(_actor(motion), TIMES_S, tmp_path)
    joints, vertices = smpl_formula(arrays, BETAS, rotvec, trans_m)
    # Doubles along ten joints; 0.001 mm is asked for.
    assert 1000 * np.linalg.norm(performance.joints_m - joints, axis=-1).max() < 1e-9
    # Vertices and weights are kept in single precision: 1e-7 of two metres; 0.01 mm is asked for.
    assert 1000 * np.linalg.norm(skin_vertices(performance.rig, performance.T_world_joint) - vertices, axis=-1).max() < 0.001
    assert abs(performance.rig.vertices_m[:, 1].min()) < 1e-6
    assert performance.known.all()
    own = 1000 * np.linalg.norm(smpl_formula(arrays, BETAS, rotvec, trans_m, correctives=True)[1] - vertices, axis=-1)
    assert figures["from_the_models_mesh_mm"]["mean"] == pytest.approx(own.mean(), abs=5e-4)
    assert figures["weights_left_out_mm"]["max"] < 0.001
    assert (figures["file"], figures["model"], figures["gender"]) == (f"bodies/{model.upper()}_MALE.npz", model, "male")
    json.dumps(figures)  # they go into reports


def test_a_body_whose_origin_is_at_its_feet_stands_where_the_model_has_it_too(tmp_path):
    """Only the official models' pelvis is known to be below their origin; the way of knowing must not rest on it."""
    arrays = made_up_model("smplh")
    arrays["v_template"] = arrays["v_template"] + [0, 1.4, 0]
    save_model(tmp_path / "SMPLH_MALE.npz", arrays)
    motion, rotvec, trans_m = _motion("smplh")
    performance, _ = embody_own(_actor(motion), TIMES_S, tmp_path)
    assert 1000 * np.linalg.norm(performance.joints_m - smpl_formula(arrays, BETAS, rotvec, trans_m)[0], axis=-1).max() < 1e-9


def test_a_file_without_betas_has_the_mean_body(tmp_path):
    arrays = made_up_model("smplx")
    del arrays["posedirs"]
    save_model(tmp_path / "SMPLX_NEUTRAL.npz", arrays)
    motion, rotvec, trans_m = _motion("smplx", "neutral")
    bare = SmplMotion("smplx", motion.quat_xyzw, trans_m, np.eye(3))
    performance, figures = embody_own(_actor(bare), TIMES_S, tmp_path)
    assert 1000 * np.linalg.norm(performance.joints_m - smpl_formula(arrays, np.zeros(0), rotvec, trans_m)[0], axis=-1).max() < 1e-9
    assert figures["from_the_models_mesh_mm"] is None


def test_what_is_missing_or_is_no_smpl_motion_is_an_error(tmp_path):
    with pytest.raises(MissingPartError, match=r"found no SMPL-H model \(female\)"):
        embody_own(_actor(_motion("smplh", "female")[0]), TIMES_S, tmp_path)
    mhr = MhrMotion(np.zeros((FRAMES, 45)), np.zeros((FRAMES, 3)), np.zeros((FRAMES, 204)))
    with pytest.raises(RigdropError, match="found MhrMotion, expected the motion of an SMPL body"):
        embody_own(_actor(mhr), TIMES_S, tmp_path)
