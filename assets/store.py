"""The assets folder: what is in it, what is missing, and putting it there.

A part appears under its name whole and checked, or not at all: it is fetched into a folder of its own beside the others,
hashed, then renamed. Two processes that fetch the same part at once each end with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from ..errors import MissingPartError, ReadError, UsageError, WriteError
from ..files import sha256_of, write_bytes
from .fetch import Progress, download_package, download_url, find_package, read_members
from .manifest import ASSETS, Asset, Package

State = Literal["installed", "missing", "damaged", "yours to name"]

_LICENCES = "licences"


@dataclass(frozen=True)
class AssetState:
    """How it stands with one part."""

    asset: Asset
    path: Path | None  # where it is or will be; nothing for a part that only the user can name and has not
    state: State


def assets_folder() -> Path:
    """Return where parts are kept: ``RIGDROP_ASSETS``, or the user's cache folder."""
    named = os.environ.get("RIGDROP_ASSETS")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("rigdrop", appauthor=False) / "assets"


def asset_path(name: str, *, on_progress: Progress | None = None) -> Path:
    """Return where the part ``name`` lies, and fetch it where it is missing.

    A file's hash is checked once in each process. Raises `MissingPartError` saying how to get a part that can't be
    fetched, and `ReadError` for a damaged one.
    """
    asset = _asset(name)
    if asset.is_users:
        return _users_path(asset)
    path = assets_folder() / asset.file
    if not path.exists():
        install([name], on_progress=on_progress)
    if path.is_file():
        status = path.stat()
        _check_once(name, path, status.st_size, status.st_mtime_ns)
    return path


def where(name: str) -> Path | None:
    """Return where the part ``name`` is or will be; nothing for a part that only the user can name and has not."""
    asset = _asset(name)
    if not asset.is_users:
        return assets_folder() / asset.file
    named = os.environ.get(asset.variable)
    return Path(named).expanduser() if named else None


def list_states(names: Iterable[str] | None = None) -> list[AssetState]:
    """Say of each part whether it is there, by presence and size alone."""
    return [_state(name, thorough=False) for name in names or ASSETS]


def verify(names: Iterable[str] | None = None) -> list[AssetState]:
    """Say of each part whether it is there and whole, by its hash."""
    return [_state(name, thorough=True) for name in names or ASSETS]


def install(names: Sequence[str] | None = None, *, source: Path | None = None, on_progress: Progress | None = None) -> list[AssetState]:
    """Fetch the parts that are missing or damaged, and return how it stands with all of ``names``.

    ``source``, or ``RIGDROP_ASSET_SOURCE``, is a folder that holds the packages' files or the parts themselves; then the
    network is never used. One download serves all the parts of a package. ``on_progress`` counts the bytes of all.
    Raises `MissingPartError` for a part that is named and that only the user can get.
    """
    for name in names or ():
        if _asset(name).is_users:
            _users_path(_asset(name))
    wanted = [ASSETS[state.asset.name] for state in verify(names) if state.state in ("missing", "damaged")]
    source = source or _named_source()
    packages = list(dict.fromkeys(asset.package for asset in wanted if asset.package))
    total = sum(package.size_bytes for package in packages)
    done = 0
    for package in packages:
        _install_package(package, [asset for asset in wanted if asset.package == package], source, _shifted(on_progress, done, total))
        done += package.size_bytes
    return verify(names)


def tree_sha256(folder: Path) -> str:
    """Return one hash for a folder: that of its listing, ``sha256  path`` a line, sorted by path."""
    digest = hashlib.sha256()
    for path in sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.relative_to(folder).as_posix()):
        digest.update(f"{sha256_of(path)}  {path.relative_to(folder).as_posix()}\n".encode())
    return digest.hexdigest()


def _asset(name: str) -> Asset:
    if name not in ASSETS:
        raise UsageError(f"asset: found {name!r}, expected one of {', '.join(ASSETS)}")
    return ASSETS[name]


def _users_path(asset: Asset) -> Path:
    """Return where a part is that only the user can name."""
    path = where(asset.name)
    if path is None:
        raise MissingPartError(f"{asset.name}: nobody said where it is; {asset.how_to_get}")
    if not path.exists():
        raise MissingPartError(f"{path}: found nothing, expected the {asset.name} that {asset.variable} names; {asset.how_to_get}")
    return path


def _named_source() -> Path | None:
    named = os.environ.get("RIGDROP_ASSET_SOURCE")
    return Path(named).expanduser() if named else None


