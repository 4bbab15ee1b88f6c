"""MHR's parameters against its TorchScript model run by torch, tables written independently, and real SAM 3D Body output."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rigdrop.convert.performance import rest_performance
from rigdrop.convert.rigs.mhr import read_mhr
from rigdrop.convert.rigs.mhr_parameters import BODY, load_mhr_model, model_of
from rigdrop.errors import MissingPartError, ReadError
from rigdrop.motion.kinematics import local_matrices, local_to_world, skin_vertices

SAMPLES = ("sam3d_body_subj00", "sam3d_body_subj01")
TO_MODEL = np.array([1.0, -1.0, -1.0])  # the files' points are in OpenCV's axes


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "mhr" / "lod3"


@pytest.fixture(scope="module")
def model(folder):
    return load_mhr_model(folder)


@pytest.fixture(scope="module")
def known(shared):
    return json.loads((shared / "mhr" / "mhr_skeleton.json").read_text())


@pytest.fixture(scope="module")
def forward(folder) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Meta's own code: vertices (V,3) and joint states (127,8), metres, for a shape and parameters."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would have models exported anew; Meta's is TorchScript
        script = torch.jit.load(str(folder / "mhr_model.pt")).double()

    def run(shape: np.ndarray, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            vertices, state = script(torch.tensor(shape[None]), torch.tensor(parameters[None]), torch.zeros(1, 72, dtype=torch.float64))
        return vertices[0].numpy() / 100, state[0].numpy() * ([0.01] * 3 + [1.0] * 5)

    return run


def _sample(shared, name: str) -> dict[str, np.ndarray]:
    with np.load(shared / "samples" / f"{name}.npz") as archive:
        return {key: np.asarray(archive[key], dtype=np.float64) for key in archive.files}


def _random_body(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A shape and parameters: any place and heading, joints turned by up to two radians, lengths and scales changed."""
    rng = np.random.default_rng(seed)
    parameters = rng.normal(0, 0.5, 204)
    parameters[:3], parameters[BODY] = rng.normal(0, 5, 3), rng.normal(0, 0.2, 74)
    return rng.normal(0, 1, 45), parameters


@pytest.mark.parametrize("seed", range(4))
def test_joints_and_vertices_are_those_of_metas_code(model, forward, seed):
    shape, parameters = _random_body(seed)
    vertices_m, state = forward(shape, parameters)
    T_world_joint = local_to_world(model.rig.joint_parents, local_matrices(*model.local(parameters)))
    # Both in double precision, of the file's float32 tables: pre-rotations are unit within 4e-8, over a chain of 2 m.
    np.testing.assert_allclose(T_world_joint[:, :3, 3], state[:, :3], atol=2e-6)
    np.testing.assert_allclose(np.cbrt(np.linalg.det(T_world_joint[:, :3, :3])), state[:, 7], atol=2e-6)
    skinned = skin_vertices(model.person_rig(shape, parameters), T_world_joint[None])[0]
    # Its pose correctives are zero, so skinning must be all; weights are rounded to sums of 1, which moves a micrometre.
    np.testing.assert_allclose(skinned, vertices_m, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLES)
def test_real_parameters_give_the_files_joints(model, shared, name):
    sample = _sample(shared, name)
    # The issue asks for 10 µm; float32 of the file is worth 0.1 µm, times a few along the tree.
    np.testing.assert_allclose(model.joints_m(sample["mhr_model_params"]), sample["pred_joint_coords"] * TO_MODEL, atol=1e-6)


@pytest.mark.parametrize("name", SAMPLES)
def test_real_people_are_skinned_down_to_the_models_floor(model, shared, name):
    """``pred_vertices`` has pose correctives and the rig hasn't: 2.6 to 4.1 mm in the mean is what they amount to."""
    sample = _sample(shared, name)
    with np.load(shared / "mhr" / "lod1_to_lod3_mapping.npz") as mapping:
        corners = np.load(shared / "mhr" / "mhr_faces_lod1.npy")[mapping["triangle_ids"]]
        truth = np.einsum("vk,vkc->vc", mapping["baryc_coords"], sample["pred_vertices"][corners]) * TO_MODEL
    rig = model.person_rig(sample["shape_params"], sample["mhr_model_params"])
    T_world_joint = local_to_world(rig.joint_parents, local_matrices(*model.local(sample["mhr_model_params"])))
    apart_mm = 1000 * np.linalg.norm(skin_vertices(rig, T_world_joint[None])[0] - truth, axis=1)
    assert 2.5 < apart_mm.mean() < 4.2 and np.median(apart_mm) < 1.0 and apart_mm.max() < 60
    # In the default shape it would be far more.
    default_mm = 1000 * np.linalg.norm(skin_vertices(model.rig, T_world_joint[None])[0] - truth, axis=1)
    assert np.median(default_mm) > 3 * np.median(apart_mm)


