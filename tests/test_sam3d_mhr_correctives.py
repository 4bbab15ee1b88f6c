from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import ptloader
import pytest
import torch
from torch import nn

from rigdrop.ingest.pose.sam3d_body.conversions import turn
from rigdrop.ingest.pose.sam3d_body.mhr import Keypoints, Mhr
from rigdrop.ingest.pose.sam3d_body.mhr_correctives import Bends, CorrectiveArrays, read_correctives

from .sam3d_fixture import recorded_network  # noqa: F401

HIDDEN = 30


def _made_up(vertices: int, joints: int = 127) -> CorrectiveArrays:
    rng = np.random.default_rng(1)
    hidden = rng.normal(0, 0.3, (HIDDEN, 6 * (joints - 2))).astype(np.float32)
    return CorrectiveArrays(hidden, rng.normal(0, 0.05, (3 * vertices, HIDDEN)).astype(np.float32))


def _pose() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, 204, generator=generator) * 0.3, torch.randn(2, 45, generator=generator)


def test_a_body_that_does_not_bend_is_not_corrected():
    bends = Bends(_made_up(5))
    turns = torch.eye(3).expand(1, 127, 3, 3).clone()
    assert not bends(turns).any()
    turns[:, :2] = turn(torch.tensor(1.0), 0)  # where the body stands and how it is turned
    assert not bends(turns).any()


def test_units_answer_to_the_first_two_columns_of_each_joint_s_turn():
    arrays = _made_up(5)
    turns = torch.eye(3).expand(1, 127, 3, 3).clone()
    turns[0, 4] = turn(torch.tensor(0.5), 2)
    columns = np.array([np.cos(0.5) - 1, np.sin(0.5), 0, -np.sin(0.5), np.cos(0.5) - 1, 0])
    wanted = np.maximum(arrays.hidden[:, 12:18] @ columns, 0)
    assert np.allclose(Bends(arrays)(turns)[0], wanted, atol=1e-6)


def test_a_mesh_is_corrected_before_it_is_skinned(recorded):
    corrected = replace(recorded.arrays, correctives=_made_up(len(recorded.arrays.base_cm)))
    params, shape = _pose()
    mhr = Mhr(corrected)
    joints = mhr.joints(params)
    vertices = mhr.vertices_m(joints, shape)
    # The same by the slow way: each body's base moved first.
    for body in range(2):
        moved = corrected.base_cm + (corrected.correctives.basis_cm @ joints.bends[body].numpy()).reshape(-1, 3)
        plain = Mhr(replace(recorded.arrays, base_cm=moved))
        truth = plain.vertices_m(plain.joints(params[[body]]), shape[[body]])
        assert float((vertices[[body]] - truth).abs().max()) < 1e-5
    assert float((vertices - mhr.vertices_m(replace(joints, bends=None), shape)).abs().max()) > 1e-4


def test_keypoints_are_corrected_without_a_mesh(recorded):
    arrays = replace(recorded.arrays, correctives=_made_up(len(recorded.arrays.base_cm)))
    mapping = recorded.state["head_pose.keypoint_mapping"][:70]
    mhr, keypoints = Mhr(arrays), Keypoints(arrays, mapping)
    params, shape = _pose()
    joints = mhr.joints(params)
    points = torch.cat([mhr.vertices_m(joints, shape), joints.places_cm * 0.01], dim=1)
    assert float((keypoints(joints, shape) - mapping @ points).abs().max()) < 2e-6


class _Sparse(nn.Module):
    def __init__(self, rows: list[int], columns: list[int]) -> None:
        super().__init__()
        self.register_buffer("sparse_indices", torch.tensor([rows, columns]))
        self.sparse_weight = nn.Parameter(torch.arange(1.0, len(rows) + 1))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * self.sparse_weight.sum()


class _Correctives(nn.Module):
    def __init__(self, rows: list[int], columns: list[int]) -> None:
        super().__init__()
        self.pose_dirs_predictor = nn.Sequential(_Sparse(rows, columns), nn.ReLU(), nn.Linear(4, 6, bias=False))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.pose_dirs_predictor(values)


