"""What a user may choose about each format; kept apart from the writers so that ``--help`` loads none of their libraries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from ..errors import SettingsError


def _one_of(name: str, found: object, allowed: tuple[object, ...]) -> None:
    if found not in allowed:
        raise SettingsError(f"{name}: found {found!r}, expected one of {', '.join(map(str, allowed))}")


@dataclass(frozen=True)
class AxesOptions:
    """Which way is up, and what a unit is, in all formats that leave a choice: USD. A GLB has +Y up and metres by its specification."""

    up: Literal["y", "z"] | None = None
    """Which axis is up in USD files, where --usd-skel.up does not say. GLB files are not concerned: glTF is always +Y up."""
    units: Literal["m", "cm"] | None = None
    """Metres or centimetres in USD files, where --usd-skel.units does not say. GLB files are not concerned: glTF is always in metres."""

    def __post_init__(self) -> None:
        _one_of("up", self.up, (None, "y", "z"))
        _one_of("units", self.units, (None, "m", "cm"))

    def given_to(self, options: Any) -> Any:
        """Return a format's options with this axis and this unit, where it has a choice that nobody has made for it alone.

        A format has one by a field ``up`` or ``units`` whose default is ``preset``.
        """
        said = {"up": self.up, "units": self.units}
        open_ones = {name: value for name, value in said.items() if value is not None and getattr(options, name, None) == "preset"}
        return replace(options, **open_ones)


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
