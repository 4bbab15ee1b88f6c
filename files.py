"""Files that are there whole or not at all: the one way in which Rigdrop writes.

Everything is written under a temporary name in the target's own folder, flushed to the disk, then renamed, because a
rename inside one folder is the only step that POSIX, NTFS, NFS and SMB all make atomic.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from .errors import WriteError

_CHUNK_BYTES = 1 << 20
_PROBE_CHUNKS = 64


@contextlib.contextmanager
def atomic_path(path: Path, draft: Path | None = None) -> Iterator[Path]:
    """Give a temporary path beside ``path`` that becomes ``path`` when the block ends well, and vanishes otherwise.

    The temporary name is short and keeps the suffix, so that a 255-byte name works and writers that look at the suffix
    are content; nobody else has it, unless ``draft`` says which. Raises `WriteError` for anything that the disk refuses.
    """
    path = Path(path)
    temporary = draft or path.parent / f".{secrets.token_hex(6)}.part{path.suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise WriteError(f"{path}: can't be written ({error.strerror or error}); free space or choose another --out") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def why_refused(folder: Path) -> OSError | None:
    """Return what the disk says to a few MB in ``folder``: for libraries that only say that they could not write."""
    probe = folder / f".{secrets.token_hex(6)}.part"
    try:
        with probe.open("wb") as stream:
            for _ in range(_PROBE_CHUNKS):
                stream.write(bytes(_CHUNK_BYTES))
            os.fsync(stream.fileno())
    except OSError as error:
        return error
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
    return None


def listing_of(folder: Path) -> str:
    """Return names, sizes and times of the files in a folder, or of one file, as text: for what is too much to hash for every clip."""
    files = sorted(folder.rglob("*")) if folder.is_dir() else [folder] if folder.is_file() else []
    states = [(path, path.stat()) for path in files if path.is_file()]
    return ";".join(f"{path.relative_to(folder)}:{state.st_size}:{state.st_mtime_ns}" for path, state in states)


def write_bytes(path: Path, data: bytes, draft: Path | None = None) -> None:
    """Write ``data`` to ``path`` atomically, by way of ``draft`` where one is given."""
    with atomic_path(path, draft) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    # A file name need not be Unicode; what is left of it as a surrogate becomes an escape, which JSON knows too.
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's content as 64 hexadecimal digits, read in chunks; a folder's is of its files' and their names."""
    digest = hashlib.sha256()
    if Path(path).is_dir():
        for file in sorted(file for file in Path(path).rglob("*") if file.is_file()):
            digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode("utf-8", errors="surrogateescape"))
        return digest.hexdigest()
    with Path(path).open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
