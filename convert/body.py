"""The body inside any rig: 22 joints and 30 finger joints in one canonical T-pose, so that motion is solved once for all.

In the canonical frame every joint's axes are the world's while the body stands in a T-pose: arms along ±X with palms
down, legs along -Y, toes toward +Z. A pose is then a local rotation a joint, identity everywhere for the T-pose, and
says the same thing for every rig, whatever its own rest pose and bone axes are.

With `A` the rotation that takes a joint's bone from the rig's rest to the T-pose and `G` the canonical world rotation,
the rig's own joint turns to ``R_world = G · A · R_rest``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from ..motion.kinematics import depth_levels, local_to_world
from ..motion.rig import Rig
from ..motion.rotations import matrix_to_quat, quat_apply, quat_continuous, quat_inverse, quat_multiply, quat_normalize
from ..motion.take import Motion

Array = NDArray[np.float64]

_TRUNK = {"pelvis": None, "spine_1": "pelvis", "spine_2": "spine_1", "spine_3": "spine_2", "neck": "spine_3", "head": "neck"}
_ARM = {"clavicle": "spine_3", "shoulder": "clavicle", "elbow": "shoulder", "wrist": "elbow"}
_LEG = {"hip": "pelvis", "knee": "hip", "ankle": "knee", "foot": "ankle"}
_FINGERS = {"thumb": ("cmc", "mcp", "ip"), **dict.fromkeys(("index", "middle", "ring", "pinky"), ("mcp", "pip", "dip"))}


def _sided(side: str, chain: Mapping[str, str]) -> dict[str, str | None]:
    own = {name: f"{side}_{name}" for name in chain}
    return {own[name]: own.get(parent, parent) for name, parent in chain.items()}


_LIMBS = {name: parent for chain in (_ARM, _LEG) for side in ("left", "right") for name, parent in _sided(side, chain).items()}
_PARENT_OF: dict[str, str | None] = {**_TRUNK, **_LIMBS}

BODY_JOINTS: tuple[str, ...] = tuple(_PARENT_OF)
BODY_PARENTS: NDArray[np.int32] = np.array([BODY_JOINTS.index(parent) if parent else -1 for parent in _PARENT_OF.values()], np.int32)
FINGER_JOINTS: tuple[str, ...] = tuple(
    f"{side}_{finger}_{joint}" for side in ("left", "right") for finger, joints in _FINGERS.items() for joint in joints
)
SOLE_POINTS: tuple[str, ...] = ("left_heel", "left_toe", "right_heel", "right_toe")


def body_joint(name: str) -> int:
    """Index of a canonical joint by name."""
    return BODY_JOINTS.index(name)


@dataclass(frozen=True, eq=False)
class Body:
    """A rig seen as a canonical body."""

    rig: Rig
    joint_index: NDArray[np.intp]  # (22,), which of the rig's joints each canonical joint is
    R_canonical_rest: Array  # (22,3,3), `A`: from the rig's rest to the T-pose, in world axes
    offset_m: Array  # (22,3), T-pose place of each joint from its parent's, world axes; the pelvis' is zero
    finger_index: NDArray[np.intp]  # (30,), the rig's finger joints, -1 where it has none
    finger_axis: Array  # (30,3), axis of flexion (positive closes the hand), T-pose world axes
    finger_direction: Array  # (30,3), unit direction of each finger bone at rest, T-pose world axes

    @classmethod
    def of(cls, rig: Rig) -> Body:
        """See ``rig`` as a body. Raises `ReadError` where it does not name a joint that every body has."""
        semantic = rig.skeleton.semantic
        missing = [name for name in BODY_JOINTS if name not in semantic]
        if missing:
            found = f"found no {missing[0]!r}, expected every joint of a body"
            raise ReadError(f"rig {rig.name}: semantic: {found}; add it to the rig's table of names")
        T_world_rest = local_to_world(rig.joint_parents, rig.skeleton.rest_local)
        place = {name: T_world_rest[index, :3, 3] for name, index in semantic.items()}
        joint_index = np.array([semantic[name] for name in BODY_JOINTS])
        turn = _rest_to_tpose(place)
        rest = np.stack([place[name] for name in BODY_JOINTS])
        parents = np.maximum(BODY_PARENTS, 0)
        offset = np.einsum("jab,jb->ja", turn[parents], rest - rest[parents])
        finger_index = np.array([semantic.get(name, -1) for name in FINGER_JOINTS])
        axis, direction = _finger_axes(place, turn)
        return cls(rig, joint_index, turn, offset, finger_index, axis, direction)

    @cached_property
    def levels(self) -> list[NDArray[np.intp]]:
        """Canonical joints grouped by depth, the pelvis first."""
        return depth_levels(BODY_PARENTS)

    @cached_property
    def T_world_rest(self) -> Array:
        """The rig's rest (J,4,4), world."""
        return local_to_world(self.rig.joint_parents, self.rig.skeleton.rest_local)

    def world_rotations(self, quat_xyzw: Array) -> Array:
        """Chain canonical local rotations (F,22,4) into canonical world rotations (F,22,4)."""
        world = np.array(quat_xyzw, dtype=np.float64)
        for level in self.levels[1:]:
            world[:, level] = quat_multiply(world[:, BODY_PARENTS[level]], world[:, level])
        return world

    def positions(self, quat_xyzw: Array, root_m: Array) -> Array:
        """Places of the joints (F,22,3), metres, for local rotations (F,22,4) and the pelvis' place (F,3)."""
        world = self.world_rotations(quat_xyzw)
        place = np.zeros((*world.shape[:2], 3))
        place[:, 0] = root_m
        for level in self.levels[1:]:
            parents = BODY_PARENTS[level]
            place[:, level] = place[:, parents] + quat_apply(world[:, parents], self.offset_m[level])
        return place

    @cached_property
    def sole_points(self) -> tuple[NDArray[np.intp], Array]:
        """Heel and toe on the sole of each foot: canonical joints (4,), and offsets (4,3) in T-pose axes, metres.

        The lowest skin of the foot, foremost and hindmost: what stands on the ground.
        """
        joints, offsets = [], []
        ankle_of = {"left": body_joint("left_ankle"), "right": body_joint("right_ankle")}
        for name in SOLE_POINTS:
            side, end = name.split("_")
            ankle = ankle_of[side]
            turn, origin = self.R_canonical_rest[ankle], self.T_world_rest[self.joint_index[ankle], :3, 3]
            sole = (self._foot_skin(side) - origin) @ turn.T
            sole = sole[sole[:, 1] < sole[:, 1].min() + 0.02]
            back, front = sole[:, 2].min(), sole[:, 2].max()
            heel, toe = sole[:, 2] < back + 0.2 * (front - back), sole[:, 2] > front - 0.3 * (front - back)
            joints.append(ankle if end == "heel" else body_joint(f"{side}_foot"))
            point = np.median(sole[heel if end == "heel" else toe], axis=0)
            point[1] = sole[:, 1].min()
            offsets.append(point - (self.offset_m[joints[-1]] if end == "toe" else 0.0))
        return np.array(joints), np.stack(offsets)

    def sole_places(self, quat_xyzw: Array, root_m: Array) -> Array:
        """Places (F,4,3), metres, of `SOLE_POINTS` in a pose."""
        joints, offsets = self.sole_points
        world = self.world_rotations(quat_xyzw)[:, joints]
        return self.positions(quat_xyzw, root_m)[:, joints] + quat_apply(world, offsets)

    def _foot_skin(self, side: str) -> Array:
        family = {self.rig.skeleton.semantic[f"{side}_ankle"]}
        for joint, parent in enumerate(self.rig.joint_parents):
            if int(parent) in family:
                family.add(joint)
        of_foot = np.isin(self.rig.skin_joints[:, 0], sorted(family))
        return self.rig.vertices_m[of_foot].astype(np.float64)

    def to_motion(
        self, quat_xyzw: Array, root_m: Array, visible: NDArray[np.bool_], confidence: Array, fingers_xyzw: Array | None = None
    ) -> Motion:
        """Carry a canonical pose onto the rig's own joints: a `Motion` with constant bone lengths.

        ``quat_xyzw`` (F,22,4) local, ``root_m`` (F,3) the pelvis in the world, ``fingers_xyzw`` (F,30,4) local turns from
        the rig's resting fingers. Joints that a body does not have a name for rest on the joint above them.
        """
        frames, joints = len(quat_xyzw), len(self.rig.joint_names)
        turn = np.tile(np.array([0.0, 0.0, 0.0, 1.0]), (frames, joints, 1))  # G · A: each joint's turn away from rest, in world axes
        body_turn = quat_multiply(self.world_rotations(quat_xyzw), matrix_to_quat(self.R_canonical_rest))
        local_finger = self._fingers_by_joint(fingers_xyzw)
        wrist_quat = {joint: matrix_to_quat(self.R_canonical_rest[body_joint(f"{side}_wrist")])
                      for side, joint in zip(("left", "right"), self._wrist_joints, strict=True)}
        canonical_of = {int(joint): body for body, joint in enumerate(self.joint_index)}
        beside_ball, hand_of = self._beside_ball(), dict[int, Array]()
        for joint, parent in enumerate(self.rig.joint_parents):
            if joint in canonical_of:
                turn[:, joint] = body_turn[:, canonical_of[joint]]
            elif joint in beside_ball:
                turn[:, joint] = body_turn[:, beside_ball[joint]]
            elif parent >= 0:
                turn[:, joint] = turn[:, parent]
            A_hand = wrist_quat.get(joint, hand_of.get(int(parent)))
            if A_hand is not None:
                hand_of[joint] = A_hand
            if joint in local_finger and A_hand is not None:
                # Turns of fingers are told in T-pose axes; Aᵀ · q · A tells them in the axes of the rig's rest.
                local = quat_multiply(quat_multiply(quat_inverse(A_hand), local_finger[joint]), A_hand)
                turn[:, joint] = quat_multiply(turn[:, joint], local)
        return self._locals(turn, root_m, visible, confidence)

    def _beside_ball(self) -> dict[int, int]:
        """Toes that hang beside the one that is named the ball of the foot, and the canonical joint that they turn with."""
        named = {int(joint): body for body, joint in enumerate(self.joint_index)}
        parents = self.rig.joint_parents
        balls = {int(parents[self.joint_index[ball]]): ball for ball in (body_joint("left_foot"), body_joint("right_foot"))}
        return {joint: balls[int(parent)] for joint, parent in enumerate(parents) if int(parent) in balls and joint not in named}

    @property
    def _wrist_joints(self) -> tuple[int, int]:
        return int(self.joint_index[body_joint("left_wrist")]), int(self.joint_index[body_joint("right_wrist")])

    def _fingers_by_joint(self, fingers_xyzw: Array | None) -> dict[int, Array]:
        if fingers_xyzw is None:
            return {}
        return {int(joint): fingers_xyzw[:, finger] for finger, joint in enumerate(self.finger_index) if joint >= 0}

    def _locals(self, turn: Array, root_m: Array, visible: NDArray[np.bool_], confidence: Array) -> Motion:
        """Turn world rotations away from rest (F,J,4) into the rig's local values."""
        parents = self.rig.joint_parents
        world = quat_multiply(turn, matrix_to_quat(self.T_world_rest[:, :3, :3]))
        local = world.copy()
        children = np.flatnonzero(parents >= 0)
        local[:, children] = quat_multiply(quat_inverse(world[:, parents[children]]), world[:, children])
        translation = np.tile(self.rig.skeleton.rest_local[:, :3, 3], (len(turn), 1, 1))
        self._place_pelvis(translation, root_m)
        quat = quat_continuous(quat_normalize(local))
        return Motion(quat.astype(np.float32), translation.astype(np.float32), visible, confidence.astype(np.float32))

    def _place_pelvis(self, translation_m: Array, root_m: Array) -> None:
        """Put the pelvis' world places (F,3) into local translations (F,J,3).

        A rig that names a ``root`` above the pelvis has it follow over the ground, as game engines want root motion.
        """
        pelvis, root = int(self.joint_index[0]), self.rig.skeleton.semantic.get("root")
        shift = np.zeros_like(root_m)
        if root is not None:
            shift = (root_m - self.T_world_rest[pelvis, :3, 3]) * np.array([1.0, 0.0, 1.0])
            translation_m[:, root] += shift
        parent = int(self.rig.joint_parents[pelvis])
        above = np.linalg.inv(self.T_world_rest[parent]) if parent >= 0 else np.eye(4)
        translation_m[:, pelvis] = (root_m - shift) @ above[:3, :3].T + above[:3, 3]


