"""Verifies somebody's own USD stage with our motion: nothing of theirs has changed, and their meshes show the take's vertices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from pxr import Ar, Sdf, Usd, UsdGeom, UsdSkel, Vt

from ...motion.origin import Origin
from ...motion.take import Person, Take
from ...motion.usd_layer import unpacked
from .usd_rules import animation_rules, stage_rules

_FIRST = Usd.TimeCode.EarliestTime()


class CharacterBody:
    """The skinned meshes that a take's vertices are made up of, with USD's queries for them."""

    def __init__(self, stage: Usd.Stage, origin: Origin) -> None:
        self._stage, self._origin = stage, origin
        self._skeleton = UsdSkel.Skeleton(stage.GetPrimAtPath(origin.skeleton))
        root = self._skeleton.GetPrim()
        while root and not root.IsA(UsdSkel.Root):
            root = root.GetParent()
        self._cache = UsdSkel.Cache()
        self._cache.Populate(UsdSkel.Root(root), Usd.TraverseInstanceProxies())
        self._pose = self._cache.GetSkelQuery(self._skeleton)
        self._meshes = [stage.GetPrimAtPath(path) for path in origin.meshes]
        self._points = np.split(origin.points, np.cumsum(origin.vertex_counts)[:-1])
        turn = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else np.eye(3)
        self._to_metres = turn * UsdGeom.GetStageMetersPerUnit(stage)

    def vertices_m(self, code: float) -> NDArray[np.float64]:
        """Vertices (V,3) at a time code, in metres with +Y up."""
        transforms = self._pose.ComputeSkinningTransforms(code)
        world = np.array(UsdGeom.XformCache(code).GetLocalToWorldTransform(self._skeleton.GetPrim()), dtype=np.float64)
        parts = []
        for mesh, wanted in zip(self._meshes, self._points, strict=True):
            points = Vt.Vec3fArray(UsdGeom.Mesh(mesh).GetPointsAttr().Get(_FIRST))
            # A mesh may have an order of joints of its own, which USD looks after.
            if not self._cache.GetSkinningQuery(mesh).ComputeSkinnedPoints(transforms, points, code):
                raise ValueError("USD finds no skinning on the mesh")
            parts.append(np.array(points, dtype=np.float64)[wanted])
        return np.asarray((np.concatenate(parts) @ world[:3, :3] + world[3, :3]) @ self._to_metres.T)


def character_rules(stage: Usd.Stage, take: Take, person: Person) -> Iterator[str]:
    """Yield a sentence for each rule that the stage breaks."""
    origin = person.rig.origin
    assert origin is not None, "only a character that came in a file is verified against it"
    yield from stage_rules(stage, take)
    prim = stage.GetPrimAtPath(origin.skeleton)
    if not prim or not prim.IsA(UsdSkel.Skeleton) or not stage.GetDefaultPrim():
        yield f"{origin.skeleton}: found no Skeleton, or no default prim"
        return
    skeleton = UsdSkel.Skeleton(prim)
    targets = prim.GetRelationship("skel:animationSource").GetTargets()
    bound = stage.GetPrimAtPath(targets[0]) if targets else Usd.Prim()
    if not bound or not bound.IsA(UsdSkel.Animation) or not prim.HasAPI(UsdSkel.BindingAPI):
        yield f"{origin.skeleton}: skel:animationSource doesn't lead to an animation"
        return
    yield from animation_rules(skeleton, UsdSkel.Animation(bound), stage, take)
    with unpacked(origin.content) as file:
        yield from _kept_rules(stage, Usd.Stage.Open(str(file)), prim)


def _kept_rules(stage: Usd.Stage, own: Usd.Stage, skeleton: Usd.Prim) -> Iterator[str]:
    """Check that every prim of the character's stage is there with its values as they were, but for what moved the skeleton."""
    line = {prefix for prefix in skeleton.GetPath().GetPrefixes()}
    for prim in Usd.PrimRange(own.GetPseudoRoot(), Usd.TraverseInstanceProxies()):
        if prim.IsPseudoRoot() or prim.IsA(UsdSkel.Animation):
            continue
        found = stage.GetPrimAtPath(prim.GetPath())
        if not found or found.GetTypeName() != prim.GetTypeName():
            yield f"{prim.GetPath()}: not there as the character has it"
            continue
        for attribute in prim.GetAuthoredAttributes():
            ours = prim.IsA(UsdSkel.Root) and attribute.GetName() == "extent"
            if not ours and not _same(attribute, found.GetAttribute(attribute.GetName())):
                yield f"{attribute.GetPath()}: not the character's own"
        for relation in prim.GetAuthoredRelationships():
            moved = prim.GetPath() in line and relation.GetName() == "skel:animationSource"
            if not moved and found.GetRelationship(relation.GetName()).GetTargets() != relation.GetTargets():
                yield f"{relation.GetPath()}: not the character's own"


def _same(mine: Usd.Attribute, found: Usd.Attribute) -> bool:
    if not found or found.GetConnections() != mine.GetConnections():
        return False
    expected, value = mine.Get(_FIRST), found.Get(_FIRST)
    if isinstance(expected, Sdf.AssetPath):
        return _content(expected) == _content(value)
    return bool(expected == value)


def _content(asset: Sdf.AssetPath) -> bytes | str:
    """What an asset's path leads to; the path itself where it leads nowhere."""
    opened = Ar.GetResolver().OpenAsset(Ar.ResolvedPath(asset.resolvedPath)) if asset.resolvedPath else None
    return asset.path if opened is None else bytes(opened.GetBuffer())
