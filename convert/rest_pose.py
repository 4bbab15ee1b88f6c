"""The pose in which a body is bound to its skeleton: the rig's own, a T, an A, or one from a file."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError, RigdropError
from ..motion import smpl_joints
from ..motion.kinematics import decompose, local_matrices, local_to_world, skin_vertices, world_to_local
from ..motion.rig import Rig
from ..motion.rotations import (
    matrix_to_quat,
    quat_between,
    quat_inverse,
    quat_multiply,
    quat_normalize,
    quat_slerp,
    quat_to_matrix,
    rotvec_to_quat,
)
from .body import BODY_JOINTS, FINGER_JOINTS, Body
from .performance import Performance
from .retargeting.ik_bones import with_ik_frames
from .retargeting.limb_frames import rest_frames

Floats = NDArray[np.float64]
BindPose = Literal["own", "T", "A"] | Path
"""``T``: arms straight along ±X, palms down, legs straight, feet forward; ``A``: the same with the arms 45° down; or an npz
file whose ``J_ABSOLUTE`` (52,3) says where SMPL-H's joints are, metres, +Y up, facing +Z."""

FILE_KEY = "J_ABSOLUTE"
_ARM_DROP_RAD = np.pi / 4
# Bones of this or nearer places have no direction, metres.
_LEAST_BONE_M = 1e-6
# How far two rigs' joints may lie apart in their parents' axes and still be the same skeleton, metres.
_SAME_BONE_M = 1e-5


def with_bind_pose(rig: Rig, pose: BindPose | str) -> Rig:
    """Return ``rig`` bound and at rest in ``pose``: each joint's own axes go with its bone, and no bone changes its length.

    The mesh is skinned into the pose, with its normals, and stands as low as before: the pelvis is raised or lowered for it.
    Fingers are straight in T and A. A file says how limbs, hands and feet lie; the trunk turns with hips and shoulders.
    Raises `ReadError` where the rig is not a body or the file is not as it must be.
    """
    if pose == "own":
        return rig
    body = Body.of(rig)
    turns = _letter_turns(body, str(pose)) if pose in ("T", "A") else _file_turns(body, read_places(Path(pose)))
    T_world = _posed(body, turns)
    lowest_m = skin_vertices(rig, T_world[None])[0, :, 1].min()
    T_world[_of_body(rig), 1, 3] += rig.vertices_m[:, 1].min() - lowest_m
    T_world = with_ik_frames(rig, T_world)
    skeleton = replace(rig.skeleton, rest_local=world_to_local(rig.joint_parents, T_world))
    return replace(rig, skeleton=skeleton, bind_world=T_world, normals=_turned_normals(rig, T_world),
                   vertices_m=skin_vertices(rig, T_world[None])[0])


def rebound(performance: Performance, rig: Rig) -> Performance:
    """Return the same motion on ``rig``, which is the performance's own after `with_bind_pose`.

    Joints' axes went with their bones, so that the same local turns put every bone where it was. Raises `RigdropError` for
    a rig with other joints or bones.
    """
    if performance.rig.joint_names != rig.joint_names or not np.array_equal(performance.rig.joint_parents, rig.joint_parents):
        raise RigdropError(f"rig {rig.name}: found other joints than those of {performance.rig.name}, expected the same in another pose")
    apart_m = np.linalg.norm(performance.rig.skeleton.rest_local[:, :3, 3] - rig.skeleton.rest_local[:, :3, 3], axis=1)
    apart_m[~_of_body(rig)] = apart_m[rig.skeleton.semantic.get("pelvis", 0)] = 0.0
    if apart_m.max() > _SAME_BONE_M:
        name = rig.joint_names[int(np.argmax(apart_m))]
        raise RigdropError(f"rig {rig.name}: joint {name}: found it {apart_m.max():.2g} m off in its parent's axes, expected the same bone")
    return replace(performance, rig=rig)