def _basis(direction: Array, across: Array) -> Array:
    """A right-handed frame (3,3), columns: the direction, what of ``across`` is square to it, and their cross product."""
    first = direction / np.linalg.norm(direction)
    second = across - first * (across @ first)
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)], axis=1)


def _align(direction: Array, across: Array, to_direction: Array, to_across: Array) -> Array:
    """The rotation (3,3) that brings one pair of directions onto another."""
    return np.asarray(_basis(to_direction, to_across) @ _basis(direction, across).T)


def _rest_to_tpose(place: Mapping[str, Array]) -> Array:
    """The rotations `A` (22,3,3) that take each canonical joint's bone from rest to the T-pose."""
    turn = np.tile(np.eye(3), (len(BODY_JOINTS), 1, 1))
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for name, matrix in {**_arm_turns(place, side, sign), **_leg_turns(place, side)}.items():
            turn[body_joint(name)] = matrix
    return turn


def _arm_turns(place: Mapping[str, Array], side: str, sign: float) -> dict[str, Array]:
    """Arm along ±X, elbow closing toward +Z, palm down."""
    shoulder, elbow, wrist = (place[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
    outward, hinge = np.array([sign, 0.0, 0.0]), np.array([0.0, -sign, 0.0])
    knuckles = place.get(f"{side}_middle_mcp"), place.get(f"{side}_index_mcp"), place.get(f"{side}_pinky_mcp")
    middle, index, pinky = (wrist + (wrist - elbow) if k is None else k for k in knuckles)
    across = index - pinky if np.linalg.norm(index - pinky) > 1e-6 else np.array([0.0, 0.0, 1.0])
    upper, fore = elbow - shoulder, wrist - elbow
    bend = np.cross(upper, fore)
    # A rest pose with straight elbows does not say where they close; the thumb's side does.
    straight = np.linalg.norm(bend) < np.sin(np.radians(5)) * np.linalg.norm(upper) * np.linalg.norm(fore)
    axis = np.cross(upper, across) if straight else bend
    return {
        f"{side}_shoulder": _align(upper, axis, outward, hinge),
        f"{side}_elbow": _align(fore, axis, outward, hinge),
        f"{side}_wrist": _align(middle - wrist, across, outward, np.array([0.0, 0.0, 1.0])),
    }


def _leg_turns(place: Mapping[str, Array], side: str) -> dict[str, Array]:
    """Leg along -Y, knee closing backward, sole flat as at rest, toes toward +Z."""
    hip, knee, ankle, foot = (place[f"{side}_{name}"] for name in ("hip", "knee", "ankle", "foot"))
    down, left = np.array([0.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0])
    flat = (foot - ankle) * np.array([1.0, 0.0, 1.0])
    level = _align(flat, np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]))
    return {
        f"{side}_hip": _align(knee - hip, left, down, left),
        f"{side}_knee": _align(ankle - knee, left, down, left),
        f"{side}_ankle": level,
        f"{side}_foot": level,
    }


