"""A skeleton posed joint by joint in world turns, for long clips: only what is asked for is reckoned, without matrices."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...motion.kinematics import decompose, local_to_world
from ...motion.rig import Skeleton
from ...motion.rotations import matrix_to_quat, quat_apply, quat_inverse, quat_multiply

Array = NDArray[np.float64]


class Poser:
    """World turns and places of a skeleton's joints; a joint of which nothing was said rests on its parent.

    Turns are (F,4), places (F,3), or (4,) and (3,) for joints that no frame moves; scales (F,1) or ().
    """

    def __init__(self, skeleton: Skeleton) -> None:
        self.parents = [int(parent) for parent in skeleton.joint_parents]
        self.rest_xyzw, self.rest_m, self.rest_scale = decompose(skeleton.rest_local)
        T_world_rest = local_to_world(skeleton.joint_parents, skeleton.rest_local)
        self.place_rest_m: Array = T_world_rest[:, :3, 3]
        scale = np.cbrt(np.linalg.det(T_world_rest[:, :3, :3]))
        self.turn_rest_xyzw = matrix_to_quat(T_world_rest[:, :3, :3] / scale[:, None, None])
        self.local_xyzw: dict[int, Array] = {}
        self.local_m: dict[int, Array] = {}
        self.local_scale: dict[int, Array] = {}
        self._turn: dict[int, Array] = {}
        self._place: dict[int, Array] = {}

    @classmethod
    def of_motion(cls, skeleton: Skeleton, quat_xyzw: Array, translation_m: Array, scale: Array | None) -> Poser:
        """Pose every joint by local values (F,J,4), (F,J,3) and (F,J) or nothing."""
        poser = cls(skeleton)
        for joint in range(len(poser.parents)):
            poser.local_xyzw[joint], poser.local_m[joint] = quat_xyzw[:, joint], translation_m[:, joint]
            poser.local_scale[joint] = np.ones(()) if scale is None else scale[:, joint, None]
        return poser

    def turn_to(self, joint: int, world_xyzw: Array) -> None:
        """Turn a joint in the world (F,4), whatever its parent does."""
        self._turn[joint] = world_xyzw

    def turn(self, joint: int) -> Array:
        """World turns of a joint."""
        if joint not in self._turn:
            parent, local = self.parents[joint], self.local_xyzw.get(joint, self.rest_xyzw[joint])
            self._turn[joint] = local if parent < 0 else quat_multiply(self.turn(parent), local)
        return self._turn[joint]

    def turned(self, joint: int) -> Array:
        """World turns of a joint away from its rest."""
        return quat_multiply(self.turn(joint), quat_inverse(self.turn_rest_xyzw[joint]))

    def place(self, joint: int) -> Array:
        """World places of a joint, metres."""
        if joint not in self._place:
            parent, local = self.parents[joint], self.local_m.get(joint, self.rest_m[joint])
            if parent >= 0:
                local = self.place(parent) + quat_apply(self.turn(parent), local * self._scale(parent))
            self._place[joint] = local
        return self._place[joint]

    def in_parent(self, joint: int, place_m: Array) -> Array:
        """World places (F,3) of a joint, told from its parent."""
        parent = self.parents[joint]
        if parent < 0:
            return place_m
        return np.asarray(quat_apply(quat_inverse(self.turn(parent)), place_m - self.place(parent)) / self._scale(parent))

    def _scale(self, joint: int) -> Array:
        own = self.local_scale.get(joint, self.rest_scale[joint])
        parent = self.parents[joint]
        return np.asarray(own if parent < 0 else own * self._scale(parent))

    def between(self, above: int, below: int) -> list[int]:
        """The joints on the way from one joint down to another, without both; nothing where there is no such way."""
        path, joint = list[int](), self.parents[below]
        while joint not in (above, -1):
            path.insert(0, joint)
            joint = self.parents[joint]
        return path if joint == above else []

    def locals(self, frames: int) -> Array:
        """Local turns (frames,J,4) of all joints."""
        quat = np.empty((frames, len(self.parents), 4))
        for joint, parent in enumerate(self.parents):
            if joint in self.local_xyzw:
                quat[:, joint] = self.local_xyzw[joint]
            elif joint in self._turn:
                quat[:, joint] = self._turn[joint] if parent < 0 else quat_multiply(quat_inverse(self.turn(parent)), self._turn[joint])
            else:
                quat[:, joint] = self.rest_xyzw[joint]
        return quat