def lead_in(performance: Performance, frames: int) -> Performance:
    """Return the motion with ``frames`` before it that ease from the rig's rest pose, exact in the first, into its first frame.

    The rest pose stands where the motion begins and faces its way. The clip begins when it did and the motion follows
    later, by ``frames`` steps of its usual length. What is added counts as neither seen nor known.
    """
    if frames <= 0:
        return performance
    times_s = performance.times_s
    step_s = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1 / 30
    rest_xyzw, rest_m, rest_scale = _standing(performance)
    eased = ease_in(frames)[:, None]
    added = np.s_[: frames]
    longer = {name: np.concatenate([np.repeat(values[:1], frames, axis=0), values]) for name, values in _arrays(performance).items()}
    longer["quat_xyzw"][added] = quat_slerp(rest_xyzw, performance.quat_xyzw[0], eased)
    longer["translation_m"][added] = rest_m + eased[..., None] * (performance.translation_m[0] - rest_m)
    if performance.scale is not None:
        longer["scale"][added] = rest_scale + eased * (performance.scale[0] - rest_scale)
    if performance.morph_weights is not None:
        longer["morph_weights"][added] = eased * performance.morph_weights[0]
    for name in ("visible", "confidence", "known"):
        longer[name][added] = 0
    longer["times_s"] = np.concatenate([times_s[0] + np.arange(frames) * step_s, times_s + frames * step_s])
    return Performance(performance.rig, **longer)


def ease_in(frames: int) -> Floats:
    """Return how far (F,) of the way each frame before the motion is: from 0, slow at both ends, and 1 in the next."""
    share = np.arange(frames) / frames
    return share**2 * (3 - 2 * share)


def apose_of(rig: Rig) -> Floats:
    """Return where SMPL-H's joints (52,3) are on ``rig`` at rest, metres; a finger joint that it lacks is where the one above is."""
    place_m = _places(rig)
    places = np.zeros((len(smpl_joints.JOINT_NAMES["smplh"]), 3))
    for joint, (name, parent) in enumerate(zip(smpl_joints.JOINT_NAMES["smplh"], smpl_joints.joint_parents("smplh"), strict=True)):
        meaning = str(smpl_joints.meaning(name))
        if meaning not in place_m and meaning not in FINGER_JOINTS:
            raise ReadError(f"rig {rig.name}: semantic: found no {meaning!r}, expected every joint of a body")
        places[joint] = place_m.get(meaning, places[parent])
    return places


def read_places(path: Path) -> Floats:
    """Read ``J_ABSOLUTE`` (52,3) from an npz file. Raises `ReadError` where it isn't there, or isn't an upright body."""
    try:
        # Opened here, because numpy leaves a file open that turns out to be none of its own.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            if FILE_KEY not in arrays:
                raise ReadError(f"{path}: {FILE_KEY}: found {sorted(arrays)}, expected this array")
            places = np.asarray(arrays[FILE_KEY], dtype=np.float64)
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
        raise ReadError(f"{path}: found no npz file that can be read ({error}), expected one with {FILE_KEY}") from error
    if places.shape != (52, 3) or not np.isfinite(places).all():
        raise ReadError(f"{path}: {FILE_KEY}: found shape {places.shape} or NaN, expected (52, 3) finite numbers")
    head, pelvis = (places[smpl_joints.BODY.index(name)] for name in ("head", "pelvis"))
    if head[1] - pelvis[1] < 0.5 * np.linalg.norm(head - pelvis):
        raise ReadError(f"{path}: {FILE_KEY}: found the head not above the pelvis, expected metres with +Y up")
    return places


def _places(rig: Rig) -> dict[str, Floats]:
    T_world = local_to_world(rig.joint_parents, rig.skeleton.rest_local)
    return {meaning: T_world[joint, :3, 3] for meaning, joint in rig.skeleton.semantic.items()}


