from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.errors import ReadError
from rigdrop.motion.take import Camera, Motion

from .morphing import with_morphs
from .synthetic import small_take


@pytest.fixture
def take():
    return small_take(frames=6)


def _nan_at_the_end(array: np.ndarray) -> np.ndarray:
    changed = np.array(array, dtype=float)
    changed[-1] = np.nan
    return changed


@pytest.mark.parametrize(
    ("field", "broken", "says"),
    [
        ("local_quat_xyzw", lambda motion: motion.local_quat_xyzw[..., :3], r"\(F, J, 4\)"),
        ("local_quat_xyzw", lambda motion: motion.local_quat_xyzw[0], r"\(F, J, 4\)"),
        ("local_quat_xyzw", lambda motion: motion.local_quat_xyzw * 1.01, "unit"),
        ("local_quat_xyzw", lambda motion: np.zeros((6, 7, 4)), "unit"),
        ("local_quat_xyzw", lambda motion: _nan_at_the_end(motion.local_quat_xyzw), "finite"),
        ("local_translation_m", lambda motion: motion.local_translation_m[:-1], r"\(6, 7, 3\)"),
        ("local_translation_m", lambda motion: _nan_at_the_end(motion.local_translation_m), "finite"),
        ("visible", lambda motion: motion.visible[:-1], r"\(6,\)"),
        ("confidence", lambda motion: motion.confidence[:, None], r"\(6,\)"),
        ("confidence", lambda motion: _nan_at_the_end(motion.confidence), "finite"),
        ("local_scale", lambda motion: np.ones(6), r"\(6, 7\)"),
        ("local_scale", lambda motion: np.zeros((6, 7)), "positive"),
        ("local_scale", lambda motion: np.full((6, 7), np.inf), "finite"),
        ("morph_weights", lambda motion: np.ones((5, 2)), r"\(6, M\)"),
        ("morph_weights", lambda motion: np.ones((6, 0)), "one target or more"),
        ("morph_weights", lambda motion: np.full((6, 2), np.nan), "finite"),
        ("morph_weights", lambda motion: np.full((6, 2), -0.01), "from 0 to 1"),
        ("morph_weights", lambda motion: np.full((6, 2), 1.01), "from 0 to 1"),
    ],
)
def test_a_motion_that_can_not_be_is_refused(take, field, broken, says):
    motion = take.people[0].motion
    with pytest.raises(ReadError, match=rf"take: {field}: found .*expected .*{says}"):
        replace(motion, **{field: broken(motion)})


def test_a_motion_takes_the_stores_types(take):
    motion = take.people[0].motion
    loose = Motion(motion.local_quat_xyzw.astype(float), motion.local_translation_m.tolist(), [1] * 6, np.ones(6), np.ones((6, 7), int))
    assert (
        loose.local_quat_xyzw.dtype,
        loose.local_translation_m.dtype,
        loose.visible.dtype,
        loose.confidence.dtype,
        loose.local_scale.dtype,
    ) == (np.float32, np.float32, np.bool_, np.float32, np.float32)
    assert loose.frame_count == 6


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"motion": small_take(frames=3).people[0].motion, "raw": {"score": np.ones(6)}}, "raw/score: found 6, expected 3"),
        ({"vertices_m": np.zeros((6, 5, 3))}, r"vertices_m: found \(6, 5, 3\), expected \(6, 122, 3\)"),
        ({"id": "person/01"}, "an id of letters"),
        ({"id": ".."}, "an id of letters"),
        ({"id": ""}, "an id of letters"),
    ],
)
def test_a_person_that_does_not_fit_together_is_refused(take, changed, says):
    with pytest.raises(ReadError, match=says):
        replace(take.people[0], **changed)


def test_morph_weights_go_with_the_rigs_targets(take):
    person = with_morphs(take, 3).people[0]
    for changed in ({"rig": take.people[0].rig}, {"motion": take.people[0].motion}, {"motion": with_morphs(take, 2).people[0].motion}):
        with pytest.raises(ReadError, match=r"people/person_01/morph_weights: found \d a frame, expected one for each of the rig's \d"):
            replace(person, **changed)


