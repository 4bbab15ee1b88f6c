"""``rigdrop demo``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..config.settings import Settings
from ..events import Emit
from ..needs import fetch_parts
from ..pipeline import convert_clip
from ..render.demo import DemoOptions, render_demo
from .convert import show_reports
from .output import progress


def demo(
    *,
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008
    config: Path | None = None,
    preset: str | None = None,
    people: int = 1,
    seconds: float = 9.0,
    seed: int = 0,
) -> None:
    """Render a clip of somebody who walks, turns, waves and squats, and convert it.

    Parameters
    ----------
    config
        A TOML file with settings; without it ./rigdrop.toml, where there is one.
    preset
        Settings that go together: blender, draft, high, maya, unity, unreal or web.
    people
        How many people the clip shows, 1 to 4.
    seconds
        How long the clip is.
    seed
        Another number, other bodies and moves.
    """
    clip = settings.output.out / "demo.mp4"
    with progress() as emit:
        fetch_parts(settings, emit)
        emit("stage", take="demo", stage="render the clip")
        render_demo(clip, DemoOptions(people=people, seconds=seconds, seed=seed), partial(_say, emit))
        report = convert_clip(clip, settings.output.out / "demo", settings, emit)
    print(clip)
    show_reports([report])


def _say(emit: Emit, done: int, total: int | None) -> None:
    emit("progress", stage="render", done=done, total=total)
