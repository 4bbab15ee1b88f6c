"""Many sources at a time: each one's result or error, whatever happens to the process that has it, and nothing left when stopped."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from rigdrop.cli import parallel
from rigdrop.cli.parallel import convert_all, default_jobs
from rigdrop.config.options import OutputOptions
from rigdrop.config.settings import Settings
from rigdrop.errors import ReadError, RigdropError, TryAgainError
from rigdrop.motion.store import write_take

from .children import is_running, wait_until
from .synthetic import big_take, small_take

GLB = Settings(output=OutputOptions(format=("glb-skeletal",), preview=False))


class Events(list):
    def __call__(self, event, /, **fields):
        self.append((event, fields))

    def of(self, event):
        return [fields for name, fields in self if name == event]


def _takes(folder: Path, count: int) -> list[tuple[Path, Path]]:
    pairs = []
    for number in range(count):
        path = folder / f"in{number}.h5"
        write_take(path, replace(small_take(3 + number), provenance={"take": f"clip{number}", "fingerprint": str(number)}))
        pairs.append((path, folder / "out" / f"clip{number}"))
    return pairs


def test_each_source_ends_with_its_own_report(tmp_path):
    pairs, events = _takes(tmp_path, 5), Events()
    ended = {each.folder: each for each in convert_all(pairs, GLB, events, jobs=2)}
    assert {folder: each.source for folder, each in ended.items()} == {folder: source for source, folder in pairs}
    for number, (_, folder) in enumerate(pairs):
        report = ended[folder].report
        assert report is not None and report.content["frames"] == 3 + number and not report.skipped
        assert report.content == json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert sorted(fields["take"] for fields in events.of("done")) == [f"clip{number}" for number in range(5)]
    assert [fields["done"] for fields in events.of("progress")] == [1, 2, 3, 4, 5]
    assert not multiprocessing.active_children()
    again = list(convert_all(pairs, GLB, events, jobs=2))
    assert all(each.report is not None and each.report.skipped for each in again) and len(events.of("skipped")) == 5


def test_one_at_a_time_comes_to_the_same(tmp_path):
    pairs = _takes(tmp_path, 3)
    alone = [(source, tmp_path / "alone" / folder.name) for source, folder in pairs]
    list(convert_all(pairs, GLB, Events(), jobs=3))
    events = Events()
    assert [each.folder for each in convert_all(alone, GLB, events, jobs=1)] == [folder for _, folder in alone]
    assert events.of("stage")  # in this process there is more to hear
    for (_, one), (_, other) in zip(pairs, alone, strict=True):
        for file in ("take.h5", f"person_01/{one.name}_person_01_skeletal.glb"):
            assert (one / file).read_bytes() == (other / file).read_bytes()


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_that_fails_is_named_and_the_others_are_converted(tmp_path, jobs):
    pairs, events = _takes(tmp_path, 3), Events()
    (tmp_path / "broken.h5").write_bytes(b"no take")
    (tmp_path / "broken.npz").write_bytes(b"no zip")
    broken = [(tmp_path / name, tmp_path / "out" / name) for name in ("broken.h5", "broken.npz")]
    ended = {each.source.name: each for each in convert_all([*broken, *pairs], GLB, events, jobs)}
    assert len(ended) == 5
    for name in ("broken.h5", "broken.npz"):
        error = ended[name].error
        assert isinstance(error, ReadError) and name in str(error) and ended[name].report is None
    assert sorted(fields["exit_code"] for fields in events.of("error")) == [66, 66]
    assert all(ended[source.name].report is not None for source, _ in pairs)


def test_formats_that_could_not_be_written_are_problems_of_the_report(tmp_path):
    path = tmp_path / "long.h5"
    write_take(path, replace(small_take(2100), provenance={"take": "long", "fingerprint": "l"}))  # too long for a baked GLB
    settings = Settings(output=OutputOptions(format=("glb-baked",), preview=False))
    pairs = [(path, tmp_path / "out" / "long"), *_takes(tmp_path, 1)]
    ended = {each.source: each for each in convert_all(pairs, settings, Events(), jobs=2)}
    report = ended[path].report
    assert report is not None and [type(problem).__name__ for problem in report.problems] == ["SettingsError"]


def test_a_fault_of_ours_in_one_does_not_cost_the_others(tmp_path):
    pairs = _takes(tmp_path, 2)
    not_there = (tmp_path / "folder.mp4\0", tmp_path / "out" / "x")  # no path at all: nobody foresees it
    ended = {each.source: each for each in convert_all([not_there, *pairs], GLB, Events(), jobs=2)}
    error = ended[not_there[0]].error
    assert type(error) is RigdropError or isinstance(error, ReadError)
    assert all(ended[source].report is not None for source, _ in pairs)


def test_processes_begin_anew_after_some_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "_SOURCES_A_PROCESS", 1)
    pairs, seen = _takes(tmp_path, 4), set()
    for _ in convert_all(pairs, GLB, Events(), jobs=2):
        seen |= {child.pid for child in multiprocessing.active_children()}
    assert len(seen) == 3  # and the first, which is no more when its source is told


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
def test_a_process_that_is_killed_costs_its_source_alone(tmp_path):
    pipe = tmp_path / "pipe.h5"
    os.mkfifo(pipe)  # which nobody writes to: whoever opens it waits
    pairs = [(pipe, tmp_path / "out" / "pipe"), *_takes(tmp_path, 3)]

    def kill() -> None:
        wait_until(multiprocessing.active_children)
        os.kill(min(child.pid for child in multiprocessing.active_children() if child.pid), signal.SIGKILL)  # it was given the first source

    killer = threading.Thread(target=kill)
    killer.start()
    ended = {each.source: each for each in convert_all(pairs, GLB, Events(), jobs=2)}
    killer.join()
    error = ended[pipe].error
    assert isinstance(error, TryAgainError) and "the process that converted it ended with -9" in str(error)
    assert all(ended[source].report is not None for source, _ in pairs[1:])
    assert not multiprocessing.active_children()


def test_whoever_stops_listening_leaves_no_process(tmp_path):
    with contextlib.closing(convert_all(_takes(tmp_path, 6), GLB, Events(), jobs=2)) as endings:
        next(endings)
    assert not multiprocessing.active_children()


def _children_of(pid: int) -> list[int]:
    tasks = list(Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(child) for task in tasks for child in task.read_text().split()]


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_every_process_and_leaves_nothing_half_written(tmp_path, number):
    for index in range(4):
        write_take(tmp_path / "in" / f"clip{index}.h5",
                   replace(big_take(60), provenance={"take": f"clip{index}", "fingerprint": str(index)}))
    sources = sorted(str(path) for path in (tmp_path / "in").iterdir())
    command = [sys.executable, "-m", "rigdrop", "convert", *sources, "--out", str(tmp_path / "out"), "--jobs", "2", "--no-preview"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        wait_until(lambda: list(tmp_path.glob("out/**/.*.part*")), seconds=60)
        children = _children_of(process.pid)
        os.killpg(process.pid, number)  # as a terminal and most farms do: everybody in the group
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "nothing half-written is left" in said.splitlines()[-1]
    assert len(children) >= 2
    wait_until(lambda: not any(is_running(child) for child in children))
    hidden = {path.name for path in (tmp_path / "out").rglob(".*")}
    assert hidden <= {".unsettled.json"}  # the note of what is whole
    assert not list((tmp_path / "out").rglob("report.json"))


def test_as_many_at_a_time_as_there_are_cores_and_one_video_after_the_other(tmp_path):
    out = tmp_path / "out"
    light = [(tmp_path / name, out / name) for name in ("a.npz", "b.bvh", "c.h5", "d.glb")]
    assert default_jobs(light) == (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    assert default_jobs([*light, (tmp_path / "e.mp4", out / "e")]) == 1
