"""What a user may choose about each format; kept apart from the writers so that ``--help`` loads none of their libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import SettingsError


def _one_of(name: str, found: object, allowed: tuple[object, ...]) -> None:
    if found not in allowed:
        raise SettingsError(f"{name}: found {found!r}, expected one of {', '.join(map(str, allowed))}")


@dataclass(frozen=True)
class GlbSkeletalOptions:
    """How a skeletal GLB is written."""

    influences: Literal[4, 8] = 8
    """Joints a vertex may follow: 8 keeps the body exact, 4 suits three.js and model-viewer, which drop the rest."""
    camera: bool = False
    """Add the camera that took the clip as a node."""

    def __post_init__(self) -> None:
        _one_of("influences", self.influences, (4, 8))


@dataclass(frozen=True)
class GlbBakedOptions:
    """How a baked GLB is written."""

    normals: bool = False
    """Give every frame its own normals; the file doubles, and viewers light the moving body right."""
    camera: bool = False
    """Add the camera that took the clip as a node."""


@dataclass(frozen=True)
class UsdSkelOptions:
    """How a UsdSkel stage is written."""

    preset: Literal["default", "unreal"] = "default"
    """default: metres, Y up. unreal: centimetres, Z up, with the change baked into joints and mesh."""
    up: Literal["preset", "y", "z"] = "preset"
    """Which axis is up, where the preset's is not the right one."""
    units: Literal["preset", "m", "cm"] = "preset"
    """Metres or centimetres, where the preset's are not the right ones."""
    format: Literal["usdc", "usda", "usdz"] = "usdc"
    """usdc is compact and fast, usda is text, usdz is one package for phones and viewers."""

    def __post_init__(self) -> None:
        _one_of("preset", self.preset, ("default", "unreal"))
        _one_of("up", self.up, ("preset", "y", "z"))
        _one_of("units", self.units, ("preset", "m", "cm"))
        _one_of("format", self.format, ("usdc", "usda", "usdz"))

    @property
    def up_axis(self) -> Literal["Y", "Z"]:
        """The axis that is up."""
        return "Z" if self.up == "z" or (self.up, self.preset) == ("preset", "unreal") else "Y"

    @property
    def metres_per_unit(self) -> float:
        """What a unit of the stage is, metres."""
        return 0.01 if self.units == "cm" or (self.units, self.preset) == ("preset", "unreal") else 1.0

    @property
    def suffix(self) -> str:
        """What the file's name ends with."""
        return f"_skel.{self.format}"
