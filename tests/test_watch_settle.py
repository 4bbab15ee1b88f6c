"""Where sources go when their jobs end, and that a crash between any two operations of the system loses and doubles nothing."""

from __future__ import annotations

import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rigdrop.errors import WriteError
from rigdrop.watch import claim as claims
from rigdrop.watch import moves
from rigdrop.watch.claim import Claim, find, hand_back, named, unnamed
from rigdrop.watch.disks import is_full
from rigdrop.watch.scan import scan
from rigdrop.watch.settle import to_done, to_failed

from .watch_folders import LONG_NAME, RAW_NAME, WORKER, claim_of, drop, folders, reachable_folder, run_as_nobody, run_script, tree

JOB = "0123456789abcdef-1"


def _held(root: Path, relative: str) -> Claim:
    return claims.name(claim_of(root, relative), JOB)


def _log(root: Path) -> Path:
    return drop(root, f".rigdrop/logs/{JOB}.jsonl", b'{"event": "failed"}\n')


def test_a_source_that_is_done_moves_to_done_with_its_settings_as_it_is(tmp_path):
    path = drop(tmp_path, "sub/clip.mp4", b"12345", sidecar="start = 1\n")
    path.chmod(0o440)
    os.utime(path, ns=(5, 1_600_000_000_123_456_789))
    before = os.stat(path)
    target = to_done(_held(tmp_path, "sub/clip.mp4"))
    assert target == tmp_path / "done" / "sub" / "clip.mp4"
    after = os.stat(target)
    assert (before.st_ino, before.st_mode, before.st_mtime_ns) == (after.st_ino, after.st_mode, after.st_mtime_ns)
    assert tree(tmp_path) == {"done/sub/clip.mp4": b"12345", "done/sub/clip.mp4.toml": b"start = 1\n"}
    assert scan(tmp_path) == [] and find(tmp_path, JOB) is None


def test_the_same_name_gets_a_number_and_nothing_is_overwritten(tmp_path):
    for number in range(3):
        drop(tmp_path, "clip.mp4", str(number).encode(), sidecar=f"start = {number}\n")
        to_done(_held(tmp_path, "clip.mp4"))
    assert tree(tmp_path) == {
        f"done/clip{end}": data for number, middle in ((0, ""), (1, "_2"), (2, "_3"))
        for end, data in ((f"{middle}.mp4", str(number).encode()), (f"{middle}.mp4.toml", f"start = {number}\n".encode()))
    }


@pytest.mark.parametrize("name", [LONG_NAME, RAW_NAME, "ä" * 123 + ".mp4"])
def test_names_of_any_length_and_kind_settle_numbered_too(tmp_path, name):
    sidecar = "start = 1\n" if len(os.fsencode(name)) <= 250 else None
    try:
        for content in (b"1", b"2"):
            drop(tmp_path, name, content, sidecar)
            assert to_done(_held(tmp_path, name)) is not None
    except OSError:
        pytest.skip("this file system does not know such names")
    drop(tmp_path, name, b"3", sidecar)
    folder = to_failed(_held(tmp_path, name), JOB, f"{name}: no picture", 66)
    assert (folder / name).read_bytes() == b"3" and "no picture" in (folder / "error.txt").read_text(encoding="utf-8")
    done = sorted(path for path in (tmp_path / "done").iterdir() if path.suffix == ".mp4")
    assert sorted(path.read_bytes() for path in done) == [b"1", b"2"]
    assert all(path.with_name(path.name + ".toml").exists() for path in done if sidecar)


def test_a_source_that_stays_goes_back_as_it_was_and_is_known_as_done(tmp_path):
    path = drop(tmp_path, "sub/clip.mp4", b"12345", sidecar="start = 1\n")
    os.utime(path, ns=(5, 1_600_000_000_123_456_789))
    before = os.stat(path)
    assert to_done(_held(tmp_path, "sub/clip.mp4"), "stay") == path
    after = os.stat(path)
    assert (before.st_ino, before.st_mode, before.st_mtime_ns) == (after.st_ino, after.st_mode, after.st_mtime_ns)
    assert tree(tmp_path) == {"sub/clip.mp4": b"12345", "sub/clip.mp4.toml": b"start = 1\n"}
    assert scan(tmp_path) == []
    (tmp_path / "sub" / "clip.mp4.toml").write_text("start = 12\n")
    assert [entry.relative for entry in scan(tmp_path)] == ["sub/clip.mp4"]


