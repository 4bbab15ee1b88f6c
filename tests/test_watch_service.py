"""The service as a whole, a real process: what it refuses, what it says, and that it ends in peace."""

from __future__ import annotations

import io
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from rigdrop.config.options import OutputOptions
from rigdrop.config.settings import Settings
from rigdrop.errors import SettingsError
from rigdrop.motion.store import write_take
from rigdrop.watch import service as services
from rigdrop.watch.log import JobLog
from rigdrop.watch.options import WatchOptions
from rigdrop.watch.service import Service

from .running_service import Place, RunningService
from .synthetic import small_take


def _take_bytes(folder: Path, frames: int = 12) -> bytes:
    path = folder / f"made{frames}.h5"
    write_take(path, replace(small_take(frames=frames), provenance={"take": f"clip{frames}", "fingerprint": str(frames)}))
    return path.read_bytes()


def _page(port: int, name: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=30) as page:
        return page.read().decode()


def _ready(port: int) -> dict[str, str | None]:
    """The parts of the service with why they are not ready, where they are not."""
    try:
        lines = _page(port, "readyz")
    except urllib.error.HTTPError as error:
        with error:
            lines = error.read().decode()
    return {part["part"]: part["why"] for part in map(json.loads, lines.splitlines())}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _refused(*words: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-m", "rigdrop", "watch", *words], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, json.loads(done.stderr.splitlines()[-1])["message"]


@pytest.mark.parametrize(("words", "code", "says"), [
    ((), 64, "found no folder"),
    (("{tmp}/none",), 78, "found no folder {tmp}/none"),
    (("{tmp}/in", "{tmp}/in/deep"), 78, "{tmp}/in/deep lies in {tmp}/in"),
    (("{tmp}/in", "--out", "{tmp}/in/out"), 78, "lies in the inbox"),
    (("{tmp}/in", "--webhook", "file:///etc/passwd"), 78, "webhook: found no http"),
    (("{tmp}/in", "--database", "mysql://x/y"), 78, "mysql"),
    (("{tmp}/in", "--settle", "0"), 78, "settle_s: found 0"),
    (("{tmp}/in", "--worker", "a b"), 78, "worker: found 'a b'"),
])
def test_what_cannot_be_is_refused_in_a_sentence(tmp_path, words, code, says, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "in" / "deep").mkdir(parents=True)
    found = _refused(*(word.format(tmp=tmp_path) for word in words))
    assert found[0] == code and says.format(tmp=tmp_path) in found[1]


@pytest.mark.parametrize(("inboxes", "out", "says"), [
    (("in",), "way/out", "{tmp}/way/out lies in the inbox {tmp}/in"),
    (("in",), "beside/../in/out", "{tmp}/beside/../in/out lies in the inbox {tmp}/in"),
    (("way",), "in/out", "{tmp}/in/out lies in the inbox {tmp}/way"),
    (("in", "way"), "out", "{tmp}/way lies in {tmp}/in, or is it"),
    (("way/deep", "in"), "out", "{tmp}/way/deep lies in {tmp}/in, or is it"),
])
def test_places_are_compared_by_where_they_are_and_not_by_their_names(tmp_path, inboxes, out, says):
    for folder in ("in/deep", "beside"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "way").symlink_to("in")
    settings = Settings(output=OutputOptions(out=tmp_path / out))
    options = WatchOptions(database=str(tmp_path / "jobs.db"))
    service = Service(tuple(tmp_path / inbox for inbox in inboxes), settings, options, tmp_path / "state", lambda: None)
    service.stopping.set()  # one that accepts them ends at once
    with pytest.raises(SettingsError, match=re.escape(says.format(tmp=tmp_path))):
        service.run()


def test_a_take_that_is_dropped_comes_out_and_the_service_says_so_everywhere(tmp_path):
    port = _free_port()
    program = tmp_path / "told.sh"
    program.write_text(f"#!/bin/sh\n(cat; echo) >> {tmp_path}/told.jsonl\n")
    program.chmod(0o755)
    place = Place(tmp_path / "place")
    with RunningService(place, "--port", str(port), "--on-finish", str(program), "--grace", "1") as service:
        place.drop("歩く/clip.h5", _take_bytes(tmp_path))
        place.drop("bad.h5", b"no take", good=False)
        place.wait_until_ended()
        service.wait_for("failed")
        ready, figures = (_page(port, name) for name in ("readyz", "metrics"))
        assert service.stop() == 143
    assert all(json.loads(line)["ready"] for line in ready.splitlines())
    assert 'rigdrop_jobs_total{outcome="done"} 1.0' in figures and 'rigdrop_failures_total{code="66"} 1.0' in figures
    assert (place.out / "歩く" / "clip12" / "report.json").is_file()
    assert "bad.h5" in next((place.inbox / "failed").glob("*/error.txt")).read_text()
    status = json.loads((tmp_path / "place" / "inbox.status.json").read_text())
    assert (status["state"], status["jobs"]["done"], status["jobs"]["failed"]) == ("stopped", 1, 1)
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert sorted(each["state"] for each in told) == ["done", "failed"]
    place.outcome(service).check()


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has no SIGHUP")
def test_settings_are_read_again_at_a_hangup_and_wrong_ones_change_nothing(tmp_path):
    config = tmp_path / "rigdrop.toml"
    config.write_text("bundle = false\n")
    place = Place(tmp_path / "place")
    with RunningService(place, "--config", str(config)) as service:
        config.write_text("bundel = true\n")
        service.signal(signal.SIGHUP)
        assert "bundel: found an unknown key; the nearest is 'bundle'" in str(service.wait_for("error")["message"])
        config.write_text("bundle = true\n")
        service.signal(signal.SIGHUP)
        service.wait_for("reloaded")
        place.drop("clip.h5", _take_bytes(tmp_path))
        place.wait_until_ended()
        service.stop()
    assert (place.out / "clip12" / "clip12_bundle.zip").is_file()


@pytest.mark.parametrize("wrong", ["webhook", "out", "out by a link"])
def test_what_a_start_refuses_a_reload_refuses_too(tmp_path, wrong):
    inbox, said = tmp_path / "in", io.StringIO()
    inbox.mkdir()
    (tmp_path / "way").symlink_to(inbox)
    old = Settings(output=OutputOptions(out=tmp_path / "out")), WatchOptions()
    new = {
        "webhook": (old[0], WatchOptions(webhook="ftp://studio.example/hook")),
        "out": (Settings(output=OutputOptions(out=inbox / "out")), WatchOptions(jobs=7)),
        "out by a link": (Settings(output=OutputOptions(out=tmp_path / "way" / "out")), WatchOptions(jobs=7)),
    }[wrong]
    service = Service((inbox,), *old, tmp_path / "state", lambda: new, log=JobLog(said))
    service.intake, service.work = SimpleNamespace(settings=old[0], options=old[1]), SimpleNamespace(options=old[1])
    service._reload()
    assert (service.settings, service.options) == (service.intake.settings, service.intake.options) == old
    assert service.work.options == old[1]
    assert f'"message": "{wrong.split()[0]}: ' in said.getvalue() and "the settings stay as they were" in said.getvalue()


def test_all_that_is_waited_for_at_a_stop_has_the_seconds_together(tmp_path, monkeypatch, clock):
    # An intake that hashes a huge file, a job that ends no step, and a child that is given some time: on a clock that only waiting moves.
    def wait(seconds: float) -> None:
        clock.now_s += seconds

    service = Service((tmp_path,), Settings(), WatchOptions(stop_s=10.0), tmp_path, lambda: None, log=JobLog(io.StringIO()))
    monkeypatch.setattr(services, "time", SimpleNamespace(monotonic=clock, sleep=wait))
    service.intake = service.work = SimpleNamespace(stopping=SimpleNamespace(set=lambda: None))
    service._intake_thread = SimpleNamespace(join=wait, is_alive=lambda: True)
    service.queue = SimpleNamespace(running=lambda: ["job"], stop=lambda release: None)
    service.children, service.wake = SimpleNamespace(stop=lambda grace_s: wait(grace_s)), SimpleNamespace(wake=lambda: None)
    start_s = clock()
    assert service._stop() == 143
    assert clock() - start_s == pytest.approx(10.0, abs=0.2)  # a look each tenth of a second


def test_an_inbox_that_is_gone_is_told_of_each_time_and_on_the_page(tmp_path):
    port, place = _free_port(), Place(tmp_path / "place")
    away = tmp_path / "away"

    def wait_until_said(gone: bool) -> None:
        until_s = time.monotonic() + 60
        while (_ready(port)["inbox"] is not None) != gone:
            assert time.monotonic() < until_s, _ready(port)
            time.sleep(0.05)

    with RunningService(place, "--port", str(port), "--watching", "poll", "--poll", "0.1") as service:
        wait_until_said(gone=False)
        for _ in range(2):
            place.inbox.rename(away)
            wait_until_said(gone=True)
            assert f"{place.inbox}: can't be read (No such file or directory)" in str(_ready(port)["inbox"])
            away.rename(place.inbox)
            wait_until_said(gone=False)
        assert service.stop() == 143
    assert len([line for line in service.find("warning") if f"{place.inbox}: can't be read" in line["message"]]) == 2


def test_two_of_one_name_do_not_run_at_once(tmp_path):
    place = Place(tmp_path / "place")
    with RunningService(place, name="one") as service:
        other = RunningService(place, name="one")
        other.start(wait=False)
        assert other.wait_ended() == 78
        assert "one runs on this machine already" in str(other.find("error")[0]["message"])
        assert service.stop() == 143
