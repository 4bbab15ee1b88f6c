"""What a user may choose about how motion files are read; kept apart from the readers, whose libraries ``--help`` does without."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from ...errors import SettingsError


@dataclass(frozen=True)
class HandMergeOptions:
    """How hands of a hand net are given to bodies and put onto them."""

    wrist_limit_deg: float = 40.0
    """Take the hand net's wrist where it is no further than this from the body's, degrees; 0 always keeps the body's."""
    gap_s: float = 0.35
    """Fill gaps in which a hand was not found that are no longer than this, seconds; in longer ones the hand is flat."""
    reach: float = 1.5
    """A hand is a body's where its wrist is no further from the body's than this, in sizes of the hand's box."""

    def __post_init__(self) -> None:
        for name in ("wrist_limit_deg", "gap_s", "reach"):
            if not 0 <= getattr(self, name) < float("inf"):
                key = name.removesuffix("_deg").removesuffix("_s").replace("_", "-")
                raise SettingsError(f"hand-merge.{key}: found {getattr(self, name)}, expected 0 or more")


@dataclass(frozen=True)
class MotionFileOptions:
    """How motion files are read: AMASS, SMPL-H/X, SAM 3D Body, GVHMR, BVH, GLB, USD."""

    trust: bool = False
    """Read pickled files too; a pickle can run any program, so only where you know who made it."""
    source_fps: str = ""
    """Frames a second of files that do not say, such as 30 or 30000/1001; without it 30."""
    frame_limit: int = 0
    """Read no more than this many frames of each file; 0 reads all."""
    keep_vertices: bool = False
    """Keep the meshes that the file holds, so that baked files and the preview show just these."""
    world: Literal["global", "camera"] = "global"
    """For files that hold the motion in the world's axes and in the camera's (GVHMR): which to take."""
    hand_poses: Path | None = None
    """A file of hands to put onto the bodies: hand_poses.npz, or WiLoR's output."""
    hand_merge: HandMergeOptions = field(default_factory=HandMergeOptions)
    """How these hands are put onto the bodies."""
    joint_map: Path | None = None
    """A map from joint names to what they mean, for skeletons that Rigdrop does not know; rigdrop map init writes one."""

    def __post_init__(self) -> None:
        if self.frame_limit < 0:
            raise SettingsError(f"frame-limit: found {self.frame_limit}, expected 0 or more")
        if self.source_fps and self.rate is None:
            raise SettingsError(f"source-fps: found {self.source_fps!r}, expected a rate above 0 such as 30 or 30000/1001")

    @property
    def rate(self) -> Fraction | None:
        """The rate that the user gave, exact; nothing where there is none, or it is not one."""
        try:
            rate = Fraction(self.source_fps)
        except (ValueError, ZeroDivisionError):
            return None
        return rate if rate > 0 else None
