from __future__ import annotations

import io
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.arrays import is_npz_with, is_pickled, is_zip, open_npz, read_npy

from .sam3d_files import Runs

POSES = np.arange(12.0).reshape(3, 4)


def _hostile(path: Path) -> Path:
    """Return the file that is created if anything unpickles ``path``, an .npy or .npz."""
    trace = path.with_suffix(".ran")
    values = np.empty(1, object)
    values[0] = Runs(trace)
    if path.suffix == ".npz":
        np.savez(path, good=POSES, bad=values)
    else:
        np.save(path, values)
    return trace


def test_arrays_come_back_as_they_were_written(tmp_path):
    path = tmp_path / "a.npz"
    written = {"poses": POSES, "gender": np.array("female"), "order": np.asfortranarray(POSES), "none": np.zeros((0, 3), np.float32)}
    np.savez_compressed(path, **written)
    arrays = open_npz(path)
    assert set(arrays) == set(written)
    assert len(arrays) == 4
    for key, expected in written.items():
        assert arrays[key].dtype == expected.dtype
        assert np.array_equal(arrays[key], expected)
    assert "betas" not in arrays
    with pytest.raises(KeyError):
        arrays["betas"]


def test_an_array_that_nobody_asks_for_is_not_read(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, good=POSES, bad=POSES)
    _spoil(path, "bad.npy")
    arrays = open_npz(path)
    assert "bad" in arrays
    assert np.array_equal(arrays["good"], POSES)
    with pytest.raises(ReadError, match=r"a\.npz: bad: found no whole array"):
        arrays["bad"]


def _spoil(path: Path, member: str) -> None:
    """Change a byte of the last value of a member, which its checksum then tells."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
    data = bytearray(path.read_bytes())
    at = data.index(POSES.tobytes(), info.header_offset) + POSES.nbytes - 1
    data[at] ^= 0xFF
    path.write_bytes(data)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_cut_zip_says_so(tmp_path, share):
    path = tmp_path / "cut.npz"
    np.savez(path, poses=np.random.default_rng(0).normal(size=(100, 52)))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ReadError, match=r"cut\.npz: found no whole \.npz"):
        open_npz(path)
    assert not is_npz_with(path, "poses")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.05, 0.5, 0.99])
def test_a_cut_npy_says_so(tmp_path, share):
    path = tmp_path / "cut.npy"
    np.save(path, np.random.default_rng(0).normal(size=(100, 52)))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    for trust in (False, True):
        with pytest.raises(ReadError, match=r"cut\.npy: found"):
            read_npy(path, trust=trust)


def test_a_header_that_promises_more_than_there_is_says_so(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 50, 3)})
    path = tmp_path / "vast.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("poses.npy", file.getvalue() + b"\0" * 64)
        archive.writestr("text.npy", b"not an array at all")
    for key in ("poses", "text"):
        with pytest.raises(ReadError, match=rf"vast\.npz: {key}: found no whole array"):
            open_npz(path)[key]


def test_a_file_that_is_not_there_says_so(tmp_path):
    for opened in (open_npz, read_npy):
        with pytest.raises(ReadError, match="nothing"):
            opened(tmp_path / "nothing.npz")
    assert not any((is_npz_with(tmp_path / "n"), is_pickled(tmp_path / "n"), is_zip(tmp_path / "n")))


@pytest.mark.parametrize("name", ["evil.npz", "evil.npy"])
def test_a_pickle_is_refused_and_executes_nothing(tmp_path, name):
    path = tmp_path / name
    trace = _hostile(path)
    with pytest.raises(ReadError, match=r"evil.*found pickled Python objects.*--trust") as refused:
        if path.suffix == ".npz":
            assert np.array_equal(open_npz(path)["good"], POSES)
            open_npz(path)["bad"]
        else:
            read_npy(path)
    assert (": bad: " in str(refused.value)) == (path.suffix == ".npz")
    is_npz_with(path, "bad")
    is_pickled(path)
    assert not trace.exists()
    # The same file does run what it holds once it is trusted: the refusal above was of something real.
    open_npz(path, trust=True)["bad"] if path.suffix == ".npz" else read_npy(path, trust=True)
    assert trace.exists()


def test_a_bare_pickle_is_refused_and_executes_nothing(tmp_path):
    path, trace = tmp_path / "bare.npy", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Runs(trace)))
    assert is_pickled(path)
    with pytest.raises(ReadError, match=r"bare\.npy: found pickled"):
        read_npy(path)
    assert not trace.exists()
    path.write_bytes(pickle.dumps({"a": [1, 2]}))
    assert read_npy(path, trust=True) == {"a": [1, 2]}


def test_a_trusted_pickle_gives_what_was_saved(tmp_path):
    path = tmp_path / "dict.npy"
    np.save(path, {"poses": POSES})
    assert is_pickled(path)
    assert np.array_equal(read_npy(path, trust=True)["poses"], POSES)
    np.save(path, POSES)
    assert not is_pickled(path)
    assert np.array_equal(read_npy(path), POSES)


def test_a_pickle_of_a_class_that_is_not_here_says_so(tmp_path):
    # Another Python has the class: what was saved with torch or a tracker is so without them.
    path = tmp_path / "alien.npy"
    script = f"import numpy as np\nclass Alien: pass\nnp.save({str(path)!r}, {{'a': Alien()}})"
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(ReadError, match=r"alien\.npy: found a pickle that can't be read here"):
        read_npy(path, trust=True)


def test_keys_tell_an_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, poses=POSES, trans=POSES)
    assert is_npz_with(path, "poses", "trans")
    assert not is_npz_with(path, "poses", "betas")
    np.save(tmp_path / "b.npy", POSES)
    assert not is_npz_with(tmp_path / "b.npy", "poses")
    assert is_zip(path)
    assert not is_zip(tmp_path / "b.npy")
