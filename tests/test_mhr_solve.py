"""MHR's parameters from joints alone: of real SAM 3D Body output, and of poses and bodies that were made up."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rigdrop.convert.mhr.mhr_solve import EXACT_M, solve_parameters
from rigdrop.convert.rigs.mhr_parameters import BODY, load_mhr_model
from rigdrop.motion.kinematics import local_matrices, local_to_world, skin_vertices

TO_MODEL = np.array([1.0, -1.0, -1.0])
KNEE_KNOCK = 151


@pytest.fixture(scope="module")
def model(shared):
    return load_mhr_model(shared / "mhr" / "lod3")


@pytest.fixture(scope="module")
def samples(shared):
    names = ("sam3d_body_subj00", "sam3d_body_subj01")
    return [{key: np.asarray(value, np.float64) for key, value in np.load(shared / "samples" / f"{name}.npz").items()} for name in names]


@pytest.fixture(scope="module")
def limits(shared):
    """Lowest and highest angle (2,204) of every parameter, as released; lengths and scales 0."""
    table = json.loads((shared / "mhr" / "mhr_skeleton.json").read_text())
    listed = table["parameter_limits_minmax_weight"]
    bounds = np.array([listed.get(name, (0, 0, 0))[:2] for name in table["parameter_names"]], float).T
    bounds[:, BODY] = 0
    return bounds


def _clip(model, sample, frames: int) -> np.ndarray:
    """Parameters (F,204) of a clip that begins in a real pose: angles swing by 20°, tarsal bones' apart; the body turns right round."""
    phase = np.random.default_rng(1).uniform(0, 6, 119)
    parameters = np.tile(sample["mhr_model_params"], (frames, 1))
    time_s = np.arange(frames)[:, None] / 30
    parameters[:, 3:122] += 0.35 * (np.sin(4 * time_s + phase) - np.sin(phase))
    parameters[:, 4] += np.linspace(0, 2 * np.pi, frames)
    parameters[:, :3] += np.column_stack([np.sin(time_s), np.cos(time_s), time_s])
    return parameters


@pytest.mark.parametrize("one_body", [True, False])
def test_real_joints_are_met_within_micrometres(model, samples, one_body):
    for sample in samples:
        joints_m = (sample["pred_joint_coords"] * TO_MODEL)[None]
        solved = solve_parameters(model, joints_m, one_body)
        apart = np.linalg.norm(model.joints_m(solved.model_params) - joints_m, axis=-1).max(axis=1)
        assert apart[0] < 2e-6  # the files' own rounding is 1e-7, and the solve stops at three of it a coordinate
        np.testing.assert_allclose(solved.apart_m, apart, atol=1e-9)


def test_the_mesh_follows_where_joints_tell_how_it_turns(model, samples):
    """Toes and the share of collarbone and upper arm in a twist no joint tells; all else is as from the real parameters."""
    for sample in samples:
        solved = solve_parameters(model, (sample["pred_joint_coords"] * TO_MODEL)[None])
        rig = model.person_rig(sample["shape_params"], sample["mhr_model_params"])
        pair = np.stack([solved.model_params[0], sample["mhr_model_params"]])
        ours, truth = skin_vertices(rig, local_to_world(rig.joint_parents, local_matrices(*model.local(pair))))
        apart_mm = 1000 * np.linalg.norm(ours - truth, axis=1)
        assert np.median(apart_mm) < 0.01 and apart_mm.mean() < 1.2 and apart_mm.max() < 35


def test_a_clip_is_solved_frame_by_frame_with_one_body(model, samples):
    truth = _clip(model, samples[0], 16)
    joints_m = model.joints_m(truth).astype(np.float32)
    solved = solve_parameters(model, joints_m)
    assert solved.apart_m.max() < EXACT_M
    assert np.ptp(solved.model_params[:, BODY], axis=0).max() == 0
    # Wrists scale their hands: what the lengths stand for is unique, though the parameters aren't.
    np.testing.assert_allclose(model.local(solved.model_params)[2], model.local(truth)[2], atol=1e-4)
    still = np.where(np.arange(204) < 3, truth, 0)
    np.testing.assert_allclose(solved.model_params[:, :3], still[:, :3], atol=1e-5)  # decimetres


