"""The service and its children are killed wherever it hurts, and each time every file becomes one take, or one reason, and nothing else.

Points are chosen by seeds. Where the log tells of a step the reading thread strikes as it reads the line; where only the
disk tells, the test looks at it as fast as it can.
"""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import os
import random
import shlex
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from .children import wait_until
from .running_service import PATIENCE_S, Line, Place, RunningService, Tally, rendered_clip, stored_take, tally, unique

__all__ = ["tally"]

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

# The steps of a clip, and about how long each takes, in seconds.
_STEPS = {
    "probe": 0.03, "estimate": 0.8, "fit": 0.35, "store": 0.008, "write glb-skeletal": 0.06, "verify glb-skeletal": 0.07,
    "write glb-baked": 0.06, "verify glb-baked": 0.06, "extras": 0.004, "preview": 0.003, "report": 0.004,
}
_ORDER = list(_STEPS)
_A_CHILD_STARTS_S = 0.7
_MOST = 3  # deaths of either kind that a job survives
_BAD_SIDECAR = "nonsense = 1\n"

Victim = Literal["service", "child"]


@dataclass(frozen=True)
class Point:
    """Where to strike: as a step begins, or some share of its usual time later."""

    step: str
    victim: Victim
    share: float | None = None

    @property
    def kind(self) -> str:
        """For the count."""
        return f"kills of the {self.victim} {'at the beginning of' if self.share is None else 'inside'} a step"


def _points(seed: int) -> list[Point]:
    """Each step, either victim, at its beginning and inside it, in any order."""
    rng = random.Random(seed)
    victims: tuple[Victim, ...] = ("service", "child")
    points = [
        Point(step, victim, share)
        for step, victim in itertools.product(_STEPS, victims)
        for share in (None, rng.uniform(0.05, 0.95))
    ]
    rng.shuffle(points)
    return points


def _jobs(points: list[Point]) -> list[list[Point]]:
    """Deal points out to as few jobs as can be: no step twice, and no more of a kind than a job survives."""
    jobs: list[list[Point]] = []
    for point in points:
        for job in jobs:
            alike = sum(other.victim == point.victim for other in job)
            if alike < _MOST and all(other.step != point.step for other in job):
                job.append(point)
                break
        else:
            jobs.append([point])
    return [sorted(job, key=lambda point: _ORDER.index(point.step)) for job in jobs]


_JOBS = _jobs(_points(seed=20))


@dataclass
class Saboteur:
    """Hears the log, and strikes at the next of its points; a step that came too soon for it gives its blow to the one after."""

    service: RunningService
    points: list[Point]
    struck: list[tuple[Point, str]] = field(default_factory=list)  # with the step that was hit

    def __call__(self, line: Line) -> None:
        if line["event"] == "step" and self.points and _ORDER.index(line["step"]) >= _ORDER.index(self.points[0].step):
            point = self.points.pop(0)
            self.struck.append((point, line["step"]))
            self._strike(point, line)

    def _strike(self, point: Point, line: Line) -> None:
        if point.share is not None:
            time.sleep(point.share * (_STEPS[line["step"]] + (0.0 if "pid" in line else _A_CHILD_STARTS_S)))
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.service.pid if point.victim == "service" else line.get("pid") or self._child(), signal.SIGKILL)

    def _child(self) -> int:
        """The child that is about to be started."""
        until_s = time.monotonic() + PATIENCE_S
        while not (children := self.service.children()):
            assert time.monotonic() < until_s, "no child was started"
        return children[0]


def _wait_briefly(condition: Callable[[], object], seconds: float) -> None:
    """Wait for something that may happen or not."""
    until_s = time.monotonic() + seconds
    while not condition() and time.monotonic() < until_s:
        time.sleep(0.01)


def _see_through(service: RunningService, timeout_s: float = PATIENCE_S) -> None:
    """Start the service again whenever it has died, until everything has ended."""
    until_s = time.monotonic() + timeout_s
    with service.place.client() as client:
        while not service.place.is_ended(client):
            _revive(service)
            assert time.monotonic() < until_s, f"not everything has ended\n{service.tail()}"
            time.sleep(0.05)
    _revive(service)


