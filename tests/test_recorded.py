"""`people_of`: everybody of a recording on the right rig, on the ground in one world, with the options' stages run and told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body
from rigdrop.convert.clean import CleanOptions
from rigdrop.convert.performance import Performance, moved
from rigdrop.convert.recorded import RecordedOptions, people_of
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model
from rigdrop.convert.stance.contacts import FeetOptions
from rigdrop.convert.stance.soles import sole_places
from rigdrop.errors import MissingPartError, ReadError
from rigdrop.ingest.recording import Actor, MhrMotion, Recording, SkeletalMotion, SmplMotion
from rigdrop.motion.kinematics import skin_vertices
from rigdrop.motion.take import Camera, Person

from .bodies import humanoid, walk, world_from_camera
from .motion_clips import walking_poses

FRAMES = 24
TIMES_S = np.arange(FRAMES) / 30
TO_GLTF = np.array([1.0, -1.0, -1.0])  # the samples' points are in OpenCV's axes
AS_IT_IS = RecordedOptions()


class Rigs:
    """Loads rigs made of numbers alone, and notes which were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, name: str):
        self.asked.append(name)
        return replace(humanoid(seed=len(name), elbow_rad=0.0 if name.startswith("smpl") else 0.5), name=name)


def _no_model():
    raise AssertionError("nobody should ask for MHR")


def _actor(motion, track: int = 5, visible: np.ndarray | None = None, **raw: np.ndarray) -> Actor:
    seen = np.ones(motion.frame_count, bool) if visible is None else visible
    return Actor(track, f"Track {track}", motion, seen, seen.astype(np.float32), raw)


def _skeletal(aside_m: float = 0.0, with_rig: bool = True, shake: float = 0.0) -> SkeletalMotion:
    body = Body.of(humanoid())
    quat, root_m = walk(body, TIMES_S)
    if shake:
        noise = Rotation.from_rotvec(np.random.default_rng(2).normal(0, shake, (FRAMES * 22, 3))).as_quat().reshape(FRAMES, 22, 4)
        quat = (Rotation.from_quat(quat.reshape(-1, 4)) * Rotation.from_quat(noise.reshape(-1, 4))).as_quat().reshape(FRAMES, 22, 4)
    motion = body.to_motion(quat, root_m + [aside_m, 0.0, 0.0], np.ones(FRAMES, bool), np.ones(FRAMES))
    return SkeletalMotion(body.rig.skeleton, motion, body.rig if with_rig else None)


def _recording(*actors: Actor, camera: Camera | None = None) -> Recording:
    return Recording(TIMES_S, Fraction(30), actors, camera)


def _performance(person: Person) -> Performance:
    return Performance.of_motion(person.rig, TIMES_S, person.motion)


def _pelvis(person: Person) -> np.ndarray:
    return _performance(person).joints_m[:, person.rig.skeleton.semantic["pelvis"]]


# -- which rig


def test_a_character_of_the_files_own_stays_as_it_is():
    rigs, motion = Rigs(), _skeletal()
    people = people_of(_recording(_actor(motion, box=np.ones((FRAMES, 4)))), AS_IT_IS, rigs, _no_model)
    (person,) = people.people
    assert person.rig is motion.rig and not rigs.asked
    assert (person.id, person.name, person.source_track) == ("person_01", "Track 5", 5)
    np.testing.assert_array_equal(person.raw["box"], np.ones((FRAMES, 4)))
    np.testing.assert_allclose(_performance(person).joints_m, Performance.of_motion(motion.rig, TIMES_S, motion.motion).joints_m, atol=1e-6)


@pytest.mark.parametrize(("name", "with_rig", "expected"), [("auto", False, "unreal"), ("mixamo", True, "mixamo"), ("vrm", False, "vrm")])
def test_motion_is_carried_onto_the_rig_that_is_asked_for_which_is_loaded_once(name, with_rig, expected):
    rigs = Rigs()
    actors = [_actor(_skeletal(1.5 * number, with_rig), number) for number in range(3)]
    people = people_of(_recording(*actors), RecordedOptions(rig=name), rigs, _no_model)
    assert [person.rig.name for person in people.people] == [expected] * 3
    assert rigs.asked == [expected]
    assert [person.id for person in people.people] == ["person_01", "person_02", "person_03"]
    # The same body in another skin: everybody is where they were.
    for actor, person in zip(actors, people.people, strict=True):
        source = Performance.of_motion(humanoid(), TIMES_S, actor.motion.motion)
        np.testing.assert_allclose(_pelvis(person), source.joints_m[:, source.rig.skeleton.semantic["pelvis"]], atol=1e-5)


