"""What files say of how poses change the Momentum Human Rig's mesh beyond its skin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...errors import SettingsError

MOST_MORPHS = 256


@dataclass(frozen=True)
class CorrectiveOptions:
    """MHR's pose correctives: what its own mesh does that a skin can't."""

    correctives: Literal["none", "morphs"] = "none"
    """none leaves the skin alone, millimetres from MHR's own mesh; morphs adds a few morph targets with a weight a frame."""
    morph_count: int = 32
    """Morph targets at most; each adds 12 bytes a vertex and 4 a frame to every file."""

    def __post_init__(self) -> None:
        if self.correctives not in ("none", "morphs"):
            raise SettingsError(f"correctives: found {self.correctives!r}, expected none or morphs")
        # With one alone there is none to keep weights above 0.
        if not 2 <= self.morph_count <= MOST_MORPHS:
            raise SettingsError(f"morph-count: found {self.morph_count}, expected 2 to {MOST_MORPHS}")
