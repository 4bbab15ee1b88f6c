"""The figures against naive loops and against motions whose figures are known by construction."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.motion import metrics

RNG = np.random.default_rng(7)
# Two ways of summing the same float64 numbers differ by a few ulp.
EXACT = 1e-9


def _cloud(frames: int = 12, points: int = 6) -> np.ndarray:
    return RNG.normal(size=(frames, points, 3))


def _distance(a, b) -> float:
    return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)))


def test_mpjpe_equals_a_loop_over_joints():
    found, truth, hips = _cloud(), _cloud(), (1, 4)
    errors = []
    for frame in range(len(found)):
        middle = [[(cloud[frame, 1, axis] + cloud[frame, 4, axis]) / 2 for axis in range(3)] for cloud in (found, truth)]
        for joint in range(found.shape[1]):
            errors.append(_distance(found[frame, joint] - middle[0], truth[frame, joint] - middle[1]))
    assert metrics.mpjpe_mm(found, truth, hips) == pytest.approx(1000 * sum(errors) / len(errors), rel=EXACT)


def test_mpjpe_does_not_see_a_shift_of_the_whole_body():
    truth = _cloud()
    assert metrics.mpjpe_mm(truth + [1.0, -2.0, 3.0], truth, (0, 1)) == pytest.approx(0, abs=EXACT)


def test_pa_mpjpe_does_not_see_any_similarity():
    truth = _cloud()
    turned = np.stack([1.7 * Rotation.random(random_state=frame).apply(points) + frame for frame, points in enumerate(truth)])
    assert metrics.pa_mpjpe_mm(turned, truth) == pytest.approx(0, abs=EXACT)


def test_pa_mpjpe_sees_a_mirrored_body():
    truth = _cloud()
    assert metrics.pa_mpjpe_mm(truth * [-1.0, 1.0, 1.0], truth) > 100


def test_pa_mpjpe_is_the_least_over_a_search_of_similarities():
    found, truth = _cloud(1, 5), _cloud(1, 5)
    best = metrics.pa_mpjpe_mm(found, truth)
    source, target = found[0] - found[0].mean(axis=0), truth[0] - truth[0].mean(axis=0)
    rotation, _ = Rotation.align_vectors(target, source)  # scipy's own Kabsch
    scale = np.sum(target * rotation.apply(source)) / np.sum(source**2)
    expected = np.linalg.norm(scale * rotation.apply(source) - target, axis=1).mean() * 1000
    assert best == pytest.approx(expected, rel=1e-6)  # align_vectors stops at 1e-7


def test_acceleration_error_equals_a_loop():
    found, truth = _cloud(), _cloud()
    lengths = []
    for frame in range(1, len(found) - 1):
        for joint in range(found.shape[1]):
            second = [cloud[frame - 1, joint] - 2 * cloud[frame, joint] + cloud[frame + 1, joint] for cloud in (found, truth)]
            lengths.append(_distance(*second))
    assert metrics.acceleration_error_mm_f2(found, truth) == pytest.approx(1000 * sum(lengths) / len(lengths), rel=EXACT)


def test_jitter_of_a_known_jerk():
    fps = 50.0
    time = np.arange(40) / fps
    positions = np.zeros((40, 1, 3))
    positions[:, 0, 1] = 20.0 / 6 * time**3  # a constant jerk of 20 m/s³ is 2 units of 10 m/s³
    assert metrics.jitter_10m_s3(positions, fps) == pytest.approx(2.0, rel=1e-6)  # third differences lose digits


def test_too_short_a_clip_has_no_jitter():
    assert metrics.jitter_10m_s3(_cloud(3), 30.0) == 0.0
    assert metrics.acceleration_error_mm_f2(_cloud(2), _cloud(2)) == 0.0


def test_slide_counts_contact_steps_alone_and_over_the_ground_alone():
    feet = np.zeros((4, 1, 3))
    feet[:, 0, 0] = [0.0, 0.003, 0.007, 0.5]
    feet[:, 0, 1] = [0.0, 0.01, 0.0, 0.3]
    contact = metrics.likely_contact(feet, 30.0)
    assert contact.tolist() == [[True], [True], [False]]
    assert metrics.foot_slide_mm_f(feet, contact) == pytest.approx(3.5, rel=EXACT)


def test_slide_of_a_foot_that_never_stands_is_unknown():
    feet = np.zeros((5, 2, 3)) + [0, 1.0, 0]
    assert metrics.foot_slide_mm_f(feet, metrics.likely_contact(feet, 30.0)) is None


def test_true_contact_is_ten_millimetres_a_frame_at_thirty_frames_a_second():
    feet = np.zeros((3, 1, 3))
    feet[:, 0, 2] = [0.0, 0.009, 0.020]
    assert metrics.true_contact(feet, 30.0).tolist() == [[True], [False]]


def test_bone_drift_finds_the_one_bone_that_grew():
    positions = np.zeros((5, 3, 3))
    positions[:, 1, 1] = 1.0
    positions[:, 2, 1] = [1.5, 1.5, 1.55, 1.5, 1.48]
    assert metrics.bone_drift(positions, [-1, 0, 1]) == pytest.approx(0.1, rel=EXACT)


def test_bone_drift_of_rigid_bones_is_nothing():
    offsets = RNG.normal(size=(4, 3))
    chain = np.stack([np.cumsum(Rotation.random(4, random_state=frame).apply(offsets), axis=0) for frame in range(9)])
    assert metrics.bone_drift(chain, [-1, 0, 1, 2]) == pytest.approx(0, abs=EXACT)