def test_a_source_that_stays_gets_a_number_where_another_lies_and_only_it_is_known(tmp_path):
    drop(tmp_path, "clip.mp4", b"first")
    claim = _held(tmp_path, "clip.mp4")
    drop(tmp_path, "clip.mp4", b"other")
    assert to_done(claim, "stay") == tmp_path / "clip_2.mp4"
    assert [entry.relative for entry in scan(tmp_path)] == ["clip.mp4"]
    assert tree(tmp_path) == {"clip.mp4": b"other", "clip_2.mp4": b"first"}


def test_a_source_that_was_handed_back_is_not_known_as_done(tmp_path):
    drop(tmp_path, "clip.mp4")
    hand_back(_held(tmp_path, "clip.mp4"))
    assert len(scan(tmp_path)) == 1


def test_a_failure_has_its_source_its_settings_its_reason_and_its_log(tmp_path):
    drop(tmp_path, "sub/clip.mp4", b"12345", sidecar="start = 1\n")
    log = _log(tmp_path)
    folder = to_failed(_held(tmp_path, "sub/clip.mp4"), JOB, "sub/clip.mp4: no picture can be decoded", 66, log)
    assert folder == tmp_path / "failed" / JOB
    assert sorted(path.name for path in folder.iterdir()) == ["clip.mp4", "clip.mp4.toml", "error.txt", "log.jsonl"]
    assert (folder / "log.jsonl").read_bytes() == log.read_bytes()
    text = (folder / "error.txt").read_text(encoding="utf-8")
    assert "sub/clip.mp4: no picture can be decoded" in text and f"rigdrop jobs retry {JOB}" in text and "66" in text
    assert scan(tmp_path) == [] and find(tmp_path, JOB) is None


def test_a_failure_without_a_log_or_with_an_odd_name_is_told_too(tmp_path):
    try:
        drop(tmp_path, RAW_NAME, b"x")
    except OSError:
        pytest.skip("this file system knows only Unicode")
    folder = to_failed(_held(tmp_path, RAW_NAME), JOB, f"{RAW_NAME}: broken", 66, tmp_path / "no.jsonl")
    assert sorted(os.listdir(folder)) == sorted([RAW_NAME, "error.txt"])
    assert "broken" in (folder / "error.txt").read_text(encoding="utf-8")


