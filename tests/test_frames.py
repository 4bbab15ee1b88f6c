from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.motion.frames import UNREAL, WORLD_FRAMES, Y_UP, Z_UP, opencv_to_gltf


def test_opencv_and_gltf_cameras_differ_by_a_half_turn_about_x():
    points = np.random.default_rng(0).normal(size=(5, 7, 3))
    assert np.allclose(opencv_to_gltf(points).reshape(-1, 3), Rotation.from_rotvec([np.pi, 0, 0]).apply(points.reshape(-1, 3)))
    assert np.array_equal(opencv_to_gltf(opencv_to_gltf(points)), points)


@pytest.mark.parametrize(
    ("frame", "up", "to_viewer", "left"),
    [(Y_UP, (0, 1, 0), (0, 0, 1), (1, 0, 0)), (Z_UP, (0, 0, 1), (0, -1, 0), (1, 0, 0)), (UNREAL, (0, 0, 100), (0, -100, 0), (100, 0, 0))],
)
def test_one_metre_of_each_axis_goes_where_the_program_wants_it(frame, up, to_viewer, left):
    moved = np.eye(3) @ frame.T_target_rigdrop[:3, :3].T
    assert np.allclose(moved, [left, up, to_viewer])


@pytest.mark.parametrize("frame", WORLD_FRAMES.values(), ids=lambda frame: frame.name)
def test_frames_are_right_handed(frame):
    assert np.linalg.det(np.array(frame.R_target_rigdrop)) == pytest.approx(1.0)
    assert frame.T_target_rigdrop[np.flatnonzero([frame.up_axis == axis for axis in "XYZ"])[0], 1] == pytest.approx(
        1 / frame.metres_per_unit
    )


@pytest.mark.parametrize("frame", WORLD_FRAMES.values(), ids=lambda frame: frame.name)
def test_a_rigid_transform_carries_its_points_into_the_frame(frame):
    rng = np.random.default_rng(2)
    T_world = np.tile(np.eye(4), (6, 1, 1))
    T_world[:, :3, :3], T_world[:, :3, 3] = Rotation.random(6, random_state=3).as_matrix(), rng.normal(size=(6, 3))
    point_m = rng.normal(size=3)
    moved = frame.change_basis(T_world)
    for before, after in zip(T_world, moved, strict=True):
        world = before @ [*point_m, 1.0]
        # The joint keeps its own axes: its points are told in the target's units, unturned.
        assert np.allclose(after @ [*(point_m / frame.metres_per_unit), 1.0], frame.T_target_rigdrop @ world)
        assert Rotation.from_matrix(after[:3, :3]).as_matrix() == pytest.approx(after[:3, :3])
    assert T_world[0, 3, 3] == 1.0
