"""What every format must pass, and the programs that we did not write which read its files.

Blender comes as a Python that has ``bpy``, node's packages as a folder: the fixtures of the same names find them.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigdrop.motion.kinematics import skin_vertices, world_transforms
from rigdrop.motion.take import Person

TOOLS = Path(__file__).parent / "tools"


@dataclass(frozen=True)
class BlenderView:
    """What Blender shows of a file."""

    vertices_m: NDArray[np.float32]  # (F,V,3), +Y up
    bones: list[str]
    parents: list[str]
    first: float  # frame of the animation's first key
    last: float
    cameras: int


def read_in_blender(
    files: list[Path], folder: Path, frames: int, blender_python: Path, fps: Fraction = Fraction(30),
) -> dict[Path, BlenderView]:
    """Open files in one Blender and return what it shows of each at scene frames 0 … F−1, the scene's rate set first."""
    jobs = [{"file": str(file), "out": str(folder / f"{number}.npz"), "fps": [fps.numerator, fps.denominator], "frames": frames}
            for number, file in enumerate(files)]
    list_file = folder / "jobs.json"
    list_file.write_text(json.dumps(jobs), encoding="utf-8")
    command = [str(blender_python), str(TOOLS / "blender_read.py"), str(list_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return {file: _view(Path(str(job["out"]))) for file, job in zip(files, jobs, strict=True)}


def _view(path: Path) -> BlenderView:
    with np.load(path) as seen:
        x, y, z = np.moveaxis(seen["vertices"], -1, 0)
        return BlenderView(np.stack([x, z, -y], axis=-1), seen["bones"].tolist(), seen["parents"].tolist(),
                           float(seen["first"]), float(seen["last"]), int(seen["cameras"]))


def gltf_issues(files: list[Path], node_modules: Path) -> dict[str, list[dict[str, Any]]]:
    """Return Khronos' errors (severity 0) and warnings (severity 1) for each GLB, all of them."""
    command = ["node", str(TOOLS / "validate_gltf.mjs"), str(node_modules), *map(str, files)]
    reports = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {report["file"]: [issue for issue in report["issues"]["messages"] if issue["severity"] <= 1] for report in reports}


def read_in_three(file: Path, folder: Path, times_s: NDArray[np.float64], vertices: int, node_modules: Path) -> NDArray[np.float32]:
    """Return the vertices (T,V,3) that three.js shows at ``times_s``."""
    out = folder / "three.bin"
    command = ["node", str(TOOLS / "three_read.mjs"), str(node_modules), str(file), str(out), *map(repr, times_s.tolist())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.fromfile(out, np.float32).reshape(len(times_s), vertices, 3)


def truth_m(person: Person) -> NDArray[np.float32]:
    """The take's own vertices (F,V,3) of a person, skinned."""
    motion = person.motion
    worlds = world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale)
    return skin_vertices(person.rig, worlds, motion.morph_weights)


def largest_mm(found_m: NDArray[np.floating], truth: NDArray[np.floating]) -> float:
    """The largest distance between vertices, in millimetres; a NaN is infinitely far."""
    distance = np.linalg.norm(np.asarray(found_m, dtype=np.float64) - truth, axis=-1)
    return float(np.where(np.isfinite(distance), distance, np.inf).max()) * 1000
