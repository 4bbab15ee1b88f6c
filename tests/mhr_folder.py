"""The stand-in for MHR's release with pose correctives that are made up: the real ones could not be had."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

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
