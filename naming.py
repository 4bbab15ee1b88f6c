"""What takes are called: after their sources, in names that every file system and format can hold."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from .errors import RigdropError
from .motion.store import open_take

# Names that programs give to all their results; the folder tells one from another.
_GENERIC = {"hmr4d_results"}
# A file name may have 255 bytes; the longest that is added to a take's name is far below the rest.
_MAX_NAME_BYTES = 180


def take_name(source: Path, named: Path | None = None) -> str:
    """Return what a source's take is called: the source's own name, or for a stored take the name that it was given.

    Cut to fit a file system, with a few digits of its hash, so that two long names stay two. ``named`` is where its owner
    has it, when it lies elsewhere for the while.
    """
    name = unicode_name(_stored_name(source) if source.suffix == ".h5" else _own_name(named or source))
    name = name.strip(" .") or "take"
    data = name.encode("utf-8")
    if len(data) <= _MAX_NAME_BYTES:
        return name
    return f"{data[:_MAX_NAME_BYTES].decode('utf-8', errors='ignore')}~{hashlib.sha256(data).hexdigest()[:6]}"


def _own_name(source: Path) -> str:
    if os.path.isdir(source):  # which says no to a name that is too long to be one, where Path.is_dir raises
        return source.name
    return source.absolute().parent.name if source.stem in _GENERIC else source.stem


def unicode_name(name: str) -> str:
    """Return a file's name as every format can hold it: a byte that is no Unicode becomes ``%E9``."""
    return "".join(f"%{ord(letter) - 0xDC00:02X}" if "\udc80" <= letter <= "\udcff" else letter for letter in name)


def _stored_name(source: Path) -> str:
    try:
        with open_take(source) as take:
            return str(take.provenance.get("take") or Path(str(take.attributes["source_name"])).stem)
    except RigdropError:
        return source.stem  # converting it says what is wrong with it
