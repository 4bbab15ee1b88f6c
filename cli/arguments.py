"""The process' own arguments, without the switch that any command takes and that is no command's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence

DEBUG = "--debug"


def split_debug(tokens: Sequence[str] | None = None) -> tuple[list[str], bool]:
    """Return ``tokens``, or the process' own arguments, without ``--debug``, and whether that was among them."""
    given = sys.argv[1:] if tokens is None else tokens
    return [token for token in given if token != DEBUG], DEBUG in given
