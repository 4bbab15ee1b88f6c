"""A posed skeleton seen through the parts that it shares with another, with the measures that carry motion between them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...motion.rig import Rig
from ...motion.rotations import matrix_to_quat, quat_apply, quat_inverse, quat_multiply, quat_to_matrix
from .limb_frames import SIDES, rest_frames
from .poser import Poser

Array = NDArray[np.float64]

ARM, LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
# How far behind the ankle the heel ends, as a share of how far the ball is ahead: 42 mm to 130 mm on Anny's adult.
_HEEL_SHARE = 0.32


@dataclass(frozen=True, eq=False)
class Figure:
    """A rig with its pose; parts' turns are those of their frames in `limb_frames`."""

    rig: Rig
    poser: Poser
    shared: Collection[str]
    moving: bool  # the pose has frames that bones can be measured in; else they are as at rest

    @cached_property
    def _frame_xyzw(self) -> dict[str, Array]:
        """For each part, from its frame to the joint that carries it, at rest (4,): ``Cᵀ · R_rest``."""
        semantic = self.rig.skeleton.semantic
        frames = rest_frames({name: self.poser.place_rest_m[joint] for name, joint in semantic.items()}, self.shared)
        rest = quat_to_matrix(self.poser.turn_rest_xyzw)
        return {name: matrix_to_quat(frame.T @ rest[self._carriers(name)[-1]]) for name, frame in frames.items()}

    @property
    def parts(self) -> list[str]:
        """The parts that have a frame."""
        return list(self._frame_xyzw)

    def joint(self, name: str) -> int:
        """Index of a part's joint."""
        return self.rig.skeleton.semantic[name]

    def _carriers(self, name: str) -> list[int]:
        """The joints that turn a part, one below the other: MHR's feet turn about four between the shank and the ball."""
        foot = self.rig.skeleton.semantic.get(name.replace("ankle", "foot"))
        between = [] if foot is None or not name.endswith("ankle") else self.poser.between(self.joint(name), foot)
        return [self.joint(name), *between]

    def part_turn(self, name: str) -> Array:
        """World turns (F,4) of a part's frame."""
        return quat_multiply(self.poser.turn(self._carriers(name)[-1]), quat_inverse(self._frame_xyzw[name]))

    def turn_part(self, name: str, turn_xyzw: Array) -> None:
        """Turn a part so that its frame has these turns (F,4) in the world."""
        world, (first, *others) = quat_multiply(turn_xyzw, self._frame_xyzw[name]), self._carriers(name)
        for joint in reversed(others):
            world = quat_multiply(world, quat_inverse(self.poser.local_xyzw.get(joint, self.poser.rest_xyzw[joint])))
        self.poser.turn_to(first, world)

    def from_pelvis(self, offset_m: Array, pelvis_xyzw: Array) -> Array:
        """How far (F,3) something of the pelvis is away that rests ``offset_m`` (3,) away, for turns (F,4) of the pelvis' frame."""
        joint = quat_multiply(pelvis_xyzw, self._frame_xyzw["pelvis"])
        turned = quat_multiply(joint, quat_inverse(self.poser.turn_rest_xyzw[self.joint("pelvis")]))
        return quat_apply(turned, offset_m)

    def rest(self, name: str) -> Array:
        """Where a part's joint rests (3,)."""
        return np.asarray(self.poser.place_rest_m[self.joint(name)])

    def place(self, name: str) -> Array:
        """Where a part's joint is (F,3)."""
        return self.poser.place(self.joint(name))

    def bones_m(self, side: str, limb: tuple[str, str, str]) -> tuple[float, float]:
        """Lengths of a limb's two bones: the median over the motion, or at rest where nothing moves them."""
        return _bones([self.place(f"{side}_{name}") if self.moving else self.rest(f"{side}_{name}") for name in limb])

    def limb_m(self, limb: tuple[str, str, str]) -> float:
        """Length of a limb, both bones, the mean of both sides."""
        return float(np.mean([sum(self.bones_m(side, limb)) for side in SIDES]))

    def _size(self) -> float:
        """Length of the legs over what they have at rest: scaled joints and stretched bones change it."""
        rest = np.mean([sum(_bones([self.rest(f"{side}_{name}") for name in LEG])) for side in SIDES])
        return float(self.limb_m(LEG) / rest)

    def hips_rest_m(self) -> Array:
        """The middle between the hips at rest (3,)."""
        return np.asarray((self.rest("left_hip") + self.rest("right_hip")) / 2)

    def hips_m(self) -> Array:
        """The middle between the hips (F,3)."""
        return np.asarray((self.place("left_hip") + self.place("right_hip")) / 2)

    def sole_m(self, side: str) -> Array:
        """Heel and ball on the sole (2,3) from the ankle, in the foot's frame: front, up, right.

        The sole lies where the lowest skin is in the bind pose.
        """
        ankle = self.joint(f"{side}_ankle")
        height = float(self.rig.bind_world[ankle, 1, 3] - self.rig.vertices_m[:, 1].min())
        if f"{side}_foot" not in self.shared:
            # Winter, Biomechanics and Motor Control of Human Movement: feet are 0.152 of a body's height, legs 0.491.
            front = 0.2 * self.limb_m(LEG) / self._size()
        else:
            carrier = self._carriers(f"{side}_ankle")[-1]
            frame = quat_multiply(self.poser.turn_rest_xyzw[carrier], quat_inverse(self._frame_xyzw[f"{side}_ankle"]))
            front = float(quat_apply(quat_inverse(frame), self.rest(f"{side}_foot") - self.rest(f"{side}_ankle"))[0])
        return self._size() * np.array([[-_HEEL_SHARE * front, -height, 0.0], [front, -height, 0.0]])


def _bones(places_m: list[Array]) -> tuple[float, float]:
    first, second = (float(np.median(np.linalg.norm(end - start, axis=-1))) for start, end in pairwise(places_m))
    return first, second
