"""The banded solve against the same least squares laid out as one dense matrix."""

from __future__ import annotations

import numpy as np
import pytest

from rigdrop.convert.fitting.banded import NormalEquations

SIZE, SHARED = 5, 3


class _Dense:
    """Rows of a dense Jacobian over all frames' unknowns, then the shared ones, and their residuals."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.rows: list[np.ndarray] = []
        self.residuals: list[float] = []

    def add(self, residual: float, blocks: dict[int, np.ndarray], shared: np.ndarray | None = None) -> None:
        row = np.zeros(self.frames * SIZE + SHARED)
        for frame, block in blocks.items():
            row[frame * SIZE : (frame + 1) * SIZE] += block
        if shared is not None:
            row[self.frames * SIZE :] = shared
        self.rows.append(row)
        self.residuals.append(residual)

    def step(self, damping: float) -> np.ndarray:
        J, r = np.array(self.rows), np.array(self.residuals)
        H = J.T @ J
        return np.linalg.solve(H + damping * np.diag(np.diag(H)), -J.T @ r)


def _both(frames: int, seed: int = 0) -> tuple[NormalEquations, _Dense]:
    rng = np.random.default_rng(seed)
    equations, dense = NormalEquations(frames, SIZE, SHARED), _Dense(frames)
    residual, by_pose, by_shared = rng.normal(size=(frames, 7)), rng.normal(size=(frames, 7, SIZE)), rng.normal(size=(frames, 7, SHARED))
    equations.add(residual, by_pose, by_shared)
    equations.add(0.5 * residual, 0.7 * by_pose)
    for frame in range(frames):
        for row in range(7):
            dense.add(residual[frame, row], {frame: by_pose[frame, row]}, by_shared[frame, row])
            dense.add(0.5 * residual[frame, row], {frame: 0.7 * by_pose[frame, row]})
    for span in (2, 3):
        if frames >= span:
            _add_between(equations, dense, span, rng)
    weight = rng.uniform(0.5, 2, (frames, 2))
    values = rng.normal(size=(frames, 2))
    equations.add_diagonal(values, weight, slice(1, 3))
    for frame in range(frames):
        for row in range(2):
            dense.add(weight[frame, row] * values[frame, row], {frame: weight[frame, row] * np.eye(SIZE)[1 + row]})
    prior, strength = rng.normal(size=SHARED), rng.uniform(1, 2, SHARED)
    equations.add_shared(prior, strength)
    for row in range(SHARED):
        dense.add(strength[row] * prior[row], {}, strength[row] * np.eye(SHARED)[row])
    return equations, dense


def _add_between(equations: NormalEquations, dense: _Dense, span: int, rng: np.random.Generator) -> None:
    count = dense.frames - span + 1
    residual, by_pose, weight = rng.normal(size=(count, 4)), rng.normal(size=(dense.frames, 4, SIZE)), rng.normal(size=(span, count, 4))
    equations.add_between(residual, by_pose, weight)
    for start in range(count):
        for row in range(4):
            dense.add(residual[start, row], {start + i: weight[i, start, row] * by_pose[start + i, row] for i in range(span)})


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 9])
@pytest.mark.parametrize("damping", [0.0, 1e-3, 10.0])
def test_the_step_is_the_dense_one(frames, damping):
    equations, dense = _both(frames)
    step, shared = equations.step(damping)
    expected = dense.step(damping)
    # The band adds 1e-9 to its diagonal, of which the smallest entry here is about 1.
    assert np.abs(step.ravel() - expected[:-SHARED]).max() < 1e-7
    assert np.abs(shared - expected[-SHARED:]).max() < 1e-7


def test_the_cost_is_the_sum_of_squares():
    equations, dense = _both(6)
    assert equations.cost == pytest.approx(np.sum(np.square(dense.residuals)))


def test_a_step_can_be_taken_twice_from_the_same_equations():
    equations, _ = _both(5)
    first, again = equations.step(0.1), equations.step(0.1)
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])


def test_an_unknown_that_nothing_says_anything_of_stays():
    equations = NormalEquations(4, SIZE, SHARED)
    equations.add_diagonal(np.ones((4, 1)), np.ones(1), slice(0, 1))
    equations.add_shared(np.ones(SHARED), np.ones(SHARED))
    step, shared = equations.step(0.0)
    assert np.allclose(step[:, 0], -1)
    assert np.allclose(step[:, 1:], 0)
    assert np.allclose(shared, -1)


def test_equations_of_parts_are_those_of_the_whole():
    rng = np.random.default_rng(3)
    residual, by_pose, by_shared = rng.normal(size=(9, 4)), rng.normal(size=(9, 4, SIZE)), rng.normal(size=(9, 4, SHARED))
    weight = rng.normal(size=(3, 7, 4))
    whole, parted = NormalEquations(9, SIZE, SHARED), NormalEquations(9, SIZE, SHARED)
    whole.add(residual, by_pose, by_shared)
    whole.add_between(residual[:7], by_pose, weight)
    for own in (slice(0, 4), slice(4, 8), slice(8, 9)):
        # Each has two frames more than its own, where there are any; the last has none to span.
        wide = slice(own.start, own.stop + 2)
        part = parted.part(wide)
        part.add(residual[own], by_pose[own], by_shared[own])
        part.add_between(residual[:7][own], by_pose[wide], weight[:, own])
        parted.settle(part)
    assert parted.cost == pytest.approx(whole.cost)
    for one, other in zip(parted.step(0.1), whole.step(0.1), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_equations_without_a_minimum_are_an_error():
    equations = NormalEquations(2, SIZE, SHARED)
    equations.near[0][1] = -np.eye(SIZE)
    with pytest.raises(np.linalg.LinAlgError, match="frame 1"):
        equations.step(0.0)
