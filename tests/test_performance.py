"""`Performance`: what it refuses, that it comes through a take's motion as it was, and that it moves as a rigid body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.performance import Performance, moved, rest_performance
from rigdrop.errors import RigdropError

from .bodies import humanoid
from .synthetic import small_take

FRAMES = 9
TURN = Rotation.from_euler("xyz", [20, 130, -5], degrees=True)
STEP_M = np.array([0.4, -1.2, 3.0])


def _performance(scale: str = "none") -> Performance:
    take = small_take(FRAMES, scale=scale)  # type: ignore[arg-type]
    person = take.people[0]
    return Performance.of_motion(person.rig, take.times_s, person.motion)


def _turned(places_m: np.ndarray) -> np.ndarray:
    return TURN.apply(places_m.reshape(-1, 3)).reshape(places_m.shape) + STEP_M


def _rigid() -> np.ndarray:
    T_new_old = np.eye(4)
    T_new_old[:3, :3], T_new_old[:3, 3] = TURN.as_matrix(), STEP_M
    return T_new_old


@pytest.mark.parametrize(("name", "value", "said"), [
    ("quat_xyzw", np.zeros((FRAMES, 6, 4)), r"performance: quat_xyzw: found \(9, 6, 4\), expected \(9, 7, 4\)"),
    ("visible", np.ones(FRAMES - 1, bool), r"performance: visible: found \(8,\)"),
    ("known", np.ones((FRAMES, 1), bool), r"performance: known: found \(9, 1\), expected \(9, 7\)"),
    ("scale", np.ones((FRAMES, 7, 1)), "performance: scale"),
    ("translation_m", np.full((FRAMES, 7, 3), np.nan), "performance: translation_m: found NaN or infinity.*fill gaps first"),
])
def test_what_does_not_fit_the_rig_is_refused(name, value, said):
    with pytest.raises(RigdropError, match=said):
        replace(_performance(), **{name: value})


@pytest.mark.parametrize("scale", ["none", "varying"])
def test_a_takes_motion_comes_through_as_it_was(scale):
    person = small_take(FRAMES, scale=scale).people[0]
    motion = Performance.of_motion(person.rig, np.arange(FRAMES) / 30, person.motion).to_motion()
    # Single precision that goes to double and back: an ulp where a quaternion is brought to length 1 again.
    np.testing.assert_allclose(motion.local_quat_xyzw, person.motion.local_quat_xyzw, atol=1.2e-7)
    np.testing.assert_array_equal(motion.local_translation_m, person.motion.local_translation_m)
    np.testing.assert_array_equal(motion.visible, person.motion.visible)
    np.testing.assert_array_equal(motion.confidence, person.motion.confidence)
    assert (motion.local_scale is None) == (scale == "none")
    if motion.local_scale is not None:
        np.testing.assert_array_equal(motion.local_scale, person.motion.local_scale)


def test_what_was_not_visible_is_not_known_and_quaternions_stay_on_one_side():
    person = small_take(FRAMES).people[0]
    quat = person.motion.local_quat_xyzw.copy()
    quat[4:] *= -1
    visible = np.arange(FRAMES) != 2
    performance = Performance.of_motion(person.rig, np.arange(FRAMES) / 30, replace(person.motion, local_quat_xyzw=quat, visible=visible))
    np.testing.assert_array_equal(performance.known, np.repeat(visible[:, None], len(person.rig.joint_names), axis=1))
    kept = performance.to_motion().local_quat_xyzw
    assert np.sum(kept[1:] * kept[:-1], axis=-1).min() > 0
    np.testing.assert_allclose(kept, person.motion.local_quat_xyzw, atol=1.2e-7)


def test_joints_are_where_matrices_multiplied_by_hand_put_them():
    performance = _performance("varying")
    assert performance.scale is not None
    frame, world = 5, []
    for joint, parent in enumerate(performance.rig.joint_parents):
        local = np.eye(4)
        local[:3, :3] = Rotation.from_quat(performance.quat_xyzw[frame, joint]).as_matrix() * performance.scale[frame, joint]
        local[:3, 3] = performance.translation_m[frame, joint]
        world.append(local if parent < 0 else world[parent] @ local)
    np.testing.assert_allclose(performance.T_world_joint[frame], world, atol=1e-12)
    np.testing.assert_allclose(performance.joints_m[frame], np.stack(world)[:, :3, 3], atol=1e-12)


@pytest.mark.parametrize("scale", ["none", "varying"])
def test_somebody_who_is_moved_is_moved_as_a_whole_and_nothing_moves_in_them(scale):
    before = _performance(scale)
    after = moved(before, _rigid())
    np.testing.assert_allclose(after.joints_m, _turned(before.joints_m), atol=1e-12)
    linear = np.einsum("ij,...jk->...ik", TURN.as_matrix(), before.T_world_joint[..., :3, :3])
    np.testing.assert_allclose(after.T_world_joint[..., :3, :3], linear, atol=1e-12)
    np.testing.assert_array_equal(after.quat_xyzw[:, 1:], before.quat_xyzw[:, 1:])
    np.testing.assert_array_equal(after.translation_m[:, 1:], before.translation_m[:, 1:])
    back = moved(after, np.linalg.inv(_rigid()))
    np.testing.assert_allclose(back.joints_m, before.joints_m, atol=1e-12)


def test_a_root_that_is_scaled_itself_keeps_its_scale_when_moved():
    before = _performance()
    scale = np.ones(before.quat_xyzw.shape[:2])
    scale[:, 0] = 1.3
    before = replace(before, scale=scale)
    after = moved(before, _rigid())
    np.testing.assert_array_equal(after.scale, scale)
    np.testing.assert_allclose(after.joints_m, _turned(before.joints_m), atol=1e-12)


def test_whoever_rests_stands_in_the_bind_pose():
    rig = humanoid()
    performance = rest_performance(rig, np.arange(3) / 30)
    np.testing.assert_allclose(performance.T_world_joint, np.tile(rig.bind_world, (3, 1, 1, 1)), atol=1e-12)
    assert performance.scale is None and performance.known.all() and performance.visible.all()


def test_a_rest_pose_with_scaled_joints_keeps_them():
    rig = humanoid()
    rest = rig.skeleton.rest_local.copy()
    wrist = rig.skeleton.semantic["left_wrist"]
    rest[wrist, :3, :3] *= 0.9
    performance = rest_performance(replace(rig, skeleton=replace(rig.skeleton, rest_local=rest)), np.zeros(1))
    assert performance.scale is not None
    np.testing.assert_allclose(performance.scale[0, wrist], 0.9, atol=1e-12)
    np.testing.assert_allclose(np.delete(performance.scale[0], wrist), 1, atol=1e-12)


def test_other_turns_leave_the_rest_and_places_follow_where_given():
    before = _performance()
    still = before.with_turns(before.quat_xyzw[:1].repeat(FRAMES, axis=0))
    assert still.translation_m is before.translation_m and still.known is before.known and still.frame_count == FRAMES
    shifted = before.with_turns(before.quat_xyzw, before.translation_m + [0.0, 0, 1])
    assert np.ptp(shifted.joints_m[:, 0, 2] - before.joints_m[:, 0, 2]) < 1e-12