def test_smpls_motion_goes_by_a_rig_of_its_own_to_unreal():
    rigs = Rigs()
    rotvec, places = walking_poses(TIMES_S)
    quat = Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_quat().reshape(FRAMES, 52, 4)
    Z_up_to_Y_up = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    motion = SmplMotion("smplh", quat, places, Z_up_to_Y_up, betas=np.arange(16.0))
    rigs_by_name = {"smplh": _t_pose(), "unreal": humanoid()}
    people = people_of(_recording(_actor(motion)), AS_IT_IS, lambda name: rigs.asked.append(name) or rigs_by_name[name], _no_model)
    (person,) = people.people
    assert rigs.asked == ["smplh", "unreal"] and person.rig is rigs_by_name["unreal"]
    np.testing.assert_array_equal(person.params["betas"], np.arange(16.0))
    way = _pelvis(person)[-1] - _pelvis(person)[0]
    assert way[2] == pytest.approx(0.7 * TIMES_S[-1], rel=0.05) and abs(way[0]) < 1e-4  # the same legs, to a few percent


def _t_pose():
    from rigdrop.convert.rest_pose import with_bind_pose

    return with_bind_pose(humanoid(), "T")


def test_nobody_in_a_recording_is_an_error():
    with pytest.raises(ReadError, match="found nobody"):
        people_of(_recording(), AS_IT_IS, Rigs(), _no_model)


# -- the camera's axes


@pytest.fixture(scope="module")
def model(shared):
    return load_mhr_model(shared / "mhr" / "lod3")


def _mhr(shared, aside_m: float = 0.0, name: str = "sam3d_body_subj00", **changes) -> MhrMotion:
    """A real sample in as many frames, sliding 2 cm a frame to the left."""
    with np.load(shared / "samples" / f"{name}.npz") as archive:
        sample = {key: np.asarray(archive[key], dtype=np.float64) for key in archive.files}
    camera = sample["pred_cam_t"] * TO_GLTF + np.arange(FRAMES)[:, None] * [0.02, 0, 0] + [aside_m, 0, 0]
    parts = {"shape_params": np.tile(sample["shape_params"], (FRAMES, 1)), "camera_translation_m": camera,
             "model_params": np.tile(sample["mhr_model_params"], (FRAMES, 1))}
    return MhrMotion(**{**parts, **changes})


def _two(shared) -> Recording:
    """The second in the list is there first; both stand as high."""
    late = np.arange(FRAMES) >= 6
    motion = _mhr(shared)
    absent = {name: np.where(late[:, None], getattr(motion, name), np.nan)
              for name in ("shape_params", "camera_translation_m", "model_params")}
    return _recording(_actor(replace(motion, **absent), 3, late), _actor(_mhr(shared, 1.25), 8))


def test_mhrs_motion_stands_on_the_ground_and_begins_over_the_origin(model, shared):
    rigs, recording = Rigs(), _two(shared)
    people = people_of(recording, AS_IT_IS, rigs, lambda: model)
    late, first = people.people
    assert not rigs.asked and [person.rig.name for person in people.people] == ["mhr", "mhr"]
    np.testing.assert_allclose(_pelvis(first)[0, [0, 2]], 0, atol=1e-6)
    lowest = min(sole_places(_performance(person))[person.motion.visible][..., 1].min() for person in people.people)
    assert abs(lowest) < 1e-3  # the pose stands still: the ground is where its lowest sole is
    # They are as far apart as the camera had them, and go the way they went.
    assert (_pelvis(first) - _pelvis(late))[10] == pytest.approx([1.25, 0, 0], abs=1e-5)
    assert (_pelvis(first)[-1] - _pelvis(first)[0]) == pytest.approx([0.02 * (FRAMES - 1), 0, 0], abs=1e-5)
    np.testing.assert_array_equal(late.motion.visible, np.arange(FRAMES) >= 6)
    assert first.params["mhr_model_params"].shape == (FRAMES, 204) and first.params["shape_params"].shape == (FRAMES, 45)
    np.testing.assert_array_equal(first.params["pred_cam_t"], recording.actors[1].motion.camera_translation_m)


