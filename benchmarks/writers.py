"""Times the writers on a body of 18,439 vertices and 127 joints, and weighs what they need above the data handed in.

    python -m benchmarks.writers [--repeat 3]

Each case runs in a process of its own; the best of the repeats counts. Memory is Linux's peak (VmHWM), reset before
the write; elsewhere it is left out.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from .kept import tell
from .table import Figure, limits_table

# name: format, frames, whether the vertices are handed in, seconds and megabytes to stay under
CASES = {
    "glb-skeletal": ("glb-skeletal", 9000, False, 1.0, None),
    "usd-skel": ("usd-skel", 9000, False, 0.6, None),
    "glb-baked, vertices handed in": ("glb-baked", 300, True, 0.6, 50),
    "glb-baked, skinned on the way": ("glb-baked", 300, False, None, 50),
}


def main() -> None:
    """Print the table, or run one case where a parent process asks for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3, help="writes of each case; the fastest counts")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(_measure(arguments.case, arguments.repeat)))
        return
    figures = []
    for name in CASES:
        tell(name)
        command = [sys.executable, "-m", __spec__.name, "--case", name, "--repeat", str(arguments.repeat)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
        figures += _figures(name, found)
    print(limits_table(figures))


def _figures(name: str, found: dict[str, Any]) -> list[Figure]:
    _, frames, _, seconds, megabytes = CASES[name]
    what = f"{name}, {frames:,} frames"
    return [
        Figure(f"{what}, {found['file_mb']:.1f} MB", found["seconds"], seconds, "s", 2),
        Figure(f"{what}: memory above the data", found["extra_mb"], megabytes, "MB"),
    ]


def _measure(name: str, repeat: int) -> dict[str, float | None]:
    from rigdrop.formats.registry import FORMATS
    from tests.synthetic import big_take, small_take

    kind, frames, vertices, _, _ = CASES[name]
    offered = FORMATS[kind]
    take = big_take(frames, vertices=vertices)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / offered.file_name("clip", offered.options_type())
        # A small take first: libraries load once in a service's life.
        warm = small_take(4)
        offered.write(warm, warm.people[0], path, None)
        before = _reset_peak()
        seconds = min(_seconds(lambda: offered.write(take, take.people[0], path, None)) for _ in range(repeat))
        extra = None if before is None else round(_peak_mb() - before, 1)
        return {"seconds": seconds, "extra_mb": extra, "file_mb": path.stat().st_size / 1e6}


def _seconds(work: object) -> float:
    start = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - start


def _reset_peak() -> float | None:
    try:
        # What the C library keeps of freed memory would hide what the writer takes.
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except (OSError, AttributeError):
        return None
    return _peak_mb()


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


if __name__ == "__main__":
    main()
