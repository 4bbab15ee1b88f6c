"""Somebody's own USD stage with new motion: everything that it holds stays as it is, its skeleton moves."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Usd, UsdGeom, UsdSkel, Vt

from .. import __version__
from ..motion.kinematics import decompose, world_transforms
from ..motion.origin import Origin
from ..motion.take import Person, Take
from ..motion.usd_layer import flattened, unpacked
from .half_scale import half_chain
from .options import UsdSkelOptions
from .signs import same_side
from .usd import author, author_turns, origin, save_layer, time_codes
from .usd_extent import author_extent

Floats = NDArray[np.float64]

_FRAMES_AT_ONCE = 512
_R_YUP_ZUP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_FIRST = Usd.TimeCode.EarliestTime()


def write_usd_character(take: Take, person: Person, path: Path, options: UsdSkelOptions) -> None:
    """Write the stage that ``person``'s rig came in as one layer, with its skeleton moved as the take says.

    Meshes, materials and pictures are the stage's own; pictures lie in a folder beside the layer, or in its package. What
    moved the skeleton before goes. The stage keeps its axes and units. Raises `WriteError` where the disk refuses.
    """
    own = person.rig.origin
    assert own is not None, "only a character that came in a file goes out in it"
    with unpacked(own.content) as file:
        layer, pictures = flattened(file)
    stage = Usd.Stage.Open(layer)
    wanted = (options.up_axis, options.metres_per_unit)
    asked = (options.preset, options.up, options.units) != ("default", "preset", "preset")
    if asked and (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) != wanted:
        warnings.warn(f"{path.name}: {own.file_name} keeps its own axes and units; others would change its mesh", stacklevel=3)
    skeleton = UsdSkel.Skeleton(stage.GetPrimAtPath(own.skeleton))
    _stand_still(skeleton.GetPrim())
    _forget_motion(stage, skeleton)
    _sign(stage, take, person, own)
    animation = UsdSkel.Animation.Define(stage, skeleton.GetPath().AppendChild("rigdrop_motion"))
    codes = time_codes(take)
    _author(animation, stage, skeleton, person, own, codes)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    _author_extent(stage, skeleton, own, codes)
    save_layer(layer, path, pictures)


def _stand_still(prim: Usd.Prim) -> None:
    """Leave the skeleton, and all that it stands on, where it is first: the take says where it goes."""
    while prim and not prim.IsPseudoRoot():
        for attribute in prim.GetAuthoredAttributes():
            if attribute.GetName().startswith("xformOp:") and attribute.GetNumTimeSamples():
                first = attribute.Get(_FIRST)
                attribute.Clear()
                attribute.Set(first)
        prim = prim.GetParent()


def _forget_motion(stage: Usd.Stage, skeleton: UsdSkel.Skeleton) -> None:
    """Remove the animation that the skeleton has; one that is elsewhere in the stage may be somebody else's."""
    relation = UsdSkel.BindingAPI(skeleton.GetPrim()).GetAnimationSourceRel()
    for target in relation.GetTargets() if relation else []:
        stage.RemovePrim(target)


def _sign(stage: Usd.Stage, take: Take, person: Person, own: Origin) -> None:
    """Set the clock, and say whose motion it is."""
    stage.SetTimeCodesPerSecond(float(take.fps))
    stage.SetFramesPerSecond(float(take.fps))
    stage.SetStartTimeCode(0.0)
    stage.SetEndTimeCode(float(time_codes(take)[-1]))
    if not stage.GetDefaultPrim():
        stage.SetDefaultPrim(stage.GetPrimAtPath(Sdf.Path(own.skeleton).GetPrefixes()[0]))
    layer = stage.GetRootLayer()
    layer.customLayerData = {**layer.customLayerData, "creator": f"Rigdrop {__version__}", "rigdrop": origin(take)}
    about = {"person": person.id, "name": person.name, "character": own.file_name, "character_sha256": own.sha256}
    stage.GetDefaultPrim().SetCustomDataByKey("rigdrop", about)


def _author(
    animation: UsdSkel.Animation, stage: Usd.Stage, skeleton: UsdSkel.Skeleton, person: Person, own: Origin, codes: NDArray[np.float64],
) -> None:
    """Author the joints' motion in the skeleton's space, in the order of its own joints."""
    tokens = [joint for joint in own.joints if joint]
    parents = np.array(UsdSkel.Topology(tokens).GetParentIndices(), np.intp)
    quat, translation, scale = _locals(person, own, parents, _to_skeleton(stage, skeleton))
    animation.CreateJointsAttr(tokens)
    chain = half_chain(parents, translation, np.where(np.abs(scale - 1) < 1e-5, 1.0, scale))
    author(animation.CreateTranslationsAttr(), Vt.Vec3fArray.FromNumpy, chain.translation, codes)
    author_turns(animation, same_side(quat), codes)
    author(animation.CreateScalesAttr(), Vt.Vec3hArray.FromNumpy, np.repeat(chain.scale[..., None], 3, axis=2), codes)


def _to_skeleton(stage: Usd.Stage, skeleton: UsdSkel.Skeleton) -> Floats:
    """What brings our world, metres and Y up, to the skeleton's space (4,4)."""
    T_ours_stage = np.eye(4)
    T_ours_stage[:3, :3] = _R_YUP_ZUP if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else np.eye(3)
    T_ours_stage[:3] *= UsdGeom.GetStageMetersPerUnit(stage)
    T_stage_skeleton = np.array(UsdGeom.XformCache(_FIRST).GetLocalToWorldTransform(skeleton.GetPrim())).T
    return np.asarray(np.linalg.inv(T_ours_stage @ T_stage_skeleton))


def _locals(
    person: Person, own: Origin, parents: NDArray[np.intp], T_skeleton_world: Floats,
) -> tuple[NDArray[np.float32], NDArray[np.float32], Floats]:
    """Return quats (F,J,4), translations (F,J,3) and scales (F,J) of the stage's joints, relative to those above them."""
    rig, motion = person.rig, person.motion
    added, frames = len(own.joints) - len(parents), motion.frame_count
    quat, translation = (np.empty((frames, len(parents), width), np.float32) for width in (4, 3))
    scale = np.empty((frames, len(parents)))
    for start in range(0, frames, _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        scales = None if motion.local_scale is None else motion.local_scale[part]
        T_world = world_transforms(rig, motion.local_quat_xyzw[part], motion.local_translation_m[part], scales)
        in_skeleton = T_skeleton_world @ own.file_transforms(T_world, rig.bind_world)[:, added:]
        local = in_skeleton.copy()
        below = parents >= 0
        local[:, below] = np.linalg.inv(in_skeleton[:, parents[below]]) @ in_skeleton[:, below]
        quat[part], translation[part], scale[part] = decompose(local)
    return quat, translation, scale


def _author_extent(stage: Usd.Stage, skeleton: UsdSkel.Skeleton, own: Origin, codes: NDArray[np.float64]) -> None:
    """Author the bounds over time of the SkelRoot that the skeleton is under."""
    prim = skeleton.GetPrim()
    while prim and not prim.IsA(UsdSkel.Root):
        prim = prim.GetParent()
    if prim:
        root = UsdSkel.Root(prim)
        root.GetExtentAttr().Clear()
        author_extent(root, skeleton, [UsdGeom.Mesh(stage.GetPrimAtPath(path)) for path in own.meshes], codes)
