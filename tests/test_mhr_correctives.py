"""MHR's own mesh against body-models' and torch's, on a folder whose correctives are made up."""

from __future__ import annotations

import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

from rigdrop.convert.embody_mhr import embody_mhr
from rigdrop.convert.performance import Performance
from rigdrop.convert.rigs.mhr_correctives import (
    figures_mm,
    load_correctives,
    model_vertices,
    sample_frames,
    skinning_distance_mm,
)
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model
from rigdrop.errors import ReadError
from rigdrop.ingest.recording import Actor
from rigdrop.motion.kinematics import skin_vertices
from rigdrop.motion.rig import with_influences

from .mhr_folder import by_body_models, person_in_poses

FRAMES = [0, 2]


@pytest.fixture(scope="module")
def model(corrected_mhr):
    return load_mhr_model(corrected_mhr)


@pytest.fixture(scope="module")
def actor(shared) -> Actor:
    return person_in_poses(shared / "samples" / "sam3d_body_subj01.npz", poses=3, seed=5)


@pytest.fixture(scope="module")
def body(actor, model) -> Performance:
    return embody_mhr(actor, np.arange(3) / 30, model)


def test_the_mesh_is_body_models_own(corrected_mhr, model, actor, body, tmp_path):
    truth = by_body_models(corrected_mhr, actor, FRAMES, tmp_path)
    ours = np.stack(list(model_vertices(load_correctives(model), body, FRAMES)))
    # Theirs is in single precision in places: 1e-6 m on a body of metres.
    np.testing.assert_allclose(ours, truth, atol=5e-6)
    assert np.linalg.norm(skin_vertices(body.rig, body.T_world_joint[FRAMES]) - truth, axis=-1).mean() > 1e-3  # they do something


def test_the_distance_is_that_between_torchs_skin_and_body_models_mesh(corrected_mhr, model, actor, body, tmp_path):
    """The stand-in's TorchScript knows no correctives, whatever it is asked to apply: it is the skin alone."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would have models exported anew; Meta's is TorchScript
        script = torch.jit.load(str(corrected_mhr / "mhr_model.pt")).double()
    with torch.no_grad():
        given = [torch.tensor(array[FRAMES]) for array in (actor.motion.shape_params, actor.motion.model_params)]
        skin = script(*given, torch.zeros(len(FRAMES), 72, dtype=torch.float64), True)[0].numpy() / 100
    apart_mm = 1000 * np.linalg.norm(by_body_models(corrected_mhr, actor, FRAMES, tmp_path) - skin - [0.3, 0, -3.0], axis=-1)
    told = skinning_distance_mm(model, body, body.rig, FRAMES)
    expected = {"mean": apart_mm.mean(), "median": np.median(apart_mm), "p95": np.percentile(apart_mm, 95), "max": apart_mm.max()}
    assert told == pytest.approx(expected, abs=0.01)


def test_fewer_influences_are_part_of_the_distance(model, body):
    fewer = with_influences(body.rig, 1)
    truth = np.stack(list(model_vertices(load_correctives(model), body, FRAMES)))
    apart_mm = 1000 * np.linalg.norm(skin_vertices(fewer, body.T_world_joint[FRAMES]) - truth, axis=-1)
    told = skinning_distance_mm(model, body, fewer, FRAMES)
    assert told["mean"] == pytest.approx(apart_mm.mean(), abs=1e-3)
    assert told["mean"] > skinning_distance_mm(model, body, body.rig, FRAMES)["mean"]


def test_nothing_is_said_where_nobody_knows(shared, model, body, tmp_path):
    """Zeros, as in the stand-in, stand for data that could not be had: a distance of nothing would be a lie."""
    standin = load_mhr_model(shared / "mhr" / "lod3")
    assert load_correctives(standin) is None
    assert skinning_distance_mm(standin, body, body.rig, FRAMES) is None
    assert load_correctives(replace(model, folder=None)) is None
    bare = tmp_path / "bare"
    bare.mkdir()
    assert load_correctives(replace(model, folder=bare)) is None
    shutil.copy(shared / "mhr" / "lod3" / "corrective_activation.npz", bare)
    assert load_correctives(replace(model, folder=bare)) is None
    # Correctives of another level of detail are none of this mesh's.
    np.savez(bare / "corrective_blendshapes_lod5.npz", corrective_blendshapes=np.ones((3000, 11, 3), np.int8))
    assert load_correctives(replace(model, folder=bare)) is None


def test_files_that_cannot_be_used_are_an_error_with_file_and_field(corrected_mhr, model, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    activation, basis = broken / "corrective_activation.npz", broken / "corrective_blendshapes_lod1.npz"
    whole = (corrected_mhr / basis.name).read_bytes()
    shutil.copy(corrected_mhr / activation.name, activation)
    there = replace(model, folder=broken)
    basis.write_bytes(whole[:2000])
    with pytest.raises(ReadError, match=r"corrective_blendshapes_lod1\.npz: corrective_blendshapes: found none"):
        load_correctives(replace(there))
    np.savez_compressed(basis, corrective_blendshapes=np.ones((2999, 4899, 3), np.int8))
    with pytest.raises(ReadError, match=r"corrective_blendshapes: found \(2999, 4899, 3\), expected \(3000, 4899, 3\)"):
        load_correctives(replace(there))
    np.savez(basis, corrective_blendshapes=np.array([{"a": 1}], object))
    with pytest.raises(ReadError, match="corrective_blendshapes: found none"):
        load_correctives(replace(there))
    basis.write_bytes(whole)
    np.savez(activation, **{"0.sparse_indices": np.array([[5000], [0]]), "0.sparse_weight": np.ones(1)})
    with pytest.raises(ReadError, match=r"corrective_activation\.npz: 0\.sparse_indices, 0\.sparse_weight: found none .*\(3000, 750\)"):
        load_correctives(replace(there))


def test_a_sample_has_both_ends_and_is_even():
    assert sample_frames(1) == [0]
    assert sample_frames(5) == [0, 1, 2, 3, 4]
    assert sample_frames(1001, 5) == [0, 250, 500, 750, 1000]


def test_figures_of_known_distances():
    assert figures_mm(np.arange(101.0)) == {"mean": 50, "median": 50, "p95": 95, "max": 100}
