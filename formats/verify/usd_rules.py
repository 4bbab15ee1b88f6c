"""What a UsdSkel stage must hold to open right everywhere, beyond its vertices; most of it no validator looks at."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdSkel, Vt

from ...motion.take import Person, Take

_GRAIN = 1e-5


def usd_rules(stage: Usd.Stage, take: Take, person: Person) -> Iterator[str]:
    """Yield a sentence for each rule that the stage breaks."""
    yield from stage_rules(stage, take)
    root = stage.GetDefaultPrim()
    if not root or not root.IsA(UsdSkel.Root):
        yield "defaultPrim: found no SkelRoot there"
        return
    prims = {kind: [prim for prim in Usd.PrimRange(root) if prim.IsA(kind)] for kind in (UsdSkel.Skeleton, UsdGeom.Mesh, UsdSkel.Animation)}
    for kind, found in prims.items():
        if len(found) != 1:
            yield f"{root.GetPath()}: found {len(found)} prims of {kind.__name__} below the SkelRoot, expected one"
            return
    skeleton, mesh, animation = (kind(found[0]) for kind, found in prims.items())
    yield from _skeleton_rules(skeleton, person)
    yield from animation_rules(skeleton, animation, stage, take)
    yield from _mesh_rules(mesh, skeleton, person)
    yield from _morph_rules(mesh, animation, stage, take, person)
    yield from _extent_rules([UsdGeom.Boundable(root), UsdGeom.Boundable(mesh)], stage, take)


def stage_codes(stage: Usd.Stage, take: Take) -> NDArray[np.float64]:
    """Return the time codes (F,) at which the stage should show the take's frames."""
    return np.asarray((take.times_s - take.times_s[0]) * stage.GetTimeCodesPerSecond())


def stage_rules(stage: Usd.Stage, take: Take) -> Iterator[str]:
    """Check the clock, the axes and the units, all on the root layer."""
    layer = stage.GetRootLayer()
    for key, value in (("timeCodesPerSecond", float(take.fps)), ("framesPerSecond", float(take.fps)), ("startTimeCode", 0.0)):
        found = layer.pseudoRoot.GetInfo(key) if layer.pseudoRoot.HasInfo(key) else None
        if found != value:
            yield f"{key}: found {found} on the root layer, expected {value}"
    end = stage_codes(stage, take)[-1]
    if abs(stage.GetEndTimeCode() - end) > 1e-3:
        yield f"endTimeCode: found {stage.GetEndTimeCode():.6g}, expected {end:.6g}"
    if not stage.HasAuthoredMetadata("upAxis") or not UsdGeom.StageHasAuthoredMetersPerUnit(stage):
        yield "upAxis, metersPerUnit: expected both on the root layer"


def _skeleton_rules(skeleton: UsdSkel.Skeleton, person: Person) -> Iterator[str]:
    rig, prim = person.rig, skeleton.GetPrim()
    joints = [str(joint) for joint in skeleton.GetJointsAttr().Get() or []]
    named = prim.GetCustomDataByKey("rigdrop:jointNames")
    names = list(named) if named is not None else [joint.rsplit("/")[-1] for joint in joints]
    if names != list(rig.joint_names):
        yield f"skeleton: found joints {names[:3]} …, expected the rig's names in its order, {list(rig.joint_names[:3])} …"
    if list(UsdSkel.Topology(joints).GetParentIndices()) != rig.joint_parents.tolist():
        yield "skeleton: found another tree than the rig's"
    if any(not joint.replace("/", "").replace("_", "a").isalnum() or not joint.isascii() for joint in joints):
        yield "skeleton: found a joint whose path some programs drop: only letters, digits and _ are safe"
    for name in ("BindTransforms", "RestTransforms"):
        matrices = getattr(skeleton, f"Get{name}Attr")().Get()
        if matrices is None or len(matrices) != len(rig.joint_names):
            yield f"skeleton: {name}: expected one for each joint"
    if not prim.HasAPI(UsdSkel.BindingAPI):
        yield "skeleton: SkelBindingAPI is not applied"


def animation_rules(skeleton: UsdSkel.Skeleton, animation: UsdSkel.Animation, stage: Usd.Stage, take: Take) -> Iterator[str]:
    """Check that the animation is the skeleton's, and has a sound value for each of the take's frames."""
    if skeleton.GetPrim().GetRelationship("skel:animationSource").GetTargets() != [animation.GetPath()]:
        yield "skeleton: skel:animationSource doesn't lead to the animation"
    if animation.GetJointsAttr().Get() != skeleton.GetJointsAttr().Get():
        yield "animation: its joints are not the skeleton's, in the same order"
    codes = stage_codes(stage, take)
    for name in ("Translations", "Rotations", "Scales"):
        attribute = getattr(animation, f"Get{name}Attr")()
        if not attribute.HasAuthoredValue():
            yield f"animation: {name.lower()} are missing, so the whole animation is dropped"
            continue
        samples = attribute.GetTimeSamples()
        if samples and (len(samples) != len(codes) or np.abs(samples - codes).max() > 1e-3):
            yield f"animation: {name.lower()} have {len(samples)} samples that are not the take's {len(codes)} frames"
    if animation.GetRotationsAttr().HasAuthoredValue() and animation.GetScalesAttr().HasAuthoredValue():
        yield from _value_rules(animation)