def _lens(focal: float = 1000.0) -> Camera:
    return Camera(1280, 720, np.array([[focal, 0, 640], [0, focal, 360], [0, 0, 1.0]]), np.eye(4), "estimator")


@pytest.mark.parametrize("level", [True, False])
def test_the_files_camera_still_sees_what_it_saw(model, shared, level):
    recording = replace(_two(shared), camera=_lens())
    people = people_of(recording, RecordedOptions(level=level), Rigs(), lambda: model)
    assert people.details["focal_source"] == people.camera.focal_source == "estimator"
    for person, actor in zip(people.people, recording.actors, strict=True):
        _, translation_m, _ = model.local(actor.motion.model_params)
        translation_m[:, 0] += actor.motion.camera_translation_m
        # Where the file has the topmost joint, seen through its own lens.
        x, y, z = (translation_m[:, 0] * TO_GLTF).T
        pixels = np.stack([1000 * x / z + 640, 1000 * y / z + 360], axis=-1)
        seen = people.camera.project(_performance(person).joints_m[:, :1])[:, 0]
        np.testing.assert_allclose(seen[person.motion.visible], pixels[person.motion.visible], atol=0.01)
    if not level:
        np.testing.assert_array_equal(people.camera.world_from_camera, np.eye(4))


def test_motion_of_the_world_stays_where_it_is_even_if_a_camera_is_known():
    """Only a camera at the origin of the motion's own axes says that these are the camera's."""
    T_world_camera = np.eye(4)
    T_world_camera[:3, 3] = [0.0, 1.6, 5.0]
    recording = _recording(_actor(_skeletal(0.7)), camera=replace(_lens(), world_from_camera=T_world_camera))
    people = people_of(recording, AS_IT_IS, Rigs(), _no_model)
    np.testing.assert_allclose(_pelvis(people.people[0])[0, 0], 0.7, atol=1e-5)
    np.testing.assert_array_equal(people.camera.world_from_camera, T_world_camera)


@pytest.mark.parametrize("count", [1, 4])
def test_without_a_camera_one_is_put_where_it_sees_everybody(count):
    recording = _recording(*(_actor(_skeletal(3.0 * number), number) for number in range(count)))
    people = people_of(recording, AS_IT_IS, Rigs(), _no_model)
    camera = people.camera
    for person in people.people:
        performance = _performance(person)
        pixels = camera.project(skin_vertices(person.rig, performance.T_world_joint))
        assert (pixels >= 0).all() and (pixels <= [camera.width, camera.height]).all()
    assert camera.focal_source == "default"


PITCHED = world_from_camera(np.radians(12), 1.4, 4.0)
SEVERAL_S = np.arange(60) / 30  # four steps


def _pitched(details: dict | None = None, **changes) -> Recording:
    """Somebody who walks toward a camera that looks down by 12 degrees, in its axes."""
    body = Body.of(humanoid())
    quat, root_m = walk(body, SEVERAL_S)
    motion = body.to_motion(quat, root_m, np.ones(60, bool), np.ones(60))
    in_camera = moved(Performance.of_motion(body.rig, SEVERAL_S, motion), np.linalg.inv(PITCHED)).to_motion()
    actor = _actor(SkeletalMotion(body.rig.skeleton, in_camera, body.rig))
    return Recording(SEVERAL_S, Fraction(30), [replace(actor, **changes)], None if details else _lens(), details=details or {})


@pytest.mark.parametrize("details", [None, {"world": "camera"}], ids=["a camera at the origin", "as the file says"])
def test_a_walker_before_a_pitched_camera_comes_out_upright_on_a_level_ground(details):
    people = people_of(_pitched(details), AS_IT_IS, Rigs(), _no_model)
    (person,), turn = people.people, Rotation.from_matrix(people.camera.world_from_camera[:3, :3])
    # Level cameras are likelier, which draws the pitch toward 0 by a fiftieth of it, and it is sought in steps of 0.25 degrees.
    np.testing.assert_allclose(np.degrees(turn.as_rotvec()), [-12, 0, 0], atol=1.0)
    assert people.details["camera_pitch_deg"] == pytest.approx(12, abs=1.0) and people.details["standing_soles"] >= 8
    performance = Performance.of_motion(person.rig, SEVERAL_S, person.motion)
    semantic, joints = person.rig.skeleton.semantic, performance.joints_m
    trunk = joints[:, semantic["neck"]] - joints[:, semantic["pelvis"]]
    assert np.degrees(np.arccos(trunk[:, 1] / np.linalg.norm(trunk, axis=1))).max() < 3.5  # 2.3 of them are the skeleton's own
    # 1.3 m of way; a degree would raise the ground by 2 cm.
    standing = np.sort(sole_places(performance)[..., 1].min(axis=1))
    assert np.abs(standing).max() < 0.03
    # What the camera sees is what it saw.
    truth = _pitched().actors[0].motion.motion
    seen = _lens().project(Performance.of_motion(person.rig, SEVERAL_S, truth).joints_m)
    camera = replace(_lens(), world_from_camera=people.camera.world_from_camera)
    np.testing.assert_allclose(camera.project(joints), seen, atol=0.01)


