"""Torch is SAM 3D Body's alone: a machine without it imports all else."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .test_imports import _modules

ENGINE = "ingest.pose.sam3d_body."


def _loaded(body: list[ast.stmt]) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports that are done when a module is: not those in functions or for type checkers."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If):
            yield from _loaded(node.orelse if "TYPE_CHECKING" in ast.unparse(node.test) else node.body + node.orelse)
        elif isinstance(node, ast.ClassDef | ast.With):
            yield from _loaded(node.body)
        elif isinstance(node, ast.Try):
            yield from _loaded(node.body + node.orelse + node.finalbody)


def _imports(path: Path, root: Path) -> set[str]:
    """Return the modules, from the package's root, and the other packages that a module's import loads."""
    package = path.relative_to(root).parts[:-1]
    found = set()
    for node in _loaded(ast.parse(path.read_text(encoding="utf-8")).body):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif not node.level:
            found.add(str(node.module).split(".")[0])
        else:
            base = (*package[:len(package) - node.level + 1], *(node.module or "").split("."))
            place = ".".join(part for part in base if part)
            # What is imported from a package may be a module of it.
            found |= {place, *(f"{place}.{name.name}".lstrip(".") for name in node.names)}
    return found


def _all_imports(root: Path) -> dict[str, set[str]]:
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in _modules(root)}
    return {name: _imports(path, root) for path, name in names.items()}


def _loads_torch(name: str, imports: dict[str, set[str]]) -> bool:
    seen, waiting = set(), [name]
    while waiting:
        one = waiting.pop()
        if one == "torch":
            return True
        if one not in seen:
            seen.add(one)
            waiting += imports.get(one, ())
    return False


def test_everything_but_sam_3d_body_imports_without_torch(root):
    imports = _all_imports(root)
    light = [name for name in imports if not name.startswith(ENGINE)]
    assert len(light) > 100 and _loads_torch(f"{ENGINE}network", imports) and not _loads_torch(f"{ENGINE}options", imports)
    assert [name for name in light if _loads_torch(name, imports)] == []


def test_the_estimator_and_its_settings_load_without_torch_too():
    script = (
        "import sys; sys.modules['torch'] = None\n"  # how Python itself says that there is none
        "from rigdrop.ingest.pose.options import EstimatorOptions, PoseOptions\n"
        "from rigdrop.ingest.pose.protocol import load_estimator\n"
        "from rigdrop.errors import MissingPartError\n"
        "try:\n    load_estimator(EstimatorOptions(PoseOptions(estimator='sam3d-body')))\n"
        "except MissingPartError as error:\n    sys.exit(0 if 'huggingface.co' in str(error) else str(error))\n"
        "sys.exit('found an estimator without weights')"
    )
    environment = {name: value for name, value in os.environ.items() if name != "RIGDROP_CHECKPOINT"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr

