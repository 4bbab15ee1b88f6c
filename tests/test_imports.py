"""The house's rooms: each imports only the rooms below it, and names itself by relative imports alone."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

# The rooms and what each may import; everybody may import errors, events, files, plugins and the package's own root.
_COMMON = {"errors", "events", "files", "plugins", ""}
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "events": set(),
    "files": {"errors"},
    "plugins": set(),
    "motion": set(),
    "assets": set(),
    "ingest": {"motion", "assets"},
    "convert": {"motion", "assets", "ingest.tracks", "ingest.recording"},
    "formats": {"motion"},
    "render": {"motion", "ingest.video", "convert.rigs", "convert.body"},
    "config": {"ingest", "convert", "formats", "render"},
    "report": {"motion", "formats.pictures", "formats.verify.report"},
    "journal": set(),
    "naming": {"motion"},
    "needs": {"config", "assets"},
    "embody": {"config", "motion", "assets", "ingest", "convert"},
    "pipeline": {"config", "embody", "report", "journal", "naming", "needs", "motion", "assets", "ingest", "convert", "formats", "render"},
    "watch": {"pipeline", "naming", "needs", "report", "config", "motion", "assets", "ingest.video", "ingest.motion_files", "formats"},
    "cli": {"watch", "pipeline", "naming", "needs", "report", "config", "motion", "assets", "ingest", "convert", "formats", "render"},
    "__main__": {"cli"},
    "__init__": set(),
}
NOT_ROOMS = {"tests", "benchmarks", "docs", "build", "scripts"}


def _modules(root: Path) -> Iterator[Path]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if parts[0] not in NOT_ROOMS and not any(part.startswith(".") or part.endswith(".egg-info") for part in parts):
            yield path


def _room(parts: tuple[str, ...]) -> str:
    return parts[0].removesuffix(".py")


def _imports(path: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name, from the package's root, of every import of ours; lazy ones too."""
    package = path.relative_to(root).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            if node.module:
                yield node.lineno, ".".join((*base, node.module))
            else:
                yield from ((node.lineno, ".".join((*base, name.name))) for name in node.names)


def _absolute_imports(path: Path) -> Iterator[int]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [name.name for name in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        if any(name.split(".")[0] == "rigdrop" for name in names):
            yield node.lineno


def _allowed(room: str, name: str) -> bool:
    target = name.split(".")[0]
    if target == room or target in _COMMON - {room} or name == "__version__":
        return True
    return any(name == other or name.startswith(f"{other}.") for other in ROOMS[room])


def test_every_module_imports_only_rooms_below_its_own(root):
    wrong = [
        f"{path.relative_to(root)}:{line} imports {name}"
        for path in _modules(root)
        for line, name in _imports(path, root)
        if not _allowed(_room(path.relative_to(root).parts), name)
    ]
    assert wrong == []


def test_every_room_is_known(root):
    assert {_room(path.relative_to(root).parts) for path in _modules(root)} <= set(ROOMS)


def test_rooms_have_an_order_from_the_ground_up():
    above = {room: {name.split(".")[0] for name in allowed} for room, allowed in ROOMS.items()}
    placed: set[str] = set()
    while len(placed) < len(above):
        ready = {room for room, needs in above.items() if room not in placed and needs <= placed}
        assert ready, f"these import each other: {sorted(set(above) - placed)}"
        placed |= ready


def test_the_package_imports_itself_by_relative_imports(root):
    assert [f"{path.relative_to(root)}:{line}" for path in _modules(root) for line in _absolute_imports(path)] == []


def test_every_folder_of_modules_is_installed(root):
    listed = set(tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"])
    folders = {".".join(("rigdrop", *path.parent.relative_to(root).parts)) for path in _modules(root)}
    assert folders == listed


_HEAVY = [
    "numpy", "av", "cv2", "pxr", "ai_edge_litert", "torch", "body_models", "h5py", "scipy", "dbos", "sqlalchemy", "prometheus_client",
    "watchdog", "structlog", "rich.live",
]


@pytest.mark.parametrize("heavy", _HEAVY)
def test_the_command_starts_without_heavy_packages(heavy):
    script = f"import sys, rigdrop.cli.app as app; app.build_app(); sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