def test_without_levelling_the_cameras_axes_stay():
    recording = _pitched()
    people = people_of(recording, RecordedOptions(level=False), Rigs(), _no_model)
    np.testing.assert_array_equal(people.camera.world_from_camera, np.eye(4))
    np.testing.assert_allclose(people.people[0].motion.local_quat_xyzw, recording.actors[0].motion.motion.local_quat_xyzw, atol=1e-6)
    assert "camera_pitch_deg" not in people.details


def test_kept_meshes_are_levelled_with_their_body(model, shared):
    """The model's own skin, of somebody who stands before a camera that looks down, is its skin in the level world."""
    params = np.zeros((FRAMES, 204))
    params[:, 3] = 0.2  # about X, radians
    motion = _mhr(shared, model_params=params, shape_params=np.zeros((FRAMES, 45)))
    meshes = _standing(people_of(_recording(_actor(motion)), RecordedOptions(level=False), Rigs(), lambda: model).people[0])
    keeping = replace(motion, vertices_m=(meshes - motion.camera_translation_m[:, None]).astype(np.float32))
    people = people_of(_recording(_actor(keeping)), AS_IT_IS, Rigs(), lambda: model)
    assert people.details["camera_pitch_deg"] == pytest.approx(np.degrees(0.2), abs=1.0)
    np.testing.assert_allclose(people.people[0].vertices_m, _standing(people.people[0]), atol=1e-5)


def _standing(person: Person) -> np.ndarray:
    return skin_vertices(person.rig, _performance(person).T_world_joint)


# -- another rate


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(60000, 1001), Fraction(240)], ids=str)
def test_motion_at_another_rate_is_where_it_would_have_been(rate):
    """A walk sampled at 120 and brought to another rate, against the walk at the times of that rate."""
    recorded_s = np.arange(121) / 120
    times_s = np.arange(int(rate) + 1) * rate.denominator / rate.numerator
    body = Body.of(humanoid())

    def walking(at_s: np.ndarray) -> SkeletalMotion:
        motion = body.to_motion(*walk(body, at_s), np.ones(len(at_s), bool), np.ones(len(at_s)))
        return SkeletalMotion(body.rig.skeleton, motion, body.rig)

    people = people_of(Recording(recorded_s, Fraction(120), [_actor(walking(recorded_s))]), RecordedOptions(rate=rate), Rigs(), _no_model)
    ours = Performance.of_motion(body.rig, times_s, people.people[0].motion)
    truth = Performance.of_motion(body.rig, times_s, walking(times_s).motion)
    # Feet of this walk start and stop within a frame: half a step of 0.8 m/s · 2 is 7 mm; the nearest frame would be off by as much
    # everywhere, where all but these frames of ours are within a tenth of a millimetre.
    apart_m = np.linalg.norm(ours.joints_m - truth.joints_m, axis=-1).max(axis=1)
    assert apart_m.max() < 0.007 and np.percentile(apart_m, 80) < 2e-4


