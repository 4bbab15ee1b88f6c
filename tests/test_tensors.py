"""Torch's files read without torch: what it wrote comes back, and nothing in them runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.tensors import mentions, read_tensors

torch = pytest.importorskip("torch")


class Leave:
    """A pickle that leaves a folder behind where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def saved(tmp_path) -> Path:
    path = tmp_path / "a.pt"
    outer = {"halves": torch.arange(6).reshape(2, 3).half(), "views": torch.arange(12.0).reshape(3, 4).T}
    torch.save({"outer": outer, "n": [1, None]}, path)
    return path


def test_tensors_come_back_as_arrays(saved):
    content = read_tensors(saved)
    np.testing.assert_array_equal(content["outer"]["halves"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(content["outer"]["views"], np.arange(12.0).reshape(3, 4).T)
    assert content["n"] == [1, None]


def test_keys_are_seen_from_outside(saved, tmp_path):
    assert mentions(saved, "nothing", "halves")
    assert not mentions(saved, "nothing")
    assert not mentions(tmp_path / "missing.pt", "halves")
    (tmp_path / "text.pt").write_text("halves")
    assert not mentions(tmp_path / "text.pt", "halves")


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path):
    path, trace = tmp_path / "hostile.pt", tmp_path / "trace"
    torch.save({"outer": Leave(trace)}, path)
    with pytest.raises(ReadError, match=r"hostile\.pt: found no whole file of tensors .*\.mkdir\), expected what torch\.save"):
        read_tensors(path)
    assert not trace.exists()


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.97])
def test_a_cut_file_is_an_error_with_its_name(saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[:int(share * len(data))])
    with pytest.raises(ReadError, match=r"a\.pt: found no whole file of tensors"):
        read_tensors(saved)


def test_a_bare_pickle_and_torchs_old_format_are_errors(tmp_path):
    old = tmp_path / "old.pt"
    torch.save({"x": torch.zeros(2)}, old, _use_new_zipfile_serialization=False)
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps({"x": 1}))
    for path in (old, bare, tmp_path / "missing.pt"):
        with pytest.raises(ReadError, match=rf"{path.name}: found no whole file of tensors"):
            read_tensors(path)


def test_a_tensor_that_reaches_beyond_its_bytes_is_an_error(saved, tmp_path):
    """The same file, with the largest storage's bytes cut short inside a whole zip."""
    import zipfile

    path = tmp_path / "short.pt"
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            target.writestr(name, data[:4] if "/data/" in name else data)
    with pytest.raises(ReadError, match=r"short\.pt: found no whole file of tensors"):
        read_tensors(path)