def test_limbs_that_swing_through_straight_do_not_flip(model, samples):
    """A straight arm has two ways to bend, half a turn of the upper arm apart: both meet the joints, one pops."""
    truth = _clip(model, samples[1], 60)[10:22]  # solved frame by frame, six of these pop by half a turn
    solved = solve_parameters(model, model.joints_m(truth).astype(np.float32))
    ours, theirs = (model.local(params)[0] for params in (solved.model_params, truth))
    turned, real = (2 * np.arccos(np.clip(np.abs(np.sum(quat[1:] * quat[:-1], axis=-1)), 0, 1)).max() for quat in (ours, theirs))
    assert solved.apart_m.max() < EXACT_M and turned < 0.5 and real < 0.2


def test_bodies_that_change_from_frame_to_frame_are_met_one_by_one(model, samples):
    truth = _clip(model, samples[1], 3)
    truth[:, 139:151] += np.random.default_rng(2).normal(0, 0.05, (3, 12))
    joints_m = model.joints_m(truth)
    assert solve_parameters(model, joints_m, one_body=False).apart_m.max() < EXACT_M
    assert solve_parameters(model, joints_m, one_body=True).apart_m.max() > 1e-3  # held to one body, they can't be


def test_poses_anywhere_within_the_joints_limits_are_found(model, samples, limits):
    rng, frames = np.random.default_rng(0), 11
    low, high = limits
    parameters = rng.uniform(low, high, (frames, 204))
    parameters[:, 3:6] = rng.uniform(-3, 3, (frames, 3))
    parameters[:, BODY] = samples[1]["mhr_model_params"][BODY]
    # Each by itself: these are no clip, in which a neighbour could help.
    apart_m = np.array([solve_parameters(model, joints_m[None]).apart_m[0] for joints_m in model.joints_m(parameters)])
    # A few in a hundred of these contortions end with an ankle turned over, tenths of a millimetre off.
    assert (apart_m < EXACT_M).mean() > 0.9 and np.median(apart_m) < 2e-6


def test_elbows_and_knees_bend_forward_with_twists_that_people_have(model, samples):
    truth = _clip(model, samples[0], 6)
    names = model.rig.joint_names
    truth[:, 130:136] = 0
    hinges = {36: "r_lowarm", 46: "l_lowarm", 53: "r_lowleg", 62: "l_lowleg"}
    truth[:, list(hinges)] = np.linspace(0.3, 2.0, 6)[:, None]
    solved = solve_parameters(model, model.joints_m(truth)).model_params
    for parameter, name in hinges.items():
        bend = model.joint_parameters(solved)[:, names.index(name), 5]
        # Knee knock, which no joint tells, is 0.3° in the truth and 0 in what was found.
        np.testing.assert_allclose(bend, truth[:, parameter], atol=0.02)


def test_frames_with_a_gap_stay_unknown_and_change_no_other(model, samples):
    joints_m = model.joints_m(_clip(model, samples[0], 4))
    whole = solve_parameters(model, joints_m)
    joints_m[2, 77, 1] = np.nan
    with_gap = solve_parameters(model, joints_m)
    assert np.isnan(with_gap.model_params[2]).all() and np.isnan(with_gap.apart_m[2])
    others = [0, 1, 3]
    np.testing.assert_allclose(model.joints_m(with_gap.model_params[others]), model.joints_m(whole.model_params[others]), atol=2 * EXACT_M)


def test_nothing_known_gives_nothing(model):
    solved = solve_parameters(model, np.full((3, 127, 3), np.nan))
    assert np.isnan(solved.model_params).all() and np.isnan(solved.apart_m).all()
