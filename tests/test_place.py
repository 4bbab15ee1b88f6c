"""Where a person is put, and which joint carries the way: the body in the world is the same, to the last digits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body
from rigdrop.convert.performance import Performance
from rigdrop.convert.place import PlaceOptions, facing_yaw, place
from rigdrop.errors import SettingsError
from rigdrop.motion.rig import Rig

from .bodies import exercise, humanoid, walk

Array = NDArray[np.float64]


def _rig(root: bool = True) -> Rig:
    rig = humanoid()
    semantic = {**rig.skeleton.semantic, **({"root": 0} if root else {})}
    return replace(rig, skeleton=replace(rig.skeleton, semantic=semantic))


def _walker(root: bool = True, heading_rad: float = 0.7, frames: int = 90) -> Performance:
    rig, times_s = _rig(root), np.arange(frames) / 30
    body = Body.of(rig)
    quat, root_m = walk(body, times_s, heading_rad=heading_rad)
    turning, _ = exercise(times_s)
    quat[:, 1:4] = turning[:, 1:4]  # a trunk that moves
    visible = np.ones(frames, bool)
    return Performance.of_motion(rig, times_s, body.to_motion(quat, root_m + [0.4, 0.0, -1.1], visible, np.ones(frames)))


def _body_joints(performance: Performance) -> Array:
    """World transforms of the pelvis and everything below it."""
    return performance.T_world_joint[:, 1:]


@pytest.mark.parametrize("mode", ["root-motion", "hips"])
def test_the_body_does_not_change_in_the_world(mode: str) -> None:
    before = _walker()
    after = place(before, PlaceOptions(root=mode))  # type: ignore[arg-type]
    np.testing.assert_allclose(_body_joints(after), _body_joints(before), atol=1e-9)
    # Modes lead to each other, too.
    again = place(place(after, PlaceOptions(root="hips")), PlaceOptions(root="root-motion"))
    np.testing.assert_allclose(_body_joints(again), _body_joints(before), atol=1e-9)


def test_root_motion_goes_over_the_ground_and_turns_with_the_person() -> None:
    heading = 0.7
    before = _walker(heading_rad=heading)
    after = place(before, PlaceOptions(root="root-motion"))
    rest = before.rig.bind_world
    world, pelvis = after.T_world_joint[:, 0], before.joints_m[:, 1]
    assert np.abs(world[:, 1, 3] - rest[0, 1, 3]).max() < 1e-12  # on the ground
    turn = world[:, :3, :3] @ rest[0, :3, :3].T
    np.testing.assert_allclose(turn, np.tile(Rotation.from_rotvec([0, heading, 0]).as_matrix(), (len(turn), 1, 1)), atol=1e-6)
    over = pelvis - Rotation.from_rotvec([0, heading, 0]).apply(rest[1, :3, 3] - rest[0, :3, 3])
    np.testing.assert_allclose(world[:, [0, 2], 3], over[:, [0, 2]], atol=1e-6)  # the motion is single precision
    # Seen from the root, the pelvis neither travels nor turns.
    local = np.linalg.inv(world) @ after.T_world_joint[:, 1]
    assert np.ptp(local[:, :3, 3], axis=0).max() < 0.05


def test_a_somersault_of_headings_is_continuous() -> None:
    """Three whole turns on the spot: the heading counts on, and the root turns by as much in each frame."""
    rig, times_s = _rig(), np.arange(120) / 30
    body, angle = Body.of(rig), np.linspace(0, 6 * np.pi, 120)
    quat = np.tile([0.0, 0, 0, 1], (120, 22, 1))
    quat[:, 0] = Rotation.from_rotvec(angle[:, None] * [0, 1, 0]).as_quat()
    motion = body.to_motion(quat, np.tile([0, 0.95, 0], (120, 1)), np.ones(120, bool), np.ones(120))
    before = Performance.of_motion(rig, times_s, motion)
    np.testing.assert_allclose(facing_yaw(before) - facing_yaw(before)[0], angle, atol=1e-5)


def test_hips_leave_the_root_at_the_origin() -> None:
    after = place(_walker(), PlaceOptions(root="hips"))
    np.testing.assert_allclose(after.T_world_joint[:, 0], np.tile(after.rig.bind_world[0], (90, 1, 1)), atol=1e-12)


@pytest.mark.parametrize("root", [True, False])
def test_in_place_keeps_heights_and_turns_and_nothing_of_the_way(root: bool) -> None:
    before = _walker(root)
    after = place(before, PlaceOptions(root="in-place"))
    assert np.ptp(after.joints_m[:, 1, [0, 2]], axis=0).max() < 1e-12
    np.testing.assert_allclose(after.joints_m[..., 1], before.joints_m[..., 1], atol=1e-12)
    np.testing.assert_allclose(after.joints_m[0, 1], before.joints_m[0, 1], atol=1e-12)
    np.testing.assert_allclose(after.T_world_joint[:, 1:, :3, :3], before.T_world_joint[:, 1:, :3, :3], atol=1e-12)
    away = before.joints_m[:, 1:] - before.joints_m[:, 1:2]
    np.testing.assert_allclose(after.joints_m[:, 1:] - after.joints_m[:, 1:2], away, atol=1e-12)


@pytest.mark.parametrize(("facing", "front"), [("+z", (0, 0, 1)), ("-z", (0, 0, -1)), ("+x", (1, 0, 0)), ("-x", (-1, 0, 0))])
@pytest.mark.parametrize("root", [True, False])
def test_facing_and_place(facing: str, front: tuple[float, ...], root: bool) -> None:
    """Who walks ahead goes where he faces: the way's direction is the axis, and the way is as long as it was."""
    before = _walker(root)
    after = place(before, PlaceOptions(facing=facing, at=(2.0, -3.0)))  # type: ignore[arg-type]
    pelvis, way = after.joints_m[:, 1], after.joints_m[-1, 1] - after.joints_m[0, 1]
    np.testing.assert_allclose(pelvis[0, [0, 2]], [2.0, -3.0], atol=1e-9)
    np.testing.assert_allclose(way / np.linalg.norm(way), front, atol=1e-6)  # single precision
    distance = np.linalg.norm(np.diff(before.joints_m, axis=1), axis=-1)
    np.testing.assert_allclose(np.linalg.norm(np.diff(after.joints_m[:, 1:], axis=1), axis=-1), distance[:, 1:], atol=1e-9)
    np.testing.assert_allclose(after.joints_m[:, 1:, 1], before.joints_m[:, 1:, 1], atol=1e-9)


