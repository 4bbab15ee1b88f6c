"""The end of a motion: people who are moved together with their camera, bound in another pose, led into their first frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body
from rigdrop.convert.character import People
from rigdrop.convert.finish import BindOptions, finish
from rigdrop.convert.mhr.bare_mesh import bare_mesh
from rigdrop.convert.performance import Performance
from rigdrop.convert.place import PlaceOptions, facing_yaw
from rigdrop.errors import SettingsError
from rigdrop.ingest.recording import Actor, MhrMotion
from rigdrop.motion.kinematics import skin_vertices
from rigdrop.motion.take import Camera, Person

from .bodies import humanoid, walk

FRAMES = 30
TIMES_S = 2.0 + np.arange(FRAMES) / 30
NOTHING = (BindOptions(), PlaceOptions())
# Motions are kept in single precision: 1e-7 of a few metres, a few joints deep.
TIGHT_M = 3e-6


def _person(number: int, aside_m: float, first: int = 0, **kept) -> Person:
    body = Body.of(humanoid())
    quat, root_m = walk(body, TIMES_S - TIMES_S[0], heading_rad=0.6 * number)
    visible = np.arange(FRAMES) >= first
    motion = body.to_motion(quat, root_m + [aside_m, 0.3, 1.0], visible, np.ones(FRAMES))
    raw = {"box": np.arange(FRAMES * 4.0).reshape(FRAMES, 4), "id": np.arange(FRAMES)}
    params = {"betas": np.arange(16.0), "mhr_model_params": np.ones((FRAMES, 204))}
    return Person(f"person_{number:02d}", f"Person {number}", number, body.rig, motion, raw=raw, params=params, **kept)


def _people(moving_camera: bool = False, **kept) -> People:
    T_world_camera = np.eye(4)
    T_world_camera[:3, :3], T_world_camera[:3, 3] = Rotation.from_euler("y", 25, degrees=True).as_matrix(), [1.0, 1.5, 6.0]
    lens = np.array([[900.0, 0, 640], [0, 900.0, 360], [0, 0, 1]])
    if moving_camera:
        T_world_camera, lens = np.tile(T_world_camera, (FRAMES, 1, 1)), np.tile(lens, (FRAMES, 1, 1))
        T_world_camera[:, 0, 3] += np.linspace(0, 0.5, FRAMES)
        lens[:, 0, 0] += np.arange(FRAMES)
    # The second is there first.
    people = (_person(1, 0.0, first=4, **kept), _person(2, 1.5, **kept))
    return People(Camera(1280, 720, lens, T_world_camera), people, {"focal_source": "default"})


def _performances(people: People, times_s: np.ndarray) -> list[Performance]:
    return [Performance.of_motion(person.rig, times_s, person.motion) for person in people.people]


def _pixels(people: People, times_s: np.ndarray) -> np.ndarray:
    return np.concatenate([people.camera.project(each.joints_m) for each in _performances(people, times_s)], axis=1)


def test_where_nothing_is_asked_nothing_is_touched():
    people = _people()
    same, times_s = finish(people, TIMES_S, *NOTHING)
    assert same is people and times_s is TIMES_S


def test_without_people_there_is_nothing_to_do():
    nobody = replace(_people(), people=())
    assert finish(nobody, TIMES_S, BindOptions("T", 5), PlaceOptions(yaw=90))[0] is nobody


@pytest.mark.parametrize("moving_camera", [False, True])
@pytest.mark.parametrize("placing", [PlaceOptions(facing="-x"), PlaceOptions(at=(2.0, -3.0)), PlaceOptions(yaw=77.0, to_ground=True)])
def test_everybody_and_the_camera_move_as_one(placing, moving_camera):
    people = _people(moving_camera)
    moved, times_s = finish(people, TIMES_S, BindOptions(), placing)
    before, after = (np.concatenate([each.joints_m for each in _performances(some, TIMES_S)], axis=1) for some in (people, moved))
    # The best rigid move between the two, by Kabsch: it leaves nothing over, so no two people came nearer or went apart.
    a, b = before.reshape(-1, 3), after.reshape(-1, 3)
    turn, _ = Rotation.align_vectors(b - b.mean(0), a - a.mean(0))
    np.testing.assert_allclose(turn.apply(a - a.mean(0)), b - b.mean(0), atol=TIGHT_M)
    assert np.abs(turn.as_rotvec()[[0, 2]]).max() < 1e-5  # about the vertical
    # What the camera sees is what it saw: 900 pixels a metre at a metre, some 5 m away.
    np.testing.assert_allclose(_pixels(moved, times_s), _pixels(people, TIMES_S), atol=0.01)
    assert moved.camera.world_from_camera.shape == people.camera.world_from_camera.shape
    np.testing.assert_array_equal(moved.camera.intrinsics_px, people.camera.intrinsics_px)


def test_whoever_is_there_first_stands_and_faces_as_asked():
    moved, times_s = finish(_people(), TIMES_S, BindOptions(), PlaceOptions(facing="+x", at=(2.0, -3.0), to_ground=True))
    first = _performances(moved, times_s)[1]
    pelvis = first.joints_m[0, first.rig.skeleton.semantic["pelvis"]]
    np.testing.assert_allclose(pelvis[[0, 2]], [2.0, -3.0], atol=TIGHT_M)
    assert np.degrees(facing_yaw(first)[0]) == pytest.approx(90, abs=0.01)
    lowest = skin_vertices(first.rig, first.T_world_joint)[..., 1].min(axis=1)
    # Two percent of the frames may be lower; the boxes of the feet stand flat for most of a walk.
    assert abs(np.percentile(lowest, 2)) < 0.005


@pytest.mark.parametrize("moving_camera", [False, True])
def test_a_lead_in_lengthens_everything_that_has_frames(moving_camera):
    people, frames = _people(moving_camera), 7
    led, times_s = finish(people, TIMES_S, BindOptions(lead_in=frames), PlaceOptions())
    assert times_s[0] == TIMES_S[0] and len(times_s) == FRAMES + frames
    np.testing.assert_allclose(np.diff(times_s), 1 / 30, atol=1e-9)
    for before, after in zip(people.people, led.people, strict=True):
        assert after.motion.frame_count == FRAMES + frames and not after.motion.visible[:frames].any()
        np.testing.assert_array_equal(after.motion.visible[frames:], before.motion.visible)
        np.testing.assert_allclose(after.motion.local_translation_m[frames:], before.motion.local_translation_m, atol=1e-6)
        assert np.isnan(after.raw["box"][:frames]).all() and not after.raw["id"][:frames].any()
        np.testing.assert_array_equal(after.raw["box"][frames:], before.raw["box"])
        params = after.params["mhr_model_params"]
        assert np.isnan(params[:frames]).all() and params.shape == (FRAMES + frames, 204)
        np.testing.assert_array_equal(after.params["betas"], before.params["betas"])
        rest = Performance.of_motion(after.rig, times_s, after.motion).quat_xyzw[0, 2:]
        bind = Rotation.from_matrix(after.rig.skeleton.rest_local[2:, :3, :3]).as_quat()
        np.testing.assert_allclose(np.abs(np.sum(rest * bind, axis=-1)), 1, atol=1e-6)
    np.testing.assert_allclose(_pixels(led, times_s)[frames:], _pixels(people, TIMES_S), atol=0.01)
    for array in (led.camera.world_from_camera, led.camera.intrinsics_px):
        assert len(array) == FRAMES + frames if moving_camera else array.ndim == 2


def test_another_bind_pose_moves_no_bone():
    people = _people()
    bound, times_s = finish(people, TIMES_S, BindOptions("T"), PlaceOptions())
    for before, after in zip(_performances(people, TIMES_S), _performances(bound, times_s), strict=True):
        np.testing.assert_allclose(after.joints_m, before.joints_m, atol=TIGHT_M)
        place, semantic = after.rig.bind_world[:, :3, 3], after.rig.skeleton.semantic
        arm = place[semantic["left_wrist"]] - place[semantic["left_shoulder"]]
        np.testing.assert_allclose(arm / np.linalg.norm(arm), [1, 0, 0], atol=1e-6)


def test_in_place_everybody_stays_over_where_they_began():
    people = _people()
    stayed, times_s = finish(people, TIMES_S, BindOptions(), PlaceOptions(root="in-place"))
    for before, after in zip(_performances(people, TIMES_S), _performances(stayed, times_s), strict=True):
        pelvis, first = after.rig.skeleton.semantic["pelvis"], int(np.argmax(before.visible))
        np.testing.assert_allclose(after.joints_m[:, pelvis][:, [0, 2]], np.tile(before.joints_m[first, pelvis, [0, 2]], (FRAMES, 1)),
                                   atol=TIGHT_M)
        np.testing.assert_allclose(after.joints_m[:, pelvis, 1], before.joints_m[:, pelvis, 1], atol=TIGHT_M)


def test_meshes_that_were_kept_move_along_with_their_body():
    vertices = np.random.default_rng(1).normal(0, 1, (FRAMES, len(humanoid().vertices_m), 3)).astype(np.float32)
    people = _people(vertices_m=vertices)
    moved, _ = finish(people, TIMES_S, BindOptions(), PlaceOptions(yaw=90.0))
    before, after = people.people[1], moved.people[1]
    root = [Performance.of_motion(person.rig, TIMES_S, person.motion).T_world_joint[:, 1] for person in (before, after)]
    seen = [np.einsum("fij,fvj->fvi", np.linalg.inv(T), np.concatenate([mesh, np.ones_like(mesh[..., :1])], -1))
            for T, mesh in zip(root, (before.vertices_m, after.vertices_m), strict=True)]
    np.testing.assert_allclose(seen[1], seen[0], atol=2e-5)  # float32 turns, at two metres from the pelvis


@pytest.mark.parametrize("bind", [BindOptions(lead_in=9), BindOptions("T", 9)], ids=["own", "T"])
def test_kept_meshes_are_led_in_from_the_bind_pose(bind):
    """A body that is a thumb's breadth fatter than its skin: skin in the first frame, all its fat where the motion begins."""
    plain = _people()
    skins = [skin_vertices(each.rig, each.T_world_joint) for each in _performances(plain, TIMES_S)]
    fat = 0.02 * np.random.default_rng(2).normal(size=(1, skins[0].shape[1], 3)).astype(np.float32)
    people = replace(plain, people=tuple(replace(person, vertices_m=skin + fat) for person, skin in zip(plain.people, skins, strict=True)))
    led, times_s = finish(people, TIMES_S, bind, PlaceOptions())
    for before, after, performance in zip(people.people, led.people, _performances(led, times_s), strict=True):
        assert after.vertices_m.shape == (FRAMES + 9, *before.vertices_m.shape[1:]) and after.vertices_m.dtype == np.float32
        np.testing.assert_allclose(after.vertices_m[9:], before.vertices_m, atol=1e-5)
        over = np.linalg.norm(after.vertices_m - skin_vertices(after.rig, performance.T_world_joint), axis=-1)
        # Nothing over the skin at first, and as much as smoothstep says of it later, however joints turn in between.
        whole = np.linalg.norm(before.vertices_m[0] - skin_vertices(after.rig, performance.T_world_joint[9:10])[0], axis=-1)
        for frame in range(9):
            share = frame / 9
            np.testing.assert_allclose(over[frame], share * share * (3 - 2 * share) * whole, atol=2e-5)


