"""``scene.usdc``: every person of a take, by reference to their own stages, and the camera that saw them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pxr import Gf, Kind, Sdf, Usd, UsdGeom

from ..errors import UsageError
from ..motion.frames import WorldFrame, world_frame
from ..motion.take import Camera, Take
from .options import UsdSkelOptions
from .usd import legal_names, new_stage, save_layer, time_codes

# The filmback of a 35 mm still camera; only its ratio to the focal length counts.
_SENSOR_WIDTH_MM, _CENTIMETRE_M = 36.0, 0.01
_NEAR_M, _FAR_M = 0.01, 1000.0


def write_scene(take: Take, files: Mapping[str, Path], path: Path, options: UsdSkelOptions | None = None) -> None:
    """Write a stage that references each person's stage (``files``: person id → path) by a relative path, and the camera.

    ``options`` are those the people's stages were written with, so that axes and units agree. Raises `UsageError` for a
    file that is not there and `WriteError` where the disk refuses.
    """
    options = options or UsdSkelOptions()
    _check(take, files)
    frame = world_frame(options.up_axis, options.metres_per_unit)
    stage = new_stage(take, frame, "scene")
    root = UsdGeom.Xform.Define(stage, "/scene")
    Usd.ModelAPI(root).SetKind(Kind.Tokens.assembly)
    _define_camera(stage, take, frame)
    # References are relative to where the layer will be; an open stage would look for them where it is now, and complain.
    layer = Sdf.Layer.CreateAnonymous("scene.usda")
    layer.TransferContent(stage.GetRootLayer())
    above = root.GetPath()
    for name, (_, file) in zip(legal_names(files), files.items(), strict=True):
        _refer(layer, above.AppendChild(name), _relative(file, path.parent), _into_frame(file, frame))
    save_layer(layer, path)


def _into_frame(file: Path, frame: WorldFrame) -> NDArray[np.float64] | None:
    """What brings a stage's axes and units to the scene's (4,4); nothing where they are the same, as all of ours are.

    Somebody's own character keeps those of its file, and a reference changes none.
    """
    stage = Usd.Stage.Open(str(file))
    turn = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]) if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else np.eye(3)
    moved = np.eye(4)
    moved[:3, :3] = np.array(frame.R_target_rigdrop) @ turn * (UsdGeom.GetStageMetersPerUnit(stage) / frame.metres_per_unit)
    return None if np.allclose(moved, np.eye(4), atol=1e-9) else moved


def _refer(layer: Sdf.Layer, prim: Sdf.Path, file: str, T_scene_file: NDArray[np.float64] | None) -> None:
    """Define a prim that is what ``file`` holds; it has no type here, since the stage that is referenced says SkelRoot.

    One that must be moved stands below a prim that does so.
    """
    spec = Sdf.CreatePrimInLayer(layer, prim)
    spec.specifier = Sdf.SpecifierDef
    if T_scene_file is not None:
        spec.typeName = "Xform"
        operation = Sdf.AttributeSpec(spec, "xformOp:transform", Sdf.ValueTypeNames.Matrix4d)
        operation.default = Gf.Matrix4d(T_scene_file.T.tolist())
        order = Sdf.AttributeSpec(spec, "xformOpOrder", Sdf.ValueTypeNames.TokenArray, Sdf.VariabilityUniform)
        order.default = ["xformOp:transform"]
        spec = Sdf.CreatePrimInLayer(layer, prim.AppendChild("character"))
        spec.specifier = Sdf.SpecifierDef
    spec.referenceList.prependedItems.append(Sdf.Reference(file))


def _check(take: Take, files: Mapping[str, Path]) -> None:
    ids = {person.id for person in take.people}
    for person_id, file in files.items():
        if person_id not in ids:
            raise UsageError(f"scene: found a file for {person_id!r}, expected one of {', '.join(sorted(ids))}")
        if not file.exists():
            raise UsageError(f"scene: {file}: found nothing, expected the stage of {person_id}; write usd-skel first")


def _relative(file: Path, folder: Path) -> str:
    return "./" + Path(os.path.relpath(file, folder)).as_posix()


def _define_camera(stage: Usd.Stage, take: Take, frame: WorldFrame) -> None:
    """Define the pinhole camera: pixels become a film of 36 mm, the principal point the film's offset.

    Film and lens are in tenths of the stage's unit, which are millimetres only where that is a centimetre.
    """
    camera, codes = take.camera, time_codes(take)
    lens = UsdGeom.Camera.Define(stage, "/scene/camera")
    intrinsics = camera.intrinsics_px.reshape(-1, 3, 3)
    moving_lens = len(intrinsics) > 1
    film = _SENSOR_WIDTH_MM * _CENTIMETRE_M / frame.metres_per_unit
    per_px = film / camera.width
    lens.CreateClippingRangeAttr(Gf.Vec2f(_NEAR_M / frame.metres_per_unit, _FAR_M / frame.metres_per_unit))
    # Pixels that are not square, fx ≠ fy, are a film that is lower or higher than the picture's shape says.
    per_row = per_px * intrinsics[:, 0, 0] / intrinsics[:, 1, 1]
    values = {
        lens.CreateFocalLengthAttr(): intrinsics[:, 0, 0] * per_px,
        lens.CreateHorizontalApertureAttr(): np.full(len(intrinsics), film),
        lens.CreateVerticalApertureAttr(): camera.height * per_row,
        lens.CreateHorizontalApertureOffsetAttr(): (camera.width / 2 - intrinsics[:, 0, 2]) * per_px,
        lens.CreateVerticalApertureOffsetAttr(): (intrinsics[:, 1, 2] - camera.height / 2) * per_row,
    }
    for attribute, numbers in values.items():
        for code, number in zip(codes.tolist() if moving_lens else [Usd.TimeCode.Default()], numbers.tolist(), strict=True):
            attribute.Set(number, code)
    _place(lens, camera, frame, codes.tolist())


def _place(lens: UsdGeom.Camera, camera: Camera, frame: WorldFrame, codes: list[float]) -> None:
    operation = lens.AddTransformOp()
    poses = frame.change_basis(camera.world_from_camera.reshape(-1, 4, 4))
    moving = camera.world_from_camera.ndim == 3
    for code, pose in zip(codes if moving else [Usd.TimeCode.Default()], poses, strict=True):
        operation.Set(Gf.Matrix4d(pose.T.tolist()), code)
