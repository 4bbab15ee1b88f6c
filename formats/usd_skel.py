"""A person as a UsdSkel stage: a SkelRoot with a skeleton, a skinned mesh and an animation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Sdf, Usd, UsdGeom, UsdSkel, Vt

from ..motion.frames import WorldFrame, world_frame
from ..motion.rig import Rig
from ..motion.rotations import matrix_to_quat, quat_multiply
from ..motion.take import Person, Take
from .glb_morphs import morph_names
from .half_scale import half_scale
from .keeps import keeps_file
from .looks import Look, Looks, looks_of
from .options import UsdSkelOptions
from .signs import same_side
from .skeleton import require_skeleton
from .usd import author, author_turns, legal_names, new_stage, save_layer, time_codes
from .usd_character import write_usd_character
from .usd_extent import author_extent
from .usd_looks import define_looks
from .usd_morphs import author_weights, define_morphs


@dataclass(frozen=True, eq=False)
class _Body:
    """A person's rig and motion in the target's axes and units, ready to be authored."""

    name: str
    joints: list[str]  # tokens, parent/child
    bind_world: NDArray[np.float64]
    rest_local: NDArray[np.float64]
    points: NDArray[np.float32]
    normals: NDArray[np.float32]
    quat_xyzw: NDArray[np.float32]
    translation: NDArray[np.float32]
    scale: NDArray[np.float16]
    morphs: NDArray[np.float32] | None  # (M,V,3)


def write_usd_skel(take: Take, person: Person, path: Path, options: UsdSkelOptions | None = None) -> None:
    """Write ``person`` as one UsdSkel stage, every frame at its own time code. Raises `WriteError` where the disk refuses.

    A character that came as USD goes out as that stage, with this motion.
    """
    require_skeleton(person, "usd-skel")
    options = options or UsdSkelOptions()
    if keeps_file(person.rig, "usd"):
        write_usd_character(take, person, path, options)
        return
    frame = world_frame(options.up_axis, options.metres_per_unit)
    body = _in_frame(person, frame)
    stage = new_stage(take, frame, body.name)
    root = UsdSkel.Root.Define(stage, f"/{body.name}")
    Usd.ModelAPI(root).SetKind("component")
    root.GetPrim().SetCustomDataByKey("rigdrop", {"person": person.id, "name": person.name})
    skeleton = _define_skeleton(stage, root, body, person.rig)
    animation = _define_animation(stage, root, body, time_codes(take))
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    mesh = _define_mesh(stage, root, body, person.rig)
    _bind(mesh, skeleton, person.rig)
    if body.morphs is not None and person.motion.morph_weights is not None:
        define_morphs(stage, mesh, animation, morph_names(person.rig), body.morphs)
        author_weights(animation, person.motion.morph_weights, time_codes(take))
    looks = looks_of(person.rig) or Looks((Look("skin"),), np.zeros(len(person.rig.faces), np.intp))
    pictures = define_looks(stage, root.GetPath(), mesh, looks)
    author_extent(root, skeleton, [mesh], time_codes(take))
    save_layer(stage.GetRootLayer(), path, pictures)


def _in_frame(person: Person, frame: WorldFrame) -> _Body:
    """Return the rig and the motion in ``frame``: joints keep their own axes, the root takes the turn."""
    rig, motion = person.rig, person.motion
    rounded = half_scale(rig, motion.local_translation_m, motion.local_scale)
    turn = np.array(frame.R_target_rigdrop, dtype=np.float64)
    quat_xyzw, rest_local = motion.local_quat_xyzw.copy(), rig.skeleton.rest_local.copy()
    translation = rounded.translation_m / np.float32(frame.metres_per_unit)
    rest_local[:, :3, 3] /= frame.metres_per_unit
    rest_local[0, :3] = turn @ rest_local[0, :3]
    quat_xyzw[:, 0] = quat_multiply(matrix_to_quat(turn), quat_xyzw[:, 0])
    translation[:, 0] = translation[:, 0] @ turn.T
    morphs = None if rig.morph_targets_m is None else rig.morph_targets_m * rounded.growth @ turn.T / frame.metres_per_unit
    return _Body(
        legal_names([person.id])[0], joint_tokens(rig), frame.change_basis(rig.bind_world), rest_local,
        (rounded.vertices_m @ turn.T / frame.metres_per_unit).astype(np.float32), (rig.normals @ turn.T).astype(np.float32),
        same_side(quat_xyzw), translation, rounded.scale, None if morphs is None else morphs.astype(np.float32),
    )


def joint_tokens(rig: Rig) -> list[str]:
    """Return the joints' paths, ``parent/child``, of legal names, in the rig's order."""
    tokens: list[str] = []
    for name, parent in zip(legal_names(rig.joint_names), rig.joint_parents, strict=True):
        tokens.append(name if parent < 0 else f"{tokens[parent]}/{name}")
    return tokens


def _define_skeleton(stage: Usd.Stage, root: UsdSkel.Root, body: _Body, rig: Rig) -> UsdSkel.Skeleton:
    skeleton = UsdSkel.Skeleton.Define(stage, root.GetPath().AppendChild("skeleton"))
    skeleton.CreateJointsAttr(body.joints)
    skeleton.CreateBindTransformsAttr(_row_vector_matrices(body.bind_world))
    skeleton.CreateRestTransformsAttr(_row_vector_matrices(body.rest_local))
    UsdGeom.Imageable(skeleton).CreatePurposeAttr(UsdGeom.Tokens.guide)
    if [token.rsplit("/")[-1] for token in body.joints] != list(rig.joint_names):
        skeleton.GetPrim().SetCustomDataByKey("rigdrop", {"jointNames": Vt.StringArray(list(rig.joint_names))})
    return skeleton


def _row_vector_matrices(matrices: NDArray[np.float64]) -> Vt.Matrix4dArray:
    """USD multiplies row vectors from the left: (N,4,4) matrices go in transposed."""
    return Vt.Matrix4dArray.FromNumpy(np.ascontiguousarray(np.swapaxes(matrices, 1, 2)))


def _define_animation(stage: Usd.Stage, root: UsdSkel.Root, body: _Body, codes: NDArray[np.float64]) -> UsdSkel.Animation:
    animation = UsdSkel.Animation.Define(stage, root.GetPath().AppendChild("motion"))
    animation.CreateJointsAttr(body.joints)
    author(animation.CreateTranslationsAttr(), Vt.Vec3fArray.FromNumpy, body.translation, codes)
    author_turns(animation, body.quat_xyzw, codes)
    author(animation.CreateScalesAttr(), Vt.Vec3hArray.FromNumpy, np.repeat(body.scale[..., None], 3, axis=2), codes)
    return animation


def _define_mesh(stage: Usd.Stage, root: UsdSkel.Root, body: _Body, rig: Rig) -> UsdGeom.Mesh:
    mesh = UsdGeom.Mesh.Define(stage, root.GetPath().AppendChild("body"))
    points = Vt.Vec3fArray.FromNumpy(body.points)
    mesh.CreatePointsAttr(points)
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(rig.faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(rig.faces.ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(body.normals))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    mesh.CreateExtentAttr(UsdGeom.PointBased.ComputeExtent(points))
    if rig.uvs is not None:
        st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.vertex)
        st.Set(Vt.Vec2fArray.FromNumpy(rig.uvs))
    return mesh


def _bind(mesh: UsdGeom.Mesh, skeleton: UsdSkel.Skeleton, rig: Rig) -> None:
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateGeomBindTransformAttr(Gf.Matrix4d(1.0))
    influences = rig.skin_joints.shape[1]
    weights = rig.skin_weights / rig.skin_weights.sum(axis=1, keepdims=True)
    joints = np.where(weights > 0, rig.skin_joints, 0).astype(np.int32)
    binding.CreateJointIndicesPrimvar(False, influences).Set(Vt.IntArray.FromNumpy(joints.ravel()))
    binding.CreateJointWeightsPrimvar(False, influences).Set(Vt.FloatArray.FromNumpy(weights.astype(np.float32).ravel()))
