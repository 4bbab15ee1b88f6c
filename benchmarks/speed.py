"""Times whole conversions of a 720p clip of one person from start to exit, and weighs what ten times the frames need.

    python -m benchmarks.speed [--folder DIR] [--cores 2] [--short]

A table marked "busy" was measured while other programs worked: its times say little. Linux only, for the memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rigdrop.convert.rigs.registry import load_rig
from rigdrop.ingest.video import open_clip
from rigdrop.motion.store import read_take
from rigdrop.motion.take import Take
from rigdrop.render.demo import DemoOptions, render_demo
from rigdrop.render.encode import EncodeOptions, video_writer
from rigdrop.report import read_report

from .kept import add_folder, clips_folder, tell
from .machine import QUIET_CORES, Spent, keep_to_cores, spend, usable_cores
from .table import Figure, limits_table, shown, table

CLIP = DemoOptions(width=1280, height=720, seconds=10.0)
_TIMES_LONGER = 10
_HELP_RUNS = 7


@dataclass(frozen=True, eq=False)
class Conversion:
    """What a conversion spent, and what it left."""

    spent: Spent
    stages: list[dict[str, Any]]
    take: Path
    take_bytes: int  # of the motion's arrays in memory

    @property
    def peak_mb(self) -> float:
        """The most memory: as seen from outside, or by the stages themselves, which see short peaks too."""
        return max(self.spent.peak_mb, *(float(stage["peak_memory_mb"]) for stage in self.stages))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2, help="cores that a conversion may use")
    parser.add_argument("--short", action="store_true", help="leave out the clip of ten times the frames")
    add_folder(parser)
    arguments = parser.parse_args()
    load_rig("unreal")  # what is derived once in an installation's life
    folder = clips_folder(arguments.folder)
    short, long = short_clip(folder), None if arguments.short else long_clip(folder)
    keep_to_cores(arguments.cores)
    help_s = statistics.median(spend([sys.executable, "-m", "rigdrop", "--help"]).seconds for _ in range(_HELP_RUNS))
    runs = {"300 frames": convert(short, "--no-preview"), "300 frames, with previews": convert(short)}
    if long is not None:
        runs["3,000 frames"] = convert(long, "--no-preview")
    print(_report(runs, help_s))


def short_clip(folder: Path) -> Path:
    """300 frames of 720p with one person, rendered unless they are there."""
    clip = folder / "speed.mp4"
    if not clip.exists():
        render_demo(clip, CLIP)
    return clip


def long_clip(folder: Path) -> Path:
    """The same clip played forth and back to ten times the length: motion without a jump, and nothing new to render."""
    clip = folder / f"speed_{_TIMES_LONGER}.mp4"
    if not clip.exists():
        pictures = [cv2.imencode(".jpg", frame.image_bgr)[1] for frame in open_clip(short_clip(folder)).frames()]
        with video_writer(clip, CLIP.width or 0, CLIP.height or 0, open_clip(short_clip(folder)).fps, EncodeOptions()) as video:
            for number, row in enumerate(_forth_and_back(len(pictures))):
                video.add(np.asarray(cv2.imdecode(pictures[row], cv2.IMREAD_COLOR)), number / CLIP.fps)
    return clip


def _forth_and_back(frames: int) -> Iterator[int]:
    for lap in range(_TIMES_LONGER):
        yield from range(frames) if lap % 2 == 0 else range(frames - 1, -1, -1)


def convert(clip: Path, *options: str) -> Conversion:
    """Convert a clip in a process of its own, all three formats, `standard`."""
    tell(f"{clip.name} {' '.join(options)}")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "rigdrop", "convert", str(clip), "--out", folder, "--force", "--quality", "standard", *options]
        spent = spend(command, Path(folder))
        made = Path(folder) / clip.stem
        return Conversion(spent, read_report(made)["stages"], made / "take.h5", array_bytes(read_take(made / "take.h5")))


def array_bytes(take: Take) -> int:
    """Bytes of everything that grows with a take's frames."""
    total = take.times_s.nbytes
    for person in take.people:
        motion = person.motion
        arrays = (motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale, motion.visible, motion.confidence)
        total += sum(array.nbytes for array in (*arrays, *person.raw.values()) if array is not None)
    return total


def _report(runs: dict[str, Conversion], help_s: float) -> str:
    plain, pictured, long = runs["300 frames"], runs["300 frames, with previews"], runs.get("3,000 frames")
    figures = [
        Figure("300 frames, three formats, no previews", plain.spent.seconds, 20, "s"),
        Figure("300 frames, three formats, previews", pictured.spent.seconds, 30, "s"),
        Figure("most memory, no previews", plain.peak_mb, 1500, "MB", 0),
        Figure("most memory, previews", pictured.peak_mb, 1500, "MB", 0),
        Figure("`rigdrop --help`, median of seven", help_s, 0.3, "s", 2),
    ]
    if long is not None:
        motion = (long.take_bytes - plain.take_bytes) / 1e6
        name = f"memory that ten times the frames add (the motion alone is {motion:.1f} MB more)"
        figures.append(Figure(name, long.peak_mb - plain.peak_mb, round(motion, 1), "MB"))
    busy = [name for name, run in runs.items() if (run.spent.other_cores or 0.0) > QUIET_CORES]
    mark = f"**busy: other programs worked during {', '.join(busy)}; these times say little.** " if busy else ""
    return "\n\n".join([
        f"{mark}{usable_cores()} cores for the conversion, of {os.cpu_count()}; load average {os.getloadavg()[0]:.1f}.",
        limits_table(figures), _spent_table(runs), _stage_table(runs),
    ])


def _spent_table(runs: dict[str, Conversion]) -> str:
    def cells(run: Conversion) -> tuple[str, ...]:
        spent = run.spent
        figures = ((spent.seconds, 1), (spent.processor_s, 1), (run.peak_mb, 0), (run.take_bytes / 1e6, 1), (spent.other_cores, 2))
        return tuple(shown(value, digits) for value, digits in figures)

    rows = [(name, *cells(run)) for name, run in runs.items()]
    return table(("conversion", "seconds", "processor seconds", "peak MB", "motion MB", "other work, cores"), rows)


def _stage_table(runs: dict[str, Conversion]) -> str:
    names = list(dict.fromkeys(stage["stage"] for run in runs.values() for stage in run.stages))
    spent = {name: {stage["stage"]: stage for stage in run.stages} for name, run in runs.items()}

    def cells(stage: str) -> list[str]:
        found = [spent[name].get(stage, {}) for name in runs]
        return [text for one in found for text in (shown(one.get("seconds"), 2), shown(one.get("peak_memory_mb"), 0))]

    in_stages = {name: sum(stage["seconds"] for stage in run.stages) for name, run in runs.items()}
    rest = [text for name, run in runs.items() for text in (shown(run.spent.seconds - in_stages[name], 2), "–")]
    headings = [heading for name in runs for heading in (f"{name}: s", "MB")]
    return table(("stage", *headings), [*([stage, *cells(stage)] for stage in names), ["start, imports, exit", *rest]])


if __name__ == "__main__":
    main()
