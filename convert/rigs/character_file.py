"""A character from somebody's own file as a rig to drive: named, stood on the ground facing +Z, its joints without scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...ingest.recording import SkeletalMotion
from ...motion.joint_guess import guess_semantic
from ...motion.joint_names import CORE, SIDES, SPINE
from ...motion.kinematics import world_to_local
from ...motion.rig import Rig, Skeleton
from ..body import Body

Floats = NDArray[np.float64]


def character_from(skeletal: SkeletalMotion) -> Rig:
    """Return the character that a file brought as a rig that rests in its bind pose: Y up, facing +Z, lowest vertex at y = 0.

    What joints mean is what the file's reader says, else a guess. A joint keeps the direction of its axes and loses its
    scale, so that ``T_file = T_world · bind_world⁻¹ · bind_file`` gives the file's own joints back, and its mesh as it is.
    Raises `ReadError` where there is no skinned mesh or it is no body.
    """
    rig = skeletal.rig
    if rig is None:
        raise ReadError("character: found a skeleton without a skinned mesh, expected both; name a file that has a character's body")
    told = rig.skeleton.semantic or guess_semantic(rig.joint_names, rig.joint_parents, rig.bind_world[:, :3, 3])
    semantic = body_semantic(rig.joint_names, rig.joint_parents, told)
    moved = _stand(rig, semantic)
    bind_world = np.tile(np.eye(4), (len(rig.joint_names), 1, 1))
    bind_world[:, :3, :3] = _nearest_rotations((moved @ rig.bind_world)[:, :3, :3])
    bind_world[:, :3, 3] = (moved @ rig.bind_world)[:, :3, 3]
    character = replace(
        rig, skeleton=Skeleton(rig.joint_names, rig.joint_parents, world_to_local(rig.joint_parents, bind_world), semantic),
        bind_world=bind_world, vertices_m=(rig.vertices_m @ moved[:3, :3].T + moved[:3, 3]).astype(np.float32),
        normals=(rig.normals @ moved[:3, :3].T).astype(np.float32), origin=None if rig.origin is None else rig.origin.moved(moved),
    )
    Body.of(character)
    return character


def body_semantic(names: tuple[str, ...], parents: NDArray[np.int32], told: Mapping[str, int]) -> dict[str, int]:
    """Return what joints mean: as ``told``, and a joint stands in for a neighbour that there is none of.

    Shorter spines bend where they can, a head without a neck turns for both, an arm without a clavicle begins at the
    shoulder, and a foot ends in whatever hangs from the ankle. Raises `ReadError` where a limb's joints can't be told.
    """
    semantic = dict(told)
    missing = [meaning for meaning in CORE if meaning not in semantic]
    if missing:
        raise ReadError(f"character: joint names: found none that means {missing[0]!r} among {', '.join(names[:5])} …, "
                        "expected names of a common skeleton; write a map with 'rigdrop map init' and name it")
    for side in SIDES:
        semantic.setdefault(f"{side}_clavicle", semantic[f"{side}_shoulder"])
        toes = np.flatnonzero(np.asarray(parents) == semantic[f"{side}_ankle"])
        if len(toes):
            semantic.setdefault(f"{side}_foot", int(toes[0]))
    if not all(meaning in semantic for meaning in (*SPINE, "neck", "head")):
        semantic |= _spine(parents, semantic)
    return semantic


def _spine(parents: NDArray[np.int32], semantic: Mapping[str, int]) -> dict[str, int]:
    """Name the joints from pelvis to head, the ones that are named already left alone, the rest by where they lie on the way."""
    start = semantic["pelvis"]
    top = semantic.get("head", semantic.get("neck", semantic.get("spine_3", semantic["left_clavicle"])))
    chain = [top]
    while chain[0] not in (start, -1):
        chain.insert(0, int(parents[chain[0]]))
    if chain[0] < 0:
        raise ReadError("character: joint names: found a head that does not hang from the pelvis, expected a spine between them")
    neck = semantic.get("neck", top)
    between = chain[1 : chain.index(neck) if neck in chain else -1] or [start]
    found = {"neck": neck, "head": top}
    for meaning, share in zip(SPINE, (0.0, 0.5, 1.0), strict=True):
        found[meaning] = between[round(share * (len(between) - 1))]
    return {meaning: semantic.get(meaning, joint) for meaning, joint in found.items()}


def _stand(rig: Rig, semantic: Mapping[str, int]) -> Floats:
    """The world's move (4,4) that has the character face +Z, by quarter turns, over where it was, on the ground."""
    place = {meaning: rig.bind_world[joint, :3, 3] for meaning, joint in semantic.items()}
    left = place["left_hip"] - place["right_hip"] + place["left_shoulder"] - place["right_shoulder"]
    quarter = int(np.round(np.arctan2(left[2], left[0]) / (np.pi / 2)))
    cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[quarter % 4]
    moved = np.eye(4)
    moved[[0, 0, 2, 2], [0, 2, 0, 2]] = cosine, sine, -sine, cosine
    moved[1, 3] = -float(rig.vertices_m[:, 1].min())
    return moved


def _nearest_rotations(linear: Floats) -> Floats:
    """Rotations (J,3,3) nearest to matrices that may scale, shear or mirror."""
    left, _, right = np.linalg.svd(linear)
    left[..., -1] *= np.linalg.det(left @ right)[..., None]
    return np.asarray(left @ right)
