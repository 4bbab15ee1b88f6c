"""Lengths and scales of MHR skeletons from where joints are."""

from __future__ import annotations

import numpy as np
import pytest

from rigdrop.convert.mhr.mhr_lengths import KNEE_KNOCK, solve_lengths
from rigdrop.convert.mhr.mhr_tree import MhrTree
from rigdrop.convert.rigs.mhr_parameters import BODY, load_mhr_model


@pytest.fixture(scope="module")
def tree(shared):
    return MhrTree(load_mhr_model(shared / "mhr" / "lod3"))


@pytest.fixture(scope="module")
def body(shared):
    """A real person's lengths and scales (204,), the knees' knock, which no distance tells, taken out."""
    with np.load(shared / "samples" / "sam3d_body_subj00.npz") as sample:
        params = np.where(np.arange(204) < BODY.start, 0, sample["mhr_model_params"].astype(np.float64))
    params[KNEE_KNOCK] = 0
    return params


def _moving(body: np.ndarray, frames: int) -> np.ndarray:
    params = np.tile(body, (frames, 1))
    params[:, : BODY.start] = np.random.default_rng(1).normal(0, 0.5, (frames, BODY.start))
    return params


def _bones(tree: MhrTree, params: np.ndarray) -> np.ndarray:
    """Bone lengths (F,126) of the pose of all zeros: what lengths and scales come to, whichever parameter holds them."""
    rest = np.where(np.arange(204) < BODY.start, 0, params)
    joints_m = tree.model.joints_m(rest)
    return np.linalg.norm(joints_m[:, 1:] - joints_m[:, tree.model.rig.joint_parents[1:]], axis=-1)


def test_bones_and_scales_of_a_real_person_come_back_from_any_pose(tree, body):
    params = _moving(body, 5)
    found = solve_lengths(tree, tree.model.joints_m(params).astype(np.float32).astype(np.float64))
    np.testing.assert_allclose(_bones(tree, found), _bones(tree, params), atol=1e-6)  # the places are float32
    np.testing.assert_allclose(tree.model.local(found)[2], tree.model.local(params)[2], atol=1e-4)
    assert np.abs(found[:, : BODY.start]).max() == 0 and np.ptp(found, axis=0).max() == 0


def test_one_bad_frame_spoils_no_steady_body(tree, body):
    params = _moving(body, 5)
    joints_m = tree.model.joints_m(params)
    joints_m[2] += np.random.default_rng(0).normal(0, 0.05, joints_m[2].shape)
    np.testing.assert_allclose(_bones(tree, solve_lengths(tree, joints_m)), _bones(tree, params), atol=1e-6)


def test_each_frame_has_its_own_bones_on_request(tree, body):
    params = _moving(body, 4)
    params[:, 139:151] += np.random.default_rng(3).normal(0, 0.1, (4, 12))
    found = solve_lengths(tree, tree.model.joints_m(params), one_body=False)
    np.testing.assert_allclose(_bones(tree, found), _bones(tree, params), atol=1e-6)
    assert np.ptp(_bones(tree, found), axis=0).max() > 0.01
