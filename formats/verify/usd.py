"""Verifies UsdSkel stages: OpenUSD's own skinning evaluates them frame by frame, and the result is compared with the take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Tf, Usd, UsdGeom, UsdSkel, Vt

from ...errors import ReadError
from ...motion.take import Person, Take
from .report import ErrorMeter, VerifyReport
from .truth import DEFAULT_FRAMES, blocks, chosen_frames, stored_vertices
from .usd_character import CharacterBody, character_rules
from .usd_rules import stage_codes, usd_rules


def verify_usd_skel(take: Take, person: Person, path: Path, options: object = None, most: int | None = DEFAULT_FRAMES) -> VerifyReport:
    """Compare a UsdSkel stage with the take at all frames, or at ``most`` of them; a file that can't be read is a broken rule."""
    frames = chosen_frames(take, most)
    meter, evaluated = ErrorMeter(len(frames) * len(person.rig.vertices_m)), 0
    rules: list[str] = []
    try:
        stage = _open(path)
        origin = person.rig.origin
        own = origin if origin is not None and origin.format == "usd" and origin.fits(person.rig.bind_world) else None
        # One by one, so that what was found stays when a later rule can't be checked.
        rules.extend(usd_rules(stage, take, person) if own is None else character_rules(stage, take, person))
        body = _SkinnedBody(stage) if own is None else CharacterBody(stage, own)
        codes = stage_codes(stage, take)
        for part in blocks(frames):
            meter.add(np.stack([body.vertices_m(code) for code in codes[part].tolist()]), stored_vertices(person, part))
            evaluated += len(part)
    except (Tf.ErrorException, LookupError, ValueError) as error:
        rules.append(f"{path}: can't be evaluated ({_first_line(error)}), expected a UsdSkel stage of {person.id}")
    return meter.report(path, person.id, evaluated, take.frame_count, rules)


def named_person(path: Path) -> str | None:
    """Return the id of the person that a stage names, if it names one. Raises `ReadError` for what USD can't open."""
    try:
        stage = _open(path)
        named = stage.GetDefaultPrim().GetCustomDataByKey("rigdrop:person")
    except (Tf.ErrorException, RuntimeError) as error:
        raise ReadError(f"{path}: can't be opened ({_first_line(error)}), expected a UsdSkel stage") from error
    return str(named) if named else None


def _open(path: Path) -> Usd.Stage:
    stage = Usd.Stage.Open(str(path))
    # USD hands out a file that is still open somewhere instead of reading it again.
    stage.Reload()
    return stage


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


class _SkinnedBody:
    """The one skinned mesh below a stage's default prim, with USD's queries for it."""

    def __init__(self, stage: Usd.Stage) -> None:
        root = UsdSkel.Root(stage.GetDefaultPrim())
        self._mesh, self._skeleton = _only(stage, UsdGeom.Mesh), _only(stage, UsdSkel.Skeleton)
        self._cache = UsdSkel.Cache()
        self._cache.Populate(root, Usd.PrimDefaultPredicate)
        self._pose = self._cache.GetSkelQuery(self._skeleton)
        self._skin = self._cache.GetSkinningQuery(self._mesh.GetPrim())
        self._shapes = _Shapes(self._pose, self._skin, self._mesh) if self._skin.HasBlendShapes() else None
        self._to_metres = _to_rigdrop(stage)

    def vertices_m(self, code: float) -> NDArray[np.float64]:
        """Vertices (V,3) at a time code, in metres with +Y up."""
        points = Vt.Vec3fArray(self._mesh.GetPointsAttr().Get(code))
        if self._shapes is not None:
            self._shapes.displace(points, code)
        if not self._skin.ComputeSkinnedPoints(self._pose.ComputeSkinningTransforms(code), points, code):
            raise ValueError("USD finds no skinning on the mesh")
        world = np.array(UsdGeom.XformCache(code).GetLocalToWorldTransform(self._skeleton.GetPrim()), dtype=np.float64)
        in_world = np.array(points, dtype=np.float64) @ world[:3, :3] + world[3, :3]
        return np.asarray(in_world @ self._to_metres.T)


class _Shapes:
    """The blend shapes of a mesh, as USD itself applies them before it skins."""

    def __init__(self, pose: UsdSkel.SkeletonQuery, skin: UsdSkel.SkinningQuery, mesh: UsdGeom.Imageable) -> None:
        self._weights, self._mapper = pose.GetAnimQuery(), skin.GetBlendShapeMapper()
        self._query = UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(mesh.GetPrim()))
        self._points, self._offsets = self._query.ComputeBlendShapePointIndices(), self._query.ComputeSubShapePointOffsets()

    def displace(self, points: Vt.Vec3fArray, code: float) -> None:
        """Move the points, in place, as the weights of a time code say. Raises ValueError where USD can't."""
        said = self._weights.ComputeBlendShapeWeights(code)
        weights = None if said is None or self._mapper is None else self._mapper.Remap(Vt.FloatArray(said))
        if weights is None:
            raise ValueError("USD finds no weights for the mesh's blend shapes")
        if not self._query.ComputeDeformedPoints(*self._query.ComputeSubShapeWeights(weights), self._points, self._offsets, points):
            raise ValueError("USD can't apply the mesh's blend shapes")


def _only(stage: Usd.Stage, schema: type) -> UsdGeom.Imageable:
    found = [prim for prim in stage.Traverse() if prim.IsA(schema)]
    if len(found) != 1:
        raise LookupError(f"found {len(found)} prims of {schema.__name__}, expected one")
    return schema(found[0])


def _to_rigdrop(stage: Usd.Stage) -> NDArray[np.float64]:
    """The matrix (3,3) from the stage's axes and units to metres with +Y up; Z up becomes Y up by a turn about X."""
    turn = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]]) if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else np.eye(3)
    return np.asarray(turn * UsdGeom.GetStageMetersPerUnit(stage), dtype=np.float64)