def _shifted(on_progress: Progress | None, done_before: int, total: int) -> Progress | None:
    return (lambda done, _: on_progress(done_before + done, total)) if on_progress else None


def _state(name: str, thorough: bool) -> AssetState:
    asset, path = _asset(name), where(name)
    if path is None:
        return AssetState(asset, None, "yours to name")
    if not path.exists():
        return AssetState(asset, path, "missing")
    if asset.is_users:
        return AssetState(asset, path, "installed")
    whole = _hash(path) == asset.sha256 if thorough else path.is_dir() or path.stat().st_size == asset.size_bytes
    return AssetState(asset, path, "installed" if whole else "damaged")


def _hash(path: Path) -> str:
    return tree_sha256(path) if path.is_dir() else sha256_of(path)


def _check(asset: Asset, path: Path, label: str, advice: str) -> None:
    found = _hash(path)
    if found != asset.sha256:
        raise ReadError(f"{label}: sha256: found {found}, expected {asset.sha256}; {advice}")


@lru_cache(maxsize=64)
def _check_once(name: str, path: Path, size_bytes: int, modified_ns: int) -> None:
    _check(ASSETS[name], path, str(path), f"run 'rigdrop assets install {name}' to fetch it again")


def _install_package(package: Package, assets: list[Asset], source: Path | None, on_progress: Progress | None) -> None:
    with _workspace() as workspace:
        archive, reason = _archive(package, source, workspace, on_progress)
        for asset in assets:
            ready = workspace / "ready" / asset.file
            ready.parent.mkdir(exist_ok=True)
            _bring(asset, package, archive, reason, source, ready, on_progress)
            origin = source or package.requirement
            _check(asset, ready, f"{asset.file} from {origin}", "it is not the part that is pinned and is not used")
            _put(ready, assets_folder() / asset.file, workspace)


@contextlib.contextmanager
def _workspace() -> Iterator[Path]:
    folder = assets_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=folder, ignore_cleanup_errors=True) as temporary:
            yield Path(temporary)
    except OSError as error:
        place = error.filename2 or error.filename or folder  # of two files, the first is the one that was read
        raise WriteError(f"{place}: {error.strerror or error}; free space, or name another folder with RIGDROP_ASSETS") from error


def _archive(package: Package, source: Path | None, workspace: Path, on_progress: Progress | None) -> tuple[Path | None, str]:
    """Return the package's file, or nothing and why."""
    if source is not None:
        return find_package(package, source), f"{source} holds neither it nor {package.file_pattern}"
    try:
        return download_package(package, workspace, on_progress), ""
    except MissingPartError as error:
        return None, str(error)


def _bring(
    asset: Asset, package: Package, archive: Path | None, reason: str, source: Path | None, ready: Path, on_progress: Progress | None
) -> None:
    """Put the part at ``ready``, unchecked; ``reason`` says why there is no archive."""
    if source is not None and (source / asset.file).is_file():
        shutil.copyfile(source / asset.file, ready)
    elif archive is not None:
        _unpack(asset, package, archive, ready)
    elif asset.url and source is None:
        try:
            download_url(asset.url, ready, asset.size_bytes, on_progress)
        except MissingPartError as error:
            raise MissingPartError(_advice(asset, package, f"{reason}; {error}")) from error
    else:
        raise MissingPartError(_advice(asset, package, reason))


def _advice(asset: Asset, package: Package, reason: str) -> str:
    return (
        f"{asset.name}: can't be fetched ({reason}); on a machine without a network, put {package.file_pattern} "
        "into a folder and run 'rigdrop assets install --from FOLDER', or name that folder with RIGDROP_ASSET_SOURCE"
    )


def _unpack(asset: Asset, package: Package, archive: Path, ready: Path) -> None:
    licence = (asset.licence_member,) if asset.licence_member else ()
    for member, content in read_members(archive, asset.members + licence):
        if member in licence:
            write_bytes(assets_folder() / _LICENCES / f"{package.name}-{package.version}.txt", content)
            continue
        target = ready / member.removeprefix(asset.strip) if asset.is_folder else ready
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _put(ready: Path, target: Path, workspace: Path) -> None:
    """Move a checked part under its name; an older or damaged one makes way, an equal one that came first stays."""
    if not ready.is_dir():
        os.replace(ready, target)
        return
    if target.exists() and tree_sha256(target) != tree_sha256(ready):
        os.rename(target, workspace / "replaced")
    try:
        os.rename(ready, target)
    except OSError:
        if not target.is_dir():
            raise
