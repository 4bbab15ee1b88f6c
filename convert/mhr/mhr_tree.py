"""How the joints of the Momentum Human Rig hang together, and how its parameters move them: what a solve needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import local_matrices, local_to_world
from ...motion.rotations import quat_to_matrix
from ..rigs.mhr_parameters import BODY, MhrModel

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

ROOT = 1
"""The joint that carries the body; the one above it never moves."""
POSE = slice(6, BODY.start)
"""The parameters that turn joints below the root; it has 3:6."""
_AXES = 3


@dataclass(frozen=True, eq=False)
class _Reach:
    """The D channels of joints that some parameters change, and which of K joints they move."""

    mover: Indices  # (D,), the joint
    channel: Indices  # (D,), of its seven
    under: NDArray[np.bool_]  # (D,K), hangs under the mover
    hangs: NDArray[np.bool_]  # (D,K), the same, or is the mover itself
    share: Floats  # (D,P), how much of each parameter a channel takes


@dataclass(frozen=True, eq=False)
class MhrTree:
    """The model's joint tree with its parameters' reach."""

    model: MhrModel
    _reaches: dict[tuple[bytes, bytes], _Reach] = field(default_factory=dict)

    @cached_property
    def turns(self) -> NDArray[np.bool_]:
        """The joints (J,) that pose parameters turn, the root among them."""
        return np.asarray((self.model.transform[:, 3:6, 3 : POSE.stop] != 0).any(axis=(1, 2)))

    @cached_property
    def carrier(self) -> Indices:
        """For each joint (J,) the nearest above it that turns: to this one it is fixed, whatever the pose. -1 for none."""
        parents = self.model.rig.joint_parents
        carrier = np.full(len(parents), -1, dtype=np.intp)
        for joint, parent in enumerate(parents):
            if parent >= 0:
                carrier[joint] = parent if self.turns[parent] else carrier[parent]
        return carrier

    @cached_property
    def below(self) -> NDArray[np.bool_]:
        """Whether joint k hangs under joint j, at [j, k] (J,J); none hangs under itself."""
        parents = self.model.rig.joint_parents
        below = np.zeros((len(parents), len(parents)), dtype=bool)
        for joint, parent in enumerate(parents):
            if parent >= 0:
                below[:, joint] = below[:, parent]
                below[parent, joint] = True
        return below

    @cached_property
    def own_parameter(self) -> dict[tuple[int, int], int]:
        """For a joint and an axis (x 0, y 1, z 2), the parameter that turns it one to one; the first where there are two."""
        strength = self.model.transform[:, 3:6, 3 : POSE.stop]
        whole = np.isclose(strength.max(axis=2), 1.0)
        return {(int(joint), int(axis)): 3 + int(strength[joint, axis].argmax()) for joint, axis in np.argwhere(whole)}

    @cached_property
    def R_pre(self) -> Floats:
        """Rotations (J,3,3) of the joints before their own turns."""
        return quat_to_matrix(self.model.pre_quat_xyzw)

    def moving(self, joints: Indices, among: Indices) -> Indices:
        """Return those of the parameters ``among`` that move one of ``joints`` by turning a joint above it."""
        turned = (self.model.transform[:, 3:6, among] != 0).sum(axis=1)  # (J,A)
        reached = self.below[:, joints].sum(axis=1)
        return np.asarray(among[np.flatnonzero(reached @ turned)])

    def world(self, model_params: Floats) -> Floats:
        """Return ``T_world_joint`` (F,J,4,4) for parameters (F,204)."""
        return local_to_world(self.model.rig.joint_parents, local_matrices(*self.model.local(model_params)))

    def base(self, T_world_joint: Floats, joints: Indices) -> tuple[Floats, Floats]:
        """Return in what frame the joints (N,) turn: rotations (F,N,3,3) to the world, and the scale (F,N) above them."""
        linear = T_world_joint[..., :3, :3][:, np.maximum(self.model.rig.joint_parents[joints], 0)]
        scale = np.linalg.norm(linear[..., 0], axis=-1)
        return linear / scale[..., None, None] @ self.R_pre[joints], scale

    def gradient(self, model_params: Floats, T_world_joint: Floats, joints: Indices, parameters: Indices) -> Floats:
        """Return how the places of ``joints`` (K,) change with ``parameters`` (P,): (F,3K,P), metres a unit.

        Motion about a point: a joint's shift moves all that hangs on it, its turn about an axis moves them by
        ``axis × (place − joint)``, its scale by ``ln 2 · (place − joint)``.
        """
        reach = self._reach_of(joints, parameters)
        mover, channel = reach.mover, reach.channel
        places = T_world_joint[..., :3, 3]
        arm = (places[:, joints][:, None] - places[:, mover][:, :, None]) * reach.under[..., None]
        moves = np.empty(arm.shape)  # (F,D,K,3)
        shift, turn, grow = channel < _AXES, (channel >= _AXES) & (channel < 2 * _AXES), channel == 2 * _AXES
        moves[:, shift] = self._shifts(T_world_joint, mover[shift], channel[shift])[:, :, None] * reach.hangs[shift][..., None]
        axis = self._axes(model_params, T_world_joint, mover[turn], channel[turn] - _AXES)
        moves[:, turn] = _cross(axis[:, :, None], arm if turn.all() else arm[:, turn])
        moves[:, grow] = np.log(2) * arm[:, grow]
        by_mover = np.swapaxes(moves.reshape(len(moves), len(mover), -1), 1, 2)
        return np.asarray(by_mover @ reach.share)

    def _reach_of(self, joints: Indices, parameters: Indices) -> _Reach:
        """What of the tree is the same in every step of a solve for the same joints and parameters."""
        key = joints.tobytes(), parameters.tobytes()
        if key not in self._reaches:
            mover, channel = np.nonzero((self.model.transform[:, :, parameters] != 0).any(axis=2))
            hangs = (self.below | np.eye(len(self.below), dtype=bool))[mover][:, joints]
            useful = hangs.any(axis=1)
            mover, channel = mover[useful], channel[useful]
            share = self.model.transform[mover, channel][:, parameters]
            self._reaches[key] = _Reach(mover, channel, self.below[mover][:, joints], hangs[useful], share)
        return self._reaches[key]

    def _shifts(self, T_world_joint: Floats, mover: Indices, axis: Indices) -> Floats:
        """World directions (F,D,3), scaled, of the axes along which joints are shifted: their parents'."""
        linear = T_world_joint[..., :3, :3][:, np.maximum(self.model.rig.joint_parents[mover], 0)]
        return np.take_along_axis(linear, axis[None, :, None, None], axis=3)[..., 0]

    def _axes(self, model_params: Floats, T_world_joint: Floats, mover: Indices, axis: Indices) -> Floats:
        """World directions (F,D,3) of the axes of ``R = Rz·Ry·Rx``: z as it stands, y after Rz, x after Rz·Ry."""
        angles = self.model.joint_parameters(model_params)[:, mover, 3:6]
        y, z, none = angles[..., 1], angles[..., 2], np.zeros(angles.shape[:2])
        about_x = np.stack([np.cos(z) * np.cos(y), np.sin(z) * np.cos(y), -np.sin(y)], axis=-1)
        about_y = np.stack([-np.sin(z), np.cos(z), none], axis=-1)
        about_z = np.stack([none, none, none + 1], axis=-1)
        local = np.choose(axis[:, None], (about_x, about_y, about_z))
        return np.asarray((self.base(T_world_joint, mover)[0] @ local[..., None])[..., 0])


def _cross(left: Floats, right: Floats) -> Floats:
    """The cross product of vectors (…,3): NumPy's own takes twice as long on few of them."""
    turned = np.empty(np.broadcast_shapes(left.shape, right.shape))
    for i in range(_AXES):
        j, k = (i + 1) % _AXES, (i + 2) % _AXES
        np.subtract(left[..., j] * right[..., k], left[..., k] * right[..., j], out=turned[..., i])
    return turned
