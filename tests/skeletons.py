"""A plain person as an animator's file has one: joints that rest unturned in a T-pose, named as MotionBuilder names them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Man:
    """Joints, parents first; metres, +Y up, facing +Z, the left on +X."""

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offset_m: Array  # (J,3), from the parent

    def places_m(self) -> list[Array]:
        """Where the joints are at rest."""
        places: list[Array] = []
        for parent, offset in zip(self.parents, self.offset_m, strict=True):
            places.append(offset if parent < 0 else places[parent] + offset)
        return places


def _man() -> Man:
    joints: list[tuple[str, str, tuple[float, float, float]]] = [("Hips", "", (0, 0.94, 0))]
    for name, parent, up in (("Spine", "Hips", 0.1), ("Spine1", "Spine", 0.12), ("Spine2", "Spine1", 0.13), ("Neck", "Spine2", 0.16),
                             ("Head", "Neck", 0.11)):
        joints.append((name, parent, (0, up, 0.01)))
    for side, sign in (("Left", 1.0), ("Right", -1.0)):
        joints += [
            (f"{side}Shoulder", "Spine2", (sign * 0.06, 0.1, 0)), (f"{side}Arm", f"{side}Shoulder", (sign * 0.12, 0.01, 0)),
            (f"{side}ForeArm", f"{side}Arm", (sign * 0.28, 0, -0.01)), (f"{side}Hand", f"{side}ForeArm", (sign * 0.25, 0, 0.01)),
            (f"{side}UpLeg", "Hips", (sign * 0.09, -0.05, 0)), (f"{side}Leg", f"{side}UpLeg", (0, -0.41, 0.01)),
            (f"{side}Foot", f"{side}Leg", (0, -0.4, -0.02)), (f"{side}ToeBase", f"{side}Foot", (0, -0.06, 0.13)),
        ]
    names = [name for name, _, _ in joints]
    parents = tuple(names.index(parent) if parent else -1 for _, parent, _ in joints)
    return Man(tuple(names), parents, np.array([offset for _, _, offset in joints], dtype=float))


MAN = _man()


def man_motion(man: Man, frames: int, seed: int = 4) -> tuple[Array, Array]:
    """Euler angles (F,J,3), degrees, up to half a turn, and local places (F,J,3): the hips walk, the others stay at their offsets."""
    rng = np.random.default_rng(seed)
    phase, reach = rng.uniform(0, 2 * np.pi, (len(man.names), 3)), rng.uniform(5, 40, (len(man.names), 3))
    time = np.linspace(0, 2, frames)[:, None, None]
    angles = reach * np.sin(3 * time + phase)
    angles[:, 0, 1] = np.linspace(-170, 170, frames)
    places = np.tile(man.offset_m, (frames, 1, 1))
    places[:, 0] += np.stack([0.3 * time[:, 0, 0], 0.03 * np.sin(8 * time[:, 0, 0]), time[:, 0, 0]], axis=-1)
    return angles, places
