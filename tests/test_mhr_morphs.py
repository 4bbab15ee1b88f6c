"""A few morph targets for what poses do to MHR's mesh, against a plain singular value decomposition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.convert.embody_mhr import embody_mhr
from rigdrop.convert.performance import Performance
from rigdrop.convert.rigs.mhr_correctives import load_correctives, model_vertices, sample_frames
from rigdrop.convert.rigs.mhr_morphs import correction_morphs
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model
from rigdrop.ingest.recording import Actor, MhrMotion
from rigdrop.motion.kinematics import skin_vertices


@pytest.fixture(scope="module")
def model(corrected_mhr):
    return load_mhr_model(corrected_mhr)


def _clip(shared, model, frames: int, spread: float) -> Performance:
    """A real person whose joints all swing, each with a phase of its own, at two rates."""
    with np.load(shared / "samples" / "sam3d_body_subj01.npz") as sample:
        params = np.tile(sample["mhr_model_params"].astype(np.float64), (frames, 1))
    rng, times_s = np.random.default_rng(3), np.arange(frames) / 30
    rates = rng.choice([3.0, 5.0], 119)
    params[:, 3:122] += spread * np.sin(rates * times_s[:, None] + rng.uniform(0, 6, 119))
    actor = Actor(1, "a", MhrMotion(np.zeros((frames, 45)), np.tile([0, 0, -3.0], (frames, 1)), params), np.ones(frames, bool),
                  np.ones(frames, np.float32))
    return embody_mhr(actor, times_s, model)


def test_no_other_targets_of_their_number_do_better(shared, model):
    correctives, body = load_correctives(model), _clip(shared, model, 40, 0.3)
    offsets = correctives.offsets_m(body.quat_xyzw).reshape(40, -1)
    values = np.linalg.svd(offsets, compute_uv=False)
    morphs = correction_morphs(correctives, body, most=8)
    assert morphs.targets_m.shape == (8, 4899, 3) and morphs.weights.shape == (40, 8)
    left = offsets - morphs.weights @ morphs.targets_m.reshape(8, -1)
    # Eckart and Young: the least that rank 7 can leave is the root of the other values' squares; the eighth keeps weights above 0.
    assert np.linalg.norm(left) == pytest.approx(np.sqrt((values[7:] ** 2).sum()), rel=1e-5)


def test_thirty_two_targets_cut_a_clips_error_to_a_fifth(shared, model):
    correctives, body = load_correctives(model), _clip(shared, model, 300, 0.2)
    morphs = correction_morphs(correctives, body)
    assert len(morphs.targets_m) <= 32
    assert morphs.after_mm["mean"] < morphs.before_mm["mean"] / 5
    assert morphs.size_bytes == morphs.targets_m.size * 4 + morphs.weights.size * 4
    assert morphs.weights.min() >= 0
    np.testing.assert_allclose(morphs.weights.max(axis=0), 1, atol=1e-6)


def test_the_errors_are_those_of_the_skin_with_its_targets(shared, model):
    """Morphed by hand, then skinned by the take's own skinning, as a file's reader does."""
    correctives, body = load_correctives(model), _clip(shared, model, 40, 0.3)
    morphs, frames = correction_morphs(correctives, body, most=4), sample_frames(40)
    truth = list(model_vertices(correctives, body, frames))
    before, after = [], []
    for frame, mesh in zip(frames, truth, strict=True):
        morphed = body.rig.vertices_m + np.einsum("k,kvi->vi", morphs.weights[frame], morphs.targets_m)
        for rig, apart in ((body.rig, before), (replace(body.rig, vertices_m=morphed), after)):
            apart.append(1000 * np.linalg.norm(skin_vertices(rig, body.T_world_joint[[frame]])[0] - mesh, axis=-1))
    for told, apart in ((morphs.before_mm, np.concatenate(before)), (morphs.after_mm, np.concatenate(after))):
        assert told["mean"] == pytest.approx(apart.mean(), abs=1e-3) and told["max"] == pytest.approx(apart.max(), abs=1e-2)


def test_a_pose_that_is_held_needs_one_target(shared, model):
    correctives, body = load_correctives(model), _clip(shared, model, 3, 0.0)
    morphs = correction_morphs(correctives, body)
    assert len(morphs.targets_m) == 1 and morphs.after_mm["max"] < 1e-3