def _revive(service: RunningService) -> None:
    if not service.alive:
        service.wait_ended()
        service.start()


def _see(condition: Callable[[], object], place: Place) -> bool:
    """Look, nearly without a pause, until the disk, or the log, shows something; false where everything has ended without."""
    look_s = time.monotonic() + 1.0
    with place.client() as client:
        while not condition():
            if time.monotonic() > look_s:
                if place.is_ended(client):
                    return False
                look_s = time.monotonic() + 0.5
            time.sleep(1e-4)
    return True


def _kill_on_sight(service: RunningService, drop: Callable[[int], object], sights: list[Callable[[], object]]) -> None:
    """Kill the service at each sight in turn; where a file went by too quickly, another is dropped."""
    for attempt in itertools.count():
        assert attempt < 8, "always too late"
        drop(attempt)
        while sights and _see(sights[0], service.place):
            sights.pop(0)
            service.kill()
            service.start()
        _see_through(service)
        if not sights:
            return


def _finish(service: RunningService, tally: Tally, foreseen: tuple[str, ...] = (), **counts: int) -> None:
    """Stop the service in peace, then look at everything that is there."""
    assert service.stop() == 143
    tally.add(service.place.outcome(service, foreseen=foreseen).check(), **counts)


def _one_at_a_time(place: Place, *options: str, environment: dict[str, str] | None = None) -> RunningService:
    return RunningService(place, "--jobs", "1", *options, environment=environment)


def test_there_are_points_enough():
    points = _points(20)
    assert len(points) == 4 * len(_STEPS) == 44
    assert sorted(map(repr, points)) == sorted(repr(point) for job in _JOBS for point in job)


@pytest.mark.parametrize("number", range(len(_JOBS)))
def test_killed_at_any_step_a_clip_becomes_one_take(number: int, tmp_path: Path, tally: Tally):
    place, points = Place(tmp_path), _JOBS[number]
    with _one_at_a_time(place) as service:
        saboteur = Saboteur(service, list(points))
        service.listeners.append(saboteur)
        for attempt in itertools.count():
            place.drop(f"clip{attempt}.mp4", unique(rendered_clip(), 10 * number + attempt))
            _see_through(service)
            if not saboteur.points:
                break
            assert attempt < 5, f"always too late for {saboteur.points}"
        place.drop("bad.h5", stored_take(number), good=False, sidecar=_BAD_SIDECAR)
        place.wait_until_ended()
        hit = sum(point.step == step for point, step in saboteur.struck)
        kinds = {kind: sum(point.kind == kind for point in points) for kind in sorted({point.kind for point in points})}
        _finish(service, tally, **kinds, hits_of_the_very_step=hit)


class Drafts:
    """Sees files that are being written for a job: the ``number``-th new one, from now on, whose name ends so."""

    def __init__(self, place: Place, suffix: str, number: int) -> None:
        self._staging, self._suffix, self._left = place.out / ".rigdrop", suffix, number
        self._known: set[str] | None = None

    def __call__(self) -> bool:
        there = {name for _, _, names in os.walk(self._staging) for name in fnmatch.filter(names, f".*.part{self._suffix}")}
        new, self._known = there - (there if self._known is None else self._known), there | (self._known or set())
        self._left -= len(new)
        return self._left <= 0


def _drafts(place: Place, seed: int) -> list[Callable[[], object]]:
    rng = random.Random(seed)
    kinds = [".glb", ".glb", ".h5", ".json", ".json", rng.choice([".glb", ".json"])]
    return [Drafts(place, kind, rng.randint(1, {".glb": 1, ".h5": 1, ".json": 4}[kind])) for kind in rng.sample(kinds, 6)]


