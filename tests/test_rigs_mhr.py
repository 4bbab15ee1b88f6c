"""The Momentum Human Rig against its own TorchScript model run by torch."""

import json
import shutil
import warnings

import numpy as np
import pytest

from rigdrop.convert.rigs import load_rig
from rigdrop.convert.rigs.mhr import load_mhr
from rigdrop.errors import MissingPartError, ReadError
from rigdrop.motion.kinematics import local_to_world, skin_vertices


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "mhr" / "lod3"


@pytest.fixture(scope="module")
def rig(folder):
    return load_rig("mhr", mhr_folder=folder)


@pytest.fixture(scope="module")
def model(folder):
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would have models exported anew; Meta's is TorchScript
        return torch.jit.load(str(folder / "mhr_model.pt"))


def _run(model, parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    import torch

    with torch.no_grad():
        vertices, state = model(torch.zeros(1, 45), torch.tensor(parameters[None], dtype=torch.float32), torch.zeros(1, 72))
    return vertices[0].numpy().astype(np.float64) / 100, state[0].numpy().astype(np.float64)


def test_at_rest_vertices_and_joints_are_the_models(rig, model):
    vertices_m, state = _run(model, np.zeros(204))
    # The model's float32 in centimetres: 1e-5 cm a step, a few steps along the tree.
    np.testing.assert_allclose(rig.vertices_m, vertices_m, atol=2e-6)
    np.testing.assert_allclose(rig.bind_world[:, :3, 3], state[:, :3] / 100, atol=1e-5)
    np.testing.assert_allclose(skin_vertices(rig, rig.bind_world[None])[0], rig.vertices_m, atol=1e-6)


def test_posed_by_the_models_joints_our_skinning_gives_its_vertices(rig, model):
    """The test data's pose correctives are zero, so skinning must be all that moves the mesh."""
    from scipy.spatial.transform import Rotation

    parameters = np.zeros(204)
    parameters[3:30] = np.random.default_rng(3).normal(0, 0.25, 27)
    vertices_m, state = _run(model, parameters)
    T_world_joint = np.tile(np.eye(4), (127, 1, 1))
    T_world_joint[:, :3, :3] = Rotation.from_quat(state[:, 3:7]).as_matrix() * state[:, 7, None, None]
    T_world_joint[:, :3, 3] = state[:, :3] / 100
    assert np.abs(vertices_m - rig.vertices_m).max() > 0.1
    np.testing.assert_allclose(skin_vertices(rig, T_world_joint[None])[0], vertices_m, atol=1e-5)


def test_the_skeleton_is_the_released_one(rig, shared):
    known = json.loads((shared / "mhr" / "mhr_skeleton.json").read_text())
    assert list(rig.joint_names) == known["joint_names"] and rig.joint_parents.tolist() == known["joint_parents"]
    # The listing keeps five digits of centimetres.
    np.testing.assert_allclose(rig.bind_world[:, :3, 3] * 100, known["rest_world_positions_cm"], atol=1e-4)
    np.testing.assert_allclose(local_to_world(rig.joint_parents, rig.skeleton.rest_local), rig.bind_world, atol=1e-12)


def test_it_stands_facing_z_with_its_left_at_x(rig):
    heads = {key: rig.bind_world[joint, :3, 3] for key, joint in rig.skeleton.semantic.items()}
    assert rig.vertices_m[:, 1].min() == pytest.approx(0, abs=1e-3) and 1.7 < rig.vertices_m[:, 1].max() < 1.75
    assert rig.vertices_m[rig.vertices_m[:, 1] > heads["head"][1], 2].max() > heads["head"][2] + 0.08
    for key, position in heads.items():
        if key.startswith("left_"):
            assert position[0] > 0.02
            np.testing.assert_allclose(position * [-1, 1, 1], heads[key.replace("left", "right")], atol=1e-4)
    below = rig.joint_parents[rig.skeleton.semantic["left_index_mcp"]]
    assert below == rig.skeleton.semantic["left_wrist"]  # fingers hang under the wrist that is driven


def test_weights_and_faces(rig):
    assert rig.skin_joints.shape == (4899, 4) and rig.faces.shape == (9794, 3)
    np.testing.assert_allclose(rig.skin_weights.sum(axis=1, dtype=np.float64), 1, atol=1e-6)
    assert len(np.unique(rig.skin_joints[rig.skin_weights > 0])) == 100  # of 127 joints, as the release says
    assert np.linalg.det(rig.vertices_m[rig.faces].astype(np.float64)).sum() / 6 > 0.05


def test_the_folder_may_be_named_by_the_environment(folder, monkeypatch, rig):
    monkeypatch.setenv("RIGDROP_MHR", str(folder))
    assert load_rig("mhr").joint_names == rig.joint_names


def test_a_folder_without_the_model_says_what_is_missing(tmp_path):
    with pytest.raises(MissingPartError, match=r"mhr_model\.pt: found no such file"):
        load_mhr(tmp_path)


@pytest.mark.parametrize("damage", ["text", "truncated"])
def test_a_file_that_is_no_model_is_a_read_error(tmp_path, folder, damage):
    path = tmp_path / "mhr_model.pt"
    if damage == "text":
        path.write_text("not a model")
    else:
        shutil.copyfile(folder / "mhr_model.pt", path)
        path.write_bytes(path.read_bytes()[:4_000_000])
    with pytest.raises(ReadError, match="found no MHR model"):
        load_mhr(tmp_path)
