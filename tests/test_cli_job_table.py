"""How jobs are shown: ids, order, ages, and a table for a terminal."""

from __future__ import annotations

import io
import random
from dataclasses import replace

import pytest
from rich.console import Console

from rigdrop.cli.job_table import HEADER, details, in_order, is_recent, live_table, matches, printable, row, short_id

from .watch_values import NOW, a_state, at

DAY_S = 86_400


def _names(states) -> list[str]:
    return [state.spec.name for state in states]


def test_an_id_is_shortened_to_what_people_type():
    assert short_id("0123456789abcdef-12") == "01234567-12"


@pytest.mark.parametrize(("asked", "meant"), [
    ("0123456789abcdef-1", True), ("0123456789abcdef", True), ("0", True), ("01234567-1", True), ("0123-1", True),
    ("0123456789abcdef-", True), ("0123-2", False), ("0123-", False), ("1", False), ("0123456789abcdef-12", False), ("0123x-1", False),
])
def test_an_id_is_meant_by_its_beginning_or_by_its_short_form(asked, meant):
    assert matches("0123456789abcdef-1", asked) is meant


def test_what_runs_comes_first_then_what_waits_then_what_went_wrong():
    states = [
        a_state("done-old", "done", ended_utc=at(900)), a_state("done-new", "done", ended_utc=at(9)),
        a_state("waits-short", "waiting", submitted_utc=at(5)), a_state("waits-long", "waiting", submitted_utc=at(50)),
        a_state("failed", "failed", ended_utc=at(3)), a_state("cancelled", "cancelled", ended_utc=at(2)),
        a_state("runs-long", "running", started_utc=at(60), submitted_utc=at(61)),
        a_state("runs-short", "running", started_utc=at(6), submitted_utc=at(600)),
    ]
    expected = ["runs-long", "runs-short", "waits-long", "waits-short", "failed", "cancelled", "done-new", "done-old"]
    random.Random(5).shuffle(states)
    assert _names(in_order(states)) == expected


def test_what_ended_more_than_a_day_ago_is_old():
    assert is_recent(a_state(state="failed", ended_utc=at(DAY_S - 1)), NOW)
    assert not is_recent(a_state(state="done", ended_utc=at(DAY_S + 1)), NOW)
    assert is_recent(a_state(state="waiting", submitted_utc=at(9 * DAY_S)), NOW)


@pytest.mark.parametrize(("seconds", "age"), [
    (0, "0 s"), (-5, "0 s"), (89, "89 s"), (91, "2 min"), (89 * 60, "89 min"), (91 * 60, "2 h"), (35 * 3600, "35 h"), (37 * 3600, "2 d"),
])
def test_an_age_is_short(seconds, age):
    assert row(a_state(submitted_utc=at(seconds)), NOW)[HEADER.index("age")] == age


def test_a_time_without_a_zone_is_utc():
    assert row(a_state(submitted_utc="2026-03-01T11:59:50"), NOW)[HEADER.index("age")] == "10 s"
    assert row(a_state(submitted_utc="2026-03-01T12:59:50+01:00"), NOW)[HEADER.index("age")] == "10 s"


def test_a_row_says_what_the_job_is_at():
    running = a_state("deep/clip.mp4", "running", worker="rig-1", started_utc=at(60), step="estimate", done=30, total=90)
    assert row(running, NOW) == (short_id(running.job), "running", "deep/clip.mp4", "estimate", "30/90", "rig-1", "60 s", "")
    failed = a_state("bad.mp4", "failed", ended_utc=at(60), reason="bad.mp4: is\nno video", code=66, step="probe", done=3)
    assert row(failed, NOW)[4:] == ("", "", "60 s", "bad.mp4: is\ufffdno video")


@pytest.mark.parametrize(("text", "shown"), [
    ("踊り ä.mp4", "踊り ä.mp4"), ("a\x1b[2Jb", "a\ufffd[2Jb"), ("caf\udce9", "caf\ufffd"), ("a\tb", "a\ufffdb"),
])
def test_a_name_can_not_talk_to_the_terminal(text, shown):
    assert printable(text) == shown


def _print(table, width=120) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(table)
    return console.file.getvalue()


def _columns(out: str) -> list[str]:
    return out.splitlines()[1].split()


def test_the_table_for_a_terminal_has_bars_and_counts():
    states = in_order([
        a_state("clip.mp4", "running", started_utc=at(5), step="estimate", done=45, total=90, worker="rig-1"),
        a_state("[red]a[/].mp4", "running", started_utc=at(4), step="probe"),
        *(a_state(f"next{number}.mp4") for number in range(5)),
        *(a_state(f"bad{number}.mp4", "failed", ended_utc=at(number), reason="no", code=66) for number in range(3)),
    ])
    out = _print(live_table(states, {"waiting": 1234, "running": 2, "failed": 99}, NOW, most=2))
    assert "━━━━━┈┈┈┈┈ 45/90" in out
    assert "[red]a[/].mp4" in out
    assert "+ 1,232 waiting" in out
    assert "+ more failed" in out
    assert "2 running   1,234 waiting   99 failed" in out
    assert out.count("next") == 2


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_table_keeps_to_the_terminals_width(width):
    states = [a_state(
        "very/long/" * 20 + "clip.mp4", "running", step="write glb-skeletal", done=1, total=10**6, worker="render-node-0123-1",
        reason="x" * 500,
    )]
    lines = _print(live_table(states, {}, NOW, 5, width), width).splitlines()
    assert max(len(line) for line in lines) <= width
    assert len(lines) < 9


def test_a_narrow_terminal_shows_what_matters_most():
    states = [a_state("clip.mp4", "running", step="fit", done=1, total=2, worker="rig-1", started_utc=at(5))]
    assert _columns(_print(live_table(states, {}, NOW, 5, 120), 120)) == list(HEADER)
    out = _print(live_table(states, {}, NOW, 5, 56), 56)
    assert _columns(out) == ["job", "state", "source", "frames", "age"]
    assert short_id(states[0].job) in out and "clip.mp4" in out and "1/2" in out and "━" not in out


def test_details_are_all_that_is_known():
    state = replace(a_state("clip.mp4", "done", ended_utc=at(1), crashes=1, worker="rig-1"), result={
        "folder": "/srv/characters/clip", "source": "/srv/inbox/done/clip.mp4", "people": 2, "stages": [{"stage": "fit"}],
        "warnings": ["no floor"],
    })
    told = dict(details(state))
    assert told["job"] == state.job
    assert (told["source"], told["source is now"], told["folder"]) == ("clip.mp4", "/srv/inbox/done/clip.mp4", "/srv/characters/clip")
    assert (told["people"], told["crashes"]) == ("2", "1")
    assert told["warnings"] == "['no floor']"
    assert "stages" not in told and "reason" not in told
