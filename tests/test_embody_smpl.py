"""SMPL motion on a rig, against the model's own kinematics written out joint by joint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.embody_smpl import embody_smpl
from rigdrop.errors import RigdropError
from rigdrop.ingest.recording import Actor, MhrMotion, SmplMotion
from rigdrop.motion.kinematics import world_to_local
from rigdrop.motion.rig import Rig, Skeleton
from rigdrop.motion.smpl_joints import JOINT_NAMES, joint_parents, meaning

FRAMES = 12
TIMES_S = np.arange(FRAMES) / 30
Z_UP_TO_Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
# A T-pose's offsets from the parent, by the end of a joint's name; right sides are mirrored.
OFFSETS_M = {
    "pelvis": (0, 0.95, 0.01), "hip": (0.09, -0.08, 0), "knee": (0.02, -0.4, 0), "ankle": (0, -0.41, -0.03), "foot": (0.02, -0.05, 0.12),
    "spine1": (0, 0.11, -0.02), "spine2": (0, 0.13, 0), "spine3": (0, 0.06, 0.02), "neck": (0, 0.2, -0.03), "head": (0, 0.1, 0.04),
    "collar": (0.07, 0.11, -0.02), "shoulder": (0.11, 0.03, 0), "elbow": (0.26, -0.02, -0.01), "wrist": (0.25, 0.01, 0),
    "hand": (0.08, 0, 0), "jaw": (0, 0.0, 0.05), "smplhf": (0.03, 0.05, 0.06), "1": (0.09, 0, 0.02), "2": (0.03, 0, 0), "3": (0.02, 0, 0),
}


def _rig(model: str = "smplx", turned: bool = False, root: bool = False, lift_m: float = 0.0) -> Rig:
    """A rig with a model's joints in a T-pose: axes the world's or turned at random, with a root below the pelvis or none."""
    names, parents = list(JOINT_NAMES[model]), joint_parents(model)
    places = np.zeros((len(names), 3))
    for joint, (name, parent) in enumerate(zip(names, parents)):
        end = next(end for end in OFFSETS_M if name.endswith(end))
        offset = np.array(OFFSETS_M[end]) * ([-1, 1, 1] if name.startswith("right") else [1, 1, 1])
        places[joint] = offset + (places[parent] if parent >= 0 else [0, lift_m, 0])
    semantic = {meaning(name): joint for joint, name in enumerate(names) if meaning(name)}
    if root:
        names, parents = ["root", *names], np.concatenate([[-1], parents + 1])
        places, semantic = np.concatenate([[[0.2, 0, 0.1]], places]), {key: joint + 1 for key, joint in semantic.items()} | {"root": 0}
    bind = np.tile(np.eye(4), (len(names), 1, 1))
    if turned:
        bind[:, :3, :3] = Rotation.from_rotvec(np.random.default_rng(1).normal(0, 1, (len(names), 3))).as_matrix()
    bind[:, :3, 3] = places
    parents = np.asarray(parents, np.int32)
    skeleton = Skeleton(tuple(names), parents, world_to_local(parents, bind), semantic)
    corner = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    return Rig(model, skeleton, bind, corner, np.array([[0, 1, 2]]), np.tile([0, 0, 1.0], (3, 1)), np.zeros((3, 1)), np.ones((3, 1)))


def _motion(model: str = "smplx", R_world_source: np.ndarray = Z_UP_TO_Y_UP) -> SmplMotion:
    rng = np.random.default_rng(4)
    count = len(JOINT_NAMES[model])
    rotvec = rng.normal(0, 0.6, (1, count, 3)) + np.linspace(0, 0.5, FRAMES)[:, None, None] * rng.normal(0, 1, (1, count, 3))
    quat = Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_quat().reshape(FRAMES, count, 4)
    return SmplMotion(model, quat, np.linspace([0, 0, 1], [1, 2, 1.1], FRAMES), R_world_source)  # type: ignore[arg-type]


def _actor(motion: SmplMotion, visible: np.ndarray | None = None) -> Actor:
    visible = np.ones(FRAMES, bool) if visible is None else visible
    return Actor(0, "somebody", motion, visible, np.full(FRAMES, 0.8, np.float32))


def _smpl_kinematics(motion: SmplMotion, rest_m: np.ndarray, pelvis_rest_m: np.ndarray) -> tuple[np.ndarray, list[Rotation]]:
    """SMPL as its papers state it: places (F,J,3) and turns in the world, with bones of ``rest_m`` (J,3)."""
    parents = joint_parents(motion.model)
    to_world = Rotation.from_matrix(motion.R_world_source)
    places, turns = [motion.translation_m + pelvis_rest_m], [Rotation.from_quat(motion.quat_xyzw[:, 0])]
    for joint in range(1, len(parents)):
        parent = parents[joint]
        places.append(places[parent] + turns[parent].apply(rest_m[joint] - rest_m[parent]))
        turns.append(turns[parent] * Rotation.from_quat(motion.quat_xyzw[:, joint]))
    return np.stack([to_world.apply(place) for place in places], axis=1), [to_world * turn for turn in turns]


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
@pytest.mark.parametrize("turned", [False, True], ids=["world axes", "axes of its own"])
@pytest.mark.parametrize("root", [False, True], ids=["no root", "root"])
def test_joints_stand_and_turn_as_smpl_has_them(model, turned, root):
    rig, motion, pelvis_rest_m = _rig(model, turned, root), _motion(model), np.array([0.0, -0.3, 0.02])
    performance = embody_smpl(_actor(motion), TIMES_S, rig, pelvis_rest_m)
    first = int(root)
    places, turns = _smpl_kinematics(motion, rig.bind_world[first:, :3, 3], pelvis_rest_m)
    # Doubles along a chain of ten joints.
    np.testing.assert_allclose(performance.joints_m[:, first:], places, atol=1e-12)
    for joint, turn in enumerate(turns):
        expected = turn.as_matrix() @ rig.bind_world[first + joint, :3, :3]
        np.testing.assert_allclose(performance.T_world_joint[:, first + joint, :3, :3], expected, atol=1e-12)
    assert performance.known[:, first:].all() and performance.visible.all() and (performance.confidence == np.float32(0.8)).all()
    if root:
        np.testing.assert_allclose(performance.T_world_joint[:, 0], np.tile(rig.bind_world[0], (FRAMES, 1, 1)), atol=1e-12)
        assert not performance.known[:, 0].any()


@pytest.mark.parametrize("turned", [False, True])
def test_no_bone_is_stretched(turned):
    rig = _rig(turned=turned)
    performance = embody_smpl(_actor(_motion()), TIMES_S, rig)
    np.testing.assert_allclose(performance.translation_m[:, 1:], np.tile(rig.skeleton.rest_local[1:, :3, 3], (FRAMES, 1, 1)), atol=1e-15)


def test_the_zero_pose_is_the_rigs_rest():
    rig = _rig(turned=True)
    motion = SmplMotion("smplx", np.tile([0, 0, 0, 1.0], (FRAMES, 55, 1)), np.zeros((FRAMES, 3)), np.eye(3))
    performance = embody_smpl(_actor(motion), TIMES_S, rig, rig.bind_world[0, :3, 3])
    np.testing.assert_allclose(performance.T_world_joint, np.tile(rig.bind_world, (FRAMES, 1, 1, 1)), atol=1e-12)


def test_the_pelvis_rests_where_a_rig_of_smpls_own_has_it_else_where_the_mean_body_has():
    motion = _motion(R_world_source=np.eye(3))
    own = _rig(lift_m=-1.3)  # the pelvis at -0.35 m: the origin is SMPL's, near the breast
    np.testing.assert_allclose(embody_smpl(_actor(motion), TIMES_S, own).joints_m[:, 0], motion.translation_m + own.bind_world[0, :3, 3])
    # SMPL-X's mean pelvis, however high the rig's own stands above the ground.
    for lift_m in (0.0, 0.2):
        placed = embody_smpl(_actor(motion), TIMES_S, _rig(lift_m=lift_m)).joints_m[:, 0]
        np.testing.assert_allclose(placed, motion.translation_m + [0.003, -0.351, 0.012], atol=1e-12)


def test_a_z_up_file_stands_upright_and_looks_our_way():
    upright = np.tile([0, 0, 0, 1.0], (FRAMES, 55, 1))
    upright[:, 0] = Rotation.from_rotvec([np.pi / 2, 0, 0]).as_quat()
    performance = embody_smpl(_actor(SmplMotion("smplx", upright, np.zeros((FRAMES, 3)), Z_UP_TO_Y_UP)), TIMES_S, _rig())
    names = JOINT_NAMES["smplx"]
    head, pelvis, toe, ankle, left = (performance.joints_m[0, names.index(name)] for name in
                                      ("head", "pelvis", "left_foot", "left_ankle", "left_wrist"))
    assert (head - pelvis)[1] > 0.5 and (toe - ankle)[2] > 0.1 and (left - pelvis)[0] > 0.5


def test_joints_that_the_motion_lacks_rest_and_are_not_known():
    motion, rig = _motion("smplh"), _rig("smplx", turned=True)
    performance = embody_smpl(_actor(motion), TIMES_S, rig)
    face = [JOINT_NAMES["smplx"].index(name) for name in ("jaw", "left_eye_smplhf", "right_eye_smplhf")]
    rest = Rotation.from_matrix(rig.skeleton.rest_local[face, :3, :3])
    for frame in range(FRAMES):
        assert (rest.inv() * Rotation.from_quat(performance.quat_xyzw[frame, face])).magnitude().max() < 1e-9
    assert not performance.known[:, face].any()
    assert performance.known.sum(axis=1).tolist() == [52] * FRAMES


def test_fingers_that_the_rig_lacks_are_left_out():
    rig, motion = _rig("smpl"), _motion("smplx")
    places, _ = _smpl_kinematics(motion, _rig("smplx").bind_world[:, :3, 3], np.array([0.003, -0.351, 0.012]))
    performance = embody_smpl(_actor(motion), TIMES_S, rig)
    np.testing.assert_allclose(performance.joints_m[:, :22], places[:, :22], atol=1e-12)
    assert not performance.known[:, 22:].any()  # SMPL's palms


def test_hands_that_were_not_measured_are_not_known():
    seen = np.ones((FRAMES, 2), bool)
    seen[:4, 0] = seen[9:, 1] = False
    performance = embody_smpl(_actor(replace(_motion(), hands_seen=seen)), TIMES_S, _rig())
    np.testing.assert_array_equal(performance.known[:, 25:40], np.repeat(seen[:, :1], 15, axis=1))
    np.testing.assert_array_equal(performance.known[:, 40:], np.repeat(seen[:, 1:], 15, axis=1))
    assert performance.known[:, :25].all()


def test_absent_frames_are_filled_between_their_neighbours_and_marked():
    """Joints here turn evenly about one axis each and the body walks evenly, so that what is filled is the truth."""
    rate = np.random.default_rng(3).normal(0, 2, (55, 3))
    turns = Rotation.from_rotvec((TIMES_S[:, None, None] * rate).reshape(-1, 3)).as_quat().reshape(FRAMES, 55, 4)
    whole = SmplMotion("smplx", turns, TIMES_S[:, None] * [1.0, 0, 0.5], np.eye(3))
    visible = ~np.isin(np.arange(FRAMES), [4, 5, 6, 11])
    holed = replace(whole, quat_xyzw=np.where(visible[:, None, None], whole.quat_xyzw, np.nan),
                    translation_m=np.where(visible[:, None], whole.translation_m, np.nan))
    rig = _rig(turned=True)
    truth, filled = embody_smpl(_actor(whole), TIMES_S, rig), embody_smpl(_actor(holed, visible), TIMES_S, rig)
    np.testing.assert_allclose(filled.joints_m[:11], truth.joints_m[:11], atol=1e-9)
    np.testing.assert_allclose(filled.joints_m[11], truth.joints_m[10], atol=1e-9)
    np.testing.assert_array_equal(filled.visible, visible)
    np.testing.assert_array_equal(filled.known, np.repeat(visible[:, None], 55, axis=1))
    np.testing.assert_array_equal(filled.confidence, np.where(visible, np.float32(0.8), 0))


def test_a_scaled_joint_of_the_rig_keeps_its_scale():
    rig = _rig()
    local = rig.skeleton.rest_local.copy()
    wrist = rig.skeleton.semantic["left_wrist"]
    local[wrist, :3, :3] *= 0.9
    performance = embody_smpl(_actor(_motion()), TIMES_S, replace(rig, skeleton=replace(rig.skeleton, rest_local=local)))
    assert performance.scale is not None
    np.testing.assert_allclose(performance.scale[:, wrist], 0.9)
    lengths = np.linalg.norm(performance.joints_m[:, 25] - performance.joints_m[:, wrist], axis=-1)
    np.testing.assert_allclose(lengths, 0.9 * np.linalg.norm(OFFSETS_M["1"]), atol=1e-12)


def test_a_rig_in_centimetres_below_its_root_still_stands_in_metres():
    """As files from programs that count in centimetres have it: a root that scales all that hangs on it."""
    rig, motion, pelvis_rest_m = _rig(root=True, turned=True), _motion(), np.array([0.0, -0.3, 0.02])
    local = rig.skeleton.rest_local.copy()
    local[0, :3, :3] *= 0.01
    local[1:, :3, 3] *= 100
    scaled = replace(rig, skeleton=replace(rig.skeleton, rest_local=local))
    plain, performance = (embody_smpl(_actor(motion), TIMES_S, each, pelvis_rest_m) for each in (rig, scaled))
    np.testing.assert_allclose(performance.joints_m, plain.joints_m, atol=1e-10)


def test_what_does_not_go_together_is_an_error():
    mhr = MhrMotion(np.zeros((FRAMES, 45)), np.zeros((FRAMES, 3)), np.zeros((FRAMES, 204)))
    with pytest.raises(RigdropError, match=r"somebody: found MhrMotion, expected the motion of an SMPL body"):
        embody_smpl(Actor(0, "somebody", mhr, np.ones(FRAMES, bool), np.ones(FRAMES, np.float32)), TIMES_S, _rig())
    rig = _rig()
    lacking = replace(rig.skeleton, semantic={key: joint for key, joint in rig.skeleton.semantic.items() if key != "left_knee"},
                      joint_names=tuple(name.replace("left_knee", "unknown") for name in rig.joint_names))
    with pytest.raises(RigdropError, match=r"rig smplx: found no left_knee, expected the joints of an SMPL body"):
        embody_smpl(_actor(_motion()), TIMES_S, replace(rig, skeleton=lacking))
    local = rig.skeleton.rest_local.copy()
    local[rig.skeleton.semantic["right_shoulder"], :3, :3] = Rotation.from_rotvec([0, 0, np.radians(45)]).as_matrix()
    with pytest.raises(RigdropError, match=r"rig smplx: rest_local: found the right arm 4\d° off to the side, expected a T-pose"):
        embody_smpl(_actor(_motion()), TIMES_S, replace(rig, skeleton=replace(rig.skeleton, rest_local=local)))
