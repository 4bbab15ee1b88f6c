"""The formats that a take can be written in: ours, and those that other packages offer under ``rigdrop.formats``.

A package adds one by an entry point that names a `Format`:

    [project.entry-points."rigdrop.formats"]
    my-format = "my_package:MY_FORMAT"

Writers are imported when they are first called, so that listing the formats costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..motion.take import Person, Take
from ..plugins import with_plugins
from .options import GlbBakedOptions, GlbSkeletalOptions, UsdSkelOptions
from .verify.report import VerifyReport

GROUP = "rigdrop.formats"

Write = Callable[[Take, Person, Path, Any], None]
Verify = Callable[[Take, Person, Path, Any], VerifyReport]


@dataclass(frozen=True)
class Format:
    """One way to write a person: how to write it, and how to read it back and compare it with the take."""

    name: str
    summary: str
    suffix: str  # what the file's name ends with, "_skeletal.glb"
    options_type: type[Any]  # a frozen dataclass whose fields all have defaults
    write: Write
    verify: Verify

    def file_name(self, stem: str, options: Any) -> str:
        """Return the file's name; options with a ``suffix`` of their own decide how it ends."""
        return stem + str(getattr(options, "suffix", self.suffix))


def _late(module: str, name: str) -> Callable[..., Any]:
    """Return a function that imports ``module`` when it is called, not before."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(module, __package__), name)(*arguments)

    return call


FORMATS = {
    "glb-skeletal": Format("glb-skeletal", "skinned, animated glTF binary", "_skeletal.glb", GlbSkeletalOptions,
                           _late(".glb_skeletal", "write_glb_skeletal"), _late(".verify.glb", "verify_glb_skeletal")),
    "glb-baked": Format("glb-baked", "glTF binary, the exact mesh as one morph target a frame", "_baked.glb", GlbBakedOptions,
                        _late(".glb_baked", "write_glb_baked"), _late(".verify.glb", "verify_glb_baked")),
    "usd-skel": Format("usd-skel", "UsdSkel stage for Unreal, Maya, Houdini and Omniverse", "_skel.usdc", UsdSkelOptions,
                       _late(".usd_skel", "write_usd_skel"), _late(".verify.usd", "verify_usd_skel")),
}


def available_formats() -> dict[str, Format]:
    """Return every format by name: ours, then those of installed packages; a bad one is left out with a warning."""
    return with_plugins("format", GROUP, FORMATS, Format)


def format_named(name: str) -> Format:
    """Return a format by name. Raises `UsageError` that lists the names there are."""
    formats = available_formats()
    if name not in formats:
        raise UsageError(f"format: found {name!r}, expected one of {', '.join(formats)}")
    return formats[name]
