"""Which reader a motion file gets: by a look inside, ours before other packages', and in words where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.registry import (
    GROUP,
    READERS,
    available_readers,
    expect_reader,
    is_motion_file,
    motion_suffixes,
    read_recording,
    reader_of,
)

from . import sam3d_files
from .motion_clips import write_amass, write_bvh
from .offering import offer

_OFFERED = '''
from fractions import Fraction

import numpy as np

from rigdrop.ingest.motion_files.registry import Reader
from rigdrop.ingest.recording import Actor, Recording, SmplMotion


def is_mine(path):
    return path.read_text().startswith("steps ")


def read(path, options):
    frames = min(int(path.read_text().split()[1]), options.frame_limit or 99)
    quat = np.tile([0.0, 0, 0, 1], (frames, 24, 1))
    motion = SmplMotion("smpl", quat, np.zeros((frames, 3)), np.eye(3))
    return Recording(np.arange(frames) / 10, Fraction(10), [Actor(0, "walker", motion, np.ones(frames, bool), np.ones(frames, np.float32))])


STEPS = Reader("steps", "a count of steps", (".steps",), is_mine, read)
GREEDY = Reader("greedy", "everything", (".npz",), lambda path: True, read)
NO_READER = is_mine
'''


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """A file of each kind that can be told apart without a library's help."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for frame in range(2):
        np.savez(folder / f"{frame:03d}.npz", **sam3d_files.person(0, frame))
    np.savez(tmp_path / "sam.npz", **sam3d_files.person(0, 0))
    np.savez(tmp_path / "else.npz", words=np.arange(3))
    (tmp_path / "empty").mkdir()
    return {"amass": write_amass(tmp_path / "walk.npz", 3), "bvh": write_bvh(tmp_path / "walk.BVH", 3), "sam": tmp_path / "sam.npz",
            "folder": folder, "else": tmp_path / "else.npz", "empty": tmp_path / "empty"}


def test_a_look_inside_tells_whose_a_file_is(files):
    found = {name: reader.name if (reader := reader_of(path)) else None for name, path in files.items()}
    assert found == {"amass": "amass", "bvh": "bvh", "sam": "sam3d-body", "folder": "sam3d-body", "else": None, "empty": None}


def test_a_name_is_enough_for_a_file_and_not_for_a_folder(files):
    assert [is_motion_file(files[name]) for name in files] == [True, True, True, True, True, False]
    assert not is_motion_file(Path("clip.mp4")) and not is_motion_file(Path("take.h5"))
    assert {".npz", ".npy", ".pt", ".bvh", ".glb", ".usdc"} <= motion_suffixes() and "/" not in motion_suffixes()


def test_a_recording_is_read_by_its_reader(files):
    assert read_recording(files["bvh"], MotionFileOptions()).actors[0].motion.frame_count == 3
    assert len(read_recording(files["amass"], MotionFileOptions(frame_limit=2)).times_s) == 2


@pytest.mark.parametrize(("name", "said"), [
    ("gone.npz", "gone.npz: found no such file, expected a motion file"),
    ("else.npz", "else.npz: found a .npz file that no reader knows, expected one of: SAM 3D Body.*; AMASS"),
    ("empty", "empty: found a folder that no reader knows, expected one of: SAM 3D Body"),
    ("notes.txt", "notes.txt: found a .txt file that no reader knows"),
    ("text.bvh", "text.bvh"),
    ("cut.npz", r"cut.npz: found no whole \.npz"),
])
def test_what_nobody_reads_is_said_with_its_name(files, tmp_path, name, said):
    for text in ("notes.txt", "text.bvh"):
        (tmp_path / text).write_text("nothing of the kind")
    (tmp_path / "cut.npz").write_bytes(files["amass"].read_bytes()[:500])
    with pytest.raises(ReadError, match=said):
        expect_reader(tmp_path / name)
    with pytest.raises(ReadError, match=said):
        read_recording(tmp_path / name, MotionFileOptions())


def test_an_installed_package_adds_a_reader_and_takes_nothing_from_ours(files, tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, GROUP, _OFFERED, "steps = offering:STEPS", "greedy = offering:GREEDY")
    (tmp_path / "a.steps").write_text("steps 7")
    assert list(available_readers()) == [*READERS, "greedy", "steps"]
    assert is_motion_file(tmp_path / "a.steps")
    assert read_recording(tmp_path / "a.steps", MotionFileOptions(frame_limit=5)).times_s[-1] == pytest.approx(0.4)
    found = [reader_of(files[name]) for name in ("amass", "else")]
    assert [reader.name for reader in found if reader] == ["amass", "greedy"]


def test_what_a_package_offers_wrongly_is_named(tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, GROUP, _OFFERED, "bad = offering:NO_READER")
    with pytest.warns(UserWarning, match="reader 'bad' of offering:NO_READER: found .*, expected a rigdrop Reader"):
        assert list(available_readers()) == list(READERS)


def test_readers_are_imported_when_they_are_called():
    """A table of readers must not cost the libraries of all of them."""
    heavy = ("sam3d_body", "amass", "gvhmr", "bvh", "glb", "usd")
    command = ("import sys; import rigdrop.ingest.motion_files.registry as r; r.motion_suffixes(); "
               "print([name for name in sys.modules if name.startswith('rigdrop.ingest.motion_files.')])")
    out = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout
    assert not [name for name in heavy if f"motion_files.{name}'" in out]