def _finger_axes(place: Mapping[str, Array], turn: Array) -> tuple[Array, Array]:
    """Flexion axes and rest directions (30,3) of the finger bones, T-pose axes; zero where the rig has no such finger."""
    axes, directions = np.zeros((len(FINGER_JOINTS), 3)), np.zeros((len(FINGER_JOINTS), 3))
    for row, name in enumerate(FINGER_JOINTS):
        if name not in place:
            continue
        side, finger, _ = name.split("_")
        chain = [other for part in _FINGERS[finger] if (other := f"{side}_{finger}_{part}") in place]
        if len(chain) < 2:
            continue
        # A bone without an end goes on as the one before it.
        start = min(chain.index(name), len(chain) - 2)
        direction = turn[body_joint(f"{side}_wrist")] @ (place[chain[start + 1]] - place[chain[start]])
        directions[row] = direction / np.linalg.norm(direction)
        axes[row] = _flexion_axis(side, finger, directions[row])
    return axes, directions


def _flexion_axis(side: str, finger: str, direction: Array) -> Array:
    """Palms are down in the T-pose, so that fingers close toward -Y; the thumb closes across the palm, inward and down."""
    inward = np.array([-1.0 if side == "left" else 1.0, 0.0, 0.0])
    closes_to = np.array([0.0, -1.0, 0.0]) if finger != "thumb" else np.array([0.0, -0.7, -0.7]) + 0.2 * inward
    axis = np.cross(direction, closes_to)
    return np.asarray(axis / np.linalg.norm(axis))
