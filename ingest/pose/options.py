"""What the user may say about reading poses; light to import, for the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from ...errors import SettingsError
from ..people.options import PeopleOptions
from .sam3d_body.options import Sam3dOptions

Quality = Literal["draft", "standard", "high"]


@dataclass(frozen=True)
class PoseOptions:
    """How poses are read from pictures."""

    estimator: str = "blazepose"
    """What reads poses: blazepose on any machine, sam3d-body where you have its weights; a package may bring more."""
    quality: Quality = "standard"
    """`draft` reads bodies once, `standard` also their mirror image and the hands, `high` takes the heavy net for it."""

    def __post_init__(self) -> None:
        if self.quality not in get_args(Quality):
            raise SettingsError(f"quality: found {self.quality!r}, expected one of {', '.join(get_args(Quality))}")


@dataclass(frozen=True)
class EstimatorOptions:
    """Everything that any estimator is told; each takes what concerns it."""

    pose: PoseOptions = field(default_factory=PoseOptions)
    people: PeopleOptions = field(default_factory=PeopleOptions)
    sam3d: Sam3dOptions = field(default_factory=Sam3dOptions)
    focal_px: float | None = None  # what the user knows of the camera
