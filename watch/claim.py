"""Taking files out of a watched folder, so that nobody else does.

A file is taken by one rename into ``<root>/.rigdrop/claims/<worker>/new-…/``, which of many workers only one can do. Beside
it lies ``claim.json``, which says where it came from, and is written first; the file with its settings follows. Later the
folder is given the job's name, and goes when what it holds has moved on.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import replace
from pathlib import Path

from ..errors import SettingsError, WriteError
from .claim_file import Claim as Claim
from .claim_file import is_like, read_claim, vanish, write_claim
from .job import claims_folder
from .moves import disk
from .names import sidecar_name
from .release import gather, release
from .scan import Entry

_NEW = "new-"


def take(entry: Entry, worker: str) -> Claim | None:
    """Take a file as a scan has seen it; nothing where it is gone, has changed, or another worker was quicker.

    Raises `WriteError` where the disk refuses.
    """
    claim = Claim(_new_folder(entry.root, worker), entry.root, entry.relative, entry.stamp, entry.sidecar)
    if not _is_there(entry):
        return None
    with disk(entry.path):
        claim.folder.mkdir(parents=True)
        try:
            write_claim(claim)
            taken = _move_in(entry.path, claim.source)
        except OSError:
            vanish(claim.folder)
            raise
        if not taken:
            vanish(claim.folder)
            return None
        if claim.sidecar is not None:
            _move_in(entry.sidecar_path, claim.sidecar)
    if not _is_whole(claim):
        hand_back(claim)
        return None
    return claim


def name(claim: Claim, job: str) -> Claim:
    """Give the claim the name of its job; returns it as it is now. Raises `WriteError`, also where another claim has that name."""
    folder = claim.folder.with_name(job)
    if folder != claim.folder:
        with disk(folder):
            os.rename(claim.folder, folder)  # fails on a folder that holds anything
    return replace(claim, folder=folder)


def changed(claim: Claim) -> bool:
    """Tell whether somebody went on writing to a file, or its settings, after it was taken; one that is gone has not changed."""
    if claim.is_empty:
        return False
    if not is_like(claim.source, claim.stamp):
        return True
    has_sidecar = claim.sidecar is not None and os.path.lexists(claim.sidecar)
    return has_sidecar and not is_like(claim.sidecar, claim.sidecar_stamp)  # type: ignore[arg-type]


def hand_back(claim: Claim) -> Path | None:
    """Put a file back where it lay, numbered where something else lies there now; returns where it is, if it was still there.

    Raises `WriteError`; calling again goes on.
    """
    return release(claim, claim.relative)


def find(root: Path, job: str) -> Claim | None:
    """Return the claim of a job, whoever holds it; nothing where there is none (any more)."""
    claims = (read_claim(root, worker / job) for worker in _folders(claims_folder(root)))
    return next((claim for claim in claims if claim is not None), None)


def bring(root: Path, job: str, worker: str) -> Claim | None:
    """Make the claim of a job that of ``worker``, who does the job now; returns it, nothing where there is none. Raises `WriteError`."""
    claim = read_claim(root, _worker_folder(root, worker) / job) or find(root, job)
    return None if claim is None else take_over(claim, worker)


def take_over(claim: Claim, worker: str) -> Claim | None:
    """Make a claim that of ``worker``; returns it, nothing where another was quicker, or it has moved on. Raises `WriteError`."""
    folder = _worker_folder(claim.root, worker) / claim.folder.name
    if claim.folder != folder:
        with disk(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.rename(claim.folder, folder)
            except FileNotFoundError:
                return None
    return replace(claim, folder=folder)


def holders(root: Path) -> list[str]:
    """Return the workers that hold files, or have held some."""
    return [folder.name for folder in _folders(claims_folder(root))]


def named(root: Path, worker: str) -> list[tuple[str, Claim]]:
    """Return the jobs of which a worker holds the files, each with its claim."""
    found = []
    for folder in _named_folders(root, worker):
        claim = read_claim(root, folder)
        if claim is not None:
            found.append((folder.name, claim))
        else:
            vanish(folder)  # what a crash has left of one that had moved on
    return found


def held(root: Path, worker: str) -> int:
    """Return of how many jobs a worker holds the files."""
    return len(_named_folders(root, worker))


def unnamed(root: Path, worker: str) -> list[Claim]:
    """Return the files that a worker had taken when it died, and that have not become jobs. Raises `WriteError`.

    What was half taken is taken whole, or handed back where that can't be. Not to be called while the same worker takes files.
    """
    claims = []
    for folder in _folders(_worker_folder(root, worker)):
        if not folder.name.startswith(_NEW):
            continue
        claim = read_claim(root, folder)
        if claim is None:
            vanish(folder)
        elif _is_adopted(claim):
            claims.append(claim)
        else:
            hand_back(claim)
    return claims


def inherit(root: Path, dead: str, worker: str) -> int:
    """Make the claims of a worker that died those of ``worker``; returns how many. Raises `WriteError`."""
    count = 0
    own = _worker_folder(root, worker)
    with disk(own):
        for folder in _folders(_worker_folder(root, dead)):
            own.mkdir(parents=True, exist_ok=True)
            target = own / folder.name
            if target.exists():
                # Both had taken the same content. This one is adopted as one without a name, and found to be the same.
                target = _new_folder(root, worker)
            with contextlib.suppress(FileNotFoundError):  # somebody else was quicker
                os.rename(folder, target)
                count += 1
    with contextlib.suppress(OSError):
        _worker_folder(root, dead).rmdir()
    return count


def _new_folder(root: Path, worker: str) -> Path:
    return _worker_folder(root, worker) / f"{_NEW}{secrets.token_hex(8)}"


def _worker_folder(root: Path, worker: str) -> Path:
    if not worker or set(worker) & set("/\\\0") or worker in (".", ".."):
        raise SettingsError(f"worker: found {worker!r}, expected a name that a folder can have")
    return claims_folder(root) / worker


def _named_folders(root: Path, worker: str) -> list[Path]:
    return [folder for folder in _folders(_worker_folder(root, worker)) if not folder.name.startswith(_NEW)]


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, none where it is not there; links are none."""
    try:
        with os.scandir(folder) as listing:
            return sorted(Path(child.path) for child in listing if child.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WriteError(f"{folder}: can't be read ({error.strerror}); the service's user needs to read and write it") from error


def _is_there(entry: Entry) -> bool:
    """Tell whether a file still is as it was seen, and really below the root: no folder above it has become a link."""
    above = Path(os.path.realpath(entry.path.parent))
    return above.is_relative_to(os.path.realpath(entry.root)) and is_like(entry.path, entry.stamp)


def _is_whole(claim: Claim) -> bool:
    """Tell whether just what was seen has been taken; settings that came, went or changed meanwhile must be waited for."""
    if not is_like(claim.source, claim.stamp):
        return False
    if claim.sidecar is None or claim.sidecar_stamp is None:
        return not os.path.lexists(claim.root / sidecar_name(claim.relative))
    return is_like(claim.sidecar, claim.sidecar_stamp)


def _is_adopted(claim: Claim) -> bool:
    """Take whole what a crash has left half taken; tells whether that could be done."""
    with disk(claim.folder):
        gather(claim)
    return not claim.is_empty and (claim.sidecar is None or os.path.lexists(claim.sidecar))


def _move_in(path: Path, target: Path) -> bool:
    try:
        os.rename(path, target)
    except FileNotFoundError:
        return os.path.lexists(target)  # a server that was asked twice says no to what it has done
    return True
