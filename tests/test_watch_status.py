"""The status file: whole, written when it says something new, and never in the way."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from rigdrop.watch.job import WorkerState
from rigdrop.watch.status import Snapshot, StatusFile, default_place, job_as_json

from .watch_values import a_state, at


@pytest.fixture
def snapshot() -> Snapshot:
    return Snapshot(
        worker="rig-1", state="running", started_utc=at(3600), inboxes=("/srv/inbox",), out="/srv/characters",
        counts={"waiting": 2, "running": 1, "failed": 1}, oldest_waiting_s=61.23456, inbox={"settling": 4},
        running=(a_state("deep/clip.mp4", "running", worker="rig-1", step="estimate", done=30, total=90, started_utc=at(60)),),
        failures=(a_state("bad.mp4", "failed", worker="rig-2", ended_utc=at(5), reason="bad.mp4: is not a video", code=66),),
        workers=(WorkerState("rig-1", "rig", 42, 0.123, True),), beat_age_s=0.123, child_memory_bytes=5, disk_free_bytes={"/srv": 10**12},
    )


@pytest.fixture
def file(tmp_path, clock) -> StatusFile:
    return StatusFile(tmp_path / "inbox.status.json", clock=clock)


def _read(file: StatusFile) -> dict:
    return json.loads(file.path.read_text(encoding="utf-8"))


def test_it_says_how_the_service_stands(file, snapshot):
    assert file.show(snapshot)
    content = _read(file)
    assert (content["schema"], content["schema_version"]) == ("rigdrop.status", 1)
    assert content["jobs"] == {"waiting": 2, "running": 1, "done": 0, "failed": 1, "cancelled": 0}
    assert content["inbox"] == {"settling": 4, "unopened": 0, "ready": 0}
    assert content["oldest_waiting_s"] == 61.2
    running, failure = content["running"][0], content["failures"][0]
    assert (running["source"], running["step"], running["done"], running["total"]) == ("deep/clip.mp4", "estimate", 30, 90)
    assert (failure["source"], failure["code"], failure["reason"]) == ("bad.mp4", 66, "bad.mp4: is not a video")
    assert content["workers"] == [{"worker": "rig-1", "host": "rig", "pid": 42, "beat_age_s": 0.1, "alive": True}]
    assert content["written_utc"] > "2026"


def test_the_page_names_every_key(root, snapshot):
    page = (root / "docs" / "service.md").read_text(encoding="utf-8")
    section = page.split("## status.json")[1].split("\n## ")[0]

    def keys(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from keys(inner)
        for inner in value if isinstance(value, list) else ():
            yield from keys(inner)

    told = {key for key in keys({**snapshot.as_json(), "disk_free_bytes": {}, "written_utc": ""})}
    assert {key for key in told if f"`{key}`" not in section} == set()


def test_it_is_written_at_most_once_a_second_and_when_something_changed(file, snapshot, clock):
    assert file.show(snapshot)
    step = replace(snapshot, counts={"waiting": 1})
    clock.now_s += 0.5
    assert not file.show(step)
    assert _read(file)["jobs"]["waiting"] == 2
    clock.now_s += 0.6
    assert file.show(step)  # the change is not forgotten meanwhile
    assert _read(file)["jobs"]["waiting"] == 1
    clock.now_s += 30
    assert not file.show(step)


def test_figures_that_never_rest_are_no_reason_to_write(file, snapshot, clock):
    file.show(snapshot)
    clock.now_s += 30
    restless = replace(snapshot, beat_age_s=9.0, oldest_waiting_s=99.0, disk_free_bytes={"/srv": 1}, child_memory_bytes=7,
                       workers=(replace(snapshot.workers[0], beat_age_s=8.0),))
    assert not file.show(restless)
    assert file.show(replace(restless, workers=(replace(snapshot.workers[0], alive=False),)))


def test_once_a_minute_it_is_written_all_the_same(file, snapshot, clock):
    file.show(snapshot)
    clock.now_s += 60
    assert file.show(replace(snapshot, beat_age_s=9.0))
    assert _read(file)["beat_age_s"] == 9.0


def test_a_name_that_is_no_unicode_is_still_json(file, snapshot):
    file.show(replace(snapshot, running=(a_state("caf\udce9.mp4", "running"),)))
    assert _read(file)["running"][0]["source"] == "caf\udce9.mp4"


def test_a_place_that_can_not_be_written_is_told_of_once_and_used_again_later(tmp_path, snapshot, clock):
    said = []
    (tmp_path / "x").touch()
    file = StatusFile(tmp_path / "x" / "status.json", said.append, clock)
    for waiting in range(3):
        clock.now_s += 2
        assert not file.show(replace(snapshot, counts={"waiting": waiting}))
    assert len(said) == 1
    assert "status.json: can't be written" in said[0]
    (tmp_path / "x").unlink()
    clock.now_s += 2
    assert file.show(replace(snapshot, counts={"waiting": 9}))
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["status.json"]


def test_what_a_killed_worker_has_left_is_written_over(file, snapshot, tmp_path):
    file._draft("rig-1").write_text("{")
    assert file._draft("rig-1") != file._draft("rig-2")
    assert file.show(snapshot) and _read(file)["worker"] == "rig-1"
    assert [path.name for path in tmp_path.iterdir()] == ["inbox.status.json"]


def test_the_last_word_is_said_at_once_unless_another_worker_goes_on(file, snapshot):
    stopped = replace(snapshot, state="stopped")
    others = (*snapshot.workers, WorkerState("rig-2", "rig", 43, 1.0, True))
    StatusFile(file.path).show(replace(snapshot, worker="rig-2"))
    file.show(snapshot)
    assert not file.close(replace(stopped, workers=others))
    assert _read(file)["state"] == "running"
    assert file.close(replace(stopped, workers=(replace(others[0], alive=False), replace(others[1], alive=False))))
    assert _read(file)["state"] == "stopped"


def test_a_live_worker_that_writes_another_file_takes_nobody_the_last_word(file, snapshot):
    file.show(snapshot)
    others = (*snapshot.workers, WorkerState("rig-2", "rig", 43, 1.0, True))
    assert file.close(replace(snapshot, state="stopped", workers=others))
    assert _read(file)["state"] == "stopped"


def test_its_place_is_beside_the_inbox(tmp_path):
    assert default_place(tmp_path / "in.box") == tmp_path / "in.box.status.json"


def test_a_job_as_json_has_every_field():
    state = a_state("clip.mp4", "failed", reason="no", code=66)
    told = json.loads(json.dumps(job_as_json(state)))
    assert told["spec"]["relative"] == "clip.mp4"
    assert (told["state"], told["reason"], told["code"], told["steps"]) == ("failed", "no", 66, [])
