"""Frames of resting parts: written out for a T-pose, and the same however a body rests."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.retargeting.limb_frames import rest_frames

X, Y, Z = np.eye(3)
LEFT = {
    "shoulder": (0.2, 1.4, 0), "elbow": (0.5, 1.4, 0), "wrist": (0.75, 1.4, 0), "hip": (0.1, 0.9, 0), "knee": (0.1, 0.5, 0),
    "ankle": (0.1, 0.1, 0), "foot": (0.1, 0.02, 0.12), "index_mcp": (0.85, 1.4, 0.03), "pinky_mcp": (0.85, 1.4, -0.03),
    "index_pip": (0.9, 1.4, 0.03), "thumb_cmc": (0.78, 1.4, 0.03), "thumb_mcp": (0.78, 1.4, 0.07),
}
T_POSE = {"pelvis": np.array([0, 0.95, 0]), "head": np.array([0, 1.6, 0])} | {
    f"{side}_{name}": np.array(place) * [sign, 1, 1] for side, sign in (("left", 1), ("right", -1)) for name, place in LEFT.items()}


@pytest.mark.parametrize(("name", "columns"), {
    "pelvis": (X, Y, Z), "head": (X, Y, Z),
    # Along, where it folds, the hinge: elbows fold to the front, knees to the back.
    "left_shoulder": (X, Z, -Y), "left_elbow": (X, Z, -Y), "right_shoulder": (-X, Z, Y), "left_hip": (-Y, -Z, X), "left_knee": (-Y, -Z, X),
    "left_wrist": (X, Z, -Y), "left_index_mcp": (X, Z, -Y), "left_index_pip": (X, Z, -Y), "left_pinky_mcp": (X, Z, -Y),
    "left_thumb_cmc": (Z, -Y, X), "left_ankle": (Z, Y, -X), "left_foot": (Z, Y, -X),
}.items())
def test_the_frames_of_a_t_pose(name, columns):
    np.testing.assert_allclose(rest_frames(T_POSE, set(T_POSE))[name], np.stack(columns, axis=1), atol=1e-12)


def test_a_body_that_is_turned_has_turned_frames():
    about = Rotation.from_rotvec([0, 2.0, 0])
    turned = rest_frames({name: about.apply(place) for name, place in T_POSE.items()}, set(T_POSE))
    for name, frame in rest_frames(T_POSE, set(T_POSE)).items():
        np.testing.assert_allclose(turned[name], about.as_matrix() @ frame, atol=1e-9, err_msg=name)


def test_a_bent_elbow_says_where_its_hinge_is_and_a_straight_one_does_not():
    up = T_POSE | {"left_wrist": np.array([0.5, 1.65, 0])}  # folded upward by a right angle
    frames = rest_frames(up, set(T_POSE))
    np.testing.assert_allclose(frames["left_shoulder"], np.stack([X, Y, Z], 1), atol=1e-12)
    np.testing.assert_allclose(frames["left_elbow"], np.stack([Y, -X, Z], 1), atol=1e-12)
    hardly = T_POSE | {"left_wrist": np.array([0.75, 1.42, 0])}  # by 5 degrees
    np.testing.assert_allclose(rest_frames(hardly, set(T_POSE))["left_shoulder"], np.stack([X, Z, -Y], 1), atol=1e-12)


def test_only_what_both_share_is_looked_at():
    few = {name for name in T_POSE if not any(finger in name for finger in ("index", "pinky", "thumb", "foot"))}
    bent = T_POSE | {"left_index_mcp": np.array([0.75, 1.3, 0.03]), "left_foot": np.array([0.2, 0.02, 0.12])}
    frames = rest_frames(bent, few)
    np.testing.assert_allclose(frames["left_wrist"], frames["left_elbow"], atol=1e-12)
    np.testing.assert_allclose(frames["left_ankle"], np.stack([Z, Y, -X], 1), atol=1e-12)
    assert "left_index_mcp" not in frames
    assert "left_foot" not in frames


def test_a_foot_that_hangs_is_not_taken_for_level():
    hanging = T_POSE | {"left_foot": np.array([0.1, -0.05, 0.01])}
    along = np.array([0, -0.15, 0.01]) / np.hypot(0.15, 0.01)
    np.testing.assert_allclose(rest_frames(hanging, set(T_POSE))["left_ankle"][:, 0], along, atol=1e-12)


def test_every_frame_is_a_rotation():
    rng = np.random.default_rng(0)
    for _ in range(20):
        frames = rest_frames({name: place + rng.normal(0, 0.03, 3) for name, place in T_POSE.items()}, set(T_POSE))
        for name, frame in frames.items():
            np.testing.assert_allclose(frame.T @ frame, np.eye(3), atol=1e-12, err_msg=name)
            assert np.linalg.det(frame) == pytest.approx(1), name
