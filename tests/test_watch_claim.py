"""Taking files: once, whole, whoever races for them, and never losing one."""

from __future__ import annotations

import json
import os
import unicodedata
from dataclasses import replace

import pytest

from rigdrop.errors import SettingsError, WriteError
from rigdrop.watch import claim as claims
from rigdrop.watch.claim import bring, changed, find, hand_back, held, holders, inherit, named, take, take_over, unnamed
from rigdrop.watch.job import claims_folder
from rigdrop.watch.scan import Stamp, scan

from .watch_folders import LONG_NAME, RAW_NAME, WORKER, claim_of, drop, entry_of, folders, reachable_folder, run_as_nobody, run_script, tree

NAMES = [LONG_NAME, RAW_NAME, "Bär.mp4", unicodedata.normalize("NFD", "Bär.mp4"), "歩く 🚶.mp4", "a\nb.mp4", "-x '\"$.mp4"]


def _drop(root, name, **more):
    try:
        return drop(root, name, **more)
    except OSError:
        pytest.skip("this file system does not know such names")


def test_a_file_is_taken_by_one_rename_and_stays_as_it_is(tmp_path):
    path = drop(tmp_path, "sub/clip.mp4", b"12345")
    path.chmod(0o440)
    os.utime(path, ns=(5, 1_600_000_000_123_456_789))
    before = os.stat(path)
    claim = claim_of(tmp_path, "sub/clip.mp4")
    after = os.stat(claim.source)
    assert not path.exists() and claim.source.read_bytes() == b"12345"
    assert claim.source.name == "clip.mp4" and claim.sidecar is None and claim.size == 5 and claim.mtime_ns == before.st_mtime_ns
    kept, now = [(each.st_ino, each.st_mode, each.st_mtime_ns, each.st_uid) for each in (before, after)]
    assert kept == now
    assert claim.folder.parent == claims_folder(tmp_path) / WORKER and claim.folder.name.startswith("new-")
    assert scan(tmp_path) == []


def test_what_it_was_is_written_beside_it(tmp_path):
    drop(tmp_path, "sub/clip.mp4", sidecar="start = 1\n")
    entry = entry_of(tmp_path, "sub/clip.mp4")
    claim = take(entry, WORKER)
    assert claim is not None and claim.stamp == entry.stamp and claim.sidecar_stamp == entry.sidecar
    values = json.loads((claim.folder / "claim.json").read_bytes())
    assert values["relative"] == "sub/clip.mp4" and values["source"]["inode"] == entry.stamp.inode


def test_settings_are_taken_too(tmp_path):
    drop(tmp_path, "clip.mp4", sidecar="start = 1\n")
    drop(tmp_path, "other.mp4")
    (tmp_path / "alone.mp4.toml").write_text("start = 2\n")
    claim = claim_of(tmp_path, "clip.mp4")
    assert claim.sidecar is not None and claim.sidecar.read_text() == "start = 1\n"
    assert sorted(tree(tmp_path / ".rigdrop" / "claims" / WORKER / claim.folder.name)) == ["claim.json", "clip.mp4", "clip.mp4.toml"]
    assert claim_of(tmp_path, "other.mp4").sidecar is None
    assert (tmp_path / "alone.mp4.toml").read_text() == "start = 2\n"


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_kind_are_taken_found_and_handed_back(tmp_path, name):
    _drop(tmp_path, f"ü/{name}", content=b"content")
    claim = claims.name(claim_of(tmp_path, f"ü/{name}"), "abc-1")
    assert find(tmp_path, "abc-1") == claim and claim.relative == f"ü/{name}" and claim.source.read_bytes() == b"content"
    assert hand_back(claim) == tmp_path / "ü" / name
    assert os.listdir(tmp_path / "ü") == [name]


def test_the_longest_name_with_settings(tmp_path):
    name = "ä" * 123 + ".mp4"  # 250 bytes, and 255 with .toml
    drop(tmp_path, name, sidecar="start = 1\n")
    claim = claim_of(tmp_path, name)
    drop(tmp_path, name, b"another", sidecar="start = 2\n")
    back = hand_back(claim)
    assert back is not None and len(os.fsencode(back.name)) <= 250 and back.name.endswith("_2.mp4")
    assert back.with_name(back.name + ".toml").read_text() == "start = 1\n"
    assert (tmp_path / name).read_bytes() == b"another"


