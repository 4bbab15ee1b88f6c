"""Names and staging folders of jobs: one name for one job, nothing overwritten, and no harm in doing a step again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rigdrop.errors import WriteError
from rigdrop.watch import staging
from rigdrop.watch.job import staging_folder
from rigdrop.watch.staging import clear, publish, reserve_name, sweep


def _stage(out, name, job, text="here"):
    folder = staging_folder(out, job) / name
    folder.mkdir(parents=True)
    (folder / "take.h5").write_text(text)
    (folder / "report.json").write_text(f'{{"schema": "rigdrop.report", "job": "{job}"}}')


def test_a_name_is_asked_for_twice_and_stays(tmp_path):
    assert [reserve_name(tmp_path, "clip", "a-1") for _ in range(2)] == ["clip", "clip"]


def test_a_name_that_another_job_or_take_has_gets_a_number(tmp_path):
    (tmp_path / "clip").mkdir()
    assert reserve_name(tmp_path, "clip", "a-1") == "clip_2"
    assert reserve_name(tmp_path, "clip", "b-1") == "clip_3"
    assert reserve_name(tmp_path, "歩く", "b-1") == "歩く"


def test_the_longest_name_gets_a_number_too(tmp_path):
    name = "あ" * 60
    assert reserve_name(tmp_path, name, "a-1") == name
    assert reserve_name(tmp_path, name, "b-1") == f"{name}_2"


def test_workers_that_ask_at_the_same_time_get_different_names(tmp_path):
    script = """
import sys
from pathlib import Path
from rigdrop.watch.staging import reserve_name
for number in range(40):
    print(reserve_name(Path(sys.argv[1]), "clip", f"{sys.argv[2]}{number}-1"))
"""
    workers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), who], stdout=subprocess.PIPE, text=True) for who in "abc"]
    names = [name for worker in workers for name in worker.communicate()[0].split()]
    assert len(names) == 120 and sorted(names) == sorted({"clip", *(f"clip_{number}" for number in range(2, 121))})


def test_names_come_and_go_at_the_same_time(tmp_path):
    script = """
import sys
from pathlib import Path
from rigdrop.watch.staging import clear, reserve_name
for number in range(300):
    job = f"{sys.argv[2]}{number}-1"
    reserve_name(Path(sys.argv[1]), job, job)
    clear(Path(sys.argv[1]), job)
"""
    workers = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path), who], stderr=subprocess.PIPE, text=True) for who in "abc"]
    assert [worker.communicate()[1] for worker in workers] == ["", "", ""]
    assert not list(tmp_path.iterdir())


def test_a_name_is_passed_over_where_its_take_appears_and_its_holder_lets_go_just_before_it_is_taken(tmp_path, monkeypatch):
    take_name = staging._take_name

    def late(note, job):
        (tmp_path / "clip").mkdir(exist_ok=True)
        return take_name(note, job)

    monkeypatch.setattr(staging, "_take_name", late)
    assert reserve_name(tmp_path, "clip", "a-1") == "clip_2"
    clear(tmp_path, "a-1")
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]


def test_what_was_written_by_halves_is_swept_away_and_nothing_else(tmp_path):
    _stage(tmp_path, "clip", "a-1")
    kept = {path for path in tmp_path.rglob("*") if path.is_file()}
    for place in ("clip/.0a1b2c3d4e5f.part.json", "clip/person_01/.0a1b2c3d4e5f.part.glb", ".scratch/.0a1b2c3d4e5f.part"):
        path = staging_folder(tmp_path, "a-1") / place
        path.parent.mkdir(exist_ok=True)
        path.touch()
    sweep(tmp_path, "a-1")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == kept
    sweep(tmp_path, "never-1")


def test_a_take_appears_whole_once(tmp_path):
    _stage(tmp_path, "clip", "a-1")
    assert publish(tmp_path, "clip", "a-1") == tmp_path / "clip"
    assert publish(tmp_path, "clip", "a-1") == tmp_path / "clip"
    assert (tmp_path / "clip" / "take.h5").read_text() == "here"


def test_what_lies_there_is_never_overwritten(tmp_path):
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "mine.txt").write_text("mine")
    _stage(tmp_path, "clip", "a-1")
    with pytest.raises(WriteError, match="clip"):
        publish(tmp_path, "clip", "a-1")
    assert (tmp_path / "clip" / "mine.txt").read_text() == "mine"
    assert (staging_folder(tmp_path, "a-1") / "clip" / "take.h5").exists()


def test_a_take_of_which_nothing_is_left_is_an_error(tmp_path):
    with pytest.raises(WriteError, match="retry"):
        publish(tmp_path, "clip", "a-1")


def test_nothing_is_left_of_a_job(tmp_path):
    for job in ("a-1", "b-1"):
        _stage(tmp_path, reserve_name(tmp_path, "clip", job), job)
    publish(tmp_path, "clip", "a-1")
    clear(tmp_path, "a-1")
    assert sorted(path.name for path in (tmp_path / ".rigdrop").rglob("*") if path.is_dir()) == ["b-1", "clip_2", "clip_2", "names"]
    (tmp_path / ".rigdrop" / "names" / ".b-1").mkdir()  # it was killed before a name was its own
    clear(tmp_path, "b-1")
    clear(tmp_path, "b-1")
    assert [path.name for path in tmp_path.iterdir()] == ["clip"]
