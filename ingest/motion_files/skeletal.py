"""What readers of skeletal animation share: skeletons with meanings, world transforms made local, units told from size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.joint_guess import guess_semantic, with_spine
from ...motion.joint_map import read_joint_map
from ...motion.joint_names import CORE
from ...motion.kinematics import local_matrices, world_to_local
from ...motion.rig import Rig, Skeleton
from ...motion.rotations import matrix_to_quat, quat_apply, quat_continuous, quat_inverse, quat_multiply
from ...motion.take import Motion
from ..recording import Actor, SkeletalMotion

Floats = NDArray[np.float64]

# From a Z-up world to ours: (x, y, z) to (x, z, -y).
R_YUP_ZUP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
# float32 matrices chained a dozen deep stay within 1e-5 of uniform; a scale that somebody meant is far from it.
_NOT_UNIFORM = 1e-3
# A scale within this of 1 is what float32 left of 1.
_UNSCALED = 1e-5
FRAMES_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Rest:
    """A skeleton, and the scale (J,) that its joints have at rest, which motion and bind are freed from."""

    skeleton: Skeleton
    scale: Floats
    warnings: tuple[str, ...] = ()


def unique_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which each is there once: a second ``Hand`` becomes ``Hand_2``."""
    unique: list[str] = []
    taken = set(names)
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        own, number = name, seen[name]
        while number > 1 and own in taken:
            own, number = f"{name}_{number}", number + 1
        taken.add(own)
        unique.append(own)
    return tuple(unique)


def rest_of(
    where: str, names: Sequence[str], parents: Sequence[int], T_world_rest: Floats, joint_map: Path | None,
    said: Mapping[str, int] | None = None,
) -> Rest:
    """Return the skeleton of joints that rest at world transforms (J,4,4).

    What each means comes from ``joint_map``, which may leave the spine out, else from what the file has ``said`` of it, else from a guess.

    Raises `ReadError` that begins with ``where`` for a scale that differs between axes, and for a map that does not fit.
    """
    own_names, parents_of = unique_names(names), np.array(parents, dtype=np.int32)
    turns, scale = split(f"{where}: rest pose", own_names, T_world_rest)
    unscaled = local_matrices(turns, T_world_rest[:, :3, 3])
    if joint_map is not None:
        semantic = with_spine(read_joint_map(joint_map, own_names), own_names, parents_of, T_world_rest[:, :3, 3])
    elif said:
        semantic = dict(said)
    else:
        semantic = guess_semantic(own_names, parents_of, T_world_rest[:, :3, 3])
    skeleton = Skeleton(own_names, parents_of, world_to_local(parents_of, unscaled), semantic)
    return Rest(skeleton, scale, tuple(_missing(where, semantic)))


def _missing(where: str, semantic: dict[str, int]) -> Iterable[str]:
    missing = [meaning for meaning in CORE if meaning not in semantic]
    if missing:
        yield (f"{where}: found no joint that means {', '.join(missing)}; "
               "rigdrop map init writes a map to fill in, and --joint-map gives it back")


def split(where: str, names: Sequence[str], matrices: Floats) -> tuple[Floats, Floats]:
    """Return the turns (…,J,4) xyzw and uniform scales (…,J) of transforms (…,J,4,4).

    Raises `ReadError` that names the joint for a scale that differs between axes, shears, mirrors or is zero.
    """
    linear = matrices[..., :3, :3]
    if not np.isfinite(matrices).all():
        raise ReadError(f"{where}: found NaN or infinity, expected finite transforms")
    scale = np.cbrt(np.linalg.det(linear))
    safe = np.where(scale > 1e-9, scale, 1.0)[..., None, None]
    skew = np.swapaxes(linear, -1, -2) @ linear / safe**2 - np.eye(3)
    bad = (scale <= 1e-9) | (np.abs(skew).max(axis=(-1, -2)) > 2 * _NOT_UNIFORM)
    if bad.any():
        joint = int(np.argwhere(bad)[0][-1])
        axes = np.linalg.norm(linear[(*np.argwhere(bad)[0],)], axis=0)
        kind = "a mirrored or zero scale" if scale[tuple(np.argwhere(bad)[0])] <= 1e-9 else "a scale that is not the same along all axes"
        raise ReadError(f"{where}: joint {names[joint]!r}: found {kind} ({axes[0]:.4g}, {axes[1]:.4g}, {axes[2]:.4g}), "
                        "expected a uniform one; apply scales in the program that it comes from and export it again")
    return matrix_to_quat(linear / safe), scale


def motion_of(where: str, rest: Rest, T_world_joint: Iterable[Floats]) -> Motion:
    """Return the motion of joints at world transforms, which come as blocks (f,J,4,4), frames in order.

    Raises `ReadError` that begins with ``where`` for NaN and for scales that differ between axes.
    """
    blocks = [_locals(where, rest, block) for block in T_world_joint]
    quat, translation, scale = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    scaled = bool((np.abs(scale - 1) > _UNSCALED).any())
    return Motion(quat_continuous(quat).astype(np.float32), translation.astype(np.float32), np.ones(len(quat), np.bool_),
                  np.ones(len(quat), np.float32), scale.astype(np.float32) if scaled else None)


def _locals(where: str, rest: Rest, T_world_joint: Floats) -> tuple[Floats, Floats, Floats]:
    """Return turns, places and scales relative to the parents; places in the world stay what they are to the last digit."""
    turns, scale = split(where, rest.skeleton.joint_names, T_world_joint)
    places, scale = T_world_joint[..., :3, 3].copy(), scale / rest.scale
    children = np.flatnonzero(rest.skeleton.joint_parents >= 0)
    above = rest.skeleton.joint_parents[children]
    back = quat_inverse(turns[:, above])
    local_turns, local_places, local_scale = turns.copy(), places.copy(), scale.copy()
    local_turns[:, children] = quat_multiply(back, turns[:, children])
    local_places[:, children] = quat_apply(back, places[:, children] - places[:, above]) / scale[:, above, None]
    local_scale[:, children] = scale[:, children] / scale[:, above]
    return local_turns, local_places, local_scale


def actor_of(track: int, name: str, skeleton: Skeleton, motion: Motion, rig: Rig | None = None) -> Actor:
    """Return somebody who is there in all frames."""
    return Actor(track, name, SkeletalMotion(skeleton, motion, rig), motion.visible, motion.confidence)
