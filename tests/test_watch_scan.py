"""What a scan finds: inputs at any depth and nothing else, whatever their names, whatever lies beside them."""

from __future__ import annotations

import os
import unicodedata
from dataclasses import replace

import pytest

from rigdrop.watch import stay
from rigdrop.watch.scan import Stamp, forget_gone, scan

from .watch_folders import LONG_NAME, RAW_NAME, drop, entry_of, reachable_folder, run_as_nobody


def _found(root):
    return [entry.relative for entry in scan(root)]


def test_inputs_are_found_at_any_depth_in_order(tmp_path):
    for relative in ("b.MP4", "a/deep/down/c.mov", "a/take.h5", "notes.txt", "a/clip.mp4.toml", "rigdrop.toml"):
        drop(tmp_path, relative)
    assert _found(tmp_path) == ["a/deep/down/c.mov", "a/take.h5", "b.MP4"]


def test_an_entry_says_where_and_how_the_file_is(tmp_path):
    path = drop(tmp_path, "sub/clip.mp4", b"12345")
    os.utime(path, ns=(1, 1_600_000_000_123_456_789))
    entry = entry_of(tmp_path, "sub/clip.mp4")
    assert entry.path == path and entry.sidecar is None
    assert entry.stamp == Stamp(5, os.stat(path).st_mtime_ns, os.stat(path).st_ino)


@pytest.mark.parametrize(
    "folder", [".hidden", "@eaDir", ".stversions", "#recycle", ".snapshot", "copy.part", "~old", "done", "failed", ".rigdrop", "Done"]
)
def test_folders_of_others_and_our_own_are_not_looked_into(tmp_path, folder):
    drop(tmp_path, f"{folder}/clip.mp4")
    assert _found(tmp_path) == []


def test_our_names_further_down_are_anybodys(tmp_path):
    drop(tmp_path, "shots/done/clip.mp4")
    drop(tmp_path, "shots/failed/clip.mp4")
    drop(tmp_path, "shots/.rigdrop/clip.mp4")
    assert _found(tmp_path) == ["shots/done/clip.mp4", "shots/failed/clip.mp4"]


@pytest.mark.parametrize("name", [".clip.mp4", "clip.mp4.part", "clip.mp4.filepart", "clip.mp4.crdownload", "clip.mp4.tmp", "~clip.mp4"])
def test_unfinished_files_are_not_found(tmp_path, name):
    drop(tmp_path, name)
    assert _found(tmp_path) == []


def test_a_file_comes_with_the_stamp_of_its_settings(tmp_path):
    drop(tmp_path, "clip.mp4", sidecar="start = 1\n")
    before = entry_of(tmp_path, "clip.mp4")
    assert before.sidecar == Stamp.of(tmp_path / "clip.mp4.toml") and before.sidecar_path == tmp_path / "clip.mp4.toml"
    (tmp_path / "clip.mp4.toml").write_text("start = 12\n")
    assert entry_of(tmp_path, "clip.mp4").sidecar != before.sidecar


def test_settings_without_a_video_are_left_alone(tmp_path):
    (tmp_path / "clip.mp4.toml").write_text("start = 1\n")
    assert _found(tmp_path) == [] and (tmp_path / "clip.mp4.toml").exists()


def test_links_are_no_inputs_and_are_not_followed(tmp_path):
    outside, root = tmp_path / "outside", tmp_path / "root"
    drop(outside, "secret.mp4")
    drop(root, "real.mp4")
    drop(root, "folder/inner.mp4")
    (root / "to_file.mp4").symlink_to(outside / "secret.mp4")
    (root / "to_folder").symlink_to(outside)
    (root / "to_own_file.mp4").symlink_to("real.mp4")
    (root / "to_own_folder").symlink_to("folder")
    (root / "loop").symlink_to(root)
    (root / "nowhere.mp4").symlink_to("gone.mp4")
    (root / "real.mp4.toml").symlink_to(outside / "secret.mp4")
    assert _found(root) == ["folder/inner.mp4", "real.mp4"]
    assert entry_of(root, "real.mp4").sidecar is None
    assert (outside / "secret.mp4").exists() and (root / "to_file.mp4").is_symlink()


