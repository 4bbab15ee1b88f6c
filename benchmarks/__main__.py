"""Runs every benchmark, each in a process of its own, and writes what it prints into docs/benchmarks.md.

    python -m benchmarks [NAME ...] [--folder DIR] [--videos DIR] [--mhr DIR]

Names are those of the modules beside this one; none means all. RIGDROP_BLENDER_PYTHON names a Python that has Blender.
A benchmark that fails leaves its old results as they were.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from rigdrop import __version__
from rigdrop.files import write_text

from .kept import add_folder, tell
from .machine import describe

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"

# Each benchmark, and which of our options it takes.
BENCHMARKS: dict[str, tuple[str, ...]] = {
    "speed": ("folder",),
    "writers": (),
    "accuracy": ("folder",),
    "pose2sim": ("folder", "videos"),
    "blender": ("mhr",),
    "landmark_offsets": ("folder",),
    "person_boxes": ("folder",),
    "service": ("folder", "postgres"),
    "motion_files": ("mhr",),
    "retarget": ("mhr",),
    "feet": ("folder",),
    "sam3d_parity": (),
    "gpu_sam3d": ("mhr",),
}


def main() -> int:
    """Run what was asked for; the exit code is 1 where something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}")
    parser.add_argument("--videos", type=Path, default=None, help="folder of Pose2Sim's clips and calibration")
    parser.add_argument("--mhr", type=Path, default=None, help="MHR's asset folder")
    parser.add_argument("--postgres", default="", help="an empty database on a PostgreSQL server, postgresql://…")
    add_folder(parser)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"found {', '.join(sorted(unknown))}, expected some of {', '.join(BENCHMARKS)}")
    failed = [name for name in arguments.names or BENCHMARKS if not _run(name, arguments)]
    if failed:
        tell(f"failed: {', '.join(failed)}; their old results stay")
    return 1 if failed else 0


def _run(name: str, arguments: argparse.Namespace) -> bool:
    given = [word for option in BENCHMARKS[name] if getattr(arguments, option) for word in (f"--{option}", str(getattr(arguments, option)))]
    tell(f"== {name}")
    machine = describe()
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *given], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        return False
    print(done.stdout, flush=True)
    about = f"`python -m benchmarks {name}`, Rigdrop {__version__}, {machine}."
    write_text(PAGE, with_results(PAGE.read_text(encoding="utf-8"), name, f"{about}\n\n{done.stdout.strip()}"))
    return True


def with_results(page: str, name: str, results: str) -> str:
    """Return the page with what stood between the benchmark's markers replaced. Raises `ValueError` where it has no such markers."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(begin) != 1 or page.count(end) != 1:
        raise ValueError(f"expected one {begin} and one {end} in the page")
    return re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: f"{begin}\n{results}\n{end}", page, flags=re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
