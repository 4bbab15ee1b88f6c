"""When to look: at once after events, by the clock where there are none, and never because of ourselves."""

from __future__ import annotations

import os
import threading
import time

import pytest

from rigdrop.watch.scan import scan
from rigdrop.watch.settle import to_done
from rigdrop.watch.wake import Wake

from .watch_folders import claim_of, drop, run_script

LONG_S = 20.0  # far less than the minute after which every folder is looked into
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="times of events are those of Linux and macOS")


@pytest.fixture
def wake(tmp_path):
    roots = [tmp_path / "a", tmp_path / "b"]
    for root in roots:
        root.mkdir()
    wake = Wake(roots, "events", poll_s=3600.0, say=lambda message: pytest.fail(message))
    assert wake.wait(LONG_S) == set(roots)
    yield wake
    wake.close()


def test_every_folder_is_looked_into_first(tmp_path):
    for watching in ("auto", "events", "poll"):
        wake = Wake([tmp_path], watching, 5.0)
        assert wake.wait(LONG_S) == {tmp_path}
        assert wake.polled() == ({tmp_path} if watching == "poll" else set())
        wake.close()


def test_a_new_file_wakes_for_its_folder_only(tmp_path, wake):
    drop(tmp_path / "b", "clip.mp4")
    assert wake.wait(LONG_S) == {tmp_path / "b"}


@pytest.mark.parametrize("kind", ["written to", "moved in", "deep", "folder moved in", "in a folder moved in", "renamed"])
def test_whatever_may_be_ready_wakes(tmp_path, wake, kind):
    root, aside = tmp_path / "a", tmp_path / "aside"
    drop(aside, "shots/clip.mp4")
    drop(root, "x/here.mp4")
    time.sleep(0.3)
    while wake.wait(0.5):
        pass
    if kind == "written to":
        (root / "x" / "here.mp4").write_bytes(b"more")
    elif kind == "moved in":
        os.rename(aside / "shots" / "clip.mp4", root / "clip.mp4")
    elif kind == "deep":
        drop(root, "x/y/z/clip.mp4")
    elif kind == "renamed":
        os.rename(root / "x" / "here.mp4", root / "there.mp4")
    else:
        os.rename(aside / "shots", root / "shots")
    assert wake.wait(LONG_S) == {root}
    if kind == "in a folder moved in":
        drop(root, "shots/second.mp4")
        assert wake.wait(LONG_S) == {root}


def test_looking_and_taking_and_settling_and_what_is_passed_over_wake_nobody(tmp_path, wake):
    root = tmp_path / "a"
    drop(root, "clip.mp4")
    assert wake.wait(LONG_S) == {root}
    (root / "clip.mp4").read_bytes()
    scan(root)
    claim = claim_of(root, "clip.mp4")
    claim.source.read_bytes()
    (root / ".rigdrop" / "logs").mkdir()
    (root / ".rigdrop" / "logs" / "job.jsonl").write_text("a line")
    to_done(claim)
    drop(root, "copy.mp4.part", b"half")
    drop(root, "@eaDir/clip.mp4")
    (root / "copy.mp4.part").unlink()
    assert wake.wait(1.0) == set()


def test_a_swarm_of_files_wakes_a_few_times_only(tmp_path, wake):
    for number in range(500):
        drop(tmp_path / "a", f"{number}.mp4")
    count = 0
    while wake.wait(1.0):
        count += 1
    assert 1 <= count < 20


def test_it_waits_no_longer_than_asked(wake):
    began = time.monotonic()
    assert wake.wait(0.05) == set()
    assert wake.wait(0.0) == set()
    assert time.monotonic() - began < LONG_S


def test_somebody_can_wake_it(wake):
    timer = threading.Timer(0.05, wake.wake)
    timer.start()
    began = time.monotonic()
    assert wake.wait(None) == set()
    assert time.monotonic() - began < LONG_S
    timer.join()
    wake.wake()
    assert wake.wait(LONG_S) == set()


def test_polling_comes_again_and_again(tmp_path):
    wake = Wake([tmp_path], "poll", poll_s=0.05)
    assert [wake.wait(LONG_S) for _ in range(4)] == [{tmp_path}] * 4
    wake.close()


def test_a_share_is_polled_and_a_local_disk_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("rigdrop.watch.wake.network_filesystem", lambda path: "nfs4" if path.name == "share" else None)
    roots = [tmp_path / "share", tmp_path / "disk"]
    for root in roots:
        root.mkdir()
    for watching, polled in (("auto", {roots[0]}), ("events", set()), ("poll", set(roots))):
        wake = Wake(roots, watching, 5.0)
        assert wake.polled() == polled
        wake.close()


def test_a_root_that_is_a_link_is_watched_where_it_leads(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    wake = Wake([tmp_path / "link"], "events", 3600.0)
    wake.wait(LONG_S)
    drop(tmp_path / "real", "clip.mp4")
    assert wake.wait(LONG_S) == {tmp_path / "link"}
    wake.close()


def test_a_folder_that_is_not_there_is_polled_and_told_of_once(tmp_path):
    told: list[str] = []
    wake = Wake([tmp_path / "share"], "auto", 0.05, told.append)
    assert [wake.wait(LONG_S) for _ in range(3)] == [{tmp_path / "share"}] * 3
    assert wake.polled() == {tmp_path / "share"} and len(told) == 1 and "share" in told[0]
    wake.close()


def test_a_folder_that_is_made_anew_is_watched_anew(tmp_path):
    root = tmp_path / "share"
    root.mkdir()
    wake = Wake([root], "events", 0.05)
    wake.wait(LONG_S)
    root.rename(tmp_path / "old")
    root.mkdir()
    drop(tmp_path / "old", "clip.mp4")  # wakes once more, and then shows that it is another folder now
    assert wake.wait(LONG_S) == {root}
    drop(root, "clip.mp4")
    assert wake.wait(LONG_S) == {root}
    assert wake.polled() == set()
    wake.close()


def test_where_the_system_has_no_watches_left_the_folder_is_polled(tmp_path):
    said = run_script(
        "import os, resource, sys; from pathlib import Path; from rigdrop.watch.wake import Wake\n"
        "root = Path(sys.argv[1])\n"
        "used = os.dup(0); os.close(used)\n"
        "before = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (used, before[1]))\n"
        "wake = Wake([root], 'events', 0.05, print)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, before)\n"
        "print(wake.polled() == {root}, [wake.wait(20.0) == {root} for _ in range(3)])\n"
        "wake.close()",
        tmp_path,
    )
    lines = said.splitlines()
    assert len(lines) == 2 and "can't be watched" in lines[0] and lines[1] == "True [True, True, True]"
