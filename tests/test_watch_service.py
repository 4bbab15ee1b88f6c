"""The service as a whole, a real process: what it refuses, what it says, and that it ends in peace."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from rigdrop.motion.store import write_take

from .running_service import Place, RunningService
from .synthetic import small_take


def _take_bytes(folder: Path, frames: int = 12) -> bytes:
    path = folder / f"made{frames}.h5"
    write_take(path, replace(small_take(frames=frames), provenance={"take": f"clip{frames}", "fingerprint": str(frames)}))
    return path.read_bytes()


def _page(port: int, name: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=30) as page:
        return page.read().decode()


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


def test_a_take_that_is_dropped_comes_out_and_the_service_says_so_everywhere(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
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


def test_two_of_one_name_do_not_run_at_once(tmp_path):
    place = Place(tmp_path / "place")
    with RunningService(place, name="one") as service:
        other = RunningService(place, name="one")
        other.start(wait=False)
        assert other.wait_ended() == 78
        assert "one runs on this machine already" in str(other.find("error")[0]["message"])
        assert service.stop() == 143
