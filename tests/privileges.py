"""Tests of what a user may not do, where the tests themselves run as root."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NOBODY = 65534


@contextmanager
def without_privileges(folder: Path) -> Iterator[None]:
    """Do as somebody who may not do everything: where the tests run as root, as nobody, who reaches ``folder`` and owns nothing."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    for place in (folder, *folder.parents):
        if place.is_dir() and place.is_relative_to(tempfile.gettempdir()) and place != Path(tempfile.gettempdir()):
            place.chmod(place.stat().st_mode | 0o011)
    os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
