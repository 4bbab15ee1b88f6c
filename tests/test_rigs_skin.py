"""Packing of weights against a naive loop."""

import numpy as np
import pytest

from rigdrop.convert.rigs.skin import pack_weights


def _naive(row: np.ndarray, keep: int) -> dict[int, float]:
    heaviest = sorted(range(len(row)), key=lambda joint: (-row[joint], joint))[:keep]
    total = sum(row[joint] for joint in heaviest)
    return {joint: row[joint] / total for joint in heaviest if row[joint] > 0}


@pytest.mark.parametrize("influences", [1, 4, 12])
def test_rows_hold_the_heaviest_joints_and_sum_to_1(influences):
    random = np.random.default_rng(influences)
    dense = np.zeros((50, 20))
    for row in dense:
        row[random.choice(20, random.integers(1, influences + 1), replace=False)] = random.uniform(0.1, 1)
    joints, weights = pack_weights(dense)
    assert joints.shape == weights.shape == (50, min(8, (dense > 0).sum(axis=1).max()))
    # Up to eight float32 numbers near 1/8 sum to 1 within a few ulp.
    np.testing.assert_allclose(weights.sum(axis=1, dtype=np.float64), 1, atol=1e-6)
    assert (np.diff(weights, axis=1) <= 0).all()
    for row, row_joints, row_weights in zip(dense, joints, weights):
        found = {int(joint): float(weight) for joint, weight in zip(row_joints, row_weights) if weight > 0}
        assert found == pytest.approx(_naive(row, 8), abs=1e-6)


def test_slots_without_weight_name_the_heaviest_joint():
    joints, weights = pack_weights(np.array([[0.0, 0.0, 1.0], [0.5, 0.25, 0.25]]))
    assert joints.tolist() == [[2, 2, 2], [0, 1, 2]]
    assert weights.tolist() == [[1, 0, 0], [0.5, 0.25, 0.25]]
