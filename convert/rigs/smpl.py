"""One person's own SMPL, SMPL-H or SMPL-X body as a rig: mesh and joints that betas make, from the user's licensed file.

The rig rests in the model's zero pose, a T-pose, at the model's own origin, which lies near the breast; every joint has the
world's axes, so that the model's turns apply as they are. What the model does to its mesh beyond skinning, pose blend
shapes, is not in a rig: `smpl_figures` says how much that is.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import world_to_local
from ...motion.rig import Rig, Skeleton, vertex_normals
from ...motion.smpl_joints import JOINT_NAMES, joint_parents, meaning
from .skin import pack_weights
from .smpl_files import SmplFile, find_smpl, read_smpl

Floats = NDArray[np.float64]
SmplName = Literal["smpl", "smplh", "smplx"]


@dataclass(frozen=True, eq=False)
class SmplModel:
    """A model's file, from which everybody's rig is made."""

    parts: SmplFile

    def shaped_m(self, betas: Floats | None) -> Floats:
        """Return the vertices (V,3) that ``betas`` (B,) make: those that the model hasn't are left out, those not given are 0."""
        used = self._used(betas)
        return np.asarray(self.parts.template_m + self.parts.shapes_m[:, :, : len(used)] @ used)

    def person_rig(self, betas: Floats | None) -> Rig:
        """Return the rig of the person of ``betas`` (B,), its origin the model's; without betas, the mean body.

        Warns where betas that are not 0 are more than the model has.
        """
        parts, shaped_m = self.parts, self.shaped_m(betas)
        names, parents = JOINT_NAMES[parts.model], joint_parents(parts.model)
        bind_world = np.tile(np.eye(4), (len(names), 1, 1))
        bind_world[:, :3, 3] = parts.regressor @ shaped_m
        joints, weights = pack_weights(parts.weights)
        semantic = {said: joint for joint, name in enumerate(names) if (said := meaning(name)) is not None}
        return Rig(
            parts.model, Skeleton(names, parents, world_to_local(parents, bind_world), semantic), bind_world,
            shaped_m.astype(np.float32), parts.faces, vertex_normals(shaped_m, parts.faces), joints, weights,
        )

    def _used(self, betas: Floats | None) -> Floats:
        given = np.zeros(0) if betas is None else np.asarray(betas, dtype=np.float64).ravel()
        count = self.parts.shapes_m.shape[2]
        if given[count:].any():
            warnings.warn(f"{self.parts.path}: shapedirs: found {count} shapes, and a motion with {len(given)} betas; "
                          f"took the first {count}", stacklevel=4)
        return given[:count]


def load_smpl_model(folder: Path, model: SmplName, gender: str) -> SmplModel:
    """Return a model of the user's folder; warns where it has no file of ``gender`` and neutral stands in.

    Raises `MissingPartError` where it has neither, and `ReadError` where the file can't be used without executing it.
    """
    path, found = find_smpl(Path(folder), model, gender)
    if found != gender:
        warnings.warn(f"{folder}: found no {gender} {model} model, took {path.relative_to(folder)}: it has "
                      "betas of its own, so the body is off by some centimetres", stacklevel=3)
    return SmplModel(read_smpl(path, model, found))


def load_smpl(folder: Path, model: SmplName, gender: str, betas: Floats | None) -> Rig:
    """Return the rig of the person of ``gender`` and ``betas`` (B,): the model's own mesh in its order, its joints, no texture.

    It rests as the model does, in a T-pose about its own origin; `stood` puts it on the ground. Raises and warns as
    `load_smpl_model` does.
    """
    return load_smpl_model(folder, model, gender).person_rig(betas)


def stood(rig: Rig) -> Rig:
    """Return the rig with its lowest vertex on y = 0. What moves it need not change: no skinned vertex does."""
    lift = np.array([0.0, -float(rig.vertices_m[:, 1].min()), 0.0])
    bind_world = rig.bind_world.copy()
    bind_world[:, :3, 3] += lift
    skeleton = replace(rig.skeleton, rest_local=world_to_local(rig.joint_parents, bind_world))
    return replace(rig, skeleton=skeleton, bind_world=bind_world, vertices_m=(rig.vertices_m + lift).astype(np.float32))
