"""`Recording` and what is in it: shapes that don't fit, and people who are none, are refused in words."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.ingest.recording import Actor, MhrMotion, Recording, SkeletalMotion, SmplMotion
from rigdrop.motion.rig import Skeleton
from rigdrop.motion.take import Motion

FRAMES = 4


def _mhr(**changes: Any) -> MhrMotion:
    parts = {"shape_params": np.zeros((FRAMES, 45)), "camera_translation_m": np.zeros((FRAMES, 3)), "model_params": np.zeros((FRAMES, 204))}
    return MhrMotion(**{**parts, **changes})


def _smpl(model: str = "smplh", joints: int = 52, **changes: Any) -> SmplMotion:
    parts = {"quat_xyzw": np.tile([0.0, 0, 0, 1], (FRAMES, joints, 1)), "translation_m": np.zeros((FRAMES, 3)), "R_world_source": np.eye(3)}
    return SmplMotion(model, **{**parts, **changes})  # type: ignore[arg-type]


def _skeletal(joints: int) -> SkeletalMotion:
    skeleton = Skeleton(("a", "b"), np.array([-1, 0]), np.tile(np.eye(4), (2, 1, 1)))  # type: ignore[arg-type]
    quat = np.tile([0.0, 0, 0, 1], (FRAMES, joints, 1))
    return SkeletalMotion(skeleton, Motion(quat, np.zeros((FRAMES, joints, 3)), np.ones(FRAMES, bool), np.ones(FRAMES)))  # type: ignore[arg-type]


def _actor(**changes: Any) -> Actor:
    parts = {"track": 7, "name": "Ada", "motion": _mhr(), "visible": np.ones(FRAMES, bool), "confidence": np.ones(FRAMES, np.float32)}
    return Actor(**{**parts, **changes})


def _recording(*actors: Actor, frames: int = FRAMES) -> Recording:
    return Recording(np.arange(frames) / 30, Fraction(30), actors)


@pytest.mark.parametrize("motion", [_mhr(), _smpl(), _smpl("smpl", 24), _smpl("smplx", 55), _skeletal(2)])
def test_every_kind_of_motion_has_its_frames(motion):
    assert motion.frame_count == FRAMES
    assert _recording(_actor(motion=motion)).actors[0].motion is motion


@pytest.mark.parametrize(("changes", "said"), [
    ({"shape_params": np.zeros((FRAMES, 44))}, r"mhr: shape_params: found \(4, 44\), expected \(any, 45\)"),
    ({"camera_translation_m": np.zeros((FRAMES + 1, 3))}, r"mhr: camera_translation_m: found \(5, 3\), expected \(4, 3\)"),
    ({"model_params": np.zeros((FRAMES, 205))}, r"mhr: model_params: found \(4, 205\)"),
    ({"expression_params": np.zeros(72)}, r"mhr: expression_params: found \(72,\)"),
    ({"joints_m": np.zeros((FRAMES, 126, 3))}, r"mhr: joints_m: found \(4, 126, 3\)"),
    ({"vertices_m": np.zeros((FRAMES, 9, 4))}, r"mhr: vertices_m: found \(4, 9, 4\), expected \(4, any, 3\)"),
    ({"model_params": None}, "found neither mhr_model_params nor pred_joint_coords nor pred_vertices"),
])
def test_mhrs_arrays_are_of_its_shapes(changes, said):
    with pytest.raises(ReadError, match=said):
        _mhr(**changes)


@pytest.mark.parametrize(("changes", "said"), [
    ({"joints": 55}, r"smpl: quat_xyzw: found \(4, 55, 4\), expected \(any, 52, 4\)"),
    ({"translation_m": np.zeros((FRAMES, 2))}, r"smpl: translation_m: found \(4, 2\)"),
    ({"R_world_source": np.eye(4)}, "smpl: R_world_source"),
    ({"betas": np.zeros((1, 10))}, "smpl: betas"),
    ({"hands_seen": np.ones(FRAMES, bool)}, "smpl: hands_seen"),
])
def test_smpls_arrays_are_of_its_shapes(changes, said):
    with pytest.raises(ReadError, match=said):
        _smpl(**changes)


def test_a_skeleton_moves_all_its_joints():
    with pytest.raises(ReadError, match="found motion of 3 joints, expected 2"):
        _skeletal(3)


@pytest.mark.parametrize(("changes", "said"), [
    ({"visible": np.ones(FRAMES + 1, bool)}, r"Ada: visible: found \(5,\), expected \(4\)"),
    ({"confidence": np.ones((FRAMES, 1), np.float32)}, "Ada: confidence"),
    ({"raw": {"box": np.zeros((FRAMES - 1, 4))}}, r"Ada: box: found \(3, 4\), expected \(4, 4\)"),
    ({"visible": np.zeros(FRAMES, bool)}, "Ada: visible: found no frame"),
])
def test_a_person_is_there_and_as_long_as_their_motion(changes, said):
    with pytest.raises(ReadError, match=said):
        _actor(**changes)


def test_people_are_as_long_as_the_times_and_each_is_there_once():
    with pytest.raises(ReadError, match="Ada: found 4 frames, expected 5"):
        _recording(_actor(), frames=5)
    with pytest.raises(ReadError, match=r"found tracks \[7, 7\], expected each person's once"):
        _recording(_actor(), _actor(name="Bo"))
    both = _recording(_actor(), _actor(track=2))
    assert [actor.track for actor in both.actors] == [7, 2] and isinstance(both.actors, tuple)
    assert replace(both, actors=[]).actors == ()
