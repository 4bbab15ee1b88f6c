"""Letting files go: where to, numbered how, and what a half-finished release is recognised by."""

from __future__ import annotations

import os

import pytest

from rigdrop.errors import WriteError
from rigdrop.watch import release as releasing
from rigdrop.watch.release import gather, make_folder, moved_before, release

from .watch_folders import claim_of, drop, tree


def test_the_place_is_told_before_the_file_is_there(tmp_path):
    drop(tmp_path, "clip.mp4")
    told = []
    target = release(claim_of(tmp_path, "clip.mp4"), "kept/here.mp4", lambda place: told.append((place, place.exists())))
    assert told == [(tmp_path / "kept" / "here.mp4", False)] and target == tmp_path / "kept" / "here.mp4" and target.exists()


def test_the_settings_are_there_before_the_file(tmp_path, monkeypatch):
    order = []
    rename = releasing.rename_new
    monkeypatch.setattr(releasing, "rename_new", lambda source, target: (order.append(target.name), rename(source, target)))
    drop(tmp_path, "clip.mp4", sidecar="start = 1\n")
    release(claim_of(tmp_path, "clip.mp4"), "clip.mp4")
    assert order == ["clip.mp4.toml", "clip.mp4"]


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mp4.toml"])
def test_somebody_who_is_quicker_gets_the_name_and_ours_a_number(tmp_path, monkeypatch, name):
    """Somebody takes the name after we have seen that it is free."""
    drop(tmp_path, "clip.mp4", b"mine", sidecar="start = 1\n")
    claim = claim_of(tmp_path, "clip.mp4")
    rename = releasing.rename_new

    def late(source, target):
        if not (tmp_path / name).exists():
            (tmp_path / name).write_bytes(b"rival")
        rename(source, target)

    monkeypatch.setattr(releasing, "rename_new", late)
    assert release(claim, "clip.mp4") == tmp_path / "clip_2.mp4"
    assert tree(tmp_path) == {name: b"rival", "clip_2.mp4": b"mine", "clip_2.mp4.toml": b"start = 1\n"}


def test_a_name_that_is_always_taken_ends_in_an_error_and_keeps_the_file(tmp_path, monkeypatch):
    drop(tmp_path, "clip.mp4")
    claim = claim_of(tmp_path, "clip.mp4")

    def taken(source, target):
        raise FileExistsError

    monkeypatch.setattr(releasing, "rename_new", taken)
    with pytest.raises(WriteError, match="taken"):
        release(claim, "clip.mp4")
    assert claim.source.exists()


def test_where_a_file_went_is_known_by_its_stamp(tmp_path):
    drop(tmp_path, "clip.mp4", b"mine")
    claim = claim_of(tmp_path, "clip.mp4")
    drop(tmp_path, "clip.mp4", b"other")
    assert release(claim, "clip.mp4") == tmp_path / "clip_2.mp4"
    assert moved_before(claim, "clip.mp4") == tmp_path / "clip_2.mp4" == release(claim, "clip.mp4")
    assert moved_before(claim, "done/clip.mp4") is None
    (tmp_path / "clip_2.mp4").write_bytes(b"changed since")
    assert moved_before(claim, "clip.mp4") is None


@pytest.mark.parametrize("place", ["sub/clip.mp4.toml", "done/sub/clip.mp4.toml", "done/sub/clip_2.mp4.toml"])
def test_settings_that_went_ahead_come_back_to_their_file(tmp_path, place):
    drop(tmp_path, "sub/clip.mp4", sidecar="start = 1\n")
    claim = claim_of(tmp_path, "sub/clip.mp4")
    if "_2" in place:
        drop(tmp_path, "done/sub/clip.mp4", b"other", sidecar="other = 1\n")
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    os.rename(claim.sidecar, tmp_path / place)
    gather(claim)
    gather(claim)
    assert claim.sidecar.read_text() == "start = 1\n" and not (tmp_path / place).exists()


def test_settings_of_others_are_left_alone(tmp_path):
    drop(tmp_path, "clip.mp4", sidecar="start = 1\n")
    claim = claim_of(tmp_path, "clip.mp4")
    claim.sidecar.rename(tmp_path / "aside")  # not deleted, or its inode would be used again
    drop(tmp_path, "clip.mp4", b"other", sidecar="start = 1\n")
    os.utime(tmp_path / "clip.mp4.toml", ns=(0, claim.sidecar_stamp.mtime_ns))  # as copies of a template have it
    gather(claim)
    assert not claim.sidecar.exists() and (tmp_path / "clip.mp4.toml").exists()


def test_folders_are_made_and_what_is_none_gets_a_number(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    assert make_folder(root, ()) == root
    assert make_folder(root, ("a", "b")) == make_folder(root, ("a", "b")) == root / "a" / "b"
    (root / "file").write_text("")
    (root / "link").symlink_to(tmp_path)
    (root / "link_2").write_text("")
    assert make_folder(root, ("file", "c")) == root / "file_2" / "c"
    assert make_folder(root, ("link",)) == root / "link_3"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]
