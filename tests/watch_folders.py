"""A watched folder for tests: files that are dropped, what is left of them, and processes that race or have no rights."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rigdrop.watch.claim import Claim, take
from rigdrop.watch.scan import Entry, scan

WORKER = "host-1"
# 255 bytes, of letters with two.
LONG_NAME = "ä" * 125 + "b.mp4"
# A name that is no Unicode, as Python has it: a byte that stands alone.
RAW_NAME = os.fsdecode(b"caf\xe9 \xff.mp4")


def drop(root: Path, relative: str, content: bytes | None = None, sidecar: str | None = None) -> Path:
    """Put a file into the folder, with its settings where there are some; without ``content`` its name is in it."""
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    if sidecar is not None:
        path.with_name(path.name + ".toml").write_text(sidecar, encoding="utf-8")
    path.write_bytes(os.fsencode(relative) if content is None else content)
    return path


def entry_of(root: Path, relative: str) -> Entry:
    """The file as a scan sees it."""
    return next(entry for entry in scan(root) if entry.relative == relative)


def claim_of(root: Path, relative: str, worker: str = WORKER) -> Claim:
    """The file, taken."""
    claim = take(entry_of(root, relative), worker)
    assert claim is not None
    return claim


def tree(root: Path) -> dict[str, bytes]:
    """Every file below the folder with its content, but for the notes on what is done and stays."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".rigdrop/stayed" not in path.as_posix()
    }


def folders(root: Path) -> set[str]:
    """Every folder below the folder."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir()}


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that any user may reach; those of pytest are its user's alone."""
    root = Path(tempfile.mkdtemp(prefix="rigdrop-"))
    root.chmod(0o755)
    try:
        yield root
    finally:
        root.chmod(0o755)
        for folder, names, _ in os.walk(root):
            for name in names:
                os.chmod(os.path.join(folder, name), 0o755)
        shutil.rmtree(root)


def run_script(script: str, *arguments: object) -> str:
    """Run Python in a process of its own and return what it prints."""
    result = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_as_nobody(script: str, *arguments: object) -> str:
    """Run Python as a user who owns nothing, where we may become one; what it imports has to come first, then ``become()``."""
    if not hasattr(os, "geteuid"):
        pytest.skip("there are no such users here")
    become = "import os\ndef become():\n    if os.geteuid() == 0:\n        os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
    return run_script(become + script, *arguments)
