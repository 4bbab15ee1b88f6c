"""The stand-in for MHR's release with pose correctives that are made up: the real ones could not be had. And body-models' word on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from rigdrop.ingest.recording import Actor, MhrMotion

COMPONENTS, VERTICES = 3000, 4899
MADE_UP = 60_000


def folder_with_correctives(standin: Path, folder: Path, made_up: int = MADE_UP) -> Path:
    """Copy ``standin`` to ``folder`` with so many displacements of a vertex by a component, up to a centimetre each."""
    folder.mkdir(parents=True)
    for name in ("mhr_model.pt", "corrective_activation.npz"):
        shutil.copy(standin / name, folder / name)
    rng = np.random.default_rng(0)
    basis = np.zeros((COMPONENTS, VERTICES, 3), np.float16)
    basis[rng.integers(0, COMPONENTS, made_up), rng.integers(0, VERTICES, made_up)] = rng.normal(0, 0.3, (made_up, 3))
    np.savez_compressed(folder / "corrective_blendshapes_lod1.npz", corrective_blendshapes=basis)
    return folder


def by_body_models(folder: Path, actor: Actor, frames: list[int], cache: Path) -> np.ndarray:
    """Return the meshes (F,V,3) of somebody at ``frames`` by body-models' own forward, in the camera's axes; ``cache`` is its folder."""
    from body_models.mhr._pose import unpack_pose
    from body_models.mhr.numpy import MHR

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        other = MHR(model_path=folder)
    body_pose, head_pose, hand_pose = unpack_pose(np, actor.motion.model_params[frames])
    expression = np.zeros((len(frames), 72))
    vertices = other.forward_vertices(body_pose, head_pose, hand_pose, shape=actor.motion.shape_params[frames], expression=expression)
    return np.asarray(vertices) + actor.motion.camera_translation_m[frames][:, None]


def person_in_poses(sample: Path, poses: int, seed: int) -> Actor:
    """Return the real person of a sample in some poses far from one another, 3 m from the camera."""
    with np.load(sample) as arrays:
        params = np.tile(arrays["mhr_model_params"].astype(np.float64), (poses, 1))
        shape = np.tile(arrays["shape_params"].astype(np.float64), (poses, 1))
    params[:, 3:130] += np.random.default_rng(seed).normal(0, 0.3, (poses, 127))
    motion = MhrMotion(shape, np.tile([0.3, 0, -3.0], (poses, 1)), params)
    return Actor(1, "a", motion, np.ones(poses, bool), np.ones(poses, np.float32))
