"""Torch's .pt files, read without torch: tensors and plain containers alone, nothing in them executed."""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from ...errors import ReadError

# What the zip's reader, the unpickler and a tensor's rebuilding raise on files that are cut, older, or made to do harm.
_FAULTS = (
    zipfile.BadZipFile, zlib.error, struct.error, pickle.UnpicklingError, EOFError, ValueError, KeyError, IndexError, TypeError,
    AttributeError, OSError, NotImplementedError, RuntimeError, MemoryError, OverflowError, UnicodeError,
)


def read_tensors(path: Path) -> Any:
    """Return what `torch.save` wrote, tensors as NumPy arrays.

    Raises `ReadError` for a file that is cut, that is not torch's zip, or that asks for anything but tensors and
    containers: a pickle could ask for any program to be run.
    """
    import ptloader

    try:
        return ptloader.load(path, weights_only=True, torchscript_mode="strict")
    except _FAULTS as error:
        raise ReadError(f"{path}: found no whole file of tensors ({error}), expected what torch.save makes of tensors alone") from error


def mentions(path: Path, *words: str) -> bool:
    """Say whether a .pt has one of ``words`` among its keys; raises nothing, and reads the tables of contents only."""
    try:
        with zipfile.ZipFile(path) as archive:
            tables = [archive.read(name) for name in archive.namelist() if name.split("/")[-1] == "data.pkl"]
    except _FAULTS:
        return False
    return any(word.encode() in table for table in tables for word in words)