def test_a_rate_is_for_the_camera_and_the_meshes_too_and_leaves_out_what_can_not_be_blended(model, shared):
    meshes = (np.arange(FRAMES)[:, None, None] * np.ones((len(model.rig.vertices_m), 3))).astype(np.float32)
    motion = _mhr(shared, vertices_m=meshes)
    recording = _recording(_actor(motion, box=np.arange(FRAMES)), camera=_lens())
    people = people_of(recording, RecordedOptions(rate=Fraction(20), level=False), Rigs(), lambda: model)
    (person,), frames = people.people, 16  # of 24 at 30, from 0 to 0.75 s
    assert person.motion.frame_count == frames and person.params.keys() == {"shape_params", "pred_cam_t"} and not person.raw
    np.testing.assert_allclose(person.vertices_m - person.params["pred_cam_t"][:, None], np.arange(frames)[:, None, None] * 1.5
                               * np.ones((1, meshes.shape[1], 3)), atol=1e-5)
    np.testing.assert_allclose(np.diff(person.params["pred_cam_t"], axis=0), np.tile([0.03, 0, 0], (frames - 1, 1)), atol=1e-9)
    assert people.details["warnings"] == ["Track 5: left out box, mhr_model_params, which can't be blended: at this rate frames lie "
                                          "between the file's"]
    picked = people_of(recording, RecordedOptions(rate=Fraction(10), level=False), Rigs(), lambda: model)
    np.testing.assert_array_equal(picked.people[0].raw["box"], np.arange(0, FRAMES, 3))
    np.testing.assert_array_equal(picked.people[0].params["mhr_model_params"], motion.model_params[::3])
    assert picked.details["warnings"] == []


# -- stages


def test_clean_up_is_run_and_told_of_for_each_person():
    recording = _recording(*(_actor(_skeletal(2.0 * number, shake=0.05), number) for number in range(2)))
    rough = people_of(recording, AS_IT_IS, Rigs(), _no_model)
    smooth = people_of(recording, RecordedOptions(clean=CleanOptions(smoothing="gaussian")), Rigs(), _no_model)
    assert [figures["stages"] for figures in rough.details["clean"]] == [[], []]
    assert [[stage["stage"] for stage in figures["stages"]] for figures in smooth.details["clean"]] == [["smoothing_gaussian"]] * 2

    def shaking(person: Person) -> float:
        return float(np.abs(np.diff(_performance(person).joints_m, 2, axis=0)).mean())

    assert all(shaking(after) < 0.3 * shaking(before) for before, after in zip(rough.people, smooth.people, strict=True))


def test_feet_are_held_where_that_is_asked_for():
    recording = _recording(_actor(_skeletal(shake=0.01)))
    steps = []
    for feet in (False, True):
        people = people_of(recording, RecordedOptions(feet=FeetOptions(feet=feet)), Rigs(), _no_model)
        heel = sole_places(_performance(people.people[0]))[3:12, 0]  # the left foot stands for the first half second
        steps.append(np.linalg.norm(np.diff(heel[:, [0, 2]], axis=0), axis=1).mean())
        assert [stage["name"] for stage in people.details["clean"][0]["stages"]] == ["feet"] * feet
    assert steps[1] < 0.001 < steps[0]


