"""The options that belong to no single stage: which rig, which files, and where they go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import SettingsError

DEFAULT_FORMATS = ("glb-skeletal", "glb-baked", "usd-skel")


@dataclass(frozen=True)
class RigOptions:
    """The rig that is driven."""

    rig: str = "auto"
    """Skeleton and body: unreal, ue5, mixamo, vrm, smplx, smplh, anny, mhr; or your own character's .glb or .usd. auto takes
    the one that a motion file brings, else unreal."""
    rig_map: Path | None = None
    """Map from the joint names of your own character to what they mean, where they are not known; rigdrop map init writes one."""
    mhr: Path | None = None
    """Folder that holds the Momentum Human Rig's files, for --rig mhr."""


@dataclass(frozen=True)
class OutputOptions:
    """What is written, and where."""

    out: Path = Path("rigdrop-out")
    """Folder in which each take gets a folder of its own."""
    format: tuple[str, ...] = DEFAULT_FORMATS
    """Formats to write for each person, with commas between or one at a time; rigdrop formats lists them."""
    scene: bool = False
    """Write scene.usdc too: all people and the camera in one stage."""
    bundle: bool = False
    """Pack everything into one zip file too."""
    preview: bool = True
    """Draw preview.mp4 and preview.png: the body over the clip, and beside it."""
    force: bool = False
    """Convert again even where everything is up to date."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", tuple(name.strip() for names in self.format for name in names.split(",")))
        if not self.format:
            raise SettingsError("format: found none, expected one or more; rigdrop formats lists them")
        if len(set(self.format)) != len(self.format):
            raise SettingsError(f"format: found {', '.join(self.format)}, expected each format once")

    @property
    def format_was_chosen(self) -> bool:
        """Whether somebody asked for just these formats."""
        return self.format != DEFAULT_FORMATS
