from __future__ import annotations

import math

import numpy as np

from rigdrop.ingest.pose.blazepose.heatmap import refine


def naive(points, logits):
    """MediaPipe's refinement, as plain loops."""
    size = logits.shape[0]
    out = points.copy()
    for index, (x, y) in enumerate(points):
        column, row = math.floor(x * size), math.floor(y * size)
        if not (0 <= column < size and 0 <= row < size):
            continue
        total = across = down = best = 0.0
        for r in range(max(0, row - 3), min(size, row + 4)):
            for c in range(max(0, column - 3), min(size, column + 4)):
                weight = 1 / (1 + math.exp(-float(logits[r, c, index])))
                total, across, down, best = total + weight, across + weight * c, down + weight * r, max(best, weight)
        if best >= 0.5:
            out[index] = across / total / size, down / total / size
    return out


def test_refinement_is_what_plain_loops_give():
    rng = np.random.default_rng(3)
    points = rng.uniform(-0.1, 1.1, (39, 2))
    points[:4] = [(0, 0), (0.999, 0.999), (1.0, 0.5), (0.5, -1e-9)]
    logits = rng.normal(-2, 2, (64, 64, 39)).astype(np.float32)
    logits[..., 7] = -9  # nowhere sure: the point stays
    found = refine(points, logits)
    np.testing.assert_allclose(found, naive(points, logits), atol=1e-9)
    np.testing.assert_array_equal(found[7], points[7])


def test_a_sharp_peak_pulls_the_point_onto_itself():
    logits = np.full((64, 64, 1), -20, dtype=np.float32)
    logits[30, 20] = 20
    np.testing.assert_allclose(refine(np.array([[22.5 / 64, 28.5 / 64]]), logits), [[20 / 64, 30 / 64]], atol=1e-6)
