"""Where a person stands and faces, and which joint carries the way: in place, on the root joint, or all on the hips.

First the person is turned about the vertical and moved as a whole. Then the way is given to one joint: with root motion and
with hips nothing changes in the world from the pelvis on; in place, the pelvis stays over where it began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..motion.rotations import quat_apply, quat_inverse, quat_multiply, rotvec_to_quat
from .performance import Performance
from .retargeting.poser import Poser
from .stance.soles import poser_of, sole_places

Array = NDArray[np.float64]
RootMode = Literal["keep", "in-place", "root-motion", "hips"]
Facing = Literal["as-is", "+z", "-z", "+x", "-x"]

_UP = np.array([0.0, 1.0, 0.0])
_YAW_OF: dict[str, float] = {"+z": 0.0, "+x": np.pi / 2, "-z": np.pi, "-x": -np.pi / 2}
# The lowest sole of so many percent of the frames may be under the ground: single frames that sink are not the ground.
_SUNK_PERCENT = 2.0
_LEG_JOINTS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in ("hip", "knee", "ankle"))


@dataclass(frozen=True)
class PlaceOptions:
    """Where the person is, and which joint carries the way."""

    root: RootMode = "keep"
    """Which joint goes over the ground: keep what is, in-place (none, only heights are kept), root-motion (the root joint, with
    where the person faces), or hips. Rigs without a root joint have their hips moved for in-place and hips."""
    facing: Facing = "as-is"
    """Where the person faces in the first visible frame: as-is, +z, -z, +x or -x."""
    at: tuple[float, float] | None = None
    """Point x,z over the ground at which the person begins, metres; nothing leaves it."""
    yaw: float = 0.0
    """Turn to the left, degrees, after facing."""
    to_ground: bool = False
    """Put the soles on y = 0."""

    def __post_init__(self) -> None:
        if self.root not in ("keep", "in-place", "root-motion", "hips"):
            raise SettingsError(f"root: found {self.root!r}, expected keep, in-place, root-motion or hips")
        if self.facing not in ("as-is", *_YAW_OF):
            raise SettingsError(f"facing: found {self.facing!r}, expected as-is, +z, -z, +x or -x")
        if not np.isfinite([self.yaw, *(self.at or ())]).all():
            raise SettingsError(f"at, yaw: found {self.at} and {self.yaw}, expected finite numbers")


def place(performance: Performance, options: PlaceOptions | None = None) -> Performance:
    """Return the same person where, facing where, and carried by which joint the options say.

    The turn and ``at`` are about the point on the ground under the pelvis in the first visible frame. Raises
    `SettingsError` where root motion is asked of a rig that has no joint for it.
    """
    options = options or PlaceOptions()
    _check_root(performance, options.root)
    turned = _moved(performance, options)
    if options.root == "keep":
        return turned
    return _carried(turned, options.root)


def facing_yaw(performance: Performance) -> Array:
    """Return where the hips face (F,), radians from +Z to the person's left, continuous in time.

    It is the pelvis' turn away from rest, about the vertical: the front of hips that lean counts.
    """
    poser = poser_of(performance)
    return _yaw_of(poser, _pelvis(performance))


def _pelvis(performance: Performance) -> int:
    """The pelvis; the tree's root where the rig names none."""
    return performance.rig.skeleton.semantic.get("pelvis", int(np.flatnonzero(performance.rig.joint_parents < 0)[0]))


def _yaw_of(poser: Poser, pelvis: int) -> Array:
    """The turn about the vertical (F,) in a pelvis' turn away from rest: the swing that remains leans and does not face."""
    turn = poser.turned(pelvis)
    half = np.arctan2(turn[:, 1], turn[:, 3])
    # An angle and its half turn apart by π are one: unwrapped by π, the half angle goes on where it was.
    return np.asarray(2.0 * np.unwrap(half, period=np.pi))


def _root(performance: Performance) -> int | None:
    """The joint above the pelvis that is there to carry it over the ground; nothing where the rig has none."""
    semantic, parents = performance.rig.skeleton.semantic, performance.rig.joint_parents
    root, above = semantic.get("root"), int(parents[_pelvis(performance)])
    while above >= 0 and above != root:
        above = int(parents[above])
    return root if root is not None and above == root else None


