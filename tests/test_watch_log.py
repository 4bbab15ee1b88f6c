"""What the service says: lines with job, step and frame, on the stream and in a file for each job."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
import warnings

import pytest

from rigdrop.watch.job import logs_folder
from rigdrop.watch.log import JobLog, find_log, prune, read_lines

from .watch_values import a_spec

DAY_S = 86_400


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def log(stream, clock) -> JobLog:
    return JobLog(stream, clock)


@pytest.fixture
def spec(tmp_path):
    return a_spec(root=tmp_path)


def _lines(stream) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def _file(spec, tmp_path) -> list[dict]:
    return [json.loads(line) for line in (logs_folder(tmp_path) / f"{spec.job}.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_service_speaks_in_json_lines(log, stream):
    log.service("started", worker="rig-1", roots=["/srv/踊り"])
    log.service("warning", message="slow")
    assert [(line["event"], line["level"]) for line in _lines(stream)] == [("started", "info"), ("warning", "warning")]
    assert _lines(stream)[0]["roots"] == ["/srv/踊り"]
    assert _lines(stream)[0]["timestamp"].endswith("Z")


def test_a_job_is_told_of_on_the_stream_and_in_its_own_file(log, stream, spec, tmp_path):
    log.event(spec, "submitted", bytes=5)
    log.event(spec, "step", step="estimate", worker="rig-1")
    for lines in (_lines(stream), _file(spec, tmp_path)):
        assert [(line["job"], line["event"], line.get("step")) for line in lines] == [
            (spec.job, "submitted", None), (spec.job, "step", "estimate"),
        ]


def test_a_stage_is_told_of_only_where_it_is_not_the_step_itself(log, spec, tmp_path):
    log.event(spec, "step", step="fit")
    log.event(spec, "stage", step="fit", stage="fit", take="clip")
    log.event(spec, "stage", step="fit", stage="fetch", take="clip")
    assert [(line["event"], line["step"], line.get("stage")) for line in _file(spec, tmp_path)] == [
        ("step", "fit", None), ("stage", "fit", "fetch"),
    ]


def test_progress_is_frames_and_thinned_but_for_the_last(log, stream, spec, clock):
    for frame in range(1, 11):
        log.event(spec, "progress", step="estimate", stage="estimate", done=frame, total=10)
        clock.now_s += 1.0
    assert [(line["step"], line["frame"], line["frames"]) for line in _lines(stream)] == [
        ("estimate", 1, 10), ("estimate", 6, 10), ("estimate", 10, 10),
    ]


def test_a_crash_says_at_which_frame(log, spec, tmp_path):
    log.event(spec, "progress", step="estimate", done=1, total=9)
    log.event(spec, "progress", step="estimate", done=7, total=9)  # not said, and known all the same
    log.event(spec, "crash", step="estimate", message="killed by signal 11", crashes=1)
    log.event(spec, "step", step="fit")
    crash, step = _file(spec, tmp_path)[1:]
    assert (crash["frame"], crash["level"]) == (7, "warning")
    assert "frame" not in step


def test_another_time_round_begins_anew(log, spec, tmp_path):
    log.event(spec, "progress", step="estimate", done=3, total=9)
    log.event(spec, "failed", step="estimate", message="no people")
    log.event(spec, "warning", step="estimate", message="again")
    assert ["frame" in line for line in _file(spec, tmp_path)] == [True, False, False]


def test_a_name_that_is_no_unicode_is_still_json(log, stream, tmp_path):
    log.event(a_spec("caf\udce9.mp4", tmp_path), "submitted", source="caf\udce9.mp4")
    assert _lines(stream)[0]["source"] == "caf\udce9.mp4"
    assert _file(a_spec("caf\udce9.mp4"), tmp_path)[0]["source"] == "caf\udce9.mp4"


def test_lines_of_many_threads_stay_whole(log, stream, spec, tmp_path):
    def talk(number):
        for each in range(50):
            log.event(spec, "warning", message="x" * 500, number=number, each=each)

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for lines in (_lines(stream), _file(spec, tmp_path)):
        assert sorted((line["number"], line["each"]) for line in lines) == [(number, each) for number in range(4) for each in range(50)]


def test_a_root_that_is_gone_is_told_of_once_and_never_made(log, stream, tmp_path):
    gone = a_spec(root=tmp_path / "unmounted")
    for _ in range(3):
        log.event(gone, "step", step="fit")
    assert [line["event"] for line in _lines(stream)] == ["step", "warning", "step", "step"]
    assert "can't be written" in _lines(stream)[1]["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_is_gone_is_passed_over(spec, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    broken = os.fdopen(writing, "w")
    log = JobLog(broken)
    log.event(spec, "step", step="fit")
    assert [line["event"] for line in _file(spec, tmp_path)] == ["step"]
    with pytest.raises(BrokenPipeError):
        broken.close()
    log.event(spec, "step", step="fit")
    assert len(_file(spec, tmp_path)) == 2


def test_in_a_terminal_the_lines_are_for_people_and_names_can_not_talk_to_it(clock):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    JobLog(terminal, clock).service("submitted", source="\x1b]0;owned\x07.mp4")
    assert not terminal.getvalue().startswith("{")
    assert "\x1b]0;" not in terminal.getvalue() and "\x07" not in terminal.getvalue()


def test_what_libraries_log_comes_out_here_while_the_block_runs(log, stream):
    with log.of_libraries():
        logging.getLogger("somebody").info("chatter")
        logging.getLogger("somebody").warning("%s is slow", "disk")
        try:
            raise ValueError("bad")
        except ValueError:
            logging.getLogger("somebody").exception("failed")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", stacklevel=1)
    logging.getLogger("somebody").addHandler(logging.NullHandler())
    logging.getLogger("somebody").warning("after")
    told = _lines(stream)
    assert [line["logger"] for line in told] == ["somebody", "somebody", "py.warnings"]
    assert [line["level"] for line in told] == ["warning", "error", "warning"]
    assert told[0]["message"] == "disk is slow"
    assert "ValueError: bad" in told[1]["traceback"]


def test_old_logs_go_but_not_those_of_live_jobs(tmp_path):
    folder = logs_folder(tmp_path)
    folder.mkdir(parents=True)
    now_s = folder.stat().st_mtime
    for name, days in (("old.jsonl", 31), ("live.jsonl", 31), ("new.jsonl", 29), ("old.txt", 31)):
        (folder / name).touch()
        os.utime(folder / name, (now_s - days * DAY_S,) * 2)
    assert prune(tmp_path, 30, live=["live"]) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["live.jsonl", "new.jsonl", "old.txt"]
    assert prune(tmp_path / "none", 30) == 0


def test_the_log_is_found_with_the_others_or_with_the_source_of_a_job_that_failed(tmp_path, spec):
    assert find_log(spec) is None
    failed = tmp_path / "failed" / spec.job / "log.jsonl"
    failed.parent.mkdir(parents=True)
    failed.touch()
    assert find_log(spec) == failed
    JobLog(io.StringIO()).event(spec, "step")
    assert find_log(spec) == logs_folder(tmp_path) / f"{spec.job}.jsonl"


def test_lines_are_read_whatever_they_are(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"event": "step"}\n\nsegfault \xff\nno end')
    assert list(read_lines(path)) == ['{"event": "step"}', "", "segfault \ufffd", "no end"]


def test_following_gives_what_comes_until_the_end(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"one\ntw")
    asked = []

    def ended() -> bool:
        """Something is written before each question but the first; the last words come with the end."""
        asked.append(len(asked))
        with path.open("ab") as file:
            file.write({1: b"o\nthr", 2: b"ee\nlast"}.get(asked[-1], b""))
        return asked[-1] == 2

    assert list(read_lines(path, ended, poll_s=0.001)) == ["one", "two", "three", "last"]