@pytest.mark.parametrize("what", ["gone", "folder gone", "written to", "another", "a link", "a folder", "touched"])
def test_what_is_not_as_it_was_seen_is_not_taken(tmp_path, what):
    path = drop(tmp_path, "sub/clip.mp4", b"12345")
    entry = entry_of(tmp_path, "sub/clip.mp4")
    if what in ("written to", "touched"):
        path.write_bytes(b"123456") if what == "written to" else os.utime(path, ns=(0, 0))
    else:
        path.unlink()
    if what == "folder gone":
        path.parent.rmdir()
    elif what == "another":
        path.write_bytes(b"other content")
    elif what == "a link":
        path.symlink_to(drop(tmp_path.parent / f"{tmp_path.name}-outside", "clip.mp4", b"12345"))
    elif what == "a folder":
        path.mkdir()
    before = sorted(tmp_path.rglob("*"))
    assert take(entry, WORKER) is None
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_has_become_a_link_out_of_the_root_is_not_reached_through(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    drop(root, "sub/clip.mp4", b"12345")
    entry = entry_of(root, "sub/clip.mp4")
    os.rename(root / "sub", outside)
    (root / "sub").symlink_to(outside)
    assert take(entry, WORKER) is None
    assert (outside / "clip.mp4").read_bytes() == b"12345"


@pytest.mark.parametrize("change", ["came", "went", "changed"])
def test_settings_that_change_at_the_last_moment_put_the_file_back(tmp_path, change):
    path = drop(tmp_path, "clip.mp4", sidecar=None if change == "came" else "start = 1\n")
    entry = entry_of(tmp_path, "clip.mp4")
    sidecar = tmp_path / "clip.mp4.toml"
    sidecar.unlink() if change == "went" else sidecar.write_text("start = 12\n")
    assert take(entry, WORKER) is None
    assert path.exists() and sidecar.exists() == (change != "went")
    assert os.listdir(claims_folder(tmp_path) / WORKER) == []
    assert claim_of(tmp_path, "clip.mp4").sidecar_stamp == (None if change == "went" else Stamp.of(claim_sidecar(tmp_path)))


def claim_sidecar(root):
    return next((root / ".rigdrop").rglob("*.toml"))


def test_many_processes_race_for_the_same_files_and_each_is_taken_once(tmp_path):
    root = tmp_path / "root"
    for number in range(200):
        drop(root, f"{number % 7}/clip_{number:03}.mp4", sidecar="start = 1\n" if number % 3 == 0 else None)
    contents = tree(root)
    script = """
import os, sys, time
from pathlib import Path
from rigdrop.watch.claim import take
from rigdrop.watch.scan import scan
root, workers = Path(sys.argv[1]), 6
entries = scan(root)
begin = time.monotonic() + 0.1
children = []
for worker in range(workers):
    child = os.fork()
    if child == 0:
        time.sleep(max(0.0, begin - time.monotonic()))
        taken = [entry.relative for entry in entries if take(entry, f"host-{worker}") is not None]
        Path(sys.argv[2], str(worker)).write_text("\\n".join(taken))
        os._exit(0)
    children.append(child)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""
    if not hasattr(os, "fork"):
        pytest.skip("this system starts processes in another way")
    told = tmp_path / "told"
    told.mkdir()
    run_script(script, root, told)
    taken = [relative for path in told.iterdir() for relative in path.read_text().split()]
    assert len(taken) == 200 and set(taken) == {path for path in contents if path.endswith(".mp4")}
    assert scan(root) == [] and not list(root.glob("[0-9]/*"))
    claimed = [claim for worker in claims_folder(root).iterdir() for claim in unnamed(root, worker.name)]
    got = {claim.relative: claim.source.read_bytes() for claim in claimed}
    got |= {f"{claim.relative}.toml": claim.sidecar.read_bytes() for claim in claimed if claim.sidecar is not None}
    assert got == contents
    assert sum(len(list(worker.iterdir())) for worker in claims_folder(root).iterdir()) == 200


def test_the_same_name_again_while_the_first_is_taken(tmp_path):
    drop(tmp_path, "clip.mp4", b"first")
    first = claims.name(claim_of(tmp_path, "clip.mp4"), "a-1")
    drop(tmp_path, "clip.mp4", b"second")
    second = claims.name(claim_of(tmp_path, "clip.mp4"), "b-1")
    assert (first.source.read_bytes(), second.source.read_bytes()) == (b"first", b"second")
    assert hand_back(first) == tmp_path / "clip.mp4" and hand_back(second) == tmp_path / "clip_2.mp4"
    assert {path: data for path, data in tree(tmp_path).items()} == {"clip.mp4": b"first", "clip_2.mp4": b"second"}


def test_a_claim_gets_its_jobs_name_and_is_found_by_it(tmp_path):
    drop(tmp_path, "clip.mp4")
    claim = claim_of(tmp_path, "clip.mp4")
    assert find(tmp_path, "abc-1") is None and named(tmp_path, WORKER) == [] and held(tmp_path, WORKER) == 0
    after = claims.name(claim, "abc-1")
    assert claims.name(after, "abc-1") == after
    assert find(tmp_path, "abc-1") == after and after.source.exists() and not claim.folder.exists()
    assert named(tmp_path, WORKER) == [("abc-1", after)] and held(tmp_path, WORKER) == 1
    assert unnamed(tmp_path, WORKER) == [] and named(tmp_path, "host-2") == []


def test_a_name_that_another_claim_has_is_refused_and_both_stay(tmp_path):
    drop(tmp_path, "a.mp4")
    drop(tmp_path, "b.mp4")
    first, second = claims.name(claim_of(tmp_path, "a.mp4"), "abc-1"), claim_of(tmp_path, "b.mp4")
    with pytest.raises(WriteError, match="abc-1"):
        claims.name(second, "abc-1")
    assert first.source.exists() and second.source.exists()


@pytest.mark.parametrize("what", ["grown", "cut", "same size", "settings"])
def test_one_that_somebody_went_on_writing_to_has_changed_and_is_handed_back(tmp_path, what):
    path = drop(tmp_path, "clip.mp4", b"12345", sidecar="start = 1\n")
    for each in (path, tmp_path / "clip.mp4.toml"):
        os.utime(each, (1_600_000_000, 1_600_000_000))
    with path.open("r+b") as writer, (tmp_path / "clip.mp4.toml").open("a") as editor:
        claim = claims.name(claim_of(tmp_path, "clip.mp4"), "abc-1")
        assert not changed(claim)
        if what == "grown":
            writer.seek(5)
            writer.write(b"6")
        elif what == "cut":
            writer.truncate(1)
        elif what == "same size":
            writer.write(b"54321")
        else:
            editor.write("end = 2\n")
    assert changed(claim)
    assert hand_back(claim) == path
    assert find(tmp_path, "abc-1") is None and not claim.folder.exists()
    again = claim_of(tmp_path, "clip.mp4")
    assert not changed(again) and again.stamp == Stamp.of(again.source)


def test_one_that_was_deleted_has_not_changed_and_cannot_be_handed_back(tmp_path):
    drop(tmp_path, "sub/clip.mp4", sidecar="start = 1\n")
    claim = claims.name(claim_of(tmp_path, "sub/clip.mp4"), "abc-1")
    claim.source.unlink()
    assert not changed(claim) and find(tmp_path, "abc-1") == claim
    assert hand_back(claim) is None
    assert tree(tmp_path) == {"sub/clip.mp4.toml": b"start = 1\n"} and not claim.folder.exists()


def test_it_goes_back_where_it_lay_though_the_folder_is_gone(tmp_path):
    path = drop(tmp_path, "a/b/clip.mp4", sidecar="start = 1\n")
    claim = claim_of(tmp_path, "a/b/clip.mp4")
    path.parent.rmdir()
    path.parent.parent.rmdir()
    assert hand_back(claim) == path and sorted(tree(tmp_path)) == ["a/b/clip.mp4", "a/b/clip.mp4.toml"]


@pytest.mark.parametrize("there", ["file", "link"])
def test_it_goes_back_beside_what_has_taken_its_folders_name(tmp_path, there):
    path = drop(tmp_path / "root", "a/clip.mp4")
    claim = claim_of(tmp_path / "root", "a/clip.mp4")
    path.parent.rmdir()
    path.parent.write_bytes(b"") if there == "file" else path.parent.symlink_to(tmp_path)
    assert hand_back(claim) == tmp_path / "root" / "a_2" / "clip.mp4"
    assert not (tmp_path / "clip.mp4").exists()


def test_it_goes_back_with_a_number_where_either_name_is_taken(tmp_path):
    drop(tmp_path, "clip.mp4", b"mine", sidecar="start = 1\n")
    claim = claim_of(tmp_path, "clip.mp4")
    (tmp_path / "clip.mp4.toml").write_text("somebody else's")
    drop(tmp_path, "clip_2.mp4", b"also")
    assert hand_back(claim) == tmp_path / "clip_3.mp4"
    assert tree(tmp_path) == {
        "clip.mp4.toml": b"somebody else's", "clip_2.mp4": b"also", "clip_3.mp4": b"mine", "clip_3.mp4.toml": b"start = 1\n",
    }


def test_what_had_not_become_a_job_is_adopted(tmp_path):
    drop(tmp_path, "sub/a.mp4", sidecar="start = 1\n")
    drop(tmp_path, "b.mp4")
    taken = [claim_of(tmp_path, "sub/a.mp4"), claim_of(tmp_path, "b.mp4")]
    jobs = claims.name(taken.pop(), "abc-1")
    assert unnamed(tmp_path, WORKER) == taken
    assert [claim for _, claim in named(tmp_path, WORKER)] == [jobs]
    assert unnamed(tmp_path, "host-2") == []


def test_what_was_half_taken_is_taken_whole(tmp_path):
    """The file was in, its settings not yet."""
    drop(tmp_path, "clip.mp4", sidecar="start = 1\n")
    claim = claim_of(tmp_path, "clip.mp4")
    assert claim.sidecar is not None
    os.rename(claim.sidecar, tmp_path / "clip.mp4.toml")
    assert unnamed(tmp_path, WORKER) == [claim] and claim.sidecar.read_text() == "start = 1\n"
    assert list(tmp_path.glob("*.toml")) == []


def test_what_was_half_taken_goes_back_where_its_settings_are_not_what_they_were(tmp_path):
    drop(tmp_path, "clip.mp4", sidecar="start = 1\n")
    claim = claim_of(tmp_path, "clip.mp4")
    assert claim.sidecar is not None
    claim.sidecar.unlink()
    (tmp_path / "clip.mp4.toml").write_text("start = 12\n")
    assert unnamed(tmp_path, WORKER) == []
    assert [path.name for path in tmp_path.glob("*.mp4")] == ["clip_2.mp4"]  # not beside settings that were never its own
    assert not claim.folder.exists()


def test_a_claim_that_took_nothing_leaves_nothing(tmp_path):
    path = drop(tmp_path, "clip.mp4", b"12345")
    claim = claim_of(tmp_path, "clip.mp4")
    os.rename(claim.source, path)  # as if the rename had never come
    (claim.folder.parent / "new-0").mkdir()
    assert unnamed(tmp_path, WORKER) == []
    assert tree(tmp_path) == {"clip.mp4": b"12345"} and list(claim.folder.parent.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [None, "", "{", "[]", "{}", '{"relative": "../../x.mp4", "source": {"size": 1, "mtime_ns": 1, "inode": 1}, "sidecar": null}'],
)
def test_a_claim_whose_note_is_lost_loses_no_file(tmp_path, text):
    drop(tmp_path, "sub/clip.mp4", b"12345", sidecar="start = 1\n")
    claim = claim_of(tmp_path, "sub/clip.mp4")
    note = claim.folder / "claim.json"
    note.unlink() if text is None else note.write_text(text)
    (made_up,) = unnamed(tmp_path, WORKER)
    assert made_up.relative == "clip.mp4" and made_up.source == claim.source and made_up.sidecar == claim.sidecar and not changed(made_up)
    assert hand_back(made_up) == tmp_path / "clip.mp4"
    assert tree(tmp_path) == {"clip.mp4": b"12345", "clip.mp4.toml": b"start = 1\n"}


def test_what_others_put_beside_a_file_does_not_keep_the_claim(tmp_path):
    drop(tmp_path, "clip.mp4")
    claim = claim_of(tmp_path, "clip.mp4")
    drop(claim.folder, "@eaDir/clip.mp4/thumb.jpg")
    drop(claim.folder, ".DS_Store")
    hand_back(claim)
    assert not claim.folder.exists()


def test_a_persons_file_beside_it_is_kept(tmp_path):
    drop(tmp_path, "clip.mp4")
    claim = claim_of(tmp_path, "clip.mp4")
    drop(claim.folder, "notes.txt")
    hand_back(claim)
    assert [path.name for path in claim.folder.iterdir()] == ["notes.txt"]


def test_the_claims_of_a_dead_worker_go_to_another_whole(tmp_path):
    for name in ("a", "b", "c"):
        drop(tmp_path, f"{name}.mp4", sidecar="start = 1\n")
    before = {claims.name(claim_of(tmp_path, f"{name}.mp4", "dead"), f"{name}-1").relative for name in "ab"}
    claim_of(tmp_path, "c.mp4", "dead")
    assert inherit(tmp_path, "dead", WORKER) == 3
    assert {claim.relative for _, claim in named(tmp_path, WORKER)} == before
    assert [claim.relative for claim in unnamed(tmp_path, WORKER)] == ["c.mp4"]
    assert not (claims_folder(tmp_path) / "dead").exists() and find(tmp_path, "a-1") is not None
    assert inherit(tmp_path, "dead", WORKER) == 0


def test_two_claims_of_one_job_are_both_kept(tmp_path):
    drop(tmp_path, "a.mp4", b"same")
    drop(tmp_path, "b.mp4", b"same")
    claims.name(claim_of(tmp_path, "a.mp4", "dead"), "abc-1")
    claims.name(claim_of(tmp_path, "b.mp4"), "abc-1")
    assert inherit(tmp_path, "dead", WORKER) == 1
    assert [claim.relative for _, claim in named(tmp_path, WORKER)] == ["b.mp4"]
    assert [claim.relative for claim in unnamed(tmp_path, WORKER)] == ["a.mp4"]


def test_who_does_a_job_brings_its_claim_to_himself(tmp_path):
    drop(tmp_path, "clip.mp4")
    claim = claims.name(claim_of(tmp_path, "clip.mp4", "other"), "a-1")
    for _ in range(2):
        brought = bring(tmp_path, "a-1", WORKER)
        assert brought is not None and brought == find(tmp_path, "a-1") and brought.source.read_bytes() == b"clip.mp4"
    assert named(tmp_path, "other") == [] and [job for job, _ in named(tmp_path, WORKER)] == ["a-1"]
    assert not claim.folder.exists() and holders(tmp_path) == [WORKER, "other"]
    assert bring(tmp_path, "b-1", WORKER) is None


def test_of_two_that_take_a_claim_over_one_gets_it(tmp_path):
    drop(tmp_path, "clip.mp4")
    claim = claims.name(claim_of(tmp_path, "clip.mp4", "gone"), "a-1")
    own = take_over(claim, WORKER)
    assert own == find(tmp_path, "a-1") and [job for job, _ in named(tmp_path, WORKER)] == ["a-1"]
    assert take_over(claim, "another") is None
    assert take_over(own, WORKER) == own


def test_of_two_claims_of_one_job_neither_takes_the_others_place(tmp_path):
    for worker, relative in ((WORKER, "a.mp4"), ("another", "b.mp4")):
        drop(tmp_path, relative)
        claims.name(claim_of(tmp_path, relative, worker), "a-1")
    brought = bring(tmp_path, "a-1", WORKER)
    assert brought is not None and brought.relative == "a.mp4" and len(named(tmp_path, "another")) == 1


def test_a_worker_that_counts_as_dead_and_is_not_takes_nothing_more(tmp_path, monkeypatch):
    """Its claim's folder goes to another between two of its steps."""
    drop(tmp_path, "clip.mp4", b"12345")
    entry = entry_of(tmp_path, "clip.mp4")
    move_in = claims._move_in

    def interrupted(path, target):
        inherit(tmp_path, "dead", WORKER)
        return move_in(path, target)

    monkeypatch.setattr(claims, "_move_in", interrupted)
    assert take(entry, "dead") is None
    assert (tmp_path / "clip.mp4").read_bytes() == b"12345" and unnamed(tmp_path, WORKER) == []


@pytest.mark.parametrize("worker", ["", ".", "..", "a/b", "../../x", "a\0"])
def test_a_worker_whose_name_is_no_folders_name_is_refused(tmp_path, worker):
    drop(tmp_path, "clip.mp4")
    with pytest.raises(SettingsError, match="worker"):
        take(entry_of(tmp_path, "clip.mp4"), worker)
    assert tree(tmp_path).keys() == {"clip.mp4"}


def test_a_workers_name_is_taken_literally(tmp_path):
    drop(tmp_path, "clip.mp4")
    claim = claims.name(claim_of(tmp_path, "clip.mp4", "[a]*?"), "abc-1")
    assert find(tmp_path, "abc-1") == claim


@pytest.fixture
def reachable():
    with reachable_folder() as root:
        yield root


TAKE_AS_NOBODY = """
import sys
from pathlib import Path
from rigdrop.errors import WriteError
from rigdrop.watch.claim import take
from rigdrop.watch.scan import scan
become()
for entry in scan(Path(sys.argv[1])):
    try:
        print("taken" if take(entry, "host-1") else "not taken")
    except WriteError as error:
        print(error)
"""


@pytest.mark.parametrize("what", ["root", "folder"])
def test_a_folder_that_may_not_be_written_is_told_of_and_keeps_its_file(reachable, what):
    drop(reachable, "sub/clip.mp4")
    reachable.chmod(0o555 if what == "root" else 0o777)
    (reachable / "sub").chmod(0o777 if what == "root" else 0o555)
    said = run_as_nobody(TAKE_AS_NOBODY, reachable).splitlines()
    assert len(said) == 1 and "clip.mp4" in said[0] and "Permission denied" in said[0] and "user needs to write" in said[0]
    assert (reachable / "sub" / "clip.mp4").exists() and not any("new-" in folder for folder in folders(reachable))


def test_a_file_that_may_not_be_read_is_taken_all_the_same(reachable):
    """So that it can be put among the failed ones, with the reason."""
    drop(reachable, "clip.mp4").chmod(0)
    reachable.chmod(0o777)
    assert run_as_nobody(TAKE_AS_NOBODY, reachable).split() == ["taken"]


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a disk")
def test_a_disk_that_became_read_only_keeps_its_files(tmp_path):
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a disk")
    try:
        drop(disk, "a.mp4")
        drop(disk, "b.mp4")
        claim = claim_of(disk, "a.mp4")
        entry = entry_of(disk, "b.mp4")
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(WriteError, match="Read-only"):
            take(entry, WORKER)
        with pytest.raises(WriteError, match="Read-only"):
            hand_back(claim)
        assert claim.source.exists() and (disk / "b.mp4").exists() and [found.relative for found in scan(disk)] == ["b.mp4"]
        subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
        assert hand_back(claim) == disk / "a.mp4"
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_an_entry_of_another_time_is_not_taken(tmp_path):
    drop(tmp_path, "clip.mp4")
    entry = entry_of(tmp_path, "clip.mp4")
    assert take(replace(entry, stamp=replace(entry.stamp, size=entry.stamp.size + 1)), WORKER) is None
    assert take(entry, WORKER) is not None and take(entry, WORKER) is None
