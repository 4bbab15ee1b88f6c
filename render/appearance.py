"""Clothes, hair and a face for a bare body, as one colour a vertex, found from the rig's own joints and weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..motion.rig import Rig

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Colour = tuple[float, float, float]  # blue, green, red, 0…255

# From the head joint to the crown on the body that the face below was measured on.
_CROWN_M = 0.157


@dataclass(frozen=True)
class Outfit:
    """What somebody wears."""

    skin: Colour = (134, 172, 228)
    hair: Colour = (32, 42, 60)
    shirt: Colour = (150, 84, 44)
    trousers: Colour = (72, 66, 62)
    shoes: Colour = (36, 34, 40)


OUTFITS: tuple[Outfit, ...] = (
    Outfit(),
    Outfit(skin=(96, 132, 190), hair=(22, 24, 30), shirt=(62, 74, 190), trousers=(128, 96, 62), shoes=(210, 212, 216)),
    Outfit(skin=(66, 92, 142), hair=(16, 18, 22), shirt=(196, 204, 208), trousers=(92, 62, 40), shoes=(48, 52, 120)),
    Outfit(skin=(140, 180, 234), hair=(70, 120, 168), shirt=(86, 140, 70), trousers=(58, 50, 48), shoes=(60, 70, 84)),
)


def dress(rig: Rig, outfit: Outfit) -> Array:
    """Colours (V,3), blue green red, 0…255, for a rig's vertices."""
    colours = np.tile(np.array(outfit.skin, dtype=np.float64), (len(rig.vertices_m), 1))
    part = _body_parts(rig)
    colours[_shirt(rig, part)] = outfit.shirt
    colours[_trousers(rig, part)] = outfit.trousers
    colours[np.isin(part, ["left_ankle", "right_ankle", "left_foot", "right_foot"])] = outfit.shoes
    return _with_face(rig, colours, part == "head", outfit)


def _body_parts(rig: Rig) -> NDArray[np.str_]:
    """The name (V,) of the body joint that moves each vertex most; joints without such a name count for the one above."""
    names: list[str] = []
    by_joint = {joint: name for name, joint in rig.skeleton.semantic.items() if not _is_finger(name)}
    for joint, parent in enumerate(rig.joint_parents):
        names.append(by_joint.get(joint, names[parent] if parent >= 0 else "pelvis"))
    return np.array(names)[rig.skin_joints[:, 0]]


def _is_finger(name: str) -> bool:
    return name.rpartition("_")[2] in {"cmc", "mcp", "pip", "dip", "ip", "tip"}


def _joint_m(rig: Rig, name: str) -> Array:
    return np.asarray(rig.bind_world[rig.skeleton.semantic[name], :3, 3])


def _along(rig: Rig, start: str, end: str) -> Array:
    """How far (V,) each vertex lies along a bone: 0 at its start, 1 at its end."""
    origin = _joint_m(rig, start)
    bone = _joint_m(rig, end) - origin
    return np.asarray((rig.vertices_m - origin) @ bone / (bone @ bone))


def _shirt(rig: Rig, part: NDArray[np.str_]) -> Mask:
    """A T-shirt: the trunk down to the belt, a round neck, and sleeves over half of the upper arm."""
    mask = np.isin(part, ["spine_1", "spine_2", "spine_3", "left_clavicle", "right_clavicle"])
    mask |= (part == "pelvis") & ~_below_belt(rig)
    mask |= (part == "neck") & (_along(rig, "neck", "head") < 0.05)
    for side in ("left", "right"):
        mask |= (part == f"{side}_shoulder") & (_along(rig, f"{side}_shoulder", f"{side}_elbow") < 0.6)
    return mask


def _below_belt(rig: Rig) -> Mask:
    hips = 0.5 * (_joint_m(rig, "left_hip")[1] + _joint_m(rig, "right_hip")[1])
    return np.asarray(rig.vertices_m[:, 1] < hips + 0.35 * (_joint_m(rig, "spine_3")[1] - hips))


def _trousers(rig: Rig, part: NDArray[np.str_]) -> Mask:
    return np.isin(part, ["left_hip", "right_hip", "left_knee", "right_knee"]) | (np.isin(part, ["pelvis", "spine_1"]) & _below_belt(rig))


def _with_face(rig: Rig, colours: Array, is_head: Mask, outfit: Outfit) -> Array:
    """Paint hair, brows, eyes and lips; places are metres from the head joint, x left, y up, z forward."""
    from_head = rig.vertices_m - _joint_m(rig, "head")
    from_head = from_head * (_CROWN_M / from_head[:, 1].max())
    x, y, z = np.abs(from_head[:, 0]), from_head[:, 1], from_head[:, 2]
    is_ear = (x > 0.064) & (z > -0.01) & (z < 0.06) & (y < 0.075)
    is_hair = is_head & ~is_ear & (y > np.clip(0.02 + 0.72 * z, -0.035, 0.088))
    skin, hair = np.array(outfit.skin), np.array(outfit.hair)
    is_front = is_head & (z > 0.05)

    def spot(centre_x: float, centre_y: float, half_width: float, half_height: float) -> Mask:
        return np.asarray(is_front & (((x - centre_x) / half_width) ** 2 + ((y - centre_y) / half_height) ** 2 < 1.0))

    dressed = colours.copy()
    dressed[is_hair] = hair
    dressed[spot(0.032, 0.060, 0.020, 0.0055)] = 0.6 * hair + 0.2 * skin
    dressed[spot(0.0, -0.032, 0.024, 0.012)] = skin * np.array([0.72, 0.66, 0.84])
    dressed[spot(0.031, 0.041, 0.017, 0.009)] = 0.55 * skin
    dressed[spot(0.031, 0.041, 0.014, 0.0065)] = (215.0, 215.0, 215.0)
    dressed[spot(0.031, 0.041, 0.0065, 0.0075)] = (30.0, 34.0, 40.0)
    return dressed
