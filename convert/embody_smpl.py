"""Motion of an SMPL body onto a rig that has SMPL's joints and rests as SMPL does: in a T-pose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import RigdropError
from ..ingest.recording import Actor, SmplMotion
from ..motion.kinematics import decompose, local_to_world
from ..motion.rig import Rig, Skeleton
from ..motion.rotations import matrix_to_quat, quat_apply, quat_inverse, quat_multiply, quat_normalize
from ..motion.smpl_joints import JOINT_NAMES, PELVIS_REST_M, SIDES, fingers, joint_parents, meaning
from .cleaning.fill import whole_places, whole_turns
from .performance import Performance

Floats = NDArray[np.float64]

# Arms of SMPL's own zero pose hang by some 5°; an A-pose's by 30° and more.
_T_POSE_DEG = 20.0


def embody_smpl(actor: Actor, times_s: Floats, rig: Rig, pelvis_rest_m: Floats | None = None) -> Performance:
    """Return an actor's SMPL motion on ``rig``, in the rig's own bone lengths.

    Each joint turns from the rig's rest as SMPL's does from its zero pose, whatever the rig's joint axes are. The pelvis is
    at ``R_world_source · (pelvis_rest + translation)``: ``pelvis_rest_m`` (3,) is where the SMPL body's own rests from the
    model's origin; without it, the rig's where that lies below the origin, as in SMPL, else the mean body's. Frames in
    which the person is absent are filled from their neighbours. ``known`` is False there, for hands that were not measured,
    and for joints that the motion has not. Raises `RigdropError` for other motion, and for a rig that rests otherwise.
    """
    motion, there = actor.motion, actor.visible
    if not isinstance(motion, SmplMotion):
        raise RigdropError(f"{actor.name}: found {type(motion).__name__}, expected the motion of an SMPL body")
    index = _rig_joints(motion, rig)
    rest_world = local_to_world(rig.joint_parents, rig.skeleton.rest_local)
    _check_rest(rig, motion.model, rest_world[index, :3, 3])
    there = np.asarray(there & np.isfinite(motion.quat_xyzw).all(axis=(1, 2)) & np.isfinite(motion.translation_m).all(axis=1))
    turns = _world_turns(motion, whole_turns(motion.quat_xyzw, times_s, there)[0])
    places_m = whole_places(motion.translation_m[:, None], times_s, there)[0][:, 0]
    pelvis_m = (places_m + _pelvis_rest(motion.model, rest_world[index[0], :3, 3], pelvis_rest_m)) @ motion.R_world_source.T
    quat, translation, scale = _local(rig.skeleton, rest_world, _rig_turns(rig.skeleton, index, turns), index[0], pelvis_m)
    confidence = np.where(there, actor.confidence, 0.0).astype(np.float32)
    return Performance(rig, times_s, quat, translation, there, confidence, _known(motion, rig, index, there), scale)


def _rig_joints(motion: SmplMotion, rig: Rig) -> NDArray[np.intp]:
    """Return the rig's joint (J,) for each of SMPL's, by what it means, else by its name; -1 where the rig has none."""
    by_name = {name: number for number, name in enumerate(rig.joint_names)}
    names = JOINT_NAMES[motion.model]
    index = np.array([rig.skeleton.semantic.get(meaning(name) or "", by_name.get(name, -1)) for name in names])
    lacking = [name for name, number in zip(names[:22], index) if number < 0]
    if lacking:
        raise RigdropError(f"rig {rig.name}: found no {lacking[0]}, expected the joints of an SMPL body")
    return index


def _check_rest(rig: Rig, model: str, places_m: Floats) -> None:
    """Raise `RigdropError` unless the arms of SMPL's joints, which rest at ``places_m`` (J,3), reach out to the sides."""
    for side, aside in zip(SIDES, (1.0, -1.0)):
        shoulder, wrist = (places_m[JOINT_NAMES[model].index(f"{side}_{joint}")] for joint in ("shoulder", "wrist"))
        arm = (wrist - shoulder) / np.linalg.norm(wrist - shoulder)
        angle_deg = float(np.degrees(np.arccos(np.clip(aside * arm[0], -1.0, 1.0))))
        if angle_deg > _T_POSE_DEG:
            raise RigdropError(f"rig {rig.name}: rest_local: found the {side} arm {angle_deg:.0f}° off to the side, expected a T-pose")


