"""A claim as it lies on the disk: a folder with the file that was taken, its settings, and ``claim.json``, which says where from."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .names import is_ignored, is_input, sidecar_name
from .scan import Stamp

CLAIM_FILE = "claim.json"
ERROR_FILE, LOG_FILE = "error.txt", "log.jsonl"
_OURS = (CLAIM_FILE, ERROR_FILE, LOG_FILE)


@dataclass(frozen=True)
class Claim:
    """A file that was taken, with the file of its settings where it had one."""

    folder: Path
    root: Path
    relative: str  # where it came from, below the root, with slashes
    stamp: Stamp  # as it was when it was taken
    sidecar_stamp: Stamp | None = None

    @property
    def source(self) -> Path:
        """Where the file is while it is taken."""
        return self.folder / PurePosixPath(self.relative).name

    @property
    def sidecar(self) -> Path | None:
        """Where its settings are while it is taken, where it had some."""
        return None if self.sidecar_stamp is None else beside(self.source)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stamp.size

    @property
    def mtime_ns(self) -> int:
        """When it was last changed, as its file system says."""
        return self.stamp.mtime_ns

    @property
    def is_empty(self) -> bool:
        """Whether the file has moved on, or was deleted."""
        return not os.path.lexists(self.source)


def beside(source: Path) -> Path:
    """Return where the settings of a file are, or would be."""
    return source.with_name(sidecar_name(source.name))


def is_like(path: Path, stamp: Stamp) -> bool:
    """Tell whether a plain file has this size and time; the inode says nothing once it was moved: some shares make up a new one."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (stamp.size, stamp.mtime_ns)


def write_claim(claim: Claim) -> None:
    """Write ``claim.json``, whole or not at all. Raises `OSError`."""
    values = {"relative": claim.relative, "source": asdict(claim.stamp), "sidecar": claim.sidecar_stamp and asdict(claim.sidecar_stamp)}
    # ASCII, so that names that are not Unicode come back as they are.
    write_small(claim.folder / CLAIM_FILE, json.dumps(values, indent=1).encode("ascii"))


def write_small(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, and is still there after the power went. Raises `OSError`."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(draft, path)


def read_claim(root: Path, folder: Path) -> Claim | None:
    """Return the claim in a folder, nothing where there is none.

    One whose ``claim.json`` is lost is made up from the file that lies there, and counts as taken from the root itself.
    """
    try:
        values = json.loads((folder / CLAIM_FILE).read_bytes())
        return _of_json(root, folder, values)
    except (OSError, KeyError, TypeError, ValueError):
        return _made_up(root, folder)


def vanish(folder: Path) -> None:
    """Remove a claim from which everything has moved on; what somebody else has put there stays, and the folder with it."""
    try:
        names = sorted(os.listdir(folder), key=lambda name: name != CLAIM_FILE)
    except FileNotFoundError:
        return
    for each in names:
        if each in _OURS or is_ignored(each):  # a server may have put its own beside ours
            _remove(folder / each)
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _of_json(root: Path, folder: Path, values: Mapping[str, Any]) -> Claim:
    relative, sidecar = values["relative"], values["sidecar"]
    if not isinstance(relative, str) or not relative or relative.startswith("/") or ".." in relative.split("/"):
        raise ValueError(relative)
    return Claim(folder, root, relative, Stamp(**values["source"]), None if sidecar is None else Stamp(**sidecar))


def _made_up(root: Path, folder: Path) -> Claim | None:
    try:
        file = next((child for child in sorted(os.listdir(folder)) if is_input(child)), None)
        if file is None:
            return None
        sidecar = beside(folder / file)
        return Claim(folder, root, file, Stamp.of(folder / file), Stamp.of(sidecar) if os.path.lexists(sidecar) else None)
    except OSError:
        return None


def _remove(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