def test_a_motion_of_another_rig_is_refused(take):
    motion = take.people[0].motion
    with pytest.raises(ReadError, match="expected 7 joints"):
        replace(
            take.people[0],
            motion=replace(motion, local_quat_xyzw=motion.local_quat_xyzw[:, :3], local_translation_m=motion.local_translation_m[:, :3]),
        )


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"times_s": np.zeros(0)}, "one frame or more"),
        ({"times_s": np.zeros((6, 1))}, "one frame or more"),
        ({"times_s": [0, 1, 2, 2, 3, 4]}, "strictly increasing"),
        ({"times_s": [0, 1, 2, np.nan, 3, 4]}, "strictly increasing"),
        ({"times_s": [0, 1, 2]}, "expected 3 frames"),
        ({"fps": Fraction(0)}, "positive rate"),
        ({"people": small_take(frames=6).people * 2}, "each id once"),
        ({"camera": small_take(frames=5, camera_moves=True).camera}, "world_from_camera: found 5, expected 6 frames"),
    ],
)
def test_a_take_that_does_not_fit_together_is_refused(take, changed, says):
    with pytest.raises(ReadError, match=says):
        replace(take, **changed)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"width": 0}, "positive width"),
        ({"intrinsics_px": np.eye(4)}, r"camera/intrinsics_px: found \(4, 4\)"),
        ({"intrinsics_px": np.zeros((1, 1, 3, 3))}, r"camera/intrinsics_px"),
        ({"world_from_camera": np.eye(3)}, r"camera/world_from_camera"),
        ({"world_from_camera": np.eye(4) * np.nan}, "finite"),
    ],
)
def test_a_camera_that_can_not_be_is_refused(take, changed, says):
    with pytest.raises(ReadError, match=says):
        replace(take.camera, **changed)


def test_a_take_without_people_is_a_take(take):
    assert replace(take, people=[]).frame_count == 6


def _loop_project(camera: Camera, frame: int, point: np.ndarray) -> np.ndarray:
    """One point of one frame by the book: X_cv = diag(1,-1,-1) · camera_from_world · X, then K."""
    pose = camera.world_from_camera if camera.world_from_camera.ndim == 2 else camera.world_from_camera[frame]
    K = camera.intrinsics_px if camera.intrinsics_px.ndim == 2 else camera.intrinsics_px[frame]
    x, y, z, _ = np.linalg.inv(pose) @ [*point, 1.0]
    homogeneous = K @ [x, -y, -z]
    return homogeneous[:2] / homogeneous[2]


@pytest.mark.parametrize("moves", [False, True])
@pytest.mark.parametrize("zooms", [False, True])
def test_points_are_projected_as_the_book_says(moves, zooms):
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (5, 1, 1))
    poses[:, :3, :3], poses[:, :3, 3] = Rotation.from_rotvec(rng.normal(0, 0.1, (5, 3))).as_matrix(), rng.normal(0, 0.2, (5, 3))
    lenses = np.tile([[800.0, 2.0, 320], [0, 820, 240], [0, 0, 1]], (5, 1, 1))
    lenses[:, 0, 0] += np.arange(5)
    camera = Camera(640, 480, lenses if zooms else lenses[0], poses if moves else poses[0])
    points = rng.normal(0, 1, (5, 9, 3)) + [0, 0, -5]
    expected = np.array([[_loop_project(camera, frame, point) for point in points[frame]] for frame in range(5)])
    assert np.allclose(camera.project(points), expected, atol=1e-9)


def test_what_lies_behind_the_camera_is_not_seen(take):
    points = np.array([[[0, 1.2, 10.0], [0, 1.2, 4.0], [0, 1.2, 0.0]]])
    assert np.isnan(take.camera.project(points))[0, :, 0].tolist() == [True, True, False]


def test_right_is_right_and_up_is_up_in_the_picture(take):
    middle, right, up = take.camera.project(np.array([[[0, 1.2, 0], [0.1, 1.2, 0], [0, 1.3, 0]]]))[0]
    assert right[0] > middle[0]
    assert up[1] < middle[1]
