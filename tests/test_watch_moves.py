"""Renames that overwrite nothing, on whatever the file system can do, and refusals in plain words."""

from __future__ import annotations

import errno
import os

import pytest

from rigdrop.errors import WriteError
from rigdrop.watch import moves
from rigdrop.watch.disks import is_full
from rigdrop.watch.moves import disk, rename_new


def _refuse(*_):
    raise OSError(errno.EINVAL, "this file system does not know how")


@pytest.fixture(params=["rename", "link", "plain"])
def way(request, monkeypatch):
    """Each of the three ways: as on a local disk, as on NFS, and as on a share without links."""
    if request.param in ("link", "plain"):
        monkeypatch.setattr(moves, "_rename_noreplace", _refuse)
    if request.param == "plain":
        monkeypatch.setattr(moves, "_link", _refuse)
    return request.param


def test_a_file_is_moved_as_it_is(tmp_path, way):
    source = tmp_path / "a"
    source.write_bytes(b"content")
    source.chmod(0o640)
    os.utime(source, ns=(5, 1_600_000_000_123_456_789))
    before = os.stat(source)
    rename_new(source, tmp_path / "b")
    after = os.stat(tmp_path / "b")
    assert not source.exists() and (tmp_path / "b").read_bytes() == b"content"
    assert (before.st_ino, before.st_mode, before.st_mtime_ns, 1) == (after.st_ino, after.st_mode, after.st_mtime_ns, after.st_nlink)


@pytest.mark.parametrize("there", ["file", "folder", "link to nothing"])
def test_nothing_is_overwritten(tmp_path, way, there):
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"new")
    {"file": lambda: target.write_bytes(b"old"), "folder": target.mkdir, "link to nothing": lambda: target.symlink_to("gone")}[there]()
    with pytest.raises(FileExistsError):
        rename_new(source, target)
    assert source.read_bytes() == b"new"
    assert there != "file" or target.read_bytes() == b"old"


def test_what_is_not_there_is_an_error(tmp_path, way):
    with pytest.raises(FileNotFoundError):
        rename_new(tmp_path / "a", tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_a_crash_between_link_and_unlink_is_gone_on_from(tmp_path, way):
    (tmp_path / "a").write_bytes(b"content")
    os.link(tmp_path / "a", tmp_path / "b")
    rename_new(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"] and (tmp_path / "b").read_bytes() == b"content"


def test_a_server_that_did_it_and_says_it_was_there_is_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(moves, "_rename_noreplace", _refuse)
    link = os.link

    def twice(source, target):
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", twice)
    (tmp_path / "a").write_bytes(b"content")
    rename_new(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_the_real_rename_of_linux_is_used_where_there_is_one(tmp_path):
    if moves._renameat2() is None:
        pytest.skip("this system has none")
    (tmp_path / "a").touch()
    try:
        moves._rename_noreplace(tmp_path / "a", tmp_path / "b")
    except OSError as error:
        assert error.errno in moves._UNKNOWN
        pytest.skip("this file system knows none")
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError):
        moves._rename_noreplace(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EXDEV, "inbox of its own"), (errno.EACCES, "user needs to write"), (errno.EROFS, "Read-only"),
        (errno.ENOSPC, "No space left"), (errno.EIO, "disk"),
    ],
)
def test_a_refusal_names_the_path_and_what_to_do(tmp_path, number, said):
    with pytest.raises(WriteError, match=said) as caught, disk(tmp_path / "clip.mp4"):
        raise OSError(number, os.strerror(number))
    assert str(tmp_path / "clip.mp4") in str(caught.value) and is_full(caught.value) == (number == errno.ENOSPC)
