"""What the user may say about whom to follow."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...errors import SettingsError


@dataclass(frozen=True)
class PeopleOptions:
    """Who is followed."""

    max_people: int = 0
    """Keep at most this many people, the ones that are largest and longest in the picture; 0 keeps all."""
    min_visible_s: float = 0.5
    """Leave out whoever is seen for less than this many seconds in all."""
    relink_s: float = 2.0
    """Take somebody who comes back within this many seconds, near where they went, for the same person."""
    small_people: bool = True
    """Look for people who are small in the picture too; without it the search is up to three times quicker."""

    def __post_init__(self) -> None:
        if self.max_people < 0:
            raise SettingsError(f"max_people: found {self.max_people}, expected 0 for all or a number of people")
        for name in ("min_visible_s", "relink_s"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise SettingsError(f"{name}: found {getattr(self, name)}, expected seconds, 0 or more")
