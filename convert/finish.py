"""The last of a motion before it is stored: where people stand, the pose that they are bound in, and the way into the first frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError
from ..motion.kinematics import decompose, skin_vertices, world_transforms
from ..motion.rotations import quat_to_matrix
from ..motion.take import Camera, Person
from .character import People
from .mhr.kept_vertices import carried_along
from .performance import Performance, moved
from .place import PlaceOptions, place
from .rest_pose import ease_in, lead_in, rebound, with_bind_pose
from .retargeting.ik_bones import with_ik_bones

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BindOptions:
    """The pose in which a body is bound to its skeleton, and how the motion begins."""

    bind_pose: str = "own"
    """Pose that the skeleton is bound and rests in: own (the rig's), T, A, or an npz file with J_ABSOLUTE (52,3)."""
    lead_in: int = 0
    """Begin with the bind pose, and ease from it into the motion over this many frames; the motion itself comes later by as many."""

    def __post_init__(self) -> None:
        if self.bind_pose not in ("own", "T", "A") and Path(self.bind_pose).suffix.lower() != ".npz":
            raise SettingsError(f"bind-pose: found {self.bind_pose!r}, expected own, T, A, or an npz file with J_ABSOLUTE")
        if self.lead_in < 0:
            raise SettingsError(f"lead-in: found {self.lead_in}, expected 0 or more frames")


def finish(people: People, times_s: Floats, bind: BindOptions, placing: PlaceOptions) -> tuple[People, Floats]:
    """Return people who stand, are bound and begin as asked for, and the times (F,) that their frames have then.

    Turning and moving is about whoever is there first, and takes everybody and the camera along. Raises `SettingsError`
    where root motion is asked of a rig that can't carry it.
    """
    performances = [Performance.of_motion(person.rig, times_s, person.motion) for person in people.people]
    if not performances or (bind == BindOptions() and placing == PlaceOptions() and not any(_has_ik_bones(each) for each in performances)):
        return people, times_s
    T_new_old = _world_move(performances, placing)
    carried = [place(moved(each, T_new_old), PlaceOptions(root=placing.root)) for each in performances]
    done = [with_ik_bones(lead_in(_bound(each, bind), bind.lead_in)) for each in carried]
    camera = _camera(people.camera, T_new_old, bind.lead_in)
    persons = []
    for person, before, there, last in zip(people.people, performances, carried, done, strict=True):
        persons.append(_person(person, last, _meshes(person, before, there, last, bind.lead_in), bind.lead_in))
    return replace(people, camera=camera, people=tuple(persons)), done[0].times_s


def _has_ik_bones(performance: Performance) -> bool:
    return with_ik_bones(performance) is not performance


def _world_move(performances: Sequence[Performance], placing: PlaceOptions) -> Floats:
    """The move of the whole world (4,4) that puts whoever is there first where ``placing`` says."""
    first = min(performances, key=lambda each: int(np.argmax(each.visible)))
    there = place(first, replace(placing, root="keep"))
    if there is first:
        return np.eye(4)
    root = int(np.flatnonzero(first.rig.joint_parents < 0)[0])
    pelvis = first.rig.skeleton.semantic.get("pelvis", root)
    return np.asarray(there.T_world_joint[0, pelvis] @ np.linalg.inv(first.T_world_joint[0, pelvis]))


def _bound(performance: Performance, bind: BindOptions) -> Performance:
    return performance if bind.bind_pose == "own" else rebound(performance, with_bind_pose(performance.rig, bind.bind_pose))


def _camera(camera: Camera, T_new_old: Floats, frames: int) -> Camera:
    lens, T_world_camera = (_led(array, frames) if array.ndim == 3 else array for array in (camera.intrinsics_px, camera.world_from_camera))
    return replace(camera, intrinsics_px=lens, world_from_camera=T_new_old @ T_world_camera)


def _led(array: NDArray[Any], frames: int) -> NDArray[Any]:
    """The array with ``frames`` more at its beginning, each as the first."""
    return np.concatenate([np.repeat(array[:1], frames, axis=0), array]) if frames else array


def _meshes(person: Person, before: Performance, after: Performance, led: Performance, frames: int) -> NDArray[np.float32] | None:
    if person.vertices_m is None:
        return None
    meshes = carried_along(person.vertices_m, before, after)
    return np.concatenate([_led_mesh(meshes[0], led, frames), meshes]) if frames else meshes


def _led_mesh(mesh_m: NDArray[np.float32], led: Performance, frames: int) -> NDArray[np.float32]:
    """Meshes (frames,V,3) on the way from the bind pose to the first that was kept (V,3): kept meshes have no bind pose themselves.

    They are the rig's skin, and what the kept mesh has over it comes in with the motion and turns with the joint beneath.
    """
    rig, part = led.rig, slice(frames + 1)
    scale, weights = (None if array is None else array[part] for array in (led.scale, led.morph_weights))
    T_world_joint = world_transforms(rig, led.quat_xyzw[part], led.translation_m[part], scale)
    skin = skin_vertices(rig, T_world_joint, weights)
    beneath = rig.skin_joints[np.arange(len(mesh_m)), np.argmax(rig.skin_weights, axis=1)]
    turns = quat_to_matrix(decompose(T_world_joint)[0])
    for frame, eased in enumerate(ease_in(frames)):
        turn = turns[frame] @ np.swapaxes(turns[frames], 1, 2)
        skin[frame] += eased * np.einsum("vij,vj->vi", turn[beneath], mesh_m - skin[frames])
    return skin[:frames]


def _person(person: Person, performance: Performance, meshes_m: NDArray[np.float32] | None, frames: int) -> Person:
    raw = {name: _unseen_first(array, frames) for name, array in person.raw.items()}
    # Some of a body's parameters hold for the whole clip, as betas do.
    by_frame = {name for name, array in person.params.items() if array.ndim > 1 and len(array) == person.motion.frame_count}
    params = {name: _unseen_first(array, frames) if name in by_frame else array for name, array in person.params.items()}
    return replace(person, rig=performance.rig, motion=performance.to_motion(), vertices_m=meshes_m, raw=raw, params=params)


def _unseen_first(array: NDArray[Any], frames: int) -> NDArray[Any]:
    """The array after ``frames`` that nobody ever saw: NaN, or zero where numbers have none."""
    nothing = np.full((frames, *array.shape[1:]), np.nan if array.dtype.kind == "f" else 0, dtype=array.dtype)
    return np.concatenate([nothing, array]) if frames else array
