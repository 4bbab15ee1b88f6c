"""A claim on the disk: written, read, and swept away."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigdrop.watch.claim_file import Claim, beside, is_like, read_claim, vanish, write_claim, write_small
from rigdrop.watch.scan import Stamp

from .watch_folders import LONG_NAME, RAW_NAME, drop


def _claim(root, relative="sub/clip.mp4", **more):
    folder = root / ".rigdrop" / "claims" / "host-1" / "abc-1"
    folder.mkdir(parents=True)
    return Claim(folder, root, relative, Stamp(1, 2**62, 2**63), **more)


@pytest.mark.parametrize("relative", ["clip.mp4", "a/b/c.h5", f"ü/{LONG_NAME}", f"{RAW_NAME}/{RAW_NAME}", "a\nb/\\'\".mp4"])
@pytest.mark.parametrize("sidecar", [None, Stamp(3, 4, 5)])
def test_what_is_written_is_read(tmp_path, relative, sidecar):
    claim = _claim(tmp_path, relative, sidecar_stamp=sidecar)
    write_claim(claim)
    assert read_claim(tmp_path, claim.folder) == claim
    assert [path.name for path in claim.folder.iterdir()] == ["claim.json"]


def test_a_claim_says_where_everything_is(tmp_path):
    claim = _claim(tmp_path)
    assert claim.source == claim.folder / "clip.mp4" and claim.sidecar is None and claim.is_empty
    assert (claim.size, claim.mtime_ns) == (1, 2**62)
    assert replace(claim, sidecar_stamp=Stamp(1, 1, 1)).sidecar == claim.folder / "clip.mp4.toml" == beside(claim.source)


def test_a_folder_without_a_file_is_no_claim(tmp_path):
    claim = _claim(tmp_path)
    assert read_claim(tmp_path, claim.folder) is None and read_claim(tmp_path, claim.folder / "not there") is None
    drop(claim.folder, "notes.txt")
    assert read_claim(tmp_path, claim.folder) is None


def test_a_claim_without_its_note_is_made_up(tmp_path):
    claim = _claim(tmp_path)
    source = drop(claim.folder, "clip.mp4", sidecar="x = 1\n")
    assert read_claim(tmp_path, claim.folder) == Claim(claim.folder, tmp_path, "clip.mp4", Stamp.of(source), Stamp.of(beside(source)))


@pytest.mark.parametrize("relative", ["../clip.mp4", "/etc/clip.mp4", "a/../../clip.mp4", "", 5, None])
def test_a_note_that_leads_out_of_the_root_is_not_believed(tmp_path, relative):
    import json

    claim = _claim(tmp_path)
    drop(claim.folder, "clip.mp4")
    stamp = {"size": 1, "mtime_ns": 1, "inode": 1}
    (claim.folder / "claim.json").write_text(json.dumps({"relative": relative, "source": stamp, "sidecar": None}))
    found = read_claim(tmp_path, claim.folder)
    assert found is not None and found.relative == "clip.mp4"


def test_only_a_plain_file_of_the_same_size_and_time_is_like(tmp_path):
    path = drop(tmp_path, "clip.mp4")
    stamp = Stamp.of(path)
    (tmp_path / "link.mp4").symlink_to(path)
    assert is_like(path, stamp) and is_like(path, replace(stamp, inode=1))
    assert not is_like(path, replace(stamp, size=1)) and not is_like(path, replace(stamp, mtime_ns=1))
    assert not is_like(tmp_path / "link.mp4", Stamp.of(tmp_path / "link.mp4")) and not is_like(tmp_path / "gone", stamp)
    assert not is_like(tmp_path, Stamp.of(tmp_path))


def test_a_small_file_is_replaced_whole(tmp_path):
    for data in (b"first", b"second"):
        write_small(tmp_path / "x.json", data)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x.json": b"second"}


def test_only_our_own_is_swept_away(tmp_path):
    claim = _claim(tmp_path)
    write_claim(claim)
    for name in ("error.txt", "log.jsonl", ".claim.json.part", "@eaDir/thumb.jpg"):
        drop(claim.folder, name)
    drop(claim.folder, "clip.mp4")
    vanish(claim.folder)
    assert [path.name for path in claim.folder.iterdir()] == ["clip.mp4"]
    (claim.folder / "clip.mp4").unlink()
    vanish(claim.folder)
    assert not claim.folder.exists()
    vanish(claim.folder)
