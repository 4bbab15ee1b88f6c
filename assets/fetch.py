"""Getting a package's file: from a folder, through pip or npm with the user's own settings, or from a URL."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from ..errors import MissingPartError, ReadError
from .manifest import Package

Progress = Callable[[int, int | None], None]
"""Called with bytes done and, where known, bytes in all."""

_POLL_S = 0.1
_URL_TIMEOUT_S = 60
_CHUNK_BYTES = 1 << 20

# One wheel for every host: only its data is taken, so it need not fit this platform or Python.
_WHEEL_TAGS = ("--only-binary=:all:", "--platform=manylinux2014_x86_64", "--python-version=3.11", "--implementation=cp", "--abi=cp311")


def find_package(package: Package, folder: Path) -> Path | None:
    """Return the package's file in ``folder``, or nothing where it is not there."""
    return next(iter(sorted(folder.glob(package.file_pattern))), None)


def download_package(package: Package, folder: Path, on_progress: Progress | None = None) -> Path:
    """Bring the package's file into ``folder`` and return its path. Raises `MissingPartError` saying what went wrong."""
    command = _npm_command(package, folder) if package.kind == "npm" else _pip_command(package, folder)
    _run(command, folder, package, on_progress)
    found = find_package(package, folder)
    if found is None:
        raise MissingPartError(f"{package.requirement}: {command[0]} ended well but brought no {package.file_pattern}")
    return found


def download_url(url: str, path: Path, total_bytes: int, on_progress: Progress | None = None) -> None:
    """Bring what is at ``url`` to ``path``. Raises `MissingPartError` where it can't be had."""
    try:
        with urllib.request.urlopen(url, timeout=_URL_TIMEOUT_S) as response, path.open("wb") as stream:
            done = 0
            while chunk := response.read(_CHUNK_BYTES):
                stream.write(chunk)
                done += len(chunk)
                if on_progress:
                    on_progress(done, total_bytes)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise MissingPartError(f"{url}: {error}") from error


def read_members(archive: Path, patterns: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of the archive's members that ``patterns`` name; a pattern that ends in * names all that begin so.

    Raises `ReadError` where the file is no archive, a member is missing, or a path leaves the archive's own tree.
    """
    missing = set(patterns)
    try:
        for name, read in _members(archive):
            hit = next((pattern for pattern in patterns if _fits(name, pattern)), None)
            if hit is None:
                continue
            if ".." in PurePosixPath(name).parts:
                raise ReadError(f"{archive}: found the member {name!r}, expected paths inside the archive")
            missing.discard(hit)
            yield name, read()
    except (zipfile.BadZipFile, tarfile.TarError, EOFError) as error:
        raise ReadError(f"{archive}: found no whole archive ({error}), expected a wheel or an npm package; fetch it again") from error
    if missing:
        raise ReadError(f"{archive}: found no member {sorted(missing)[0]}, expected it in this version")


def _fits(name: str, pattern: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for info in wheel.infolist():
                if not info.is_dir():
                    yield info.filename, lambda info=info: wheel.read(info)  # type: ignore[misc]
        return
    with tarfile.open(archive) as tarball:
        for member in tarball:
            stream = tarball.extractfile(member)
            if stream is not None:
                yield member.name, stream.read


def _pip_command(package: Package, folder: Path) -> list[str]:
    quiet = ("--quiet", "--no-input", "--disable-pip-version-check")
    return [sys.executable, "-m", "pip", "download", *quiet, "--no-deps", *_WHEEL_TAGS, "--dest", str(folder), package.requirement]


def _npm_command(package: Package, folder: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise MissingPartError(f"{package.requirement}: npm is not on the PATH")
    return [npm, "pack", package.requirement, "--pack-destination", str(folder), "--loglevel=error"]


def _run(command: list[str], folder: Path, package: Package, on_progress: Progress | None) -> None:
    """Run a registry's client to its end, watching how much it has put into ``folder``; it dies with us."""
    log = folder / "client.log"
    environment = {**os.environ, "TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment, cwd=folder)
        try:
            while process.poll() is None:
                if on_progress:
                    on_progress(min(_bytes_in(folder), package.size_bytes), package.size_bytes)
                try:
                    process.wait(_POLL_S)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise MissingPartError(f"{package.requirement}: {_last_error(log)}")
    if on_progress:
        on_progress(package.size_bytes, package.size_bytes)


def _bytes_in(folder: Path) -> int:
    """Size of what is in a folder that its client works in: files and folders may vanish between the listing and the look."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["the client said nothing"])[-1]
