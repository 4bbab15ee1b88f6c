"""``bundle.zip``: everything that a take's folder holds, byte for byte the same for the same files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from shutil import copyfileobj

from ..errors import UsageError
from ..files import atomic_path

# The earliest date that a zip can hold; the files' own dates would make each bundle different.
_DATE = (1980, 1, 1, 0, 0, 0)
# These are compressed already, or hardly get smaller: packing them again costs seconds for nothing.
_STORED = {".glb", ".usdz", ".mp4", ".png", ".jpg", ".zip", ".h5"}
_COPY_BYTES = 1 << 20


def write_bundle(folder: Path, path: Path, files: Iterable[Path] | None = None) -> None:
    """Pack ``files``, or everything under ``folder``, into a zip whose names are relative to ``folder``, in order of name.

    Hidden files and the bundle itself are left out. Raises `UsageError` where there is nothing to pack, `WriteError`
    where the disk refuses.
    """
    chosen = sorted(_visible(folder, path) if files is None else files, key=lambda file: file.relative_to(folder).as_posix())
    if not chosen:
        raise UsageError(f"bundle: {folder}: found no files, expected a converted take")
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as bundle:
        for file in chosen:
            _add(bundle, file, file.relative_to(folder).as_posix())


def _visible(folder: Path, path: Path) -> list[Path]:
    files = [file for file in folder.rglob("*") if file.is_file() and file.resolve() != path.resolve()]
    return [file for file in files if not any(part.startswith(".") for part in file.relative_to(folder).parts)]


def _add(bundle: zipfile.ZipFile, file: Path, name: str) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_STORED if file.suffix.lower() in _STORED else zipfile.ZIP_DEFLATED
    entry.create_system = 3
    entry.external_attr = 0o644 << 16
    entry.file_size = file.stat().st_size
    with file.open("rb") as source, bundle.open(entry, "w") as target:
        copyfileobj(source, target, _COPY_BYTES)
