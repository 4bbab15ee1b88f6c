"""The traits of the body that Anny's rigs start from."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ...errors import SettingsError


@dataclass(frozen=True)
class BodyOptions:
    """The body to drive, each trait from 0 to 1; used by every rig but mhr."""

    gender: float = 0.5
    """0 is male, 1 is female."""
    age: float = 0.67
    """0 is a baby, 0.33 a child, 0.67 a young adult, 1 is old."""
    muscle: float = 0.5
    """0 is slight, 1 is muscular."""
    weight: float = 0.5
    """0 is thin, 1 is heavy."""
    height: float = 0.42
    """0 is short, 1 is tall, for that age; 0.42 stands 1.75 m tall where the rest is average."""
    proportions: float = 0.5
    """0 is ideal, 1 is uncommon."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0.0 <= value <= 1.0:
                raise SettingsError(f"body: {field.name}: found {value}, expected a number from 0 to 1")
