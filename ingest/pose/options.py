"""What the user may say about reading poses; light to import, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ...errors import SettingsError

Quality = Literal["draft", "standard", "high"]


@dataclass(frozen=True)
class PoseOptions:
    """How poses are read from pictures."""

    estimator: str = "blazepose"
    """The estimator that reads poses; a package may bring more."""
    quality: Quality = "standard"
    """`draft` reads bodies once, `standard` also their mirror image and the hands, `high` takes the heavy net for it."""

    def __post_init__(self) -> None:
        if self.quality not in get_args(Quality):
            raise SettingsError(f"quality: found {self.quality!r}, expected one of {', '.join(get_args(Quality))}")