def test_progress_counts_people():
    told: list[tuple[int, int | None]] = []
    people_of(_recording(*(_actor(_skeletal(number), number) for number in range(3))), AS_IT_IS, Rigs(), _no_model,
              lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


# -- kept meshes


def test_meshes_of_the_rig_are_kept_as_they_came(model, shared):
    meshes = np.random.default_rng(4).normal(0, 0.5, (FRAMES, len(model.rig.vertices_m), 3)).astype(np.float32)
    motion = _mhr(shared, vertices_m=meshes)
    people = people_of(_recording(_actor(motion)), AS_IT_IS, Rigs(), lambda: model)
    (person,) = people.people
    assert person.vertices_m is not None
    camera_to_world = _performance(person).joints_m[:, 0] - (model.local(motion.model_params)[1][:, 0] + motion.camera_translation_m)
    truth = meshes + motion.camera_translation_m[:, None] + camera_to_world[:, None]
    np.testing.assert_allclose(person.vertices_m, truth, atol=2e-6)


def test_meshes_of_another_level_of_detail_can_not_be_kept(model, shared):
    motion = _mhr(shared, vertices_m=np.zeros((FRAMES, 18439, 3), np.float32))
    with pytest.raises(ReadError, match="found 18439 vertices, expected 4899"):
        people_of(_recording(_actor(motion)), AS_IT_IS, Rigs(), lambda: model)


# -- what is said, and people without a rig


def test_stale_rotations_are_warned_of_and_the_distance_from_the_models_mesh_is_told(model, shared):
    with np.load(shared / "samples" / "sam3d_body_subj00.npz") as archive:
        stale = np.repeat(archive["pred_global_rots"][None], FRAMES, axis=0)
    actors = [_actor(_mhr(shared, global_rotations=stale)), _actor(_mhr(shared, 1.0), 6)]
    people = people_of(_recording(*actors), AS_IT_IS, Rigs(), lambda: model)
    (warning,) = people.details["warnings"]
    assert warning.startswith("Track 5: pred_global_rots: found up to 28 of 127 joints") and f"in {FRAMES} of {FRAMES} frames" in warning
    assert people.details["clean"][0]["skin_from_model_mm"] == "unknown: MHR's folder holds no pose correctives"


def test_without_the_rig_the_meshes_stand_on_the_ground_as_they_are(shared):
    def nobody_has_it():
        raise MissingPartError("mhr: nobody said where it is")

    with np.load(shared / "samples" / "sam3d_body_subj00.npz") as archive:
        meshes = np.repeat((archive["pred_vertices"] * TO_GLTF)[None].astype(np.float32), FRAMES, axis=0)
    motion = _mhr(shared, vertices_m=meshes, faces=np.load(shared / "mhr" / "mhr_faces_lod1.npy"))
    options = replace(AS_IT_IS, clean=CleanOptions(smoothing="gaussian"), feet=FeetOptions(feet=True))
    people = people_of(_recording(_actor(motion)), options, Rigs(), nobody_has_it)
    (person,) = people.people
    assert person.rig.joint_names == ("body",) and "glb-baked alone" in people.details["warnings"][0]
    assert person.vertices_m[..., 1].min() == pytest.approx(0, abs=1e-6)
    slide = person.vertices_m - person.vertices_m[0]
    np.testing.assert_allclose(slide, np.broadcast_to(np.arange(FRAMES)[:, None, None] * [0.02, 0, 0], slide.shape), atol=2e-6)
    np.testing.assert_allclose(np.ptp(person.vertices_m[0], axis=0), np.ptp(meshes[0], axis=0), atol=2e-6)
    with pytest.raises(MissingPartError, match="get assets"):
        people_of(_recording(_actor(motion)), replace(AS_IT_IS, rig="unreal"), Rigs(), nobody_has_it)


# -- at another rate


def test_whoever_no_frame_shows_any_more_is_left_out_and_said_so():
    glimpsed = np.arange(FRAMES) == 7
    motion = _skeletal(2.0)
    motion = replace(motion, motion=replace(motion.motion, visible=glimpsed))
    actors = [_actor(motion, 1, glimpsed), _actor(_skeletal(), 2)]
    options = RecordedOptions(rate=Fraction(25))
    people = people_of(_recording(*actors), options, Rigs(), _no_model)
    assert [person.source_track for person in people.people] == [2] and people.people[0].id == "person_01"
    assert people.details["warnings"][0].startswith("Track 1: left out: at this rate no frame lies between two")
    assert len(people.details["clean"]) == 1
    # At the file's own rate both are there.
    assert len(people_of(_recording(*actors), AS_IT_IS, Rigs(), _no_model).people) == 2
    with pytest.raises(ReadError, match=r"found nobody who is in two frames one after the other, .* leave --fps out"):
        people_of(_recording(actors[0]), options, Rigs(), _no_model)


def test_a_camera_that_no_file_has_looks_at_all_of_a_long_motion():
    """Of a long clip some frames tell how far it goes; two percentiles more or less of the same places."""
    body = Body.of(humanoid())
    times_s = np.arange(3000) / 30
    quat, _ = walk(body, times_s)
    root_m = np.stack([np.linspace(-6, 6, 3000), np.full(3000, 0.95), np.zeros(3000)], axis=1)
    motion = body.to_motion(quat, root_m, np.ones(3000, bool), np.ones(3000))
    recording = Recording(times_s, Fraction(30), (_actor(SkeletalMotion(body.rig.skeleton, motion, body.rig)),))
    camera = people_of(recording, AS_IT_IS, Rigs(), _no_model).camera
    joints = Performance.of_motion(body.rig, times_s, motion).joints_m
    eye = np.linalg.inv(camera.world_from_camera)
    places = joints.reshape(-1, 3) @ eye[:3, :3].T + eye[:3, 3]
    pixels = camera.intrinsics_px[:2, :2] @ (places[:, :2] / -places[:, 2:]).T * [[1], [-1]] + camera.intrinsics_px[:2, 2:]
    inside = ((pixels >= 0) & (pixels <= [[camera.width], [camera.height]])).all(axis=0)
    assert inside.mean() > 0.98 and camera.world_from_camera[2, 3] < 20
