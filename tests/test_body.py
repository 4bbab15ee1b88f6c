from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import BODY_JOINTS, BODY_PARENTS, FINGER_JOINTS, SOLE_POINTS, Body, body_joint
from rigdrop.errors import ReadError
from rigdrop.motion.kinematics import skin_vertices, world_transforms
from rigdrop.motion.rig import Rig

from .bodies import IDENTITY, exercise, humanoid, loop_places, mirrored, turns

TIMES_S = np.arange(8) / 30
# Rigs store motion as float32: a micrometre over a body's length.
FLOAT32_M = 2e-6


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


def _carried(body: Body, quat: np.ndarray, root_m: np.ndarray, fingers: np.ndarray | None = None) -> np.ndarray:
    """World transforms (F,J,4,4) of the rig's own joints."""
    motion = body.to_motion(quat, root_m, np.ones(len(quat), bool), np.ones(len(quat)), fingers)
    return world_transforms(body.rig, motion.local_quat_xyzw, motion.local_translation_m)


def _t_pose(body: Body) -> dict[str, np.ndarray]:
    """Places of the rig's joints, by meaning, when every canonical turn is the identity."""
    world = _carried(body, turns({}, 1), np.array([[0, 1.0, 0]]))[0]
    return {name: world[index, :3, 3] for name, index in body.rig.skeleton.semantic.items()}


def _direction(place: dict[str, np.ndarray], start: str, end: str) -> np.ndarray:
    return (place[end] - place[start]) / np.linalg.norm(place[end] - place[start])


@pytest.mark.parametrize("elbow_rad", [0.5, 0.0])
@pytest.mark.parametrize(("side", "out"), [("left", 1.0), ("right", -1.0)])
def test_the_identity_is_a_t_pose(side, out, elbow_rad):
    place = _t_pose(Body.of(humanoid(elbow_rad=elbow_rad)))
    for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "middle_mcp")):
        assert np.allclose(_direction(place, f"{side}_{start}", f"{side}_{end}"), [out, 0, 0], atol=1e-5), end
    across = _direction(place, f"{side}_pinky_mcp", f"{side}_index_mcp")
    assert abs(across[1]) < 1e-5  # palms down,
    assert across[2] > 0.9  # the thumb's side in front
    for start, end in (("hip", "knee"), ("knee", "ankle")):
        assert np.allclose(_direction(place, f"{side}_{start}", f"{side}_{end}"), [0, -1, 0], atol=1e-5), end
    forward = _direction(place, f"{side}_ankle", f"{side}_foot")
    assert abs(forward[0]) < 1e-5
    assert forward[2] > 0


@pytest.mark.parametrize(("side", "out"), [("left", 1.0), ("right", -1.0)])
def test_elbows_close_forward_and_knees_backward_as_in_the_rig(body, side, out):
    # In an A-pose with bent elbows the canonical turns that give the rest pose must say so.
    rest = Rotation.from_matrix(body.R_canonical_rest).inv()
    elbow = (rest[body_joint(f"{side}_shoulder")].inv() * rest[body_joint(f"{side}_elbow")]).as_rotvec()
    assert np.allclose(elbow, [0, -out * 0.5, 0], atol=1e-6)


def test_the_rest_pose_comes_back(body):
    rest = Rotation.from_matrix(body.R_canonical_rest).inv()
    local = np.stack(
        [(rest[joint] if parent < 0 else rest[int(parent)].inv() * rest[joint]).as_quat() for joint, parent in enumerate(BODY_PARENTS)]
    )
    pelvis = body.T_world_rest[body.joint_index[0], :3, 3]
    world = _carried(body, local[None], pelvis[None])
    assert np.abs(world[0] - body.T_world_rest).max() < FLOAT32_M
    assert np.abs(skin_vertices(body.rig, world)[0] - body.rig.vertices_m).max() < FLOAT32_M


def test_places_and_rotations_are_those_of_the_loop(body):
    quat, root_m = exercise(TIMES_S)
    place, world = loop_places(body, quat, root_m)
    assert np.abs(body.positions(quat, root_m) - place).max() < 1e-12
    ours = body.world_rotations(quat)
    for frame, rotations in enumerate(world):
        assert np.allclose(Rotation.from_quat(ours[frame]).as_matrix(), Rotation.concatenate(rotations).as_matrix(), atol=1e-12)


def test_the_rigs_joints_go_where_the_body_says(body):
    quat, root_m = exercise(TIMES_S)
    world = _carried(body, quat, root_m)
    assert np.abs(world[..., :3, 3][:, body.joint_index] - loop_places(body, quat, root_m)[0]).max() < FLOAT32_M


def test_bones_keep_their_lengths_and_what_stands_above_the_pelvis_stays(body):
    quat, root_m = exercise(TIMES_S)
    world = _carried(body, quat, root_m)
    bones = np.flatnonzero(body.rig.joint_parents > 0)
    place = world[..., :3, 3]
    lengths = np.linalg.norm(place[:, bones] - place[:, body.rig.joint_parents[bones]], axis=-1)
    assert np.abs(lengths - lengths[0]).max() < FLOAT32_M
    assert np.abs(world[:, 0] - body.T_world_rest[0]).max() < FLOAT32_M


def test_a_helper_joint_rides_on_the_joint_above(body):
    names = body.rig.joint_names
    helper, shoulder = names.index("bone_left_upper_helper"), names.index("bone_left_shoulder")
    quat, root_m = exercise(TIMES_S)
    world = _carried(body, quat, root_m)
    relative = np.linalg.inv(world[:, shoulder]) @ world[:, helper]
    assert np.abs(relative - body.rig.skeleton.rest_local[helper]).max() < FLOAT32_M