def test_a_folder_of_an_earlier_failure_is_not_touched(tmp_path):
    drop(tmp_path, f"failed/{JOB}/clip.mp4", b"old")
    drop(tmp_path, "clip.mp4", b"new")
    assert to_failed(_held(tmp_path, "clip.mp4"), JOB, "broken", 66) == tmp_path / "failed" / f"{JOB}_2"
    assert (tmp_path / "failed" / JOB / "clip.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("sources", ["move", "stay"])
def test_a_source_that_was_deleted_meanwhile_leaves_nothing_behind(tmp_path, sources):
    drop(tmp_path, "clip.mp4")
    claim = _held(tmp_path, "clip.mp4")
    claim.source.unlink()
    assert to_done(claim, sources) is None
    assert tree(tmp_path) == {} and not claim.folder.exists()


def test_the_failure_of_a_source_that_was_deleted_meanwhile_is_told(tmp_path):
    drop(tmp_path, "clip.mp4")
    claim = _held(tmp_path, "clip.mp4")
    claim.source.unlink()
    assert sorted(path.name for path in to_failed(claim, JOB, "clip.mp4: is gone", 66).iterdir()) == ["error.txt"]


def test_a_claim_that_somebody_has_removed_is_an_error(tmp_path):
    import shutil

    drop(tmp_path, "clip.mp4")
    claim = _held(tmp_path, "clip.mp4")
    shutil.rmtree(claim.folder)
    assert to_done(claim) is None
    with pytest.raises(WriteError, match="somebody has removed it"):
        to_failed(claim, JOB, "broken", 66)


@pytest.mark.parametrize("what", ["file", "link"])
@pytest.mark.parametrize("name", ["done", "failed"])
def test_where_done_or_failed_is_no_folder_the_source_is_kept(tmp_path, name, what):
    root = tmp_path / "root"
    drop(root, "clip.mp4")
    claim = _held(root, "clip.mp4")
    (tmp_path / "outside").mkdir()
    (root / name).write_text("") if what == "file" else (root / name).symlink_to(tmp_path / "outside")
    with pytest.raises(WriteError, match=f"{name} is there and is no folder"):
        to_done(claim) if name == "done" else to_failed(claim, JOB, "broken", 66)
    assert claim.source.exists() and list((tmp_path / "outside").iterdir()) == []
    (root / name).unlink()
    assert (to_done(claim) if name == "done" else to_failed(claim, JOB, "broken", 66)) is not None


def test_a_folder_that_has_a_files_name_in_done_gets_a_number(tmp_path):
    drop(tmp_path, "shots.mp4", b"file")
    to_done(_held(tmp_path, "shots.mp4"))
    drop(tmp_path, "shots.mp4/clip.mp4", b"inner")
    assert to_done(_held(tmp_path, "shots.mp4/clip.mp4")) == tmp_path / "done" / "shots_2.mp4" / "clip.mp4"


# A crash at every operation.


class _Killed(BaseException):
    """What no code of ours catches."""


class _Fuse:
    """Lets so many operations of the system through, and ends the process, as it were, at the next one."""

    OPERATIONS = ("rename", "replace", "link", "unlink", "rmdir", "mkdir", "fsync")

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 10**9
        for name in self.OPERATIONS:
            monkeypatch.setattr(os, name, self._guarded(getattr(os, name)))
        monkeypatch.setattr(moves, "_rename_noreplace", self._guarded(moves._rename_noreplace))

    def _guarded(self, operation: Callable) -> Callable:
        def guarded(*arguments, **options):
            if self.left == 0:
                raise _Killed
            self.left -= 1
            return operation(*arguments, **options)

        return guarded

    def burns_in(self, run: Callable[[], object], operations: int) -> bool:
        """Run something until its operations are used up; tells whether that was before its end."""
        self.left = operations
        try:
            run()
        except _Killed:
            return True
        finally:
            self.left = 10**9
        return False


ENDINGS = {
    "done": lambda claim: to_done(claim),
    "stay": lambda claim: to_done(claim, "stay"),
    "failed": lambda claim: to_failed(claim, JOB, "broken", 66, claim.root / ".rigdrop" / "logs" / f"{JOB}.jsonl"),
    "back": hand_back,
}


def _prepared(root: Path, sidecar: bool, taken: bool) -> Claim:
    """A claim; with ``taken``, something else lies wherever it might go."""
    drop(root, "sub/clip.mp4", b"12345", sidecar="start = 1\n" if sidecar else None)
    claim = _held(root, "sub/clip.mp4")
    if taken:
        drop(root, "done/sub/clip.mp4", b"other")
        drop(root, f"failed/{JOB}/clip.mp4", b"other")
        drop(root, "sub/clip.mp4", b"other")
    _log(root)
    return claim


@pytest.mark.parametrize("links", [False, True], ids=["rename", "link"])
@pytest.mark.parametrize("taken", [False, True], ids=["free", "taken"])
@pytest.mark.parametrize("sidecar", [False, True], ids=["alone", "settings"])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("again", ["same claim", "found"])
def test_a_crash_at_any_operation_ends_in_the_same_place(tmp_path, monkeypatch, ending, sidecar, taken, links, again):
    if links:

        def refuse(*_):
            raise OSError(errno.EINVAL, "as on NFS")

        monkeypatch.setattr(moves, "_rename_noreplace", refuse)
    end = ENDINGS[ending]
    whole = tmp_path / "whole"
    where = end(_prepared(whole, sidecar, taken)).relative_to(whole)
    expected, places = tree(whole), folders(whole)
    fuse = _Fuse(monkeypatch)
    for operations in itertools.count():
        root = tmp_path / str(operations)
        claim = _prepared(root, sidecar, taken)
        burnt = fuse.burns_in(lambda claim=claim: end(claim), operations)  # type: ignore[misc]
        held = claim if again == "same claim" else find(root, JOB)
        if held is not None:
            assert end(held).relative_to(root) == where, operations
        named(root, WORKER)  # which sweeps
        assert tree(root) == expected, operations
        assert folders(root) == places, operations
        assert [entry.relative for entry in scan(root)] == [entry.relative for entry in scan(whole)], operations
        if not burnt:
            break
    assert operations > 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_crash_with_a_source_that_was_deleted_ends_in_the_same_place_too(tmp_path, monkeypatch, ending):
    fuse = _Fuse(monkeypatch)
    for operations in itertools.count():
        root = tmp_path / str(operations)
        claim = _prepared(root, sidecar=True, taken=False)
        claim.source.unlink()
        burnt = fuse.burns_in(lambda claim=claim: ENDINGS[ending](claim), operations)  # type: ignore[misc]
        named(root, WORKER)
        held = find(root, JOB)
        if held is not None:
            ENDINGS[ending](held)
        kept = {path for path in tree(root) if not path.startswith(".rigdrop/logs")}
        settings = {"done": "done/sub/", "stay": "sub/", "back": "sub/", "failed": f"failed/{JOB}/"}[ending] + "clip.mp4.toml"
        more = {f"failed/{JOB}/error.txt", f"failed/{JOB}/log.jsonl"} if ending == "failed" else set()
        assert kept - {f"failed/{JOB}/claim.json"} == {settings} | more, operations
        assert not claim.folder.exists()
        if not burnt:
            assert kept == {settings} | more
            break


@pytest.mark.parametrize("sidecar", [False, True])
def test_a_crash_while_a_file_is_taken_loses_nothing(tmp_path, monkeypatch, sidecar):
    fuse = _Fuse(monkeypatch)
    for operations in itertools.count():
        root = tmp_path / str(operations)
        drop(root, "sub/clip.mp4", b"12345", sidecar="start = 1\n" if sidecar else None)
        burnt = fuse.burns_in(lambda root=root: claim_of(root, "sub/clip.mp4"), operations)  # type: ignore[misc]
        adopted = unnamed(root, WORKER)
        assert len(adopted) + len(scan(root)) == 1
        assert all(claim.sidecar is None or claim.sidecar.exists() for claim in adopted)
        assert adopted or folders(root) - {"sub", ".rigdrop", ".rigdrop/claims", f".rigdrop/claims/{WORKER}"} == set()
        for claim in adopted:
            hand_back(claim)
        assert tree(root) == {"sub/clip.mp4": b"12345", **({"sub/clip.mp4.toml": b"start = 1\n"} if sidecar else {})}
        if not burnt:
            break


@pytest.mark.parametrize("ending", ["done", "stay", "failed", "back"])
@pytest.mark.parametrize("rival", ["source", "settings"])
def test_somebody_who_takes_the_place_between_crash_and_restart_loses_nothing_either(tmp_path, monkeypatch, ending, rival):
    fuse = _Fuse(monkeypatch)
    for operations in itertools.count():
        root = tmp_path / str(operations)
        claim = _prepared(root, sidecar=True, taken=False)
        burnt = fuse.burns_in(lambda claim=claim: ENDINGS[ending](claim), operations)  # type: ignore[misc]
        for place in ("done/sub/clip.mp4", "sub/clip.mp4"):
            path = root / place if rival == "source" else root / f"{place}.toml"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"rival " + place.encode())
        held = find(root, JOB)
        if held is not None:
            ENDINGS[ending](held)
        named(root, WORKER)
        contents = list(tree(root).values())
        assert contents.count(b"12345") == 1 and contents.count(b"start = 1\n") == 1, operations
        assert not claim.folder.exists()
        (source,) = (path for path in root.rglob("clip*.mp4") if path.read_bytes() == b"12345")
        assert source.with_name(source.name + ".toml").read_bytes() == b"start = 1\n", operations
        if not burnt:
            break


