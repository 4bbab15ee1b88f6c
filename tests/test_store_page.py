"""The store against docs/motion-store.md: what the page says is what is in a file, and its reader reads it."""

from __future__ import annotations

import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from rigdrop.motion.store import write_take

from .format_contract import truth_m
from .morphing import with_morphs
from .stored import full_take
from .synthetic import small_take


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_take(tmp_path / "take.h5", full_take())
    return tmp_path / "take.h5"


def _names(file: h5py.File) -> set[str]:
    names = set(file.attrs)

    def visit(path: str, item: h5py.Dataset | h5py.Group) -> None:
        names.add(path.rsplit("/", 1)[-1])
        if not path.endswith("semantic"):
            names.update(item.attrs)

    file.visititems(visit)
    return names - {"person_01", "person_02", "mhr_model_params", "shape_params", "log_shape"}


def _page(root: Path) -> str:
    return (root / "docs" / "motion-store.md").read_text(encoding="utf-8")


def test_the_page_names_all_that_is_in_a_file(stored, root):
    with h5py.File(stored, "r") as file:
        silent = {name for name in _names(file) if not re.search(rf"\b{name}\b", _page(root))}
    assert silent == set()


def test_types_and_chunks_are_those_of_the_page(tmp_path):
    write_take(tmp_path / "take.h5", full_take(frames=300))
    with h5py.File(tmp_path / "take.h5", "r") as file:
        person = file["people/person_01"]
        kinds = {
            name: (person[name].dtype, person[name].shape, person[name].chunks) for name in person if isinstance(person[name], h5py.Dataset)
        }
        rig = {
            name: person["rig"][name].dtype
            for name in person["rig"]
            if isinstance(person["rig"][name], h5py.Dataset) and name != "joint_names"
        }
        assert person["local_quat_xyzw"].compression == "gzip"
        assert person["local_quat_xyzw"].shuffle
        assert h5py.check_string_dtype(person["rig/joint_names"].dtype).encoding == "utf-8"
        assert h5py.check_enum_dtype(h5py.special_dtype(enum=("i1", {"FALSE": 0, "TRUE": 1}))) == {"FALSE": 0, "TRUE": 1}
        assert file["times_s"].dtype == np.float64
    assert kinds == {
        "visible": (bool, (300,), (256,)),
        "confidence": (np.float32, (300,), (256,)),
        "local_quat_xyzw": (np.float32, (300, 7, 4), (256, 7, 4)),
        "local_translation_m": (np.float32, (300, 7, 3), (256, 7, 3)),
        "local_scale": (np.float32, (300, 7), (256, 7)),
        "morph_weights": (np.float32, (300, 3), (256, 3)),
        "vertices_m": (np.float32, (300, 122, 3), (4, 122, 3)),
    }
    assert rig == {
        "joint_parents": np.int32,
        "rest_local": np.float64,
        "bind_world": np.float64,
        "vertices_m": np.float32,
        "faces": np.int32,
        "normals": np.float32,
        "uvs": np.float32,
        "morph_targets_m": np.float32,
        "skin_joints": np.uint16,
        "skin_weights": np.float32,
    }


@pytest.mark.parametrize(("scale", "morphs"), [("none", 0), ("varying", 0), ("varying", 3)])
def test_the_pages_reader_gives_our_vertices(tmp_path, root, scale, morphs):
    take = small_take(frames=9, scale=scale, people=2, influences=5)
    take = with_morphs(take, morphs) if morphs else take
    write_take(tmp_path / "take.h5", take)
    (code,) = re.findall(r"```python\n(.*?)```", _page(root), flags=re.DOTALL)
    reader: dict = {}
    exec(compile(code, "motion-store.md", "exec"), reader)
    for person in take.people:
        ours = truth_m(person)
        # Both in double precision from the same float32 numbers; ours is then rounded to float32, half an ulp at 4 m.
        assert np.abs(reader["vertices"](tmp_path / "take.h5", person.id) - ours).max() < 5e-7
        assert np.abs(reader["vertices"](tmp_path / "take.h5", person.id, slice(4, 6)) - ours[4:6]).max() < 5e-7


def test_the_pages_reader_takes_a_stored_mesh_as_the_truth(stored, root):
    reader: dict = {}
    exec(re.findall(r"```python\n(.*?)```", _page(root), flags=re.DOTALL)[0], reader)
    assert np.array_equal(reader["vertices"](stored, "person_01"), full_take().people[0].vertices_m)
    with h5py.File(stored, "a") as file:
        file.attrs["schema_version"] = 2
    with pytest.raises(ValueError, match="is not a take"):
        reader["vertices"](stored, "person_01")
