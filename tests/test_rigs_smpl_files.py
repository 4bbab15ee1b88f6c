"""Finding and reading licensed body models, in made-up folders laid out as the official downloads are."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from rigdrop.convert.rigs.smpl_files import find_smpl, read_pose_shapes, read_smpl
from rigdrop.errors import MissingPartError, ReadError

from .smpl_files import made_up_model, save_model


class Leave:
    """A pickle that leaves a folder behind where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize(("name", "model", "gender"), [
    ("models/smplx/SMPLX_NEUTRAL.npz", "smplx", "neutral"), ("models/smplx/SMPLX_MALE.pkl", "smplx", "male"),
    ("SMPLX_NEUTRAL_2020.npz", "smplx", "neutral"), ("models/SMPLH_male.pkl", "smplh", "male"),
    ("smplh/SMPLH_FEMALE.npz", "smplh", "female"),
    ("smplh/female/model.npz", "smplh", "female"), ("female/model.npz", "smplh", "female"), ("smplx/male/model.npz", "smplx", "male"),
    ("SMPL_python_v.1.1.0/smpl/models/basicmodel_neutral_lbs_10_207_0_v1.1.0.pkl", "smpl", "neutral"),
    ("models/basicModel_f_lbs_10_207_0_v1.0.0.pkl", "smpl", "female"), ("models/basicmodel_m_lbs_10_207_0_v1.1.0.pkl", "smpl", "male"),
    ("smpl/SMPL_NEUTRAL.pkl", "smpl", "neutral"),
])
def test_official_layouts_are_found_at_any_depth(tmp_path, name, model, gender):
    for decoy in ("smplh/neutral/info.txt", "MANO_RIGHT.pkl", "smplx_uv.npz", "dmpls/male/model.npz"):
        (tmp_path / decoy).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / decoy).write_bytes(b"something else")
    path = tmp_path / name
    if path.suffix == ".npz":
        save_model(path, made_up_model(model))
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(made_up_model(model)))
    assert find_smpl(tmp_path, model, gender) == (path, gender)
    assert read_smpl(path, model, gender).weights.shape[1] == {"smpl": 24, "smplh": 52, "smplx": 55}[model]
    for other in {"smpl", "smplh", "smplx"} - {model}:
        with pytest.raises(MissingPartError):
            find_smpl(tmp_path, other, gender)


def test_neutral_stands_in_and_npz_comes_first(tmp_path):
    neutral = save_model(tmp_path / "SMPLH_NEUTRAL.npz", made_up_model("smplh"))
    (tmp_path / "SMPLH_NEUTRAL.pkl").write_bytes(b"")
    assert find_smpl(tmp_path, "smplh", "female") == (neutral, "neutral")
    female = save_model(tmp_path / "deep" / "female" / "model.npz", made_up_model("smplh"))
    assert find_smpl(tmp_path, "smplh", "female") == (female, "female")
    with pytest.raises(MissingPartError):
        find_smpl(tmp_path / "deep", "smplh", "male")  # a woman's betas would make another man


def test_a_folder_without_it_says_what_was_looked_for_and_what_to_do(tmp_path):
    with pytest.raises(MissingPartError) as caught:
        find_smpl(tmp_path, "smplx", "male")
    for part in (str(tmp_path), "SMPLX_MALE.npz", "SMPLX_MALE.pkl", "male/model.npz", "SMPLX_NEUTRAL.npz", "https://smpl-x.is.tue.mpg.de",
                 "downloads nothing", "standard skeleton"):
        assert part in str(caught.value)
    with pytest.raises(MissingPartError, match=r"basicModel_f_lbs_\*\.pkl.*https://smpl\.is\.tue\.mpg\.de"):
        find_smpl(tmp_path, "smpl", "female")
    with pytest.raises(MissingPartError, match=r"nowhere: found no such folder, expected the one with your body models"):
        find_smpl(tmp_path / "nowhere", "smplx", "male")


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
def test_npz_and_pickle_say_the_same(tmp_path, model):
    arrays = made_up_model(model)
    from_npz = read_smpl(save_model(tmp_path / "a.npz", arrays), model, "male")
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(arrays | {"J_regressor": csc_matrix(arrays["J_regressor"]), "bs_type": "lrotmin"}, 2))
    from_pickle = read_smpl(path, model, "male")
    for parts in (from_npz, from_pickle):
        np.testing.assert_array_equal(parts.template_m, arrays["v_template"])
        np.testing.assert_array_equal(parts.shapes_m, arrays["shapedirs"])
        np.testing.assert_array_equal(parts.regressor, arrays["J_regressor"])
        np.testing.assert_allclose(parts.weights, arrays["weights"], atol=1e-15)
        np.testing.assert_array_equal(parts.faces, arrays["f"])
        np.testing.assert_array_equal(read_pose_shapes(parts), arrays["posedirs"])


