"""From files to jobs: what is taken, under which settings, and what is one job though it came twice."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rigdrop.config.options import OutputOptions
from rigdrop.config.settings import Settings
from rigdrop.errors import TryAgainError
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.motion.store import write_take
from rigdrop.watch import claim as claims
from rigdrop.watch import intake as intakes
from rigdrop.watch.database import Database
from rigdrop.watch.intake import Intake
from rigdrop.watch.log import JobLog
from rigdrop.watch.options import WatchOptions
from rigdrop.watch.prober import Prober
from rigdrop.watch.queue import Queue
from rigdrop.watch.scan import scan

from .synthetic import small_take
from .watch_folders import WORKER

QUICK = WatchOptions(settle_s=0.01, grace_s=0.05, floor_mb=0.0)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    prober = Prober()
    yield prober
    prober.stop()


@pytest.fixture
def said() -> io.StringIO:
    """What the log says."""
    return io.StringIO()


@pytest.fixture
def intake(tmp_path: Path, inbox: Path, prober: Prober, said: io.StringIO) -> Iterator[Intake]:
    queue = Queue(Database.parse(str(tmp_path / "jobs.db")), WORKER, {"cpu": 1}, lambda spec, step: {})
    settings = Settings(output=OutputOptions(out=tmp_path / "out", format=("glb-skeletal",)))
    yield Intake((inbox,), settings, QUICK, WORKER, queue, prober, JobLog(said))
    queue.close()


def _drop(inbox: Path, relative: str, frames: int = 12, sidecar: str = "") -> None:
    path = inbox / relative
    write_take(path, small_take(frames=frames))
    if sidecar:
        path.with_name(path.name + ".toml").write_text(sidecar, encoding="utf-8")


def _turn(intake: Intake, times: int = 3) -> list:
    """Look at the folder until what lies there is quiet; returns the jobs."""
    for _ in range(times):
        intake.turn(intake.roots)
        time.sleep(0.03)
    return intake.queue.list()


def test_a_file_becomes_a_job_that_says_everything(intake, inbox, tmp_path):
    _drop(inbox, "shots/歩く.h5")
    (state,) = _turn(intake)
    spec = state.spec
    assert (spec.relative, spec.root, spec.out) == ("shots/歩く.h5", str(inbox), str(tmp_path / "out" / "shots"))
    assert Settings.of_table(spec.settings) == intake.settings and (spec.refused, spec.device, state.state) == (None, "cpu", "waiting")
    claim = claims.find(inbox, spec.job)
    assert claim is not None and claim.source.stat().st_size == spec.size_bytes and scan(inbox) == []
    assert spec.job == f"{spec.key[:16]}-1"


def test_a_file_that_never_opens_is_a_job_that_is_refused(intake, inbox):
    (inbox / "bad.mp4").write_text("no video")
    assert _turn(intake, 1) == []
    (state,) = _turn(intake, 8)
    assert state.spec.refused_code == 66 and state.spec.refused.startswith("bad.mp4: ")


@pytest.mark.parametrize("said_by", ["the service", "a sidecar", "nobody"])
def test_a_pickle_is_taken_where_the_settings_trust_it(intake, inbox, shared, said_by):
    with np.load(shared / "samples" / "sam3d_body_subj00.npz") as sample:
        person = {name: sample[name] for name in ("mhr_model_params", "shape_params", "pred_cam_t")}
    np.save(inbox / "people.npy", np.array([person], dtype=object), allow_pickle=True)
    if said_by == "the service":
        intake.settings = replace(intake.settings, motion_files=MotionFileOptions(trust=True))
    elif said_by == "a sidecar":
        (inbox / "people.npy.toml").write_text("trust = true\n")
    (state,) = _turn(intake, 8)
    assert state.spec.refused is None if said_by != "nobody" else "--trust" in state.spec.refused


def test_a_file_that_may_not_be_read_is_refused_too(intake, inbox, monkeypatch):
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(intakes, "sha256_of", refuse)
    for name in ("a.mp4", "b.mp4"):
        (inbox / name).write_text("no video")
    assert {state.spec.relative: state.spec.refused_code for state in _turn(intake, 9)} == {"a.mp4": 66, "b.mp4": 66}
    assert not [name for name in ("a.mp4", "b.mp4") if (inbox / name).exists()]


def test_a_setting_with_a_wrong_name_is_refused_and_named(intake, inbox):
    _drop(inbox, "clip.h5", sidecar="qualty = 'high'\n")
    (state,) = _turn(intake)
    assert state.spec.refused_code == 78
    assert "clip.h5.toml: qualty: found an unknown key; the nearest is 'quality'" in state.spec.refused


def test_the_same_content_twice_is_one_job_and_told_so(intake, inbox, said):
    _drop(inbox, "a.h5")
    (inbox / "b.h5").write_bytes((inbox / "a.h5").read_bytes())
    assert len(_turn(intake)) == 1
    assert len([path for path in (inbox / "done").iterdir()]) == 1
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    assert [line["message"].endswith(intake.queue.list()[0].job) for line in lines if line["event"] == "duplicate"] == [True]


def test_the_same_content_with_other_settings_is_another_job(intake, inbox):
    _drop(inbox, "a.h5")
    (inbox / "b.h5").write_bytes((inbox / "a.h5").read_bytes())
    (inbox / "b.h5.toml").write_text("format = ['glb-baked']\n")
    states = _turn(intake)
    assert sorted(state.spec.settings["format"][0] for state in states) == ["glb-baked", "glb-skeletal"]


def test_another_content_under_the_same_name_is_another_job(intake, inbox):
    _drop(inbox, "a.h5", frames=12)
    assert len(_turn(intake)) == 1
    _drop(inbox, "a.h5", frames=13)
    assert len({state.spec.key for state in _turn(intake)}) == 2


@pytest.mark.parametrize("option", ["joint_map", "rig_map", "rig", "bind_pose"])
def test_the_same_content_with_a_corrected_file_that_the_settings_name_is_another_job(intake, inbox, tmp_path, option):
    stage = {"joint_map": "motion_files", "bind_pose": "bind"}.get(option, "rig")
    named = tmp_path / {"rig": "named.glb", "bind_pose": "named.npz"}.get(option, "named.toml")
    options = replace(getattr(intake.settings, stage), **{option: str(named) if option in ("rig", "bind_pose") else named})
    intake.settings = replace(intake.settings, **{stage: options})
    write_take(tmp_path / "take.h5", small_take())
    take = (tmp_path / "take.h5").read_bytes()
    for content, name, jobs in ((b"one", "a.h5", 1), (b"one", "b.h5", 1), (b"two", "c.h5", 2), (b"one", "d.h5", 2)):
        named.write_bytes(content)
        (inbox / name).write_bytes(take)
        assert len({state.spec.key for state in _turn(intake)}) == jobs, name


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file that even root can't read")
def test_a_file_that_the_settings_name_and_nobody_can_read_refuses_the_job(intake, inbox, tmp_path):
    (tmp_path / "map.toml").symlink_to("/proc/self/mem")  # its first bytes are nobody's
    intake.settings = replace(intake.settings, motion_files=MotionFileOptions(joint_map=tmp_path / "map.toml"))
    _drop(inbox, "a.h5")
    (state,) = _turn(intake)
    assert state.spec.refused_code == 66 and state.spec.refused.startswith(f"{tmp_path}/map.toml: can't be read (Input/output error); ")
    assert claims.find(inbox, state.job) is not None


def test_no_more_is_taken_ahead_than_is_allowed(intake, inbox):
    intake.options = replace(QUICK, ahead=2)
    for number in range(5):
        _drop(inbox, f"{number}.h5", frames=12 + number)
    assert len(_turn(intake)) == 2
    assert len(scan(inbox)) == 3


def test_nothing_is_taken_where_a_disk_is_too_full(intake, inbox):
    _drop(inbox, "a.h5")
    intake.options = replace(QUICK, floor_mb=1e12)
    assert _turn(intake) == [] and "MB are free" in (intake.paused or "")
    intake.options = QUICK
    assert len(_turn(intake)) == 1 and intake.paused is None


@pytest.mark.parametrize("moment", ["taken", "named"])
def test_a_crash_between_claim_and_job_is_made_good(intake, inbox, moment):
    _drop(inbox, "a.h5")
    claim = claims.take(scan(inbox)[0], WORKER)
    assert claim is not None
    if moment == "named":
        claims.name(claim, "0123456789abcdef-1")
    (state,) = _turn(intake, 1)
    assert claims.find(inbox, state.job) is not None and state.spec.relative == "a.h5"
    assert len(claims.named(inbox, WORKER)) == 1


def test_what_the_database_does_not_take_just_now_is_taken_up_at_the_next_turn(intake, inbox, monkeypatch):
    def away(spec):
        raise TryAgainError("the database is away")

    _drop(inbox, "a.h5")
    with monkeypatch.context() as patched:
        patched.setattr(intake.queue, "submit", away)
        with pytest.raises(TryAgainError):
            _turn(intake)
        assert intake.turn([]) is not None and intake.queue.list() == [] and scan(inbox) == []
    (state,) = _turn(intake, 1)
    assert state.spec.relative == "a.h5" and [job for job, _ in claims.named(inbox, WORKER)] == [state.job]
    assert not intake.adoption.is_set()


def _warnings(said: io.StringIO) -> list[str]:
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    return [line["message"] for line in lines if line["event"] == "warning"]


def test_each_outage_of_an_inbox_is_told_once(intake, inbox, said, tmp_path):
    for outage in (1, 2):
        os.rename(inbox, tmp_path / "away")
        _turn(intake)
        (why,) = intake.unread.values()
        assert _warnings(said) == [why] * outage and why.startswith(f"{inbox}: can't be read (No such file or directory)")
        os.rename(tmp_path / "away", inbox)
        _turn(intake, 1)
        assert intake.unread == {}


def test_what_lasts_is_said_once_and_what_comes_back_again(intake, said, monkeypatch, clock):
    monkeypatch.setattr(intakes, "time", SimpleNamespace(monotonic=clock))

    def look(*warnings: str) -> None:
        clock.now_s += 60.0
        intake.turn([])
        for warning in warnings:
            intake._say_once("warning", warning)

    for number in range(30):
        look("lasts", f"passes {number}")
    assert _warnings(said).count("lasts") == 1
    assert len(intake._said_s) <= 1 + intakes._REMEMBERED_S / 60.0
    look("passes 0")
    assert _warnings(said).count("passes 0") == 2


def test_a_file_that_goes_on_changing_is_not_taken(intake, inbox):
    intake.readiness[inbox]._settle_s = 5.0
    _drop(inbox, "a.h5")
    assert _turn(intake) == [] and len(scan(inbox)) == 1