def test_the_parameter_transform_is_the_released_one(model, known):
    table = np.zeros((127, 7, 204))
    channels = ["tx", "ty", "tz", "rx", "ry", "rz", "sc"]
    for parameter, name in enumerate(known["parameter_names"]):
        for joint, channel, weight in known["parameter_transform_sparse"][name]:
            table[known["joint_names"].index(joint), channels.index(channel), parameter] = weight
    table[:, :3] /= 100
    np.testing.assert_allclose(model.transform, table, atol=1e-7)  # float32 against six digits
    np.testing.assert_allclose(model.offsets_m * 100, known["joint_offsets_cm"], atol=1e-5)


def test_lengths_and_scales_are_the_parameters_from_130_on(known):
    names = known["parameter_names"]
    assert [name for name in names if name.endswith("_length_flexible") or name.endswith("_width_flexible")] == names[130:136]
    assert all(name.startswith("scale_") for name in names[136:]) and not any(name.startswith("scale_") for name in names[:136])
    assert (BODY.start, BODY.stop) == (130, len(names))


def test_a_person_rests_in_the_models_pose_with_their_own_lengths(model, forward):
    shape, parameters = _random_body(9)
    rig = model.person_rig(shape, parameters)
    standing = np.where(np.arange(204) < 130, 0, parameters)
    _, state = forward(shape, standing)
    rest = rest_performance(rig, np.zeros(1))
    np.testing.assert_allclose(rest.joints_m[0], state[:, :3], atol=2e-6)
    wrist = rig.skeleton.semantic["left_wrist"]
    assert rest.scale is not None and rest.scale[0, wrist] == pytest.approx(2 ** parameters[145])  # scale_l_hands
    np.testing.assert_array_equal(rig.bind_world, model.rig.bind_world)
    assert rig.vertices_m.shape == (4899, 3) and np.abs(rig.vertices_m - model.rig.vertices_m).max() > 0.01
    assert rig.joint_names == model.rig.joint_names and rig.skin_weights is model.rig.skin_weights


def test_clips_come_out_frame_by_frame_as_single_frames_do(model):
    parameters = np.stack([_random_body(seed)[1] for seed in range(5)])
    for whole, single in zip(model.local(parameters), zip(*(model.local(frame) for frame in parameters), strict=True), strict=True):
        np.testing.assert_allclose(whole, np.stack(single), atol=1e-12)
    quat, translation_m, scale = model.local(parameters)
    assert (quat.shape, translation_m.shape, scale.shape) == ((5, 127, 4), (5, 127, 3), (5, 127))
    np.testing.assert_allclose(np.linalg.norm(quat, axis=-1), 1, atol=1e-12)


def test_a_folder_without_the_model_says_how_to_name_one(tmp_path):
    with pytest.raises(MissingPartError, match="--mhr DIR or RIGDROP_MHR"):
        load_mhr_model(tmp_path)


@pytest.mark.parametrize(("damage", "message"), [
    ({"parameter_transform": np.zeros((889, 200))}, r"parameter_transform: found \(889, 200\), expected \(889, 204 or more\)"),
    ({"shape_vectors": np.zeros((44, 4899, 3), np.float32)}, r"shape_vectors: found \(44, 4899, 3\), expected \(45, 4899, 3\)"),
    ({"expression_vectors": np.zeros((72, 10, 3), np.float32)}, r"expression_vectors: found \(72, 10, 3\), expected \(72, 4899, 3\)"),
])
def test_a_model_of_other_sizes_is_refused(folder, damage, message):
    with pytest.raises(ReadError, match=message):
        model_of(replace(read_mhr(folder), **damage))
