"""Reads a character from somebody's own GLB or USD file, animated or not: its skeleton, its mesh, and where they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import ReadError
from ...motion.kinematics import decompose
from ...motion.take import Motion
from ..recording import SkeletalMotion

SUFFIXES = (".glb", ".usd", ".usda", ".usdc", ".usdz")


def is_character_file(name: str) -> bool:
    """Say whether a rig's ``name`` is a file's: one that ends as GLB and USD do."""
    return name.lower().endswith(SUFFIXES)


def read_character(path: Path, joint_map: Path | None = None) -> SkeletalMotion:
    """Return the one character of a file, at rest for one frame; its rig has the file's bind pose and its origin.

    Raises `ReadError` for a file that is neither, and for one without exactly one skinned character.
    """
    from . import glb

    if glb.is_mine(path):
        rig = glb.read_body(path, joint_map)
    else:
        from . import usd  # USD's libraries, which a GLB does not need

        if not usd.is_mine(path):
            found = "a file that is neither" if path.exists() else "no such file"
            raise ReadError(f"{path}: found {found}, expected a character's .glb or .usd")
        rig = usd.read_body(path, joint_map)
    quat_xyzw, translation_m, _ = decompose(rig.skeleton.rest_local[None])
    motion = Motion(quat_xyzw.astype(np.float32), translation_m.astype(np.float32), np.ones(1, np.bool_), np.ones(1, np.float32))
    return SkeletalMotion(rig.skeleton, motion, rig)
