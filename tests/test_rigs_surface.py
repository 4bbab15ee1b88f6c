"""Splitting at texture seams, on two quads that share an edge."""

import numpy as np

from rigdrop.convert.rigs.surface import split_at_seams, triangulate

QUADS = np.array([[0, 1, 2, 3], [1, 4, 5, 2]])
UVS = np.array([[0, 0], [0.5, 0], [0.5, 1], [0, 1], [0.6, 0], [1, 0], [1, 1], [0.6, 1]])


def test_without_a_seam_nothing_is_split():
    surface = split_at_seams(QUADS, np.array([[0, 1, 2, 3], [1, 5, 6, 2]]), UVS)
    assert surface.source_vertices.tolist() == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(surface.source_vertices[surface.faces], triangulate(QUADS))


def test_at_a_seam_each_side_keeps_its_coordinate():
    quad_uvs = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])
    surface = split_at_seams(QUADS, quad_uvs, UVS)
    assert surface.source_vertices.tolist() == [0, 1, 1, 2, 2, 3, 4, 5]
    np.testing.assert_array_equal(surface.source_vertices[surface.faces], triangulate(QUADS))
    np.testing.assert_array_equal(surface.uvs[surface.faces], UVS.astype(np.float32)[triangulate(quad_uvs)])


def test_vertices_that_nothing_uses_are_left_out():
    assert split_at_seams(QUADS + 3, QUADS, UVS).source_vertices.tolist() == [3, 4, 5, 6, 7, 8]


def test_triangles_turn_as_their_quads():
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)
    for first, second, third in corners[triangulate(np.array([[0, 1, 2, 3]]))]:
        assert np.linalg.det(np.stack([second - first, third - first])) == 1