def test_yaw_turns_to_the_left() -> None:
    after = place(_walker(), PlaceOptions(facing="+z", yaw=90.0, root="hips"))
    way = after.joints_m[-1, 1] - after.joints_m[0, 1]
    assert way[0] > 0.9 * np.linalg.norm(way)  # left of +Z is +X


def test_facing_is_that_of_the_first_visible_frame() -> None:
    """A person who turns and is first seen half-way faces +Z then, and stands at the point then."""
    before = _walker()
    turned = place(before, PlaceOptions(yaw=50.0))
    quat, translation = before.quat_xyzw.copy(), before.translation_m.copy()
    quat[40:, 0], translation[40:, 0] = turned.quat_xyzw[40:, 0], turned.translation_m[40:, 0]
    visible = np.arange(90) >= 40
    after = place(replace(before, quat_xyzw=quat, translation_m=translation, visible=visible), PlaceOptions(facing="+z", at=(0, 0)))
    assert abs(facing_yaw(after)[40]) < 1e-9
    assert np.abs(after.joints_m[40, 1, [0, 2]]).max() < 1e-9


def test_ground_ignores_a_frame_that_sinks() -> None:
    """Soles that stood at 0.3 m come to 0; one frame in ninety half a metre lower is not the ground."""
    before = _walker()
    translation = before.translation_m + [0, 0, 0]
    up = before.rig.bind_world[0, :3, :3].T  # the root's axes are turned, its parent's are the world's
    assert up.shape == (3, 3)
    translation[:, 0, 1] += 0.3
    translation[7, 0, 1] -= 0.5
    after = place(before.with_turns(before.quat_xyzw, translation), PlaceOptions(to_ground=True))
    # Standing soles are on y = 0 in the walk itself; the percentile is of heights that differ by rounding and a heel's roll.
    np.testing.assert_allclose(np.delete(after.joints_m - before.joints_m, 7, axis=0)[..., 1], 0.0, atol=2e-3)


def test_nothing_asked_for_changes_nothing() -> None:
    before = _walker()
    assert place(before) is before


def test_root_motion_needs_a_root() -> None:
    with pytest.raises(SettingsError, match=r"no root joint.*unreal or ue5.*hips"):
        place(_walker(root=False), PlaceOptions(root="root-motion"))


@pytest.mark.parametrize(("wrong", "message"), [({"root": "feet"}, "root: found 'feet'"), ({"facing": "up"}, "facing: found 'up'"),
                                                ({"at": (np.nan, 0.0)}, "expected finite"), ({"yaw": np.inf}, "expected finite")])
def test_wrong_options(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        PlaceOptions(**wrong)  # type: ignore[arg-type]


def test_joint_scale_is_kept() -> None:
    """A pelvis that is scaled, and a root: the world stays as it was."""
    before = _walker()
    scale = np.ones(before.quat_xyzw.shape[:2])
    scale[:, 0], scale[:, 3] = 1.1, 0.93
    scaled = replace(before, scale=scale)
    for mode in ("root-motion", "hips"):
        after = place(scaled, PlaceOptions(root=mode))  # type: ignore[arg-type]
        np.testing.assert_allclose(_body_joints(after), _body_joints(scaled), atol=1e-9)