def test_a_pose_means_the_same_whatever_the_axes_of_the_bones():
    quat, root_m = exercise(TIMES_S)
    meshes = []
    for seed in (4, 5):
        body = Body.of(humanoid(seed))
        meshes.append(skin_vertices(body.rig, _carried(body, quat, root_m)))
    assert np.abs(meshes[0] - meshes[1]).max() < 2 * FLOAT32_M


def test_a_mirrored_pose_gives_the_mirrored_body(body):
    quat, root_m = exercise(TIMES_S)
    places, other = body.positions(quat, root_m), body.positions(*mirrored(quat, root_m))
    for joint, name in enumerate(BODY_JOINTS):
        twin = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert np.allclose(other[:, body_joint(twin)], places[:, joint] * [-1, 1, 1], atol=1e-6), name


def test_soles_lie_under_heel_and_toe(body):
    assert SOLE_POINTS == ("left_heel", "left_toe", "right_heel", "right_toe")
    standing_root = np.array(
        [[0.0, -body.offset_m[[body_joint(f"left_{name}") for name in ("hip", "knee", "ankle")]].sum(0)[1] + 0.08, 0.0]]
    )
    soles = body.sole_places(turns({}, 1), standing_root)[0]
    assert np.abs(soles[:, 1]).max() < 1e-6  # the boxes of the feet reach the ground
    for heel, toe, out in ((0, 1, 1.0), (2, 3, -1.0)):
        assert 0.15 < soles[toe, 2] - soles[heel, 2] < 0.3
        assert (soles[[heel, toe], 0] * out > 0.05).all()


def _finger_twin(body: Body, side: str, finger: str, joints: tuple[str, ...], rotvecs: list[np.ndarray]) -> list[np.ndarray]:
    """Places of a finger's joints in the T-pose, by a chain of SciPy's rotations in T-pose axes."""
    rest = {name: body.T_world_rest[index, :3, 3] for name, index in body.rig.skeleton.semantic.items()}
    turn = Rotation.from_matrix(body.R_canonical_rest[body_joint(f"{side}_wrist")])
    at = _t_pose(body)[f"{side}_wrist"]
    before, chain, places = f"{side}_wrist", Rotation.identity(), []
    for joint, rotvec in zip(joints, rotvecs, strict=True):
        name = f"{side}_{finger}_{joint}"
        at = at + chain.apply(turn.apply(rest[name] - rest[before]))
        places.append(at)
        chain, before = chain * Rotation.from_rotvec(rotvec), name
    return places


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("finger", ["thumb", "index", "pinky"])
def test_fingers_bend_as_told_in_the_t_poses_axes(body, side, finger):
    names = [name for name in FINGER_JOINTS if name.startswith(f"{side}_{finger}")]
    rng = np.random.default_rng(3)
    rotvecs = [rng.normal(0, 0.4, 3) for _ in names]
    fingers = np.tile(IDENTITY, (1, len(FINGER_JOINTS), 1))
    for name, rotvec in zip(names, rotvecs, strict=True):
        fingers[0, FINGER_JOINTS.index(name)] = Rotation.from_rotvec(rotvec).as_quat()
    world = _carried(body, turns({}, 1), np.array([[0, 1.0, 0]]), fingers)[0]
    expected = _finger_twin(body, side, finger, tuple(name.rsplit("_", 1)[1] for name in names), rotvecs)
    for name, place in zip(names, expected, strict=True):
        assert np.abs(world[body.rig.skeleton.semantic[name], :3, 3] - place).max() < FLOAT32_M, name


@pytest.mark.parametrize("name", [name for name in FINGER_JOINTS if not name.endswith(("dip", "ip"))])
def test_positive_flexion_closes_the_hand(body, name):
    row = FINGER_JOINTS.index(name)
    assert np.linalg.norm(body.finger_axis[row]) == pytest.approx(1)
    assert body.finger_axis[row] @ body.finger_direction[row] == pytest.approx(0, abs=1e-12)
    bent = Rotation.from_rotvec(0.5 * body.finger_axis[row]).apply(body.finger_direction[row])
    assert bent[1] < body.finger_direction[row][1] - 0.1  # palms are down


def test_a_rig_without_fingers_is_a_body():
    body = Body.of(humanoid(fingers=False))
    assert (body.finger_index == -1).all()
    fingers = np.tile(Rotation.from_rotvec([1.0, 0, 0]).as_quat(), (1, 30, 1))
    straight, bent = (_carried(body, turns({}, 1), np.zeros((1, 3)), given) for given in (None, fingers))
    assert np.array_equal(straight, bent)


def _without(rig: Rig, *names: str) -> Rig:
    semantic = {name: index for name, index in rig.skeleton.semantic.items() if name not in names}
    return replace(rig, skeleton=replace(rig.skeleton, semantic=semantic))


def test_a_finger_with_fewer_bones_is_driven_by_those_it_has():
    body = Body.of(_without(humanoid(), "left_index_dip", "left_ring_pip", "left_ring_dip"))
    whole = Body.of(humanoid())
    for name in ("left_index_mcp", "left_index_pip"):
        assert np.allclose(body.finger_direction[FINGER_JOINTS.index(name)], whole.finger_direction[FINGER_JOINTS.index(name)])
    assert not body.finger_axis[FINGER_JOINTS.index("left_index_dip")].any()
    assert not body.finger_axis[FINGER_JOINTS.index("left_ring_mcp")].any()


@pytest.mark.parametrize("name", BODY_JOINTS)
def test_a_rig_that_does_not_name_a_joint_is_refused(name):
    with pytest.raises(ReadError, match=f"rig humanoid: semantic: found no '{name}'"):
        Body.of(_without(humanoid(), name))
