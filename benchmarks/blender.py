"""Writes each rig in each format and reads it in Blender: the largest distance to the store on every frame, names, tree, length.

    RIGDROP_BLENDER_PYTHON=…/bin/python python -m benchmarks.blender [--frames 60] [--mhr DIR]

Needs a Python with ``bpy``. One line a file, scale and rig; "same" says whether names, tree and length are the store's too.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from rigdrop.convert.rigs.registry import load_rig
from rigdrop.errors import MissingPartError
from rigdrop.formats.registry import FORMATS
from rigdrop.formats.usd import legal_names
from rigdrop.motion.take import Person, Take
from tests.format_contract import BlenderView, largest_mm, read_in_blender, truth_m
from tests.synthetic import rig_take

from .kept import tell
from .table import table

RIGS = ("unreal", "mixamo", "anny", "mhr")
SCALES = ("none", "constant", "varying")
FPS = Fraction(30)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=60, help="length of the clip")
    parser.add_argument("--mhr", type=Path, default=None, help="MHR's asset folder")
    arguments = parser.parse_args()
    if "RIGDROP_BLENDER_PYTHON" not in os.environ:
        parser.error("set RIGDROP_BLENDER_PYTHON to a Python that has bpy==5.0.1")
    rows, left_out = [], []
    for name in RIGS:
        try:
            rig = load_rig(name, mhr_folder=arguments.mhr)
        except MissingPartError as error:
            left_out.append(f"Left out: {error}.")
            continue
        for scale in SCALES:
            tell(f"{name}, {scale} scale")
            rows += _measure(name, rig_take(rig, arguments.frames, FPS, scale), scale)
    print("\n\n".join([table(("rig", "joints", "vertices", "scale", "format", "largest mm", "limit mm", "kept", "same"), rows), *left_out]))


def _limit_mm(kind: str, scale: str) -> float:
    """The largest distance allowed: a baked file holds the store's own float32; UsdSkel holds scales as half floats."""
    if kind == "glb-baked":
        return 0.001
    return 0.2 if kind == "usd-skel" and scale == "varying" else 0.02


def _measure(name: str, take: Take, scale: str) -> list[list[str]]:
    person, rows = take.people[0], []
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: Path(folder) / offered.file_name("clip", offered.options_type()) for kind, offered in FORMATS.items()}
        for kind, file in files.items():
            FORMATS[kind].write(take, person, file, None)
        views = read_in_blender(list(files.values()), Path(folder), take.frame_count, Path(os.environ["RIGDROP_BLENDER_PYTHON"]), FPS)
        for kind, file in files.items():
            rig, view = person.rig, views[file]
            error, limit = largest_mm(view.vertices_m, truth_m(person)), _limit_mm(kind, scale)
            kept, same = error <= limit, _agrees(view, person, take, kind)
            sizes = str(len(rig.joint_names)), f"{len(rig.vertices_m):,}"
            rows.append([name, *sizes, scale, kind, f"{error:.5f}", f"≤ {limit:g}", "yes" if kept else "NO", "yes" if same else "NO"])
    return rows


def _agrees(view: BlenderView, person: Person, take: Take, kind: str) -> bool:
    if not np.isclose(view.first, 0, atol=1e-3) or not np.isclose(view.last, take.frame_count - 1, atol=1e-3):
        return False
    if kind == "glb-baked":
        return not view.bones
    names = legal_names(person.rig.joint_names) if kind == "usd-skel" else list(person.rig.joint_names)
    parents = {name: names[parent] if parent >= 0 else "" for name, parent in zip(names, person.rig.joint_parents, strict=True)}
    return bool(dict(zip(view.bones, view.parents, strict=True)) == parents)


if __name__ == "__main__":
    main()