def _pelvis_rest(model: str, own_m: Floats, given_m: Floats | None) -> Floats:
    if given_m is not None:
        return np.asarray(given_m, dtype=np.float64)
    # A rig that stands on y = 0 says nothing of SMPL's origin, which lies near the breast.
    return np.asarray(own_m if own_m[1] < 0 else PELVIS_REST_M[model])


def _world_turns(motion: SmplMotion, local_xyzw: Floats) -> Floats:
    """Return how far each SMPL joint has turned from rest, (F,J,4), in the world's axes."""
    world = local_xyzw.copy()
    world[:, 0] = quat_multiply(matrix_to_quat(motion.R_world_source), local_xyzw[:, 0])
    for joint, parent in enumerate(joint_parents(motion.model)):
        if parent >= 0:
            world[:, joint] = quat_multiply(world[:, parent], local_xyzw[:, joint])
    return world


def _rig_turns(skeleton: Skeleton, index: NDArray[np.intp], turns: Floats) -> Floats:
    """Return the same (F,R,4) for each joint of the rig: one that SMPL lacks turns with its parent, those above the pelvis rest."""
    smpl_joint = {int(number): joint for joint, number in enumerate(index) if number >= 0}
    rig_turns = np.tile((0.0, 0.0, 0.0, 1.0), (len(turns), len(skeleton.joint_names), 1))
    for joint, parent in enumerate(skeleton.joint_parents):
        if joint in smpl_joint:
            rig_turns[:, joint] = turns[:, smpl_joint[joint]]
        elif parent >= 0:
            rig_turns[:, joint] = rig_turns[:, parent]
    return rig_turns


def _local(
    skeleton: Skeleton, rest_world: Floats, turns: Floats, pelvis: int, pelvis_m: Floats,
) -> tuple[Floats, Floats, Floats | None]:
    """Return quat_xyzw (F,R,4), translation_m (F,R,3) and scale (F,R) of a rig's joints relative to their parents.

    Joint = turn · rest, in the world; what the parent's turn and rest leave of it is the local one.
    """
    frames, parents = len(turns), skeleton.joint_parents
    rest_quat, _, rest_scale = decompose(rest_world)
    _, rest_translation, local_scale = decompose(skeleton.rest_local)
    world = quat_multiply(turns, rest_quat)
    above = np.where(np.asarray(parents)[:, None] >= 0, world[:, parents], (0.0, 0.0, 0.0, 1.0))
    translation = np.tile(rest_translation, (frames, 1, 1))
    translation[:, pelvis] = pelvis_m
    parent = int(parents[pelvis])
    if parent >= 0:
        # Whatever is above the pelvis rests.
        translation[:, pelvis] = quat_apply(quat_inverse(rest_quat[parent]), pelvis_m - rest_world[parent, :3, 3]) / rest_scale[parent]
    unscaled = bool(np.allclose(local_scale, 1.0, atol=1e-9))
    scale = None if unscaled else np.tile(local_scale, (frames, 1))
    return quat_normalize(quat_multiply(quat_inverse(above), world)), translation, scale


def _known(motion: SmplMotion, rig: Rig, index: NDArray[np.intp], there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    known = np.zeros((len(there), len(rig.joint_names)), dtype=bool)
    known[:, index[index >= 0]] = there[:, None]
    if motion.hands_seen is not None:
        names = JOINT_NAMES[motion.model]
        for side, label in enumerate(SIDES):
            columns = [number for name in fingers(label) if name in names and (number := index[names.index(name)]) >= 0]
            known[:, columns] &= motion.hands_seen[:, side, None]
    return known