class _Model(nn.Module):
    def __init__(self, rows: list[int], columns: list[int]) -> None:
        super().__init__()
        self.pose_correctives_model = _Correctives(rows, columns)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.pose_correctives_model(values)


def _scripted(path: Path, rows: list[int], columns: list[int]) -> object:
    """Return a TorchScript file of the release's layout, as it is read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is going; the release's file is made of it
        torch.jit.script(_Model(rows, columns)).save(str(path))
    return ptloader.load(path, weights_only=True)


def test_correctives_are_read_from_the_release_s_layout(tmp_path):
    model = _scripted(tmp_path / "mhr_model.pt", [0, 3, 3], [5, 0, 11])
    arrays = read_correctives(model, joints=4, vertices=2)
    assert arrays.hidden.shape == (4, 12) and arrays.basis_cm.shape == (6, 4)
    assert [arrays.hidden[0, 5], arrays.hidden[3, 0], arrays.hidden[3, 11]] == [1, 2, 3] and np.count_nonzero(arrays.hidden) == 3


def test_correctives_that_do_not_fit_are_an_error(tmp_path):
    model = _scripted(tmp_path / "mhr_model.pt", [0], [12])
    for vertices in (2, 3):
        with pytest.raises(ValueError, match="do not belong"):
            read_correctives(model, joints=4, vertices=vertices)
    with pytest.raises(AttributeError):
        read_correctives(SimpleNamespace(pose_correctives_model=SimpleNamespace()), 4, 2)
    assert read_correctives(SimpleNamespace(), 4, 2) is None


def _as_in_the_release(folder: Path) -> SimpleNamespace:
    """Return the correctives of a folder as the release puts them into its TorchScript: mhr.io's load_pose_dirs_predictor."""
    with np.load(folder / "corrective_activation.npz") as activation, np.load(folder / "corrective_blendshapes_lod1.npz") as shapes:
        sparse = SimpleNamespace(sparse_indices=activation["0.sparse_indices"], sparse_weight=activation["0.sparse_weight"])
        basis = shapes["corrective_blendshapes"].astype(np.float32)
    layers = SimpleNamespace(**{"0": sparse, "2": SimpleNamespace(weight=basis.reshape(len(basis), -1).T)})
    return SimpleNamespace(pose_correctives_model=SimpleNamespace(pose_dirs_predictor=layers))


def test_the_corrected_mesh_and_its_keypoints_are_body_models_own(recorded, corrected_mhr, tmp_path, monkeypatch):
    from body_models.mhr._pose import unpack_pose
    from body_models.mhr.numpy import MHR

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    correctives = read_correctives(_as_in_the_release(corrected_mhr), 127, len(recorded.arrays.base_cm))
    assert correctives.hidden.shape == (3000, 750)
    arrays = replace(recorded.arrays, correctives=correctives)
    params, shape = _pose()
    mhr = Mhr(arrays)
    joints = mhr.joints(params)
    vertices = mhr.vertices_m(joints, shape).numpy()
    parts = unpack_pose(np, params.double().numpy())
    theirs = MHR(model_path=corrected_mhr)
    truth = theirs.forward_vertices(*parts, shape=shape.double().numpy(), expression=np.zeros((2, 72)))
    # Metres: a hundredth of a millimetre is what is asked; both are float32 in places.
    np.testing.assert_allclose(vertices, truth, atol=1e-5)
    plain = mhr.vertices_m(replace(joints, bends=None), shape).numpy()
    assert np.linalg.norm(plain - truth, axis=-1).max() > 1e-3  # they do something
    mapping = recorded.state["head_pose.keypoint_mapping"][:70].double().numpy()
    wanted = mapping @ np.concatenate([truth, 0.01 * joints.places_cm.double().numpy()], axis=1)
    keypoints = Keypoints(arrays, recorded.state["head_pose.keypoint_mapping"][:70])
    np.testing.assert_allclose(keypoints(joints, shape).numpy(), wanted, atol=1e-5)
