"""What lies in a watched folder and is to be converted. Looking is the truth; events only say when to look."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import stay
from .names import is_ignored, is_input, is_own, sidecar_name

Say = Callable[[str], None]
# A folder that was there a moment ago is somebody's doing, not a fault.
_GONE = {errno.ENOENT, errno.ENOTDIR}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells whether a file has changed."""

    size: int  # bytes
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str | Path) -> Stamp:
        """Return the stamp of a file; a link's own. Raises `OSError`."""
        return cls.of_stat(os.lstat(path))

    @classmethod
    def of_stat(cls, status: os.stat_result) -> Stamp:
        """Return the stamp in what the system says of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file to be converted, as it lay there when somebody looked."""

    root: Path
    relative: str  # its place below the root, with slashes
    stamp: Stamp
    sidecar: Stamp | None = None  # of the file with its settings, which is waited for and taken with it

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.root / self.relative

    @property
    def sidecar_path(self) -> Path:
        """Where its settings are, or would be."""
        return self.root / sidecar_name(self.relative)

    @property
    def identity(self) -> str:
        """Digits that change with its place, its content and its settings' file."""
        parts = [self.relative, *(_values(stamp) for stamp in (self.stamp, self.sidecar))]
        return hashlib.sha256(json.dumps(parts).encode("ascii")).hexdigest()[:40]


def scan(root: Path, say: Say = lambda message: None) -> list[Entry]:
    """Return the inputs below ``root`` that are not done, ordered by their places.

    Links are no inputs, and links to folders are not followed, wherever they lead. A folder that can't be read is told of by
    ``say``, each time, and passed over. Raises `OSError` where the root itself can't be read.
    """
    done = stay.marked(root)
    entries = list(_walk(root, say))
    if done:
        entries = [entry for entry in entries if entry.identity not in done]
    return sorted(entries, key=lambda entry: entry.relative)


def forget_gone(root: Path) -> int:
    """Forget what was done and stayed, and is not there any more; returns how many. Raises `OSError` as `scan` does."""
    return stay.prune(root, {entry.identity for entry in _walk(root, lambda message: None)})


def _walk(root: Path, say: Say) -> Iterator[Entry]:
    device = os.stat(root).st_dev
    with os.scandir(root) as listing:
        children = [child for child in listing if not is_own(child.name)]
    folders = [("", children)]
    while folders:
        prefix, children = folders.pop()
        present = {child.name: child for child in children}
        for name, child in present.items():
            if is_ignored(name):
                continue
            if _is_folder(child):
                folders += _open(child, f"{prefix}{name}/", device, say)
            elif is_input(name) and (stamp := _stamp(child, say)):
                sidecar = present.get(sidecar_name(name))
                yield Entry(root, prefix + name, stamp, _stamp(sidecar, say) if sidecar else None)


def _is_folder(child: os.DirEntry[str]) -> bool:
    is_junction = getattr(child, "is_junction", None)  # Windows' links to folders, from Python 3.12
    try:
        return child.is_dir(follow_symlinks=False) and not (is_junction is not None and is_junction())
    except OSError:
        return False


def _open(folder: os.DirEntry[str], prefix: str, device: int, say: Say) -> list[tuple[str, list[os.DirEntry[str]]]]:
    try:
        if os.lstat(folder.path).st_dev != device:
            say(f"{folder.path}: lies on another file system than its inbox and is passed over; watch it as an inbox of its own")
            return []
        with os.scandir(folder.path) as listing:
            return [(prefix, list(listing))]
    except OSError as error:
        if error.errno not in _GONE:
            say(f"{folder.path}: can't be read ({error.strerror}); what is in it waits until the service's user may read it")
        return []


def _stamp(child: os.DirEntry[str], say: Say) -> Stamp | None:
    """The stamp of a plain file; nothing for a link, a pipe, or what has just gone."""
    try:
        # Not what the listing remembers: on Windows that is old, and without an inode.
        status = os.lstat(child.path)
    except OSError as error:
        if error.errno not in _GONE:
            say(f"{child.path}: can't be looked at ({error.strerror}); it waits until it can")
        return None
    return Stamp.of_stat(status) if stat.S_ISREG(status.st_mode) else None


def _values(stamp: Stamp | None) -> list[int] | None:
    return None if stamp is None else [stamp.size, stamp.mtime_ns, stamp.inode]
