"""Renames that never overwrite, and refusals of the disk in plain words.

Whatever the service does with a source is a rename inside its watched folder: the one step that is whole or not at all
on every file system, and that leaves permissions, times and content as they are.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import WriteError

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
# What systems and file systems say that do not know how to rename without overwriting, or how to link.
_UNKNOWN = {errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK}


def rename_new(source: Path, target: Path) -> None:
    """Rename ``source`` to ``target``, where nothing is. Raises `FileExistsError` where something is, and other `OSError`."""
    if is_same(source, target):
        os.unlink(source)
        return
    for rename in (_rename_noreplace, _link, _rename_unless_there):
        try:
            return rename(source, target)
        except OSError as error:
            if error.errno not in _UNKNOWN or rename is _rename_unless_there:
                raise


def is_same(source: Path, target: Path) -> bool:
    """Tell whether two names lead to one file, as when a crash came between the two halves of a rename by links.

    On a disk that takes A for a, A and a are one name and not two.
    """
    try:
        first, second = os.lstat(source), os.lstat(target)
    except OSError:
        return False
    return os.path.samestat(first, second) and first.st_nlink > 1 and source != target


@contextlib.contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn a refusal of the disk into a `WriteError` that names ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EXDEV:
            message = f"{path}: lies on another file system than its inbox; watch that folder as an inbox of its own"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            message = f"{path}: can't be moved or written ({error.strerror}); the service's user needs to write everywhere in an inbox"
        else:
            message = f"{path}: can't be moved or written ({error.strerror or error}); free space, or see to the disk"
        raise WriteError(message) from error


def _rename_noreplace(source: Path, target: Path) -> None:
    if sys.platform == "win32":
        os.rename(source, target)  # never overwrites there
        return
    rename = _renameat2()
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source), None, str(target))


def _link(source: Path, target: Path) -> None:
    """Where there is no such rename, as on NFS: a second name, which fails where there is one, then the first one goes."""
    try:
        os.link(source, target)
    except FileExistsError:
        if not is_same(source, target):  # a server that was asked twice says no to what it has done
            raise
    os.unlink(source)


def _rename_unless_there(source: Path, target: Path) -> None:
    """The rest: shares without links, and files of others that may not be linked. Somebody may be quicker by a blink."""
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    os.rename(source, target)


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    """Linux's rename that can refuse to overwrite; Python has no name for it."""
    try:
        function: Callable[..., int] = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return None
    return function