@pytest.mark.parametrize("first", ["done", "stay"])
@pytest.mark.parametrize("then", ["failed", "back"])
def test_one_that_was_half_done_when_it_was_cancelled_is_in_one_place(tmp_path, monkeypatch, first, then):
    fuse = _Fuse(monkeypatch)
    for operations in itertools.count():
        root = tmp_path / str(operations)
        claim = _prepared(root, sidecar=True, taken=False)
        burnt = fuse.burns_in(lambda claim=claim: ENDINGS[first](claim), operations)  # type: ignore[misc]
        held = find(root, JOB)
        if held is not None:
            ENDINGS[then](held)
        (source,) = root.rglob("clip.mp4")
        assert source.read_bytes() == b"12345" and source.with_name("clip.mp4.toml").read_bytes() == b"start = 1\n", operations
        assert named(root, WORKER) == [] and list(root.rglob("claim.json")) == []
        if not burnt:
            break


@pytest.mark.faults
@pytest.mark.parametrize("ending", ["done", "stay", "failed", "back"])
def test_a_process_that_is_really_killed_at_any_operation(tmp_path, ending):
    if not hasattr(os, "fork"):
        pytest.skip("this system starts processes in another way")
    script = """
import itertools, os, signal, sys
from pathlib import Path
from rigdrop.watch import claim as claims, moves
from rigdrop.watch.scan import scan
from rigdrop.watch.settle import to_done, to_failed

JOB = "0123456789abcdef-1"
ENDINGS = {
    "done": to_done, "stay": lambda claim: to_done(claim, "stay"), "back": claims.hand_back,
    "failed": lambda claim: to_failed(claim, JOB, "broken", 66),
}
end = ENDINGS[sys.argv[2]]

def guard(operation, left):
    def guarded(*arguments, **options):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return operation(*arguments, **options)
    return guarded

def files(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file() and "stayed" not in str(path)}

expected = None
for operations in itertools.count():
    root = Path(sys.argv[1], str(operations))
    (root / "sub").mkdir(parents=True)
    (root / "sub/clip.mp4").write_bytes(b"12345")
    (root / "sub/clip.mp4.toml").write_bytes(b"start = 1")
    child = os.fork()
    if child == 0:
        left = [operations]
        for name in ("rename", "replace", "link", "unlink", "rmdir", "mkdir", "fsync"):
            setattr(os, name, guard(getattr(os, name), left))
        moves._rename_noreplace = guard(moves._rename_noreplace, left)
        end(claims.name(claims.take(scan(root)[0], "host-1"), JOB))
        os._exit(0)
    killed = os.waitpid(child, 0)[1] != 0
    for claim in claims.unnamed(root, "host-1"):
        claims.name(claim, JOB)
    if scan(root):
        claims.name(claims.take(scan(root)[0], "host-1"), JOB) if claims.find(root, JOB) is None and sys.argv[2] != "back" else None
    held = claims.find(root, JOB)
    if held is not None:
        end(held)
    claims.named(root, "host-1")
    got = files(root)
    if not killed:
        expected = got
        break
for number in range(operations):
    got = files(Path(sys.argv[1], str(number)))
    assert got == expected, (number, got, expected)
print(operations)
"""
    assert int(run_script(script, tmp_path, ending)) > 8


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a disk")
def test_on_a_full_disk_a_source_still_moves_and_a_failure_is_kept_until_there_is_room(tmp_path):
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a disk")
    try:
        drop(disk, "a.mp4", b"1")
        drop(disk, "b.mp4", b"2")
        first, second = claim_of(disk, "a.mp4"), claims.name(claim_of(disk, "b.mp4"), JOB)
        with pytest.raises(OSError, match="No space left"):
            (disk / "filler.bin").write_bytes(bytes(300_000))
        with pytest.raises(WriteError) as caught:
            to_failed(second, JOB, "broken", 66)
        assert is_full(caught.value) and second.source.read_bytes() == b"2"
        assert to_done(first) == disk / "done" / "a.mp4"
        (disk / "filler.bin").unlink()
        assert sorted(path.name for path in to_failed(second, JOB, "broken", 66).iterdir()) == ["b.mp4", "error.txt"]
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_folder_that_may_not_be_written_keeps_the_claim():
    with reachable_folder() as root:
        drop(root, "clip.mp4")
        claim = _held(root, "clip.mp4")
        root.chmod(0o555)
        said = run_as_nobody(
            "import sys; from pathlib import Path; from rigdrop.errors import WriteError\n"
            "from rigdrop.watch.claim import find; from rigdrop.watch.settle import to_done\nbecome()\n"
            "try:\n    to_done(find(Path(sys.argv[1]), sys.argv[2]))\nexcept WriteError as error:\n    print(error)",
            root, JOB,
        )
        assert "Permission denied" in said and claim.source.exists()
        root.chmod(0o755)
        assert to_done(claim) == root / "done" / "clip.mp4"