def test_a_bare_mesh_waits_where_it_begins():
    """Without a rig there is no bind pose but the first mesh, standing on the ground."""
    ball = np.random.default_rng(0).normal(0, 0.3, (20, 3)) + [0, 2.0, 0]
    meshes = (ball + np.arange(FRAMES)[:, None, None] * [0.01, 0.0, 0.02] + [1.0, 0, 3.0]).astype(np.float32)
    faces = np.array([[0, 1, 2], [3, 4, 5]], np.int32)
    actor = Actor(1, "a", MhrMotion(np.zeros((FRAMES, 45)), np.zeros((FRAMES, 3)), vertices_m=meshes, faces=faces), np.ones(FRAMES, bool),
                  np.ones(FRAMES, np.float32))
    performance, kept = bare_mesh(actor, TIMES_S)
    people = People(Camera(64, 48, np.eye(3), np.eye(4)), (Person("a", "a", 1, performance.rig, performance.to_motion(), kept),), {})
    led, _ = finish(people, TIMES_S, BindOptions(lead_in=6), PlaceOptions(yaw=40.0))
    (person,), yaw = led.people, Rotation.from_euler("y", 40, degrees=True)
    first = person.vertices_m[6]
    np.testing.assert_allclose(first - first.mean(0), yaw.apply(meshes[0] - meshes[0].mean(0)), atol=1e-5)
    for mesh in person.vertices_m[:6]:
        np.testing.assert_allclose((mesh - first)[:, [0, 2]], 0, atol=1e-5)
        assert np.ptp((mesh - first)[:, 1]) < 1e-5
    assert person.vertices_m[0, :, 1].min() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("pose", "frames", "said"), [("X", 0, "bind-pose: found 'X'"), ("T", -1, "lead-in: found -1")])
def test_poses_and_lengths_that_can_not_be_are_refused(pose, frames, said):
    with pytest.raises(SettingsError, match=said):
        BindOptions(pose, frames)
