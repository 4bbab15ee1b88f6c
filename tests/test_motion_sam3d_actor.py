from __future__ import annotations

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.sam3d_actor import actor_of_rows


def rows(count: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    return {"mhr_model_params": rng.normal(size=(count, 204)), "shape_params": rng.normal(size=(count, 45)),
            "pred_cam_t": rng.normal(size=(count, 3)) + (0, 0, 4), "bbox": rng.uniform(size=(count, 4))}


def test_rows_are_spread_over_the_frames_that_they_are_of():
    columns, at = rows(3), np.array([1, 4, 5])
    actor = actor_of_rows(9, at, columns, 7, confidence=np.array([0.5, 0.25, 1.0], np.float32))
    assert actor.track == 9 and actor.visible.tolist() == [False, True, False, False, True, True, False]
    assert actor.confidence.tolist() == [0, 0.5, 0, 0, 0.25, 1, 0]
    assert np.array_equal(actor.motion.model_params[at], columns["mhr_model_params"])
    assert np.isnan(actor.motion.model_params[[0, 2, 3, 6]]).all() and np.isnan(actor.motion.shape_params[[0, 2, 3, 6]]).all()
    assert np.array_equal(actor.raw["bbox"][at], columns["bbox"])


def test_places_cross_over_from_opencvs_axes_to_gltfs():
    columns = rows(2)
    actor = actor_of_rows(1, np.array([0, 1]), columns, 2)
    assert np.array_equal(actor.motion.camera_translation_m, columns["pred_cam_t"] * (1, -1, -1))
    assert actor.confidence.tolist() == [1, 1]


def test_nobody_in_any_frame_is_an_error():
    with pytest.raises(ReadError, match="found no frame"):
        actor_of_rows(1, np.zeros(0, np.int64), rows(0), 4)
