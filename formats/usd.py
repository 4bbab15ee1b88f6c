"""What every USD file of ours shares: legal names, the clock, the stage's metadata, and saving whole or not at all."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Sdf, Tf, Usd, UsdGeom, UsdSkel, UsdUtils, Vt

from .. import __version__
from ..errors import WriteError
from ..files import atomic_path, why_refused
from ..motion.frames import WorldFrame
from ..motion.take import Take
from .pictures import keep_only, pictures_folder

# A frame whose time is this near to a whole time code is on it: far above float64's rounding, far below any jitter.
_ON_A_FRAME = 1e-6
# The 2nd of January 1980, the zip format's first whole day everywhere: a package holds its part's date, and the same
# take should give the same bytes.
_PACKAGED_S = 315_619_200


def legal_names(names: Iterable[str]) -> list[str]:
    """Return names that every USD reader takes as prim names, each once: ASCII letters, digits and ``_``, no digit first."""
    legal: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name) or "_"
        plain = f"_{plain}" if plain[0].isdigit() else plain
        number, unique = 2, plain
        while unique in legal:
            unique, number = f"{plain}_{number}", number + 1
        legal.append(unique)
    return legal


def time_codes(take: Take) -> NDArray[np.float64]:
    """Return each frame's time code (F,): frames of the nominal rate since the first, whole ones unless the clip's rate varies."""
    codes: NDArray[np.float64] = (take.times_s - take.times_s[0]) * float(take.fps)
    whole = np.rint(codes)
    return np.where(np.abs(codes - whole) < _ON_A_FRAME, whole, codes)


def new_stage(take: Take, frame: WorldFrame, name: str) -> Usd.Stage:
    """Return an empty stage in memory with axes, units, clock and origin set on its root layer; ``/name`` will be its default prim."""
    stage = Usd.Stage.CreateInMemory(f"{name}.usda")
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z if frame.up_axis == "Z" else UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, frame.metres_per_unit)
    stage.SetTimeCodesPerSecond(float(take.fps))
    stage.SetFramesPerSecond(float(take.fps))
    stage.SetStartTimeCode(0.0)
    stage.SetEndTimeCode(float(time_codes(take)[-1]))
    layer = stage.GetRootLayer()
    layer.defaultPrim = name
    layer.customLayerData = {"creator": f"Rigdrop {__version__}", "rigdrop": origin(take)}
    return stage


def origin(take: Take) -> dict[str, Any]:
    """Return what a stage says about where it comes from: the take, the exact rate, the source's hash."""
    rate = f"{take.fps.numerator}/{take.fps.denominator}"
    return {"take": PurePath(take.source_name).stem, "fps": rate, "source_sha256": take.source_sha256}


def author(attribute: Usd.Attribute, convert: Callable[[Any], Any], values: NDArray[Any], codes: NDArray[np.float64]) -> None:
    """Author (F,J,…) values at the time codes (F,); what never changes is authored once."""
    if (values == values[0]).all():
        attribute.Set(convert(values[0]))
        return
    author_samples(attribute, map(convert, values), codes)


def author_turns(animation: UsdSkel.Animation, quat_xyzw: NDArray[np.float32], codes: NDArray[np.float64]) -> None:
    """Author rotations (F,J,4) at every time code (F,), also where nobody moves.

    Blender 5.0 takes an animation without any time sample for none, and shows the rest pose.
    """
    author_samples(animation.CreateRotationsAttr(), map(Vt.QuatfArray.FromNumpy, quat_xyzw), codes)


def author_samples(attribute: Usd.Attribute, samples: Iterable[object], codes: NDArray[np.float64]) -> None:
    """Author a value at each time code (F,), straight into the layer: a third faster than through the stage."""
    layer, path = attribute.GetStage().GetRootLayer(), attribute.GetPath()
    with Sdf.ChangeBlock():
        for code, sample in zip(codes.tolist(), samples, strict=True):
            layer.SetTimeSample(path, code, sample)


def save_layer(layer: Sdf.Layer, path: Path, pictures: Mapping[str, bytes] | None = None) -> None:
    """Write a layer to ``path`` as its suffix says (.usdc, .usda, .usdz); it appears whole or not at all.

    ``pictures`` are the files that the layer names, ``pictures/NAME`` → bytes: they are put beside it first, into a folder
    of its own in which an older stage's do not stay, or into its package. The layer stays in memory, so no handle on the
    file is left. Raises `WriteError` where the disk refuses.
    """
    folder = pictures_folder(path)
    there = {name: f"{folder.name}/{PurePath(name).name}" for name in pictures or {}}
    if there:
        UsdUtils.ModifyAssetPaths(layer, lambda asset: f"./{there[asset]}" if asset in there else asset)
    placed = {there[name]: content for name, content in (pictures or {}).items()}
    if path.suffix != ".usdz":
        for name, content in placed.items():
            with atomic_path(path.parent / name) as temporary:
                temporary.write_bytes(content)
    with atomic_path(path) as temporary:
        if path.suffix == ".usdz":
            _package(layer, temporary, path.stem, placed)
        else:
            _export(layer, temporary)
    if path.suffix != ".usdz":
        keep_only(path, {PurePath(name).name for name in placed})


def _export(layer: Sdf.Layer, path: Path) -> None:
    _let_usd(lambda: layer.Export(str(path)), path, "write")


def _let_usd(do: Callable[[], bool], path: Path, what: str) -> None:
    """Let USD do something to ``path``; where it only says that it could not, the disk says why."""
    try:
        done = do()
    except Tf.ErrorException:
        done = False
    if not done:
        raise WriteError(f"{path}: USD can't {what} it; free space or choose another --out") from why_refused(path.parent)


def _package(layer: Sdf.Layer, path: Path, name: str, pictures: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        for picture, content in pictures.items():
            file = Path(folder) / picture
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content)
            os.utime(file, (_PACKAGED_S, _PACKAGED_S))
        inner = Path(folder) / f"{name}.usdc"
        _export(layer, inner)
        os.utime(inner, (_PACKAGED_S, _PACKAGED_S))
        _let_usd(lambda: UsdUtils.CreateNewUsdzPackage(Sdf.AssetPath(str(inner)), str(path)), path, "package")
