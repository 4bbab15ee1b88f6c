"""Rotations that the refinement of the hands left behind: in real files, planted, and where there is nothing to say."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.mhr.stale_rotations import stale_rotations
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model
from rigdrop.ingest.recording import Actor, MhrMotion, SmplMotion


@pytest.fixture(scope="module")
def model(shared):
    return load_mhr_model(shared / "mhr" / "lod3")


def _params(shared, frames: int) -> np.ndarray:
    """A real person, whose limbs swing from frame to frame."""
    params = np.load(shared / "samples" / "sam3d_body_subj00.npz")["mhr_model_params"].astype(np.float64)
    swing = np.zeros((frames, 204))
    swing[:, 3:130] = 0.2 * np.random.default_rng(4).normal(size=(frames, 127))
    return params + swing


def _own_rotations(shared, params: np.ndarray) -> np.ndarray:
    """World rotations (F,127,3,3) of the joints by the model's own code."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would have models exported anew; Meta's is TorchScript
        forward = torch.jit.load(str(shared / "mhr" / "lod3" / "mhr_model.pt"))
    with torch.no_grad():
        state = forward(torch.zeros(len(params), 45), torch.tensor(params, dtype=torch.float32))[1].numpy()
    return Rotation.from_quat(state[..., 3:7].reshape(-1, 4)).as_matrix().reshape(len(params), 127, 3, 3).astype(np.float32)


def _actor(params: np.ndarray, rotations: np.ndarray | None, visible: np.ndarray | None = None) -> Actor:
    frames = len(params)
    motion = MhrMotion(np.zeros((frames, 45)), np.zeros((frames, 3)), params, global_rotations=rotations)
    return Actor(1, "Person 1", motion, np.ones(frames, bool) if visible is None else visible, np.ones(frames, np.float32))


@pytest.mark.parametrize(("name", "worst"), [("sam3d_body_subj00", "129.9"), ("sam3d_body_subj01", "76.4")])
def test_real_files_have_28_stale_joints(model, shared, name, worst):
    """The figures of upstream's issue 139: up to 28 of 127 joints, by up to 130°."""
    sample = np.load(shared / "samples" / f"{name}.npz")
    said = stale_rotations(_actor(sample["mhr_model_params"][None].astype(np.float64), sample["pred_global_rots"][None]), model)
    assert said == ("Person 1: pred_global_rots: found up to 28 of 127 joints more than 1° off what mhr_model_params say, "
                    f"in 1 of 1 frames, {worst}° at most; took mhr_model_params")


def test_rotations_of_the_models_own_code_are_not_stale(model, shared):
    params = _params(shared, 5)
    assert stale_rotations(_actor(params, _own_rotations(shared, params)), model) == ""


def test_planted_turns_are_counted(model, shared):
    few, rng = _params(shared, 3), np.random.default_rng(0)
    params, rotations = np.tile(few, (100, 1)), np.tile(_own_rotations(shared, few), (100, 1, 1, 1))
    # By 0.5° nobody would notice; by 3° two joints of frame 1, by 40° one of frame 280, by 180° one of frame 299.
    for frame, joint, degrees in [(0, 5, 0.5), (1, 9, 3), (1, 126, 3), (280, 77, 40), (299, 1, 180)]:
        axis = rng.normal(size=3)
        turn = Rotation.from_rotvec(np.radians(degrees) * axis / np.linalg.norm(axis)).as_matrix()
        rotations[frame, joint] = rotations[frame, joint] @ turn
    said = stale_rotations(_actor(params, rotations), model)
    assert "found up to 2 of 127 joints" in said and "in 3 of 300 frames, 180.0° at most" in said


def test_what_is_absent_or_not_finite_says_nothing(model, shared):
    params = _params(shared, 4)
    rotations = np.tile(np.eye(3, dtype=np.float32), (4, 127, 1, 1))
    visible = np.array([False, True, True, True])
    params[1, 60], rotations[2, 3, 0, 0] = np.nan, np.nan
    assert "in 1 of 3 frames" in stale_rotations(_actor(params, rotations, visible), model)
    assert stale_rotations(_actor(params[:3], rotations[:3], visible[:3]), model) == ""


def test_files_without_both_say_nothing(model, shared):
    params = _params(shared, 1)
    whole = _actor(params, np.tile(np.eye(3, dtype=np.float32), (1, 127, 1, 1)))
    assert stale_rotations(_actor(params, None), model) == ""
    solved = replace(whole, motion=replace(whole.motion, model_params=None, joints_m=np.zeros((1, 127, 3))))
    assert stale_rotations(solved, model) == ""
    smpl = SmplMotion("smpl", np.tile([0.0, 0, 0, 1], (1, 24, 1)), np.zeros((1, 3)), np.eye(3))
    assert stale_rotations(replace(whole, motion=smpl), model) == ""
