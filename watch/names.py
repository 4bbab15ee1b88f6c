"""Names in a watched folder: which are inputs, which are left alone, and how a name that is taken gets a number."""

from __future__ import annotations

import os
import unicodedata

from ..ingest.motion_files.registry import motion_suffixes
from ..ingest.video import VIDEO_SUFFIXES

INPUT_SUFFIXES = VIDEO_SUFFIXES | motion_suffixes() | {".h5"}
SIDECAR_SUFFIX = ".toml"
# Directly under a watched folder, and never looked into: what is done, what failed, and what the service needs itself.
DONE, FAILED, SERVICE = "done", "failed", ".rigdrop"
MAX_NAME_BYTES = 255

# Files that a browser, a copy program or an editor has not finished; and what storage servers keep beside a user's files.
_UNFINISHED = (".part", ".filepart", ".crdownload", ".tmp")
_OF_STORAGE = ("@eadir", ".stversions", "#recycle", ".snapshot")


def is_ignored(name: str) -> bool:
    """Tell whether a file is no input, or a folder is not looked into, whatever it holds; in upper or lower case."""
    folded = name.casefold()
    return folded.startswith((".", "~")) or folded.endswith(_UNFINISHED) or folded in _OF_STORAGE


def is_own(name: str) -> bool:
    """Tell whether a folder directly under a watched one is the service's.

    In any case: on a share that does not tell them apart, ``Done`` is where ``done`` goes, and must not be looked into again.
    """
    return name.casefold() in (DONE, FAILED, SERVICE)


def is_input(name: str) -> bool:
    """Tell whether a file of this name is to be converted: a video or a stored take."""
    return not is_ignored(name) and _input_suffix(name) != ""


def sidecar_name(name: str) -> str:
    """Return the name of the file that holds the settings of just this input."""
    return name + SIDECAR_SUFFIX


def numbered(name: str, number: int, spare_bytes: int = 0) -> str:
    """Return ``name`` with a number, ``clip_2.mp4``, cut where it would be longer than 255 bytes less ``spare_bytes``; 1 gives it as it is.

    It is cut between characters, and accents stay with their letters.
    """
    if number == 1:
        return name
    suffix = _input_suffix(name)
    end = f"_{number}{suffix}"
    return _cut(name.removesuffix(suffix), MAX_NAME_BYTES - spare_bytes - len(os.fsencode(end))) + end


def _input_suffix(name: str) -> str:
    suffix = os.path.splitext(name)[1]
    return suffix if suffix.lower() in INPUT_SUFFIXES else ""


def _cut(text: str, max_bytes: int) -> str:
    while len(os.fsencode(text)) > max_bytes:
        while unicodedata.combining(text[-1]):
            text = text[:-1]
        text = text[:-1]
    return text
