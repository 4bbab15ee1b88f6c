"""The rendered clips on which accuracy is measured: several bodies, views and moves, one occlusion; truth known.

Seeds below 1000 are for measuring, the same cases with 1000 more are for tuning: nothing was tuned on what is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rigdrop.motion.store import read_take, write_take
from rigdrop.motion.take import Take
from rigdrop.render.demo import BODIES, DemoOptions, render_demo

TUNING_SEEDS = 1000


@dataclass(frozen=True)
class Case:
    """One clip: its name in the tables, and how it is rendered."""

    name: str
    options: DemoOptions


def cases(tuning: bool = False, seconds: float = 6.0) -> list[Case]:
    """Eight clips of several bodies, views and moves; a punch is seen from the front, where it hides its depth, and from the side."""
    rows = {
        "walk-wave": DemoOptions(moves=("walk", "turn", "wave", "squat"), bodies=(BODIES[0],), facing_deg=0),
        "squat-high": DemoOptions(moves=("squat", "wave", "walk"), bodies=(BODIES[1],), facing_deg=25, camera_tilt=0.4),
        "punch": DemoOptions(moves=("punch", "stand", "punch"), bodies=(BODIES[2],), facing_deg=-30),
        "reach": DemoOptions(moves=("pick", "shelf"), bodies=(BODIES[3],), facing_deg=20, width=1280, height=720),
        "round": DemoOptions(moves=("round", "stand"), bodies=(BODIES[1],), facing_deg=10, width=1280, height=720),
        "pillar": DemoOptions(moves=("walk", "wave", "turn"), bodies=(BODIES[0],), facing_deg=-10, pillar=True),
        "low-side": DemoOptions(
            moves=("walk", "pick", "punch"), bodies=(BODIES[2],), facing_deg=70, camera_tilt=-0.06, width=1280, height=720
        ),
        "punch-side": DemoOptions(moves=("punch", "stand", "punch"), bodies=(BODIES[2],), facing_deg=75, width=1280, height=720),
    }
    first = TUNING_SEEDS if tuning else 0
    return [Case(name, replace(options, seed=first + row, seconds=seconds)) for row, (name, options) in enumerate(rows.items())]


def rendered(case: Case, folder: Path) -> tuple[Path, Take]:
    """Return the clip and its truth, rendered into ``folder`` unless they are there."""
    clip = folder / f"{case.name}_{case.options.seed}.mp4"
    truth = clip.with_suffix(".truth.h5")
    if not truth.exists():
        write_take(truth, render_demo(clip, case.options))
    return clip, read_take(truth)
