"""Motion carried from rig to rig: laws that hold whatever the code does, and little skeletons with answers written out.

Tolerances of 1e-5 m and 1e-4 rad are what is left of float32 in the motions that the tests start from.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import BODY_JOINTS, Body
from rigdrop.convert.performance import Performance, rest_performance
from rigdrop.convert.retarget import RetargetOptions, retarget
from rigdrop.convert.retargeting.bare_rig import bare_rig
from rigdrop.convert.rigs.registry import load_rig
from rigdrop.errors import SettingsError
from rigdrop.motion.kinematics import local_to_world, skin_vertices, world_to_local
from rigdrop.motion.metrics import jitter_10m_s3
from rigdrop.motion.rig import Rig, Skeleton
from rigdrop.motion.rotations import matrix_to_quat

from .bodies import exercise, humanoid, mirrored, turns, walk

TIMES_S = np.arange(90) / 30
AS_THEY_ARE = RetargetOptions(feet=0.0, hands=0.0)


def _moving(rig: Rig, quat: np.ndarray, root_m: np.ndarray) -> Performance:
    motion = Body.of(rig).to_motion(quat, root_m, np.ones(len(quat), bool), np.ones(len(quat)))
    return Performance.of_motion(rig, np.arange(len(quat)) / 30, motion)


def _exercising(rig: Rig, frames: int = 90) -> Performance:
    quat, root_m = exercise(TIMES_S[:frames])
    return _moving(rig, quat, root_m + [0, 0.95, 3.5])


def _crouching(rig: Rig) -> Performance:
    """As `_exercising`, but no knee comes nearer to straight than 20 degrees."""
    quat, root_m = exercise(TIMES_S)
    for side in ("left", "right"):
        knee = BODY_JOINTS.index(f"{side}_knee")
        quat[:, knee] = (Rotation.from_quat(quat[:, knee]) * Rotation.from_rotvec([0.25, 0, 0])).as_quat()
    return _moving(rig, quat, root_m + [0, 0.95, 3.5])


def _walking(rig: Rig) -> Performance:
    return _moving(rig, *walk(Body.of(rig), TIMES_S))


def _place(performance: Performance, name: str) -> np.ndarray:
    return performance.joints_m[:, performance.rig.skeleton.semantic[name]]


def _with_rest(rig: Rig, world: np.ndarray) -> Rig:
    """The same mesh in the same bind pose, on a skeleton that rests elsewhere."""
    return replace(rig, skeleton=replace(rig.skeleton, rest_local=world_to_local(rig.joint_parents, world)))


def _posed(rig: Rig, turn_of: dict[str, list[float]]) -> np.ndarray:
    """World transforms (J,4,4) of a rig whose joints are turned about their places by world rotation vectors, in order."""
    world = local_to_world(rig.joint_parents, rig.skeleton.rest_local)
    for name, rotvec in turn_of.items():
        joint = rig.skeleton.semantic[name]
        below = {joint}
        for child, parent in enumerate(rig.joint_parents):
            if int(parent) in below:
                below.add(child)
        about = np.eye(4)
        about[:3, :3] = Rotation.from_rotvec(rotvec).as_matrix()
        about[:3, 3] = world[joint, :3, 3] - about[:3, :3] @ world[joint, :3, 3]
        world[sorted(below)] = about @ world[sorted(below)]
    return world


def _reshaped(rig: Rig, factors: dict[str, float]) -> Rig:
    """The rig with the ways to some joints, by meaning without the side, made longer; its soles stand on the ground."""
    local = rig.skeleton.rest_local.copy()
    for name, joint in rig.skeleton.semantic.items():
        local[joint, :3, 3] *= factors.get(name.split("_", 1)[-1], 1.0)
    world = local_to_world(rig.joint_parents, local)
    lowest = skin_vertices(rig, world[None])[0, :, 1].min()
    pelvis = rig.skeleton.semantic["pelvis"]
    above = np.linalg.inv(world[rig.joint_parents[pelvis], :3, :3])
    local[pelvis, :3, 3] -= above @ [0, lowest, 0]
    world = local_to_world(rig.joint_parents, local)
    return replace(rig, skeleton=replace(rig.skeleton, rest_local=local), bind_world=world, vertices_m=skin_vertices(rig, world[None])[0])


def _other_body() -> Rig:
    """Longer legs and arms with other shares of their bones, wider hips, larger feet, other joint axes."""
    return _reshaped(humanoid(seed=9), {"knee": 1.2, "ankle": 1.05, "elbow": 1.2, "wrist": 0.9, "hip": 1.15, "foot": 1.2, "neck": 1.1})


def _world_turns(performance: Performance) -> Rotation:
    return Rotation.from_matrix(performance.T_world_joint[..., :3, :3].reshape(-1, 3, 3))


@pytest.mark.parametrize("options", [RetargetOptions(), AS_THEY_ARE, RetargetOptions(hands_from="hips")], ids=["solved", "as is", "hips"])
@pytest.mark.parametrize("move", [_exercising, _walking])
def test_onto_the_same_rig_nothing_changes(move, options):
    source = move(humanoid())
    same = retarget(source, source.rig, options)
    np.testing.assert_allclose(same.joints_m, source.joints_m, atol=1e-5)
    assert (_world_turns(source).inv() * _world_turns(same)).magnitude().max() < 1e-4


RESTS = {
    "arms out": {"left_shoulder": [0, 0, 0.7], "right_shoulder": [0, 0, -0.7]},
    "arms ahead and turned in": {"left_shoulder": [0, -1.0, 0.3], "right_shoulder": [0.4, 0.5, 0]},
    "legs apart, feet level": {"left_hip": [0, 0, 0.3], "left_ankle": [0, 0, -0.3], "right_hip": [0, 0, -0.2], "right_ankle": [0, 0, 0.2]},
    "hands bent and turned": {"left_wrist": [0.5, 0, 0.3], "right_wrist": [0, 0.8, 0]},
}


@pytest.mark.parametrize("rest", RESTS)
def test_another_rest_pose_shows_the_same_skin(rest):
    source = _exercising(humanoid())
    target = _with_rest(source.rig, _posed(source.rig, RESTS[rest]))
    moved = retarget(source, target)
    np.testing.assert_allclose(moved.joints_m, source.joints_m, atol=1e-5)
    some = slice(0, 90, 15)
    # Straight knees do not say where they fold: what is guessed for legs apart is 0.1 degrees about the leg from what was meant.
    np.testing.assert_allclose(skin_vertices(target, moved.T_world_joint[some]), skin_vertices(source.rig, source.T_world_joint[some]),
                               atol=2e-4)


def test_a_rest_pose_with_curled_fingers_shows_the_same_places():
    rig = humanoid()
    spot = {name: rig.bind_world[joint, :3, 3] for name, joint in rig.skeleton.semantic.items()}
    across = (spot["left_index_mcp"] - spot["left_pinky_mcp"]) / np.linalg.norm(spot["left_index_mcp"] - spot["left_pinky_mcp"])
    source = _exercising(rig)
    curls = {f"left_{finger}_{joint}": list(0.7 * across) for finger in ("index", "ring") for joint in ("mcp", "pip")}
    curled = _with_rest(rig, _posed(rig, curls))
    np.testing.assert_allclose(retarget(source, curled).joints_m, source.joints_m, atol=1e-5)


def test_a_bowed_rest_pose_stands_upright():
    source = _exercising(humanoid())
    bowed = _with_rest(source.rig, _posed(source.rig, {"pelvis": [0.9, 0, 0], "left_ankle": [-0.9, 0, 0], "right_ankle": [-0.9, 0, 0]}))
    # This trunk's shoulders lie 1.2 degrees behind its hips when it rests upright, which is no bow but how it is made.
    np.testing.assert_allclose(retarget(source, bowed).joints_m, source.joints_m, atol=np.radians(1.2) * 0.65)


def test_other_joint_axes_and_straighter_elbows_show_the_same_places():
    source = _exercising(humanoid(elbow_rad=0.5))
    for elbow_rad in (1.0, 0.0):  # bent the other share, and straight, so that the hinge must be guessed
        moved = retarget(source, humanoid(seed=8, elbow_rad=elbow_rad))
        for name in BODY_JOINTS:
            np.testing.assert_allclose(_place(moved, name), _place(source, name), atol=1e-5, err_msg=name)


def test_a_scaled_copy_moves_in_scaled_places():
    source = _walking(humanoid())
    rig = source.rig
    local, bind = rig.skeleton.rest_local.copy(), rig.bind_world.copy()
    local[:, :3, 3] *= 0.4
    bind[:, :3, 3] *= 0.4
    small = replace(rig, skeleton=replace(rig.skeleton, rest_local=local), bind_world=bind, vertices_m=0.4 * rig.vertices_m)
    np.testing.assert_allclose(retarget(source, small).joints_m, 0.4 * source.joints_m, atol=1e-5)


def test_the_mirror_image_gives_the_mirror_image():
    rig, other = humanoid(), _other_body()
    quat, root_m = exercise(TIMES_S)
    root_m = root_m + [0, 0.95, 3.5]
    plain, image = retarget(_moving(rig, quat, root_m), other), retarget(_moving(rig, *mirrored(quat, root_m)), other)
    for name in BODY_JOINTS:
        across = name.replace("left", "*").replace("right", "left").replace("*", "right")
        np.testing.assert_allclose(_place(image, across), _place(plain, name) * [-1, 1, 1], atol=2e-5, err_msg=name)


def test_no_bone_is_stretched():
    target = _other_body()
    moved = retarget(_exercising(humanoid()), target)
    pelvis, parents = target.skeleton.semantic["pelvis"], target.joint_parents
    children = [joint for joint in range(len(parents)) if parents[joint] >= 0 and joint != pelvis]
    length = np.linalg.norm(moved.joints_m[:, children] - moved.joints_m[:, parents[children]], axis=-1)
    rest = np.linalg.norm(target.skeleton.rest_local[children, :3, 3], axis=-1)
    np.testing.assert_allclose(length, np.broadcast_to(rest, length.shape), atol=1e-9)


def test_feet_stand_where_the_sources_stood_scaled_by_the_legs():
    rig, target = humanoid(), _other_body()
    source = _walking(rig)
    moved = retarget(source, target)
    bones = {side: [np.linalg.norm(body.skeleton.rest_local[body.skeleton.semantic[f"left_{name}"], :3, 3]) for name in ("knee", "ankle")]
             for side, body in (("source", rig), ("target", target))}
    ratio = sum(bones["target"]) / sum(bones["source"])
    planted = 0
    for side, phase in (("left", 0.0), ("right", 1.0)):
        # The walk's own schedule: a stride of one second, of which a foot is down the first half.
        down = (TIMES_S + 0.5 * phase) % 1.0 < 0.5 - 1e-9
        planted += down.sum()
        ankle, was = _place(moved, f"{side}_ankle"), _place(source, f"{side}_ankle")
        np.testing.assert_allclose(ankle[down][:, [0, 2]], ratio * was[down][:, [0, 2]], atol=1e-5)
        sole = target.bind_world[target.skeleton.semantic[f"{side}_ankle"], 1, 3]  # the lowest skin is at y = 0
        np.testing.assert_allclose(ankle[down][:, 1], sole, atol=1e-5)
    assert planted > 80


def test_a_foot_that_tips_over_its_ball_does_not_slide():
    rig, target = humanoid(), _other_body()
    pitch = np.linspace(0, 0.9, 30)
    body = Body.of(rig)
    tip = np.stack([pitch, 0 * pitch, 0 * pitch], -1)
    straight = turns({"left_ankle": tip, "left_foot": -tip}, 30)
    # The hips move so that the ball of the left foot stays: knee and hip are straight, so ankle and pelvis move as one.
    ball = body.positions(straight, np.zeros((30, 3)))[:, BODY_JOINTS.index("left_foot")]
    source = _moving(rig, straight, np.array([0.2, 0.02, 0.3]) - ball)
    moved = retarget(source, target)
    sole = np.array([0, -target.bind_world[target.skeleton.semantic["left_foot"], 1, 3], 0])  # under the ball at rest
    turned = moved.T_world_joint[:, target.skeleton.semantic["left_ankle"], :3, :3] @ np.linalg.inv(
        local_to_world(target.joint_parents, target.skeleton.rest_local)[target.skeleton.semantic["left_ankle"], :3, :3])
    contact = _place(moved, "left_foot") + turned @ sole
    # The source's own contact point moves as it lies under the ball's joint, which stays; both roll on it by 2 cm times sin.
    was = _place(source, "left_foot") + np.stack([0 * pitch, -0.02 * np.cos(pitch), -0.02 * np.sin(pitch)], -1)
    legs = moved.rig.skeleton.rest_local[[moved.rig.skeleton.semantic[f"left_{name}"] for name in ("knee", "ankle")], :3, 3]
    ours = rig.skeleton.rest_local[[rig.skeleton.semantic[f"left_{name}"] for name in ("knee", "ankle")], :3, 3]
    ratio = np.linalg.norm(legs, axis=-1).sum() / np.linalg.norm(ours, axis=-1).sum()
    slide = (contact - contact[0]) - ratio * (was - was[0])
    # Softened by a hundredth of the leg where heel and ball are level, which is met within a fifth of it as the foot lifts.
    assert np.abs(slide[:, [0, 2]]).max() < 1e-5
    assert np.abs(slide[:, 1]).max() < 0.002


def test_hands_are_as_far_from_the_shoulder_as_the_arm_tells():
    rig, target = humanoid(), _other_body()
    source = _exercising(rig)
    moved = retarget(source, target)
    # The humanoid's arm is 0.28 + 0.25 m; the other's upper arm is 1.2 times as long, its forearm 0.9 times, but for the
    # helper in the middle of the upper arm, whose way to the shoulder stays.
    ratio = (0.14 + 1.2 * 0.14 + 0.9 * 0.25) / 0.53
    for side in ("left", "right"):
        is_reach, was_reach = (_place(p, f"{side}_wrist") - _place(p, f"{side}_shoulder") for p in (moved, source))
        np.testing.assert_allclose(is_reach, ratio * was_reach, atol=1e-5)


def test_hands_measured_from_the_hips_keep_their_place_over_the_feet():
    source, target = _walking(humanoid()), _reshaped(humanoid(seed=9), {"elbow": 1.3, "wrist": 1.3})
    moved = retarget(source, target, RetargetOptions(hands_from="hips"))
    # Arms are longer, legs are not: hands must be just where they were.
    np.testing.assert_allclose(_place(moved, "left_wrist"), _place(source, "left_wrist"), atol=1e-5)
    assert np.linalg.norm(_place(retarget(source, target), "left_wrist") - _place(source, "left_wrist"), axis=-1).min() > 0.05


@pytest.mark.parametrize("options", [RetargetOptions(), AS_THEY_ARE], ids=["solved", "as is"])
@pytest.mark.parametrize("move", [_crouching, _walking, _exercising], ids=["crouch", "walk", "knees all but straight"])
def test_there_and_back_is_within_a_degree(move, options):
    source = move(humanoid())
    back = retarget(retarget(source, _other_body(), options), source.rig, options)
    named = sorted(source.rig.skeleton.semantic.values())
    apart = [(Rotation.from_quat(back.quat_xyzw[:, joint]).inv() * Rotation.from_quat(source.quat_xyzw[:, joint])).magnitude().max()
             for joint in named]
    assert np.degrees(max(apart)) < (1.0 if options.feet else 0.01)


def test_corrections_add_no_jitter():
    for move in (_crouching, _walking):
        source = move(humanoid())
        moved = retarget(source, _other_body())
        for name in ("left_knee", "right_ankle", "left_elbow", "right_wrist", "pelvis"):
            was, now = (jitter_10m_s3(_place(p, name)[:, None], 30) for p in (source, moved))
            assert now < 1.3 * was, name  # bodies are up to 1.2 times as large


def test_knees_that_are_all_but_straight_stay_quiet():
    # Knees come within 6 degrees of straight, where a millimetre of reach is 3 degrees, on hips 1.15 times as wide.
    source = _exercising(humanoid())
    moved = retarget(source, _other_body())
    was, now = (jitter_10m_s3(np.stack([_place(p, f"{side}_knee") for side in ("left", "right")], 1), 30) for p in (source, moved))
    assert now < 2.5 * was
    hips = [jitter_10m_s3(_place(p, "pelvis")[:, None], 30) for p in (source, moved)]
    assert hips[1] < 1.5 * hips[0]


def test_weights_lie_between():
    source, target = _exercising(humanoid()), _other_body()
    none, half, full = (_place(retarget(source, target, RetargetOptions(feet=0, hands=weight)), "left_wrist") for weight in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(half, (none + full) / 2, atol=1e-5)
    assert np.abs(full - none).max() > 0.01


@pytest.mark.parametrize("options", [RetargetOptions(), AS_THEY_ARE], ids=["solved", "as is"])
def test_knees_and_elbows_never_bend_backward(options):
    swing = 0.5 * np.sin(np.arange(60) / 5)
    zero = np.zeros(60)
    pose = {"left_knee": np.stack([swing, zero, zero], -1), "right_elbow": np.stack([zero, swing, zero], -1)}
    source = _moving(humanoid(), turns(pose, 60), np.tile([0, 0.95, 0], (60, 1)))

    def ahead(performance: Performance, near: str, middle: str, far: str, sign: float) -> np.ndarray:
        """How far the far joint is in front of the line through the near bone; all stands in the plane x = const."""
        bone, rest = _place(performance, middle) - _place(performance, near), _place(performance, far) - _place(performance, middle)
        bone = bone / np.linalg.norm(bone, axis=-1, keepdims=True)
        return sign * (rest - bone * np.sum(rest * bone, axis=-1, keepdims=True))[:, 2]

    leg, arm = ("left_hip", "left_knee", "left_ankle", -1.0), ("right_shoulder", "right_elbow", "right_wrist", 1.0)
    assert min(ahead(source, *leg).min(), ahead(source, *arm).min()) < -0.1
    free, bound = retarget(source, source.rig, replace(options, limits=False)), retarget(source, source.rig, options)
    for limb in (leg, arm):
        assert ahead(free, *limb).min() < -0.1
        assert ahead(bound, *limb).min() > -1e-5
    if options.feet:  # hands and feet are where they were all the same
        np.testing.assert_allclose(_place(bound, "left_ankle"), _place(source, "left_ankle"), atol=1e-4)
        np.testing.assert_allclose(_place(bound, "right_wrist"), _place(source, "right_wrist"), atol=1e-4)


# Little skeletons: every joint's axes are the world's, so that a joint's turn is what it says.
Part = tuple[str, tuple[float, float, float]]  # its parent, and where it rests


def _both(parts: dict[str, Part]) -> dict[str, Part]:
    """Parts of the left side, and their mirror images; a parent that is no part of them belongs to both sides."""
    return {f"{side}_{name}": (f"{side}_{above}" if above in LIMBS else above, (sign * x, y, z))
            for side, sign in (("left", 1), ("right", -1)) for name, (above, (x, y, z)) in parts.items()}


LIMBS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")
STICK: dict[str, Part] = {
    "pelvis": ("", (0, 1, 0)), "spine_1": ("pelvis", (0, 1.2, 0)), "neck": ("spine_1", (0, 1.5, 0)), "head": ("neck", (0, 1.6, 0)),
    **_both({
        "shoulder": ("spine_1", (0.2, 1.4, 0)), "elbow": ("shoulder", (0.5, 1.4, 0)), "wrist": ("elbow", (0.7, 1.4, 0)),
        "hip": ("pelvis", (0.1, 1, 0)), "knee": ("hip", (0.1, 0.6, 0)), "ankle": ("knee", (0.1, 0.1, 0)), "foot": ("ankle", (0.1, 0, 0.15)),
    }),
}


def _stick(changes: dict[str, Part] | None = None, unnamed: tuple[str, ...] = ()) -> Rig:
    """A rig from parents and places by name; all names but ``unnamed`` are meanings."""
    parts = {**STICK, **(changes or {})}
    names: list[str] = []
    while len(names) < len(parts):
        names += [name for name, (above, _) in parts.items() if name not in names and (not above or above in names)]
    parents = np.array([names.index(parts[name][0]) if parts[name][0] else -1 for name in names], np.int32)
    world = np.tile(np.eye(4), (len(names), 1, 1))
    world[:, :3, 3] = [parts[name][1] for name in names]
    semantic = {name: row for row, name in enumerate(names) if name not in unnamed}
    return bare_rig(Skeleton(tuple(names), parents, world_to_local(parents, world), semantic), "stick")


def _turned(rig: Rig, turn_of: dict[str, tuple[float, float, float]], frames: int = 2) -> Performance:
    """Somebody at rest but for local turns of some joints, degrees about x, y and z one after the other."""
    still = rest_performance(rig, np.arange(frames) / 30)
    quat = still.quat_xyzw.copy()
    for name, degrees in turn_of.items():
        quat[:, rig.joint_names.index(name)] = Rotation.from_euler("xyz", degrees, degrees=True).as_quat()
    return still.with_turns(quat)


def _local_rotvec(performance: Performance, name: str) -> np.ndarray:
    """The local turn of a joint in the first frame, degrees."""
    return np.degrees(Rotation.from_quat(performance.quat_xyzw[0, performance.rig.joint_names.index(name)]).as_rotvec())


def test_a_t_pose_drives_an_a_pose_by_hand():
    # The A-pose: arms 45 degrees down, of 0.4 and 0.3; the T-pose lets the left arm hang and bends the elbow to the front.
    down = np.sqrt(0.5)
    a_pose = _both({name: (above, (0.2 + far * down, 1.4 - far * down, 0)) for name, above, far in (("elbow", "shoulder", 0.4),
                                                                                                     ("wrist", "elbow", 0.7))})
    source, target = _turned(_stick(), {"left_shoulder": (0, 0, -90), "left_elbow": (0, -90, 0)}), _stick(a_pose)
    moved = retarget(source, target, AS_THEY_ARE)
    np.testing.assert_allclose(_place(moved, "left_elbow")[0], [0.2, 1.0, 0], atol=1e-7)
    np.testing.assert_allclose(_place(moved, "left_wrist")[0], [0.2, 1.0, 0.3], atol=1e-7)
    np.testing.assert_allclose(_place(moved, "right_elbow")[0], [-0.6, 1.4, 0], atol=1e-7)  # the T-pose's arm, straight out
    np.testing.assert_allclose(_place(moved, "right_wrist")[0], [-0.9, 1.4, 0], atol=1e-7)
    # The hand's place scaled by the arms, 0.7 to 0.5: from the shoulder 0.3 down and 0.2 ahead becomes 0.42 and 0.28.
    np.testing.assert_allclose(_place(retarget(source, target), "left_wrist")[0], [0.2, 1.4 - 0.42, 0.28], atol=1e-7)


def test_a_squat_keeps_the_soles_and_scales_the_hips_by_hand():
    # Thigh forward 60, knee 100 back, foot level: hips at x = 0.1 over an ankle that has moved.
    bend = {f"{side}_{name}": (degrees, 0, 0) for side in ("left", "right")
            for name, degrees in (("hip", -60), ("knee", 100), ("ankle", -40))}
    source = _turned(_stick(), bend)
    # Legs of 0.8 + 1.0 instead of 0.4 + 0.5, the ankle's height 0.1 as before: hips at 1.9.
    legs = _both({"hip": ("pelvis", (0.1, 1.9, 0)), "knee": ("hip", (0.1, 1.1, 0)), "ankle": ("knee", (0.1, 0.1, 0)),
                  "foot": ("ankle", (0.1, 0, 0.15))})
    target = _stick({"pelvis": ("", (0, 1.9, 0)), **legs})
    moved = retarget(source, target, RetargetOptions(hands=0))
    thigh, shank = np.radians(60), np.radians(40)
    height = 1.0 - 0.4 * np.cos(thigh) - 0.5 * np.cos(shank)  # of the source's ankle, whose pelvis did not come down
    ahead = 0.4 * np.sin(thigh) - 0.5 * np.sin(shank)
    np.testing.assert_allclose(_place(source, "left_ankle")[0], [0.1, height, ahead], atol=1e-9)
    # Twice the legs: the sole, 0.1 and a stand-in's toe below the ankle, is twice as high; over the ground all is doubled.
    sole = 0.1 - float(source.rig.vertices_m[:, 1].min()), 0.1 - float(target.vertices_m[:, 1].min())
    np.testing.assert_allclose(_place(moved, "left_ankle")[0], [0.2, 2 * (height - sole[0]) + sole[1], 2 * ahead], atol=1e-6)


def test_spines_with_more_joints_share_the_bend_evenly():
    # Between chest and neck nothing bends; two joints without a meaning lie between spine_1 and spine_2, one between neck and head.
    longer = {"low": ("spine_1", (0, 1.25, 0)), "high": ("low", (0, 1.3, 0)), "spine_2": ("high", (0, 1.35, 0)),
              "neck": ("spine_2", (0, 1.5, 0)), "nape": ("neck", (0, 1.55, 0)), "head": ("nape", (0, 1.6, 0))}
    target = _stick(longer, unnamed=("low", "high", "nape"))
    source = _turned(_stick({"spine_2": ("spine_1", (0, 1.35, 0)), "neck": ("spine_2", (0, 1.5, 0))}),
                     {"spine_1": (12, 0, 0), "spine_2": (30, 0, 0), "head": (0, 24, 0)})
    moved = retarget(source, target)
    for name, rotvec in {"spine_1": [12, 0, 0], "low": [10, 0, 0], "high": [10, 0, 0], "spine_2": [10, 0, 0],
                         "neck": [0, 0, 0], "nape": [0, 12, 0], "head": [0, 12, 0]}.items():
        np.testing.assert_allclose(_local_rotvec(moved, name), rotvec, atol=1e-6, err_msg=name)
    assert moved.known[:, target.joint_names.index("low")].all()


def test_a_spine_of_one_drives_a_spine_of_three_and_back():
    three = _stick({"spine_2": ("spine_1", (0, 1.3, 0)), "spine_3": ("spine_2", (0, 1.4, 0)), "neck": ("spine_3", (0, 1.5, 0))})
    moved = retarget(_turned(_stick(), {"spine_1": (0, 45, 0)}), three)
    for name in ("spine_1", "spine_2", "spine_3"):
        np.testing.assert_allclose(_local_rotvec(moved, name), [0, 15, 0], atol=1e-6, err_msg=name)
    np.testing.assert_allclose(_local_rotvec(retarget(moved, _stick()), "spine_1"), [0, 45, 0], atol=1e-6)


def test_twist_is_spread_over_the_joints_that_a_rig_has_for_it():
    helpers = {"lowerarm_twist_01_l": ("left_elbow", (0.55, 1.4, 0)), "UpperArmRoll": ("left_shoulder", (0.26, 1.4, 0)),
               "between": ("right_elbow", (-0.6, 1.4, 0)), "right_wrist": ("between", (-0.7, 1.4, 0)),
               "muscle": ("left_elbow", (0.6, 1.4, 0))}
    names = ("lowerarm_twist_01_l", "UpperArmRoll", "between", "muscle")
    target = _stick(helpers, unnamed=names)
    source = _turned(_stick(), {"left_shoulder": (50, 0, 0), "left_wrist": (60, 0, 0), "right_wrist": (40, 0, 0)})
    moved = retarget(source, target)
    expected = {
        "lowerarm_twist_01_l": [15, 0, 0],  # a quarter along the forearm: a quarter of the hand's 60
        "UpperArmRoll": [-40, 0, 0],  # a fifth along the upper arm: gives back four fifths of 50
        "left_shoulder": [50, 0, 0], "left_wrist": [60, 0, 0],
        "between": [20, 0, 0], "right_wrist": [20, 0, 0],  # on the way to the hand, in its middle: half each
        "muscle": [0, 0, 0],
    }
    for name, rotvec in expected.items():
        np.testing.assert_allclose(_local_rotvec(moved, name), rotvec, atol=1e-6, err_msg=name)
    assert not moved.known[:, target.joint_names.index("muscle")].any()
    still = retarget(source, target, RetargetOptions(twist=0))
    np.testing.assert_allclose(_local_rotvec(still, "lowerarm_twist_01_l"), 0, atol=1e-6)
    np.testing.assert_allclose(_local_rotvec(still, "right_wrist"), [40, 0, 0], atol=1e-6)


def test_twist_on_mhr_is_spread_as_its_own_parameters_do(shared):
    facts = json.loads((shared / "mhr" / "mhr_skeleton.json").read_text(encoding="utf-8"))
    rig = load_rig("mhr", mhr_folder=shared / "mhr" / "lod3")
    amount = {"l_uparm_twist": 0.6, "l_lowarm_twist": 0.8, "r_upleg_twist": -0.4, "r_lowleg_twist": 0.3}
    truth = rest_performance(rig, np.arange(2) / 30)
    quat = truth.quat_xyzw.copy()
    for parameter, angle in amount.items():
        for joint, axis, share in facts["parameter_transform_sparse"][parameter]:
            assert axis == "rx"
            row = rig.joint_names.index(joint)
            quat[:, row] = (Rotation.from_quat(quat[:, row]) * Rotation.from_rotvec([angle * share, 0, 0])).as_quat()
    truth = truth.with_turns(quat)
    # The source's twist joints bear other names, so that nothing of theirs can be copied.
    strangers = tuple(name.replace("twist", "helper") for name in rig.joint_names)
    source = replace(truth, rig=replace(rig, skeleton=replace(rig.skeleton, joint_names=strangers)))
    moved = retarget(source, rig)
    apart = (Rotation.from_quat(moved.quat_xyzw[0]).inv() * Rotation.from_quat(truth.quat_xyzw[0])).magnitude()
    degrees = dict(zip(rig.joint_names, np.degrees(apart), strict=True))
    # Bones lie along their joints' x axes to within half a degree of turn, but for the wrist's twist, whose axis is tilted by 5.6.
    assert max(angle for name, angle in degrees.items() if name not in ("l_wrist_twist", "l_wrist")) < 0.5
    assert degrees["l_wrist_twist"] < 5


def test_joints_without_a_partner_rest_and_are_not_known():
    rig = humanoid()
    source = _exercising(humanoid(fingers=False), 5)
    source = replace(source, known=source.known & (np.arange(5) != 3)[:, None], visible=np.arange(5) != 3)
    other = replace(rig, skeleton=replace(rig.skeleton, joint_names=tuple(f"other {name}" for name in rig.joint_names)))
    moved = retarget(source, other)
    rest = matrix_to_quat(rig.skeleton.rest_local[:, :3, :3])
    for name, joint in rig.skeleton.semantic.items():
        finger = any(part in name for part in ("thumb", "index", "middle", "ring", "pinky"))
        assert moved.known[:, joint].tolist() == ([False] * 5 if finger else [True, True, True, False, True]), name
        if finger:
            np.testing.assert_allclose(np.abs(np.sum(moved.quat_xyzw[:, joint] * rest[joint], axis=-1)), 1, atol=1e-9)
    assert moved.visible.tolist() == source.visible.tolist()
    np.testing.assert_array_equal(moved.times_s, source.times_s)


def test_a_foot_that_turns_about_a_lower_joint_turns_all_the_same():
    # MHR's heel bends about joints below the one that is named the ankle.
    lower = {f"{side}_{name}": (f"{side}_{above}", (sign * 0.1, y, z)) for side, sign in (("left", 1), ("right", -1))
             for name, above, y, z in (("heel", "ankle", 0.1, 0), ("foot", "heel", 0, 0.15))}
    double = _stick(lower, unnamed=("left_heel", "right_heel"))
    source = _turned(double, {"left_ankle": (0, 10, 0), "left_heel": (25, 0, 0)})
    plain = retarget(source, _stick(), AS_THEY_ARE)
    turn = Rotation.from_euler("y", 10, degrees=True) * Rotation.from_euler("x", 25, degrees=True)
    np.testing.assert_allclose(_local_rotvec(plain, "left_ankle"), np.degrees(turn.as_rotvec()), atol=1e-6)
    same = retarget(source, double)  # of the same names: each joint keeps its share
    np.testing.assert_allclose(_local_rotvec(same, "left_ankle"), [0, 10, 0], atol=1e-6)
    np.testing.assert_allclose(_local_rotvec(same, "left_heel"), [25, 0, 0], atol=1e-6)


def test_helper_joints_of_the_same_name_are_carried_over():
    source = _exercising(humanoid(), 5)
    rig = source.rig
    helper = rig.joint_names.index("bone_left_upper_helper")
    bone = rig.skeleton.rest_local[rig.skeleton.semantic["left_elbow"], :3, 3]  # a twist, so that the elbow stays
    quat = source.quat_xyzw.copy()
    quat[:, helper] = (Rotation.from_quat(quat[:, helper]) * Rotation.from_rotvec(0.5 * bone / np.linalg.norm(bone))).as_quat()
    source = source.with_turns(quat)
    moved = retarget(source, source.rig)
    np.testing.assert_allclose(np.abs(np.sum(moved.quat_xyzw * source.quat_xyzw, axis=-1)), 1, atol=1e-6)


def test_a_root_stays_where_it_rests():
    rooted = _stick({"root": ("", (0, 0, 0)), "pelvis": ("root", (0, 1, 0))})
    source = _turned(_stick(), {})
    source = source.with_turns(source.quat_xyzw, source.translation_m + (np.arange(len(STICK)) == 0)[:, None] * [3.0, 0, 2.0])
    moved = retarget(source, rooted)
    np.testing.assert_allclose(_place(moved, "root"), 0, atol=1e-12)
    np.testing.assert_allclose(_place(moved, "pelvis")[0], [3, 1, 2], atol=1e-7)


def test_joint_scales_of_the_source_are_seen_and_the_targets_kept():
    source = _exercising(humanoid(), 5)
    doubled = replace(source, scale=np.where(np.arange(len(source.rig.joint_names)) == 0, 2.0, 1.0) * np.ones((5, 1)))
    moved = retarget(doubled, source.rig)  # twice as large all over: brought back to size
    np.testing.assert_allclose(moved.joints_m[:, 1:], source.joints_m[:, 1:], atol=1e-5)
    local = source.rig.skeleton.rest_local.copy()
    local[source.rig.skeleton.semantic["left_wrist"], :3, :3] *= 0.9
    kept = retarget(source, replace(source.rig, skeleton=replace(source.rig.skeleton, rest_local=local)))
    assert kept.scale is not None
    np.testing.assert_allclose(np.unique(kept.scale.round(9)), [0.9, 1.0])


def test_what_a_skeleton_lacks_is_listed():
    rig = humanoid()
    semantic = {name: joint for name, joint in rig.skeleton.semantic.items() if not name.startswith(("spine", "left_knee", "pelvis"))}
    poor = replace(rig, name="my hero", skeleton=replace(rig.skeleton, semantic=semantic))
    with pytest.raises(SettingsError, match=r"my hero: found no joint for pelvis, left_knee, spine_1.*rigdrop map init"):
        retarget(_exercising(rig, 2), poor)
    with pytest.raises(SettingsError, match="my hero"):
        retarget(replace(_exercising(rig, 2), rig=poor), rig)


@pytest.mark.parametrize(("field", "value"), [("feet", -0.1), ("hands", 1.5), ("twist", 2.0), ("hands_from", "chest")])
def test_bad_options_are_refused(field, value):
    with pytest.raises(SettingsError, match=field.replace("_", "-")):
        RetargetOptions(**{field: value})
