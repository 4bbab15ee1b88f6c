"""What happens, told as it happens: to a progress bar, to JSON lines, to a log."""

from __future__ import annotations

from typing import Protocol


class Emit(Protocol):
    """Takes what happens, as it happens: ``emit("progress", stage="estimate", done=3, total=90)``."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take one event: ``take``, ``stage``, ``progress``, ``file``, ``warning``, ``skipped`` or ``done``."""


def silent(event: str, /, **fields: object) -> None:
    """Take events and do nothing with them."""