@pytest.mark.parametrize(("model", "shapes", "used"), [("smplx", 20, 10), ("smplx", 400, 300), ("smplx", 16, 16), ("smplh", 20, 20)])
def test_expressions_are_no_shapes(tmp_path, model, shapes, used):
    arrays = made_up_model(model, shapes=shapes)
    parts = read_smpl(save_model(tmp_path / "a.npz", arrays), model, "male")
    np.testing.assert_array_equal(parts.shapes_m, arrays["shapedirs"][:, :, :used])


def test_pose_shapes_may_be_lacking(tmp_path):
    arrays = made_up_model("smpl")
    del arrays["posedirs"]
    assert read_pose_shapes(read_smpl(save_model(tmp_path / "a.npz", arrays), "smpl", "male")) is None


@pytest.mark.parametrize(("key", "value", "told"), [
    ("v_template", None, r"v_template: found no such array, expected numbers \(any, 3\)"),
    ("shapedirs", np.zeros((4, 3, 10)), r"shapedirs: found float64 \(4, 3, 10\), expected numbers \(192, 3, any\)"),
    ("weights", np.full((192, 52), 1 / 52), r"weights: found float64 \(192, 52\), expected numbers \(192, 24\)"),
    ("weights", np.full((192, 24), 0.1), r"weights: found a row that sums to 2\.4000"),
    ("J_regressor", np.full((24, 192), np.nan), r"J_regressor: found NaN or infinity, expected finite numbers"),
    ("f", np.array(["a", "b"]), r"f: found <U1 \(2,\), expected numbers \(any, 3\)"),
    ("kintree_table", np.tile(np.arange(24), (2, 1)), r"kintree_table: found parent 1 of joint 1, expected 0, as in SMPL"),
])
def test_every_fault_names_file_and_field(tmp_path, key, value, told):
    arrays = made_up_model("smpl") | {key: value}
    if value is None:
        del arrays[key]
    with pytest.raises(ReadError, match=r"a\.npz: " + told):
        read_smpl(save_model(tmp_path / "a.npz", arrays), "smpl", "male")


def test_a_cut_file_is_an_error(tmp_path):
    path = save_model(tmp_path / "a.npz", made_up_model("smpl"))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ReadError, match=r"a\.npz: found no whole \.npz"):
        read_smpl(path, "smpl", "male")


def test_hostile_files_execute_nothing(tmp_path):
    trap = np.array(Leave(tmp_path / "ran"), dtype=object)
    beside = save_model(tmp_path / "beside.npz", made_up_model("smpl") | {"part2num": trap})
    read_smpl(beside, "smpl", "male")  # what isn't asked for isn't read
    instead = save_model(tmp_path / "instead.npz", made_up_model("smpl") | {"J_regressor": trap})
    with pytest.raises(ReadError, match=r"instead\.npz: J_regressor: found no plain array .* nothing of it was run"):
        read_smpl(instead, "smpl", "male")
    pickled = tmp_path / "SMPL_MALE.pkl"
    pickled.write_bytes(pickle.dumps(made_up_model("smpl") | {"J_regressor": Leave(tmp_path / "ran")}))
    with pytest.raises(ReadError, match=r"SMPL_MALE\.pkl: found a pickle that asks for \w+\.mkdir.* as \.npz"):
        read_smpl(pickled, "smpl", "male")
    (tmp_path / "male").mkdir()
    save_model(tmp_path / "male" / "model.npz", made_up_model("smpl") | {"kintree_table": trap})
    find_smpl(tmp_path, "smpl", "male")
    assert not (tmp_path / "ran").exists()