def _letter_turns(body: Body, letter: str) -> dict[str, Floats]:
    """World turns (3,3) of joints by meaning from the rig's rest into a T or an A."""
    turns = dict(zip(BODY_JOINTS, body.R_canonical_rest, strict=True))
    turns |= _straight_fingers(body, turns)
    if letter == "A":
        for side, sign in (("left", -1.0), ("right", 1.0)):
            drop = quat_to_matrix(rotvec_to_quat([0.0, 0.0, sign * _ARM_DROP_RAD]))
            arm = (f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
            fingers = tuple(name for name in FINGER_JOINTS if name.startswith(side))
            turns |= {name: drop @ turns[name] for name in (*arm, *fingers) if name in turns}
    return turns


def _straight_fingers(body: Body, turns: Mapping[str, Floats]) -> dict[str, Floats]:
    """Fingers lie level, each straight on from its first bone; thumbs stay as they rest on the hand."""
    straight = {}
    for name, index, way in zip(FINGER_JOINTS, body.finger_index, body.finger_direction, strict=True):
        side, digit, _ = name.split("_")
        first = body.finger_direction[FINGER_JOINTS.index(f"{side}_{digit}_mcp")]
        if digit == "thumb" or index < 0 or not way.any() or not first.any():
            continue
        level = quat_between(way, first * [1.0, 0.0, 1.0])
        straight[name] = quat_to_matrix(level) @ turns[f"{side}_wrist"]
    return straight


def _file_turns(body: Body, places_m: Floats) -> dict[str, Floats]:
    """World turns (3,3) by meaning that make each part lie as SMPL-H's of ``places_m`` (52,3) do."""
    names = [str(smpl_joints.meaning(name)) for name in smpl_joints.JOINT_NAMES["smplh"]]
    wanted, own = dict(zip(names, places_m, strict=True)), _places(body.rig)
    parents = smpl_joints.joint_parents("smplh")
    flat = {name for name, place, parent in zip(names, places_m, parents, strict=True)
            if parent >= 0 and np.linalg.norm(place - places_m[parent]) < _LEAST_BONE_M}
    shared = (wanted.keys() & own.keys()) - flat
    to, of = rest_frames(wanted, shared), rest_frames(own, shared)
    return {name: to[name] @ of[name].T for name in to}


def _posed(body: Body, turns: Mapping[str, Floats]) -> Floats:
    """World transforms (J,4,4) of the rig's rest with joints turned by ``turns``; joints without one go with their parents."""
    rig, parents = body.rig, body.rig.joint_parents
    turn_of = {rig.skeleton.semantic[name]: turn for name, turn in turns.items() if name in rig.skeleton.semantic}
    turn = np.tile(np.eye(3), (len(parents), 1, 1))
    for joint, parent in enumerate(parents):
        turn[joint] = turn_of.get(joint, turn[parent] if parent >= 0 else turn[joint])
    world = quat_multiply(matrix_to_quat(turn), decompose(body.T_world_rest)[0])
    children = np.flatnonzero(parents >= 0)
    local = world.copy()
    local[children] = quat_multiply(quat_inverse(world[parents[children]]), world[children])
    _, translation_m, scale = decompose(rig.skeleton.rest_local)
    return local_to_world(parents, local_matrices(quat_normalize(local), translation_m, scale))


def _of_body(rig: Rig) -> NDArray[np.bool_]:
    """The joints (J,) that are the pelvis or below it."""
    inside = np.zeros(len(rig.joint_names), bool)
    inside[rig.skeleton.semantic.get("pelvis", 0)] = True
    for joint, parent in enumerate(rig.joint_parents):
        inside[joint] |= parent >= 0 and inside[parent]
    return inside


def _turned_normals(rig: Rig, T_world: Floats) -> NDArray[np.float32]:
    """Normals (V,3) of the mesh in the pose ``T_world`` (J,4,4): they turn by the cofactors of what vertices turn by."""
    linear = (T_world @ np.linalg.inv(rig.bind_world))[:, :3, :3]
    blended = (rig.skinning_matrix @ linear.reshape(-1, 9)).reshape(-1, 3, 3)
    cofactors = np.stack([np.cross(blended[:, row - 2], blended[:, row - 1]) for row in range(3)], axis=1)
    normals = np.einsum("vij,vj->vi", cofactors, rig.normals.astype(np.float64))
    return np.asarray(normals / np.linalg.norm(normals, axis=1, keepdims=True), dtype=np.float32)


def _standing(performance: Performance) -> tuple[Floats, Floats, Floats]:
    """Local values of the rest pose, stood where the motion's first frame is and turned its way about the vertical."""
    rig = performance.rig
    pelvis = rig.skeleton.semantic.get("pelvis", 0)
    rest, first = local_to_world(rig.joint_parents, rig.skeleton.rest_local)[pelvis], performance.T_world_joint[0, pelvis]
    turn = quat_multiply(decompose(first)[0], quat_inverse(decompose(rest)[0]))
    yaw = quat_normalize(turn * [0.0, 1.0, 0.0, 1.0])
    stood = np.eye(4)
    stood[:3, :3] = quat_to_matrix(yaw)
    stood[[0, 2], 3] = (first[:3, 3] - stood[:3, :3] @ rest[:3, 3])[[0, 2]]
    local = rig.skeleton.rest_local.copy()
    local[rig.joint_parents < 0] = stood @ local[rig.joint_parents < 0]
    return decompose(local)


def _arrays(performance: Performance) -> dict[str, NDArray[Any]]:
    values = {field.name: getattr(performance, field.name) for field in fields(performance) if field.name != "rig"}
    return {name: array for name, array in values.items() if array is not None}