def test_a_root_that_is_a_link_is_what_it_leads_to(tmp_path):
    drop(tmp_path / "real", "clip.mp4")
    (tmp_path / "link").symlink_to("real")
    assert _found(tmp_path / "link") == ["clip.mp4"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_no_input(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert _found(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [LONG_NAME, "Bär.mp4", unicodedata.normalize("NFD", "Bär.mp4"), "歩く 🚶.mp4", " a .mp4", "a\nb.mp4", "-x.mp4", "a'\"$.mp4"],
)
def test_names_are_kept_as_they_are(tmp_path, name):
    drop(tmp_path, f"{name[:3]}/{name}")
    assert _found(tmp_path) == [f"{name[:3]}/{name}"]


def test_a_name_that_is_no_unicode_is_found(tmp_path):
    try:
        drop(tmp_path, RAW_NAME, b"x")
    except OSError:
        pytest.skip("this file system knows only Unicode")
    entry = entry_of(tmp_path, RAW_NAME)
    assert entry.path.read_bytes() == b"x" and len(entry.identity) == 40


def test_both_forms_of_a_name_are_two_files(tmp_path):
    for form in ("NFC", "NFD"):
        drop(tmp_path, unicodedata.normalize(form, "é.mp4"))
    if len(os.listdir(tmp_path)) == 1:
        pytest.skip("this file system takes both for one")
    assert len(_found(tmp_path)) == 2


def test_a_folder_that_is_moved_in_is_found_whole(tmp_path):
    for number in range(20):
        drop(tmp_path / "elsewhere", f"shots/{number % 3}/clip_{number:02}.mp4")
    (tmp_path / "root").mkdir()
    os.rename(tmp_path / "elsewhere" / "shots", tmp_path / "root" / "shots")
    assert len(_found(tmp_path / "root")) == 20


def test_thousands_of_files_are_found(tmp_path):
    for number in range(3000):
        (tmp_path / f"clip_{number:04}.mp4").touch()
    assert _found(tmp_path) == [f"clip_{number:04}.mp4" for number in range(3000)]


def test_files_that_go_while_they_are_looked_at_are_no_fault(tmp_path):
    """One thread makes and removes, this one scans; nothing is raised and nothing said."""
    import threading

    told: list[str] = []
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            path = drop(tmp_path, "sub/deep/clip.mp4")
            path.unlink()
            path.parent.rmdir()
            path.parent.parent.rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(300):
            scan(tmp_path, told.append)
    finally:
        stop.set()
        thread.join()
    assert told == []


def test_a_folder_without_rights_is_told_of_and_the_rest_is_found():
    with reachable_folder() as root:
        drop(root, "locked/a.mp4")
        drop(root, "open/b.mp4")
        (root / "locked").chmod(0)
        said = run_as_nobody(
            "import sys; from pathlib import Path; from rigdrop.watch.scan import scan\nbecome()\n"
            "print([entry.relative for entry in scan(Path(sys.argv[1]), print)])",
            root,
        )
    lines = said.splitlines()
    assert len(lines) == 2 and str(root / "locked") in lines[0] and "Permission denied" in lines[0]
    assert lines[1] == "['open/b.mp4']"


def test_a_root_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "share")


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a disk")
def test_a_disk_that_is_mounted_below_is_told_of_and_passed_over(tmp_path):
    import subprocess

    drop(tmp_path, "clip.mp4")
    (tmp_path / "disk").mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", tmp_path / "disk"], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a disk")
    try:
        drop(tmp_path, "disk/other.mp4")
        told: list[str] = []
        assert [entry.relative for entry in scan(tmp_path, told.append)] == ["clip.mp4"]
        assert len(told) == 1 and "another file system" in told[0]
    finally:
        subprocess.run(["umount", "-l", tmp_path / "disk"], check=True)


def test_what_is_done_and_stays_is_not_found_until_it_changes(tmp_path):
    drop(tmp_path, "a.mp4")
    path = drop(tmp_path, "b.mp4")
    stay.mark(tmp_path, entry_of(tmp_path, "b.mp4").identity)
    assert _found(tmp_path) == ["a.mp4"]
    os.utime(path)
    assert _found(tmp_path) == ["a.mp4", "b.mp4"]


def test_an_identity_tells_place_content_and_settings(tmp_path):
    drop(tmp_path, "clip.mp4", sidecar="start = 1\n")
    entry = entry_of(tmp_path, "clip.mp4")
    others = [
        replace(entry, relative="sub/clip.mp4"), replace(entry, sidecar=None),
        *(replace(entry, stamp=replace(entry.stamp, **{field: 7})) for field in ("size", "mtime_ns", "inode")),
        replace(entry, sidecar=replace(entry.sidecar, mtime_ns=7)),
    ]
    assert len({entry.identity, *(other.identity for other in others)}) == 7
    assert replace(entry, root=tmp_path / "mounted elsewhere").identity == entry.identity


def test_what_was_done_and_is_gone_is_forgotten_after_a_day(tmp_path):
    path = drop(tmp_path, "clip.mp4")
    drop(tmp_path, "other.mp4")
    for entry in scan(tmp_path):
        stay.mark(tmp_path, entry.identity)
    path.unlink()
    assert forget_gone(tmp_path) == 0
    for note in (tmp_path / ".rigdrop" / "stayed").iterdir():
        os.utime(note, (0, 0))
    assert forget_gone(tmp_path) == 1
    assert _found(tmp_path) == [] and len(stay.marked(tmp_path)) == 1
