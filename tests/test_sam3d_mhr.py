from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from rigdrop.errors import MissingPartError, ReadError
from rigdrop.ingest.pose.sam3d_body import mhr_file
from rigdrop.ingest.pose.sam3d_body.mhr import Keypoints, Mhr, flip_yz
from rigdrop.ingest.pose.sam3d_body.mhr_file import MhrArrays, read_mhr_arrays

from .sam3d_fixture import recorded_network  # noqa: F401

# Metres: float32 over sixteen joints in a row.
TOLERANCE_M = 2e-6


def _pose(count: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    params = torch.randn(count, 204, generator=generator) * 0.3
    return params, torch.randn(count, 45, generator=generator), torch.randn(count, 72, generator=generator) * 0.2


def test_joints_and_mesh_are_the_recorded_ones(recorded):
    mhr, units = Mhr(recorded.arrays), recorded.units
    for head in ("head_body", "head_hand"):
        joints = mhr.joints(units[f"{head}/mhr_model_params"])
        vertices = mhr.vertices_m(joints, units[f"{head}/shape"])
        assert float((flip_yz(vertices) - units[f"{head}/pred_vertices"]).abs().max()) < TOLERANCE_M
        assert float((flip_yz(joints.places_cm * 0.01) - units[f"{head}/pred_joint_coords"]).abs().max()) < TOLERANCE_M
        assert float((joints.rotations - units[f"{head}/joint_global_rots"]).abs().max()) < 5e-6


def test_the_mesh_is_what_the_torchscript_makes(recorded):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.jit is going; the release's file is made of it
        warnings.simplefilter("ignore", DeprecationWarning)
        script = torch.jit.load(str(recorded.mhr_path))
        params, shape, expression = _pose()
        vertices, state = script(shape, params, expression)
    mhr = Mhr(recorded.arrays)
    joints = mhr.joints(params)
    assert float((mhr.vertices_m(joints, shape, expression) - vertices * 0.01).abs().max()) < TOLERANCE_M
    assert float((joints.places_cm - state[..., :3]).abs().max()) * 0.01 < TOLERANCE_M
    assert float((joints.scales - state[..., 7:]).abs().max()) < 1e-5


def test_keypoints_need_no_mesh(recorded):
    mapping = recorded.state["head_pose.keypoint_mapping"][:70]
    mhr, keypoints = Mhr(recorded.arrays), Keypoints(recorded.arrays, mapping)
    params, shape, _ = _pose()
    joints = mhr.joints(params)
    points = torch.cat([mhr.vertices_m(joints, shape), joints.places_cm * 0.01], dim=1)
    assert float((keypoints(joints, shape) - mapping @ points).abs().max()) < TOLERANCE_M


def test_a_dense_keypoint_regressor_is_carried_through_skinning_too(recorded):
    generator = torch.Generator().manual_seed(4)
    mapping = torch.rand(3, 4899 + 127, generator=generator)
    mapping = mapping / mapping.sum(1, keepdim=True)
    mhr = Mhr(recorded.arrays)
    params, shape, _ = _pose(2)
    joints = mhr.joints(params)
    points = torch.cat([mhr.vertices_m(joints, shape), joints.places_cm * 0.01], dim=1)
    assert float((Keypoints(recorded.arrays, mapping)(joints, shape) - mapping @ points).abs().max()) < 1e-5


def test_one_body_and_many_agree(recorded):
    mhr = Mhr(recorded.arrays)
    params, shape, _ = _pose()
    together = mhr.vertices_m(mhr.joints(params), shape)
    alone = torch.cat([mhr.vertices_m(mhr.joints(params[[one]]), shape[[one]]) for one in range(len(params))])
    assert float((together - alone).abs().max()) < TOLERANCE_M
    assert mhr.vertices_m(mhr.joints(params[:0]), shape[:0]).shape == (0, 4899, 3)


def test_a_file_that_is_none_is_an_error(tmp_path):
    path = tmp_path / "mhr_model.pt"
    with pytest.raises(MissingPartError, match="found no such file"):
        read_mhr_arrays(path)
    path.write_bytes(b"PK no zip")
    with pytest.raises(ReadError, match="found no MHR model"):
        read_mhr_arrays(path)


def test_tables_that_do_not_belong_together_are_an_error(recorded, monkeypatch):
    def wrong(**changed: np.ndarray) -> None:
        arrays: MhrArrays = replace(recorded.arrays, **changed)
        monkeypatch.setattr(mhr_file, "_arrays", lambda model: arrays)
        read_mhr_arrays(recorded.mhr_path)

    with pytest.raises(ReadError, match=r"offsets_cm: found \(3, 3\), expected \(127, 3\)"):
        wrong(offsets_cm=recorded.arrays.offsets_cm[:3])
    with pytest.raises(ReadError, match="a joint before its parent"):
        wrong(parents=recorded.arrays.parents[::-1])