def test_the_service_is_killed_while_it_writes_a_file(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    sights = _drafts(place, seed=31)
    with _one_at_a_time(place) as service:
        for number in (0, 100):
            _kill_on_sight(service, lambda attempt: place.drop(f"take{number + attempt}.h5", stored_take(number + attempt)), sights[:_MOST])  # noqa: B023
            sights = sights[_MOST:]
        _finish(service, tally, kills_of_the_service_while_a_file_is_written=6)


def test_a_child_is_killed_while_it_writes_a_file(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    sights = _drafts(place, seed=32)
    with _one_at_a_time(place) as service:
        for number in itertools.count():
            assert number < 8, "always too late"
            place.drop(f"clip{number}.mp4", unique(rendered_clip(), 200 + number))
            for _ in range(_MOST):
                if sights and _see(sights[0], place):
                    sights.pop(0)
                    with contextlib.suppress(ProcessLookupError, IndexError):
                        os.kill(service.children()[0], signal.SIGKILL)
            place.wait_until_ended()
            if not sights:
                break
        _finish(service, tally, kills_of_the_child_while_it_writes_a_file=6)


def _found(folder: Path, pattern: str) -> list[Path]:
    """What there is, while others move it about."""
    with contextlib.suppress(FileNotFoundError):
        return list(folder.glob(pattern))
    return []


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _publishing(service: RunningService, name: str, told: Path) -> list[Callable[[], object]]:
    """What one sees, in this order, when a take is published and others are told of it."""
    place, source = service.place, f"{name}.h5"
    since, begun, ended = len(service.lines), _text(told).count("begun"), _text(told).count("ended")
    done = place.inbox / source if place.stay else place.inbox / "done" / source
    return [
        lambda: (place.out / name).exists(),
        lambda: (place.out / name).exists() and done.exists(),
        lambda: (place.out / name).exists() and not _found(place.out / ".rigdrop", "*-1"),
        lambda: service.find("published", since=since),
        lambda: _text(told).count("begun") > begun,
        lambda: _text(told).count("ended") > ended,
    ]


def _telling(told: Path) -> tuple[str, str]:
    """The option that lets others be told: a program that says what it got, and takes its time."""
    return "--on-finish", shlex.join(["sh", "-c", f"echo begun >> {told}; sleep 0.3; cat >> {told}; echo ended >> {told}"])


@pytest.mark.parametrize("stay", [False, True], ids=["the source moves", "the source stays"])
def test_killed_while_it_publishes_a_take_appears_once(stay: bool, tmp_path: Path, tally: Tally):
    told, place = tmp_path / "told", Place(tmp_path, stay=stay)
    rng = random.Random(41)
    with _one_at_a_time(place, "--sources", "stay" if stay else "move", *_telling(told)) as service:
        for number in range(2):
            name = f"take_{number:04d}"
            sights = _publishing(service, name, told)[number * _MOST :][:_MOST]
            place.drop(f"{name}.h5", stored_take(number))
            for sight in sights:
                assert _see(sight, place), service.tail()
                service.kill()
                service.start()
            place.wait_until_ended()
        for number in range(2, 5):
            since = len(service.lines)
            place.drop(f"take_{number:04d}.h5", stored_take(number))
            service.wait_for("done", since=since)
            time.sleep(rng.uniform(0.0, 0.03))
            service.kill()
            service.start()
            place.wait_until_ended()
        _finish(service, tally, kills_of_the_service_while_it_publishes_and_tells=9)
    assert all(job.job in _text(told) for job in place.jobs())


def test_killed_while_a_job_fails_there_is_one_reason(tmp_path: Path, tally: Tally):
    told, place = tmp_path / "told", Place(tmp_path)
    with _one_at_a_time(place, *_telling(told)) as service:
        _kill_on_sight(service, lambda number: _drop_bad(place, number), [
            lambda: _found(place.inbox / ".rigdrop" / "claims", "*/*/*error.txt*"),
            lambda: _found(place.inbox / "failed", "*-1"),
        ])
        since, begun = len(service.lines), _text(told).count("begun")
        _kill_on_sight(service, lambda number: _drop_bad(place, 10 + number), [
            lambda: service.find("failed", since=since),
            lambda: _text(told).count("begun") > begun,
        ])
        _finish(service, tally, kills_of_the_service_while_a_job_fails=4)
    assert all(job.job in _text(told) for job in place.jobs())


def _drop_bad(place: Place, number: int) -> None:
    place.drop(f"bad{number}.h5", stored_take(number), good=False, sidecar=_BAD_SIDECAR)


def test_killed_while_it_takes_a_file_in_there_is_one_job(tmp_path: Path, tally: Tally):
    place, rng = Place(tmp_path), random.Random(51)
    claims = place.inbox / ".rigdrop" / "claims"
    numbers = itertools.count()

    def drop(_: int = 0) -> int:
        number = next(numbers)
        place.drop(f"shots/take{number}.h5", stored_take(number), sidecar=f"# {number}\nscene = false\n")
        return number

    with _one_at_a_time(place) as service:
        sights: list[Callable[[], object]] = [
            lambda: _found(claims, "*/new-*"),
            lambda: _found(claims, "*/new-*/claim.json"),
            lambda: _found(claims, "*/new-*/*.h5"),
            lambda: _found(claims, "*/new-*/*.toml"),
            lambda: _found(claims, "*/[!n]*-1/*.h5"),
        ]
        for sight in sights:
            _kill_on_sight(service, drop, [sight])
        for seconds in sorted(rng.uniform(0.3, 1.5) for _ in range(5)):
            drop()
            time.sleep(seconds)
            service.kill()
            service.start()
            place.wait_until_ended()
        kills = len(sights) + 5
        for _ in range(3):  # and again while it takes up what it had left
            sight = rng.choice(sights)
            drop()
            if _see(sight, place):
                kills += 2
                service.kill()
                service.start(wait=False)
                time.sleep(rng.uniform(0.3, 2.0))
                service.kill()
                service.start()
            place.wait_until_ended()
        _finish(service, tally, kills_of_the_service_while_it_takes_files_in=kills)


def test_killed_while_it_writes_how_things_stand(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    with _one_at_a_time(place) as service:
        sights: list[Callable[[], object]] = [lambda: _found(tmp_path, ".*.part*")] * 2
        _kill_on_sight(service, lambda number: place.drop(f"take{number}.h5", stored_take(number)), sights)
        _finish(service, tally, kills_of_the_service_while_it_writes_its_status=2)


def test_a_file_is_taken_though_the_process_that_looks_into_it_is_killed(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    with _one_at_a_time(place) as service:
        for number in range(2):
            place.drop(f"clip{number}.mp4", unique(rendered_clip(), 300 + number))
            if _see(lambda: service.children("prober"), place):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(service.children("prober")[0], signal.SIGKILL)
        place.wait_until_ended()
        _finish(service, tally, kills_of_the_process_that_looks_into_files=2)


def _crash(service: RunningService, number: signal.Signals) -> None:
    """Let the child that is at work end by a signal, until one such end has been told of."""
    before, until_s = len(service.find("crash")), time.monotonic() + PATIENCE_S
    while len(service.find("crash")) == before:
        assert time.monotonic() < until_s, service.tail()
        for child in filter(_is_busy, service.children()):
            time.sleep(0.01)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, number)
            # One that had not begun with what it was asked is replaced, and nobody counts it.
            wait_until(lambda child=child: child not in service.children())
            _wait_briefly(lambda: len(service.find("crash")) > before, seconds=2.0)


def _is_busy(child: int) -> bool:
    """Tell whether a child has got something to do: only then does it load what the work needs."""
    return "h5py" in _text(Path(f"/proc/{child}/maps"))


def test_a_child_that_crashes_is_replaced_and_its_step_is_tried_again(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    blows = {"estimate": signal.SIGSEGV, "fit": signal.SIGBUS, "verify glb-skeletal": signal.SIGKILL}
    with _one_at_a_time(place) as service:
        place.drop("clip.mp4", unique(rendered_clip(), 400))
        for step, number in blows.items():
            service.wait_for("step", step=step)
            _crash(service, number)
        place.wait_until_ended()
        told = " ".join(line["message"] for line in service.find("crash"))
        assert all(word in told for word in ("segmentation fault", "bus error", "signal 9 (out of memory?)")), told
        _finish(service, tally, crashes_of_a_child=len(blows))


def test_a_child_that_hangs_is_killed_and_one_that_only_waits_is_not(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    with _one_at_a_time(place, "--hang", "8") as service:
        place.drop("waits.mp4", unique(rendered_clip(), 500))
        service.wait_for("progress", step="estimate")
        child = service.children()[0]
        os.kill(child, signal.SIGSTOP)
        time.sleep(2.0)
        os.kill(child, signal.SIGCONT)
        place.wait_until_ended()
        assert not service.find("crash")
        since = len(service.lines)
        place.drop("hangs.mp4", unique(rendered_clip(), 501))
        os.kill(service.wait_for("step", step="estimate", since=since)["pid"], signal.SIGSTOP)
        assert "made no progress for 8 s" in service.wait_for("crash", since=since)["message"]
        place.wait_until_ended()
        _finish(service, tally, hangs_of_a_child=1)


def test_a_service_that_was_frozen_past_its_lease_stops_and_goes_on_at_the_next_start(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    with _one_at_a_time(place) as service:
        place.drop("clip.mp4", unique(rendered_clip(), 600))
        service.wait_for("progress", step="estimate")
        service.signal(signal.SIGSTOP)
        time.sleep(7.0)  # the lease is 5 s
        service.signal(signal.SIGCONT)
        assert service.wait_ended() == 75
        service.start()
        place.wait_until_ended()
        _finish(service, tally, foreseen=("counts as dead",), freezes_of_the_service=1)


def test_asked_to_stop_the_job_goes_on_where_it_was_and_no_stop_counts_as_a_death(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    with _one_at_a_time(place, "--stop", "1", "--retries", "1") as service:
        place.drop("clip.mp4", unique(rendered_clip(), 700))
        service.wait_for("progress", step="estimate")
        (child,) = service.children()
        os.kill(child, signal.SIGSTOP)  # so that it does not come to the end of its step in the time that it is given
        service.signal(signal.SIGTERM)
        wait_until(lambda: _is_told_to_stop(child), PATIENCE_S)
        os.kill(child, signal.SIGCONT)
        assert service.wait_ended() == 143
        assert not service.find("step", step="fit")
        # More often than it may die; later steps are so short that several may be done before anybody can ask.
        for step in ("estimate", "fit"):
            service.start()
            service.wait_for("step", step=step, since=_first_of(service))
            assert service.stop() == 143
        service.start()
        place.wait_until_ended()
        assert not service.find("crash")
        _finish(service, tally, stops_of_the_service=3)


def _is_told_to_stop(child: int) -> bool:
    """Tell whether SIGTERM waits for a frozen process."""
    pending = [line.split()[1] for line in _text(Path(f"/proc/{child}/status")).splitlines() if line.startswith(("ShdPnd", "SigPnd"))]
    return any(int(mask, 16) >> (signal.SIGTERM - 1) & 1 for mask in pending)


def _first_of(service: RunningService) -> int:
    """The number of the first line since the last start."""
    return next(number for number, line in enumerate(service.lines) if line["run"] == service.runs)


def test_a_job_that_ends_the_service_each_time_is_given_up(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    with _one_at_a_time(place) as service:
        saboteur = Saboteur(service, [Point("estimate", "service", 0.5)] * (_MOST + 1))
        service.listeners.append(saboteur)
        place.drop("poison.mp4", unique(rendered_clip(), 800), good=False)
        _see_through(service)
        assert not saboteur.points
        place.drop("clip.mp4", unique(rendered_clip(), 801))
        place.wait_until_ended()
        (failed,) = (job for job in place.jobs() if job.state == "failed")
        assert failed.reason is not None and f"{_MOST + 1} times in all" in failed.reason
        _finish(service, tally, foreseen=("exceeded its maximum",), jobs_given_up=1)


def test_a_job_that_ends_the_child_each_time_is_given_up(tmp_path: Path, tally: Tally):
    place = Place(tmp_path)
    with _one_at_a_time(place) as service:
        place.drop("poison.mp4", unique(rendered_clip(), 900), good=False)
        service.wait_for("step", step="estimate")
        for _ in range(_MOST + 1):
            _crash(service, signal.SIGKILL)
        place.wait_until_ended()
        place.drop("clip.mp4", unique(rendered_clip(), 901))
        place.wait_until_ended()
        (failed,) = (job for job in place.jobs() if job.state == "failed")
        assert failed.reason is not None and f"signal 9 (out of memory?), {_MOST + 1} times in all" in failed.reason
        _finish(service, tally, jobs_given_up=1)
