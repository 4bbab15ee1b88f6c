from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.fit import FitResult
from rigdrop.convert.fitting.ground import Ground
from rigdrop.convert.root import CameraOptions, camera_of, into_world, lens_of, world_from_camera
from rigdrop.errors import SettingsError

from .bodies import FOCAL_PX, HEIGHT, WIDTH, exercise, observed

OBSERVED = observed([], np.arange(3) / 30)


@pytest.mark.parametrize(
    ("options", "metadata_px", "focal_px", "source"),
    [
        (CameraOptions(focal_px=700.0), 900.0, 700.0, "user"),
        (CameraOptions(), 900.0, 900.0, "metadata"),
        (CameraOptions(), None, 1.2 * HEIGHT, "default"),
    ],
)
def test_the_lens_is_the_users_or_the_files_or_the_default(options, metadata_px, focal_px, source):
    lens, said = lens_of(replace(OBSERVED, focal_px=metadata_px), options)
    assert (lens.focal_px, said) == (pytest.approx(focal_px), source)
    assert (lens.center_x_px, lens.center_y_px) == (WIDTH / 2, HEIGHT / 2)


@pytest.mark.parametrize("focal_px", [0.0, -5.0, np.nan, np.inf])
def test_a_focal_length_that_can_not_be_is_refused(focal_px):
    with pytest.raises(SettingsError, match="focal-px"):
        CameraOptions(focal_px=focal_px)


@pytest.mark.parametrize("pitch_deg", [0, 15, -20])
def test_the_world_stands_on_its_ground_under_the_first_person(pitch_deg):
    origin = np.array([0.4, -0.2, -3.5])
    T = world_from_camera(Ground(np.radians(pitch_deg), 1.4, 0.0, 50), origin)
    assert np.allclose(T[:3, :3], Rotation.from_rotvec([-np.radians(pitch_deg), 0, 0]).as_matrix())
    assert np.allclose(T[3], [0, 0, 0, 1])
    assert T[1, 3] == pytest.approx(1.4)  # the camera above the ground
    under = T @ [*origin, 1.0]
    assert np.allclose(under[[0, 2]], 0)
    looks = T[:3, :3] @ [0, 0, -1.0]
    assert np.degrees(np.arcsin(-looks[1])) == pytest.approx(pitch_deg)  # a camera with a positive pitch looks down


def test_a_fit_is_carried_into_the_world():
    quat, root_m = exercise(np.arange(4) / 30)
    T = world_from_camera(Ground(0.3, 1.2, 0.0, 50), root_m[0])
    world_quat, world_root_m = into_world(FitResult(quat, root_m, np.zeros(10), np.zeros((4, 4)), 1.0, 1, 0.0), T)
    assert np.allclose(world_root_m, [(T @ [*place, 1.0])[:3] for place in root_m])
    expected = Rotation.from_matrix(T[:3, :3]) * Rotation.from_quat(quat[:, 0])
    assert np.allclose(Rotation.from_quat(world_quat[:, 0]).as_matrix(), expected.as_matrix())
    assert np.array_equal(world_quat[:, 1:], quat[:, 1:])


def test_the_camera_sees_the_world_as_the_lens_saw_the_people():
    lens, source = lens_of(OBSERVED, CameraOptions())
    T = world_from_camera(Ground(0.25, 1.3, 0.0, 50), np.array([0.1, 0.0, -3.0]))
    camera = camera_of(OBSERVED, lens, source, T)
    assert (camera.width, camera.height, camera.focal_source) == (WIDTH, HEIGHT, "metadata")
    in_camera = np.array([[[0.3, 0.4, -2.5], [-0.5, 0.1, -4.0]]])
    pixels = camera.project(in_camera @ T[:3, :3].T + T[:3, 3])
    assert np.allclose(pixels[0], [[WIDTH / 2 + FOCAL_PX * x / -z, HEIGHT / 2 - FOCAL_PX * y / -z] for x, y, z in in_camera[0]])
    assert np.allclose(lens.rays(pixels), in_camera[..., :2] / -in_camera[..., 2:])