def _value_rules(animation: UsdSkel.Animation) -> Iterator[str]:
    rotations, scales = animation.GetRotationsAttr(), animation.GetScalesAttr()
    before: NDArray[np.floating] | None = None
    for code in rotations.GetTimeSamples() or [Usd.TimeCode.Default()]:
        quats = np.array(rotations.Get(code))
        if before is not None and (np.sum(quats * before, axis=1) < 0).any():
            yield f"animation: a rotation changes its sign before time code {code}, so the joint turns the long way"
            break
        before = quats
    for code in scales.GetTimeSamples() or [Usd.TimeCode.Default()]:
        values = np.array(scales.Get(code), dtype=np.float32)
        if np.ptp(values, axis=1).max(initial=0) > 0:
            yield f"animation: a scale is not uniform at time code {code}"
            break


def _mesh_rules(mesh: UsdGeom.Mesh, skeleton: UsdSkel.Skeleton, person: Person) -> Iterator[str]:
    rig, prim = person.rig, mesh.GetPrim()
    binding = UsdSkel.BindingAPI(prim)
    if not prim.HasAPI(UsdSkel.BindingAPI) or binding.GetSkeletonRel().GetTargets() != [skeleton.GetPath()]:
        yield "mesh: SkelBindingAPI is not applied, or skel:skeleton doesn't lead to the skeleton"
    if not np.array_equal(np.array(mesh.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3), rig.faces):
        yield "mesh: found other triangles than the rig's"
    if mesh.GetSubdivisionSchemeAttr().Get() != UsdGeom.Tokens.none or mesh.GetNormalsInterpolation() != UsdGeom.Tokens.vertex:
        yield "mesh: expected no subdivision, and a normal for each vertex"
    if not binding.GetGeomBindTransformAttr().HasAuthoredValue():
        yield "mesh: geomBindTransform is missing"
    indices, weights = binding.GetJointIndicesPrimvar(), binding.GetJointWeightsPrimvar()
    size = indices.GetElementSize()
    expected = size * len(rig.vertices_m)
    if size != weights.GetElementSize() or len(indices.Get()) != expected or len(weights.Get()) != expected:
        yield f"mesh: found {len(indices.Get())} joint indices and {len(weights.Get())} weights, expected {expected} of each"
        return
    sums = np.array(weights.Get()).reshape(-1, size).sum(axis=1)
    joints = np.array(indices.Get())
    if np.abs(sums - 1).max() > _GRAIN or joints.min() < 0 or joints.max() >= len(rig.joint_names):
        yield "mesh: expected joints of the skeleton, and weights that sum to 1"


def _morph_rules(mesh: UsdGeom.Mesh, animation: UsdSkel.Animation, stage: Usd.Stage, take: Take, person: Person) -> Iterator[str]:
    """Check that each of the rig's targets is a blend shape of the mesh with an offset a point, and a weight at each frame."""
    rig, binding = person.rig, UsdSkel.BindingAPI(mesh.GetPrim())
    names = list(binding.GetBlendShapesAttr().Get() or [])
    paths = binding.GetBlendShapeTargetsRel().GetTargets()
    if (len(names), len(paths)) != (rig.morph_count, rig.morph_count):
        yield f"mesh: found {len(names)} names and {len(paths)} targets of blend shapes, expected the rig's {rig.morph_count} of each"
        return
    shapes = [UsdSkel.BlendShape(stage.GetPrimAtPath(path)) for path in paths]
    if any(not shape or len(shape.GetOffsetsAttr().Get() or []) != len(rig.vertices_m) for shape in shapes):
        yield "mesh: found a blend shape that has not an offset for each point"
    if not names:
        return
    weights, codes = animation.GetBlendShapeWeightsAttr(), stage_codes(stage, take)
    samples = weights.GetTimeSamples()
    if list(animation.GetBlendShapesAttr().Get() or []) != names:
        yield "animation: its blend shapes are not the mesh's, in the same order"
    if len(samples) != len(codes) or np.abs(samples - codes).max() > 1e-3:
        yield f"animation: blendShapeWeights have {len(samples)} samples that are not the take's {len(codes)} frames"
    elif any(not _sound(weights.Get(code), len(names)) for code in samples):
        yield f"animation: expected {len(names)} blendShapeWeights from 0 to 1 at each frame"


def _sound(weights: Vt.FloatArray, count: int) -> bool:
    values = np.array(weights)
    return len(values) == count and bool(((values >= 0) & (values <= 1)).all())


def _extent_rules(boundables: list[UsdGeom.Boundable], stage: Usd.Stage, take: Take) -> Iterator[str]:
    # USD computes a bound in a third of a millisecond; the two ends and the middle show whether it was authored over time.
    codes = stage_codes(stage, take)[[0, take.frame_count // 2, -1]]
    for boundable in boundables:
        for code in codes.tolist():
            authored = boundable.GetExtentAttr().Get(code)
            computed = UsdGeom.Boundable.ComputeExtentFromPlugins(boundable, code)
            if authored is None or not np.allclose(np.array(authored), np.array(computed), rtol=1e-4, atol=1e-4):
                yield f"{boundable.GetPath()}: extent at time code {code} is not what USD computes"
                break