def _check_root(performance: Performance, mode: str) -> None:
    if mode == "root-motion" and _root(performance) is None:
        raise SettingsError(f"root: rig {performance.rig.name} has no root joint above its pelvis, expected one for root-motion; "
                            "take --rig unreal or ue5, which have one, or --root hips")


def _first_visible(performance: Performance) -> int:
    return int(np.argmax(performance.visible)) if performance.visible.any() else 0


def _moved(performance: Performance, options: PlaceOptions) -> Performance:
    """Turn and move the person in the world, by the root joint, or by the pelvis where there is none."""
    first, pelvis = _first_visible(performance), _pelvis(performance)
    poser = poser_of(performance)
    under = poser.place(pelvis)[first] * [1.0, 0.0, 1.0]
    yaw = np.radians(options.yaw)
    if options.facing != "as-is":
        yaw += _YAW_OF[options.facing] - _yaw_of(poser, pelvis)[first]
    to = under if options.at is None else np.array([options.at[0], 0.0, options.at[1]])
    rise = -_sole_height(performance) * _UP if options.to_ground else np.zeros(3)
    if not yaw and not (to - under + rise).any():
        return performance
    root = _root(performance)
    carrier = pelvis if root is None else root
    turn = rotvec_to_quat(yaw * _UP)
    quat, translation = performance.quat_xyzw.copy(), performance.translation_m.copy()
    _put(performance, quat, translation, carrier, quat_multiply(turn, poser.turn(carrier)),
         quat_apply(turn, poser.place(carrier) - under) + to + rise)
    return performance.with_turns(quat, translation)


def _sole_height(performance: Performance) -> float:
    """How high the lowest sole is in all but a few of the visible frames; without legs, the lowest joint."""
    seen = performance.visible if performance.visible.any() else np.ones(performance.frame_count, dtype=bool)
    named = all(name in performance.rig.skeleton.semantic for name in _LEG_JOINTS)
    heights = sole_places(performance)[..., 1] if named else performance.joints_m[..., 1]
    return float(np.percentile(heights[seen].min(axis=1), _SUNK_PERCENT))


def _carried(performance: Performance, mode: str) -> Performance:
    """Let one joint carry the way, the pelvis what remains; in place, nothing carries it."""
    pelvis, root, first = _pelvis(performance), _root(performance), _first_visible(performance)
    poser = poser_of(performance)
    pelvis_m, pelvis_xyzw, yaw = poser.place(pelvis), poser.turn(pelvis), _yaw_of(poser, pelvis)
    if mode == "in-place":
        pelvis_m = np.where([True, False, True], pelvis_m[first], pelvis_m)
    quat, translation = performance.quat_xyzw.copy(), performance.translation_m.copy()
    if root is not None:
        for joint in [root, *poser.between(root, pelvis)]:
            quat[:, joint], translation[:, joint] = poser.rest_xyzw[joint], poser.rest_m[joint]
        if mode != "hips":
            heading = rotvec_to_quat((yaw if mode == "root-motion" else np.zeros_like(yaw))[:, None] * _UP)
            _put(performance, quat, translation, root, quat_multiply(heading, poser.turn_rest_xyzw[root]),
                 _under(poser, root, pelvis, pelvis_m, heading))
    _put(performance, quat, translation, pelvis, pelvis_xyzw, pelvis_m)
    return performance.with_turns(quat, translation)


def _under(poser: Poser, root: int, pelvis: int, pelvis_m: Array, heading_xyzw: Array) -> Array:
    """Where a root joint is (F,3) that stands under the pelvis as it rests under it, at the height at which it rests."""
    rest = poser.place_rest_m
    place_m = pelvis_m - quat_apply(heading_xyzw, rest[pelvis] - rest[root])
    place_m[:, 1] = rest[root, 1]
    return place_m


def _put(performance: Performance, quat: Array, translation: Array, joint: int, world_xyzw: Array, world_m: Array) -> None:
    """Set a joint's local values in place so that it turns (F,4) and is (F,3) so in the world, whatever is above it."""
    poser = Poser.of_motion(performance.rig.skeleton, quat, translation, performance.scale)
    parent = poser.parents[joint]
    quat[:, joint] = world_xyzw if parent < 0 else quat_multiply(quat_inverse(poser.turn(parent)), world_xyzw)
    translation[:, joint] = poser.in_parent(joint, world_m)
