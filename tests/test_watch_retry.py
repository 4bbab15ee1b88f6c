"""A source that failed goes back to where it came from, and nothing is lost or overwritten on the way."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from rigdrop.errors import ReadError, TryAgainError, WriteError
from rigdrop.watch import moves
from rigdrop.watch.job import claims_folder
from rigdrop.watch.retry import put_back

from .watch_values import a_spec


@pytest.fixture
def spec(tmp_path):
    return a_spec("shots/clip.mp4", tmp_path)


@pytest.fixture
def failed(tmp_path, spec) -> Path:
    folder = tmp_path / "failed" / spec.job
    folder.mkdir(parents=True)
    for name in ("clip.mp4", "clip.mp4.toml", "error.txt", "log.jsonl"):
        (folder / name).write_text(name)
    return folder


def _tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_source_and_sidecar_go_back_and_nothing_else_stays(tmp_path, spec, failed):
    assert put_back(spec) == tmp_path / "shots" / "clip.mp4"
    assert _tree(tmp_path) == {"shots/clip.mp4": "clip.mp4", "shots/clip.mp4.toml": "clip.mp4.toml"}
    assert not failed.exists()


def test_a_name_that_is_taken_gets_a_number_and_the_sidecar_with_it(tmp_path, spec, failed):
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "clip.mp4").write_text("new")
    (tmp_path / "shots" / "clip_2.mp4.toml").write_text("theirs")
    assert put_back(spec) == tmp_path / "shots" / "clip_3.mp4"
    assert _tree(tmp_path) == {
        "shots/clip.mp4": "new", "shots/clip_2.mp4.toml": "theirs",
        "shots/clip_3.mp4": "clip.mp4", "shots/clip_3.mp4.toml": "clip.mp4.toml",
    }


def test_without_a_sidecar_the_one_that_waits_for_it_is_its_own(tmp_path, spec, failed):
    (failed / "clip.mp4.toml").unlink()
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "clip.mp4.toml").write_text("corrected")
    assert put_back(spec) == tmp_path / "shots" / "clip.mp4"


def test_what_somebody_has_put_beside_it_stays(tmp_path, spec, failed):
    (failed / "notes.txt").write_text("mine")
    put_back(spec)
    assert _tree(failed) == {"notes.txt": "mine"}


def test_a_source_that_is_gone_is_told_of(tmp_path, spec):
    with pytest.raises(ReadError, match="drop it there again"):
        put_back(spec)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_is_still_being_settled_is_for_later(tmp_path, spec):
    claim = claims_folder(tmp_path) / "rig-1" / spec.job
    claim.mkdir(parents=True)
    (claim / "clip.mp4").write_text("x")
    with pytest.raises(TryAgainError, match="some seconds"):
        put_back(spec)


def test_a_source_that_went_half_way_before_goes_the_rest(tmp_path, spec, failed):
    """A crash between the two moves: the sidecar is in the inbox, the source is not."""
    (tmp_path / "shots").mkdir()
    (failed / "clip.mp4.toml").rename(tmp_path / "shots" / "clip.mp4.toml")
    assert put_back(spec) == tmp_path / "shots" / "clip.mp4"
    assert "shots/clip.mp4.toml" in _tree(tmp_path)


def test_a_source_that_somebody_has_renamed_keeps_its_new_name(tmp_path, spec, failed):
    (failed / "clip.mp4").rename(failed / "better name.mov")
    (failed / "clip.mp4.toml").rename(failed / "better name.mov.toml")
    assert put_back(spec) == tmp_path / "shots" / "better name.mov"
    assert _tree(tmp_path) == {"shots/better name.mov": "clip.mp4", "shots/better name.mov.toml": "clip.mp4.toml"}


def test_a_folder_that_got_a_number_is_found(tmp_path, spec, failed):
    failed.rename(failed.with_name(f"{spec.job}_2"))
    failed.mkdir()
    (failed / "notes.txt").write_text("in the way")
    assert put_back(spec) == tmp_path / "shots" / "clip.mp4"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right of their own there")
def test_a_link_leads_nobody_out_of_the_inbox(tmp_path, spec, failed):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "shots").symlink_to(tmp_path / "elsewhere")
    assert put_back(spec) == tmp_path / "shots_2" / "clip.mp4"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.faults
def test_a_disk_that_refuses_leaves_everything_where_it_was(tmp_path, spec, failed, monkeypatch):
    before = _tree(failed)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(moves, "_rename_noreplace", refuse)
    with pytest.raises(WriteError, match="No space left"):
        put_back(spec)
    assert _tree(failed) == before


def test_a_name_of_255_bytes_finds_room_for_its_number(tmp_path):
    name = "踊" * 83 + "ab.mp4"
    assert len(name.encode()) == 255
    spec = a_spec(name, tmp_path)
    (tmp_path / "failed" / spec.job).mkdir(parents=True)
    (tmp_path / "failed" / spec.job / name).write_text("x")
    (tmp_path / name).write_text("new")
    target = put_back(spec)
    assert target.name.endswith("_2.mp4") and target.read_text() == "x" and (tmp_path / name).read_text() == "new"
