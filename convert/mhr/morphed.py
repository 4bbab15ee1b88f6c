"""MHR's pose correctives on people who are done: as morph targets whose weights follow from the motion as it is stored.

Correctives hang on the local turns of joints, so they come last: whatever cleaned, held, carried or placed the motion
before, the mesh is the one that the model has for the pose that a file shows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bsr_matrix, csr_matrix

from ...motion.rig import Rig
from ...motion.take import Person
from ..character import People
from ..performance import Performance
from ..rigs.mhr_correctives import MhrCorrectives, load_correctives
from ..rigs.mhr_morphs import MhrMorphs, correction_morphs
from ..rigs.mhr_parameters import MhrModel
from .corrective_options import CorrectiveOptions

Floats = NDArray[np.float64]

# A bind pose is the model's own where no number is further from it: float32's grain on metres.
_SAME_BIND = 1e-6


def with_morphs(people: People, times_s: Floats, options: CorrectiveOptions, load_mhr: Callable[[], MhrModel]) -> People:
    """Return everybody with the morph targets that ``options`` ask for, and what they do among each one's figures.

    Only people on MHR's rig have any; of others, and where MHR's folder holds no correctives, a warning tells. Raises as
    ``load_mhr`` and `load_correctives` do.
    """
    if options.correctives == "none" or not people.people:
        return people
    done = [_with_morphs(person, times_s, options.morph_count, load_mhr) for person in people.people]
    before = list(people.details.get("clean", ())) or [{}] * len(done)
    figures = [{**had, **added} for had, (_, added) in zip(before, done, strict=True)]
    return replace(people, people=tuple(person for person, _ in done), details={**people.details, "clean": figures})


def _with_morphs(person: Person, times_s: Floats, most: int, load_mhr: Callable[[], MhrModel]) -> tuple[Person, dict[str, Any]]:
    model = load_mhr() if person.rig.name == "mhr" else None
    if model is None or person.rig.joint_names != model.rig.joint_names or person.rig.vertices_m.shape != model.rig.vertices_m.shape:
        warnings.warn(f"{person.id}: correctives: found rig {person.rig.name}, expected mhr, whose they are; wrote none", stacklevel=4)
        return person, {}
    correctives = load_correctives(model)
    if correctives is None:
        warnings.warn(f"correctives: {model.folder}: found no pose correctives that fit its mesh, expected corrective_activation.npz and "
                      "corrective_blendshapes_lod*.npz of MHR's release v1.0; wrote none", stacklevel=4)
        return person, {}
    morphs = correction_morphs(bound(correctives, model.rig, person.rig), Performance.of_motion(person.rig, times_s, person.motion), most)
    return _morphed(person, morphs), {"correctives": _figures(morphs)}


def bound(correctives: MhrCorrectives, own: Rig, rig: Rig) -> MhrCorrectives:
    """Return the correctives of ``own`` as they displace the mesh of ``rig``, the same body bound in another pose.

    A displacement turns as its vertex did: by the mean of its joints' turns, weighted as the skin is.
    """
    moves = rig.bind_world @ np.linalg.inv(own.bind_world)
    if np.abs(moves[:, :3, :3] - np.eye(3)).max() < _SAME_BIND:
        return correctives
    turns = (own.skinning_matrix @ moves[:, :3, :3].reshape(-1, 9)).reshape(-1, 3, 3)
    vertices = np.arange(len(turns) + 1)
    # Displacements are rows here, so that turns stand on their right, transposed.
    blocks = bsr_matrix((np.swapaxes(turns, 1, 2), vertices[:-1], vertices))
    return replace(correctives, basis=csr_matrix(correctives.basis @ blocks))


def _morphed(person: Person, morphs: MhrMorphs) -> Person:
    if not len(morphs.targets_m):
        return person
    rig, motion = replace(person.rig, morph_targets_m=morphs.targets_m), replace(person.motion, morph_weights=morphs.weights)
    return replace(person, rig=rig, motion=motion)


def _figures(morphs: MhrMorphs) -> dict[str, Any]:
    """What the report says: how far the skin is from the model's own mesh without and with the targets, and what they weigh."""
    return {"targets": len(morphs.targets_m), "bytes": morphs.size_bytes, "skin_mm": morphs.before_mm, "morphed_mm": morphs.after_mm}
