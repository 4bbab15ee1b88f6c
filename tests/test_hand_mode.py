"""Hands kept, smoothed and held, and fingers bent further than fingers bend."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import FINGER_JOINTS
from rigdrop.convert.cleaning.gaussian import gaussian_turns
from rigdrop.convert.cleaning.hand_mode import FLEXION_DEG, SPREAD_DEG, THUMB_MCP_DEG, limit_fingers, smooth_hands, still_hands
from rigdrop.convert.cleaning.parts import hand_joints
from rigdrop.convert.performance import rest_performance
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model
from rigdrop.motion.kinematics import world_transforms
from rigdrop.motion.rotations import matrix_to_quat

from .bodies import humanoid
from .tumbling import angles_deg, even_times, shaken

FRAMES = 90


@pytest.fixture(scope="module")
def rig():
    return humanoid()


def _hands(rig) -> np.ndarray:
    return np.concatenate([hand_joints(rig, "left"), hand_joints(rig, "right")])


def _rest(rig, frames: int = FRAMES) -> np.ndarray:
    return rest_performance(rig, even_times(frames)).quat_xyzw


def test_smoothed_hands_are_a_gaussian_and_the_body_is_not_touched(rig):
    times_s, given = even_times(FRAMES), shaken(_rest(rig), 0.1)
    kept = smooth_hands(rig, given, times_s, np.ones(FRAMES, bool), 0.1)
    hands = _hands(rig)
    others = np.setdiff1d(np.arange(given.shape[1]), hands)
    assert np.array_equal(kept[:, others], given[:, others])
    assert np.array_equal(kept[:, hands], gaussian_turns(given[:, hands], times_s, np.ones(FRAMES, bool), 0.1))


def test_still_hands_hold_what_most_of_the_clip_shows(rig):
    truth = shaken(_rest(rig, 1), 0.3)
    given = shaken(np.repeat(truth, FRAMES, axis=0), 0.02)
    given[:30] = Rotation.random(30 * given.shape[1], random_state=0).as_quat().reshape(30, -1, 4)  # a third is nonsense
    kept = still_hands(rig, given, even_times(FRAMES), np.ones(FRAMES, bool))
    hands = _hands(rig)
    assert np.ptp(kept[:, hands], axis=0).max() == 0
    # A third of nonsense, scattered all round, moves the median by a fraction of the noise's 2°; a mean by tens of degrees.
    assert angles_deg(kept[:, hands], truth[:, hands]).max() < 3.0
    assert np.array_equal(np.delete(kept, hands, axis=1), np.delete(given, hands, axis=1))


def test_still_hands_do_not_look_at_what_was_not_seen(rig):
    truth = shaken(_rest(rig, 1), 0.3)
    given, hands = np.repeat(truth, FRAMES, axis=0), _hands(rig)
    known = np.ones(given.shape[:2], bool)
    known[10:] = False
    known[:, hands[0]] = False
    given[10:] = np.nan
    kept = still_hands(rig, given, even_times(FRAMES), known)
    assert angles_deg(kept[:, hands[1:]], truth[:, hands[1:]]).max() < 1e-5
    assert angles_deg(kept[:, hands[0]], _rest(rig)[:, hands[0]]).max() < 1e-5  # never seen: the rest


# Fingers. On this rig every finger of the left hand lies along one line at rest, so that angles can be told in the world.


def _bent(rig, name: str, axis_world: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """The rest with one finger joint turned about an axis of the world, radians (F,)."""
    quat, joint = _rest(rig, len(angle)), rig.skeleton.semantic[name]
    own = world_transforms(rig, quat[:1], rest_performance(rig, even_times(1)).translation_m)[0, joint, :3, :3]
    turn = Rotation.from_rotvec(angle[:, None] * (axis_world @ own))
    quat[:, joint] = (Rotation.from_quat(quat[:, joint]) * turn).as_quat()
    return quat


def _line(rig, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Where a finger points and the axis about which it closes, both in the world at rest: its palm looks down."""
    performance, semantic = rest_performance(rig, even_times(1)), rig.skeleton.semantic
    side, finger, _ = name.split("_")
    place = performance.joints_m[0]
    along = place[semantic[f"{side}_{finger}_pip"]] - place[semantic[f"{side}_{finger}_mcp"]]
    along /= np.linalg.norm(along)
    across = place[semantic[f"{side}_index_mcp"]] - place[semantic[f"{side}_pinky_mcp"]]
    sign = 1.0 if side == "left" else -1.0
    palm = -sign * np.cross(across, along)  # out of the palm
    hinge = np.cross(along, palm / np.linalg.norm(palm))
    return along, hinge / np.linalg.norm(hinge)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("finger", "joint"), [("index", "mcp"), ("middle", "pip"), ("ring", "dip"), ("pinky", "mcp")])
def test_flexion_stops_where_a_joint_stops(rig, side, finger, joint):
    name = f"{side}_{finger}_{joint}"
    _, hinge = _line(rig, name)
    angle = np.radians(np.arange(-100.0, 150.0, 5.0))
    kept, beyond = limit_fingers(rig, _bent(rig, name, hinge, angle))
    allowed = np.clip(angle, *np.radians(FLEXION_DEG[joint]))
    # The rig's rest hand is a little out of the plane in which its T-pose is told; the hinge is off by as much.
    assert angles_deg(kept, _bent(rig, name, hinge, allowed)).max() < 1.5
    joint_index = rig.skeleton.semantic[name]
    clear = np.abs(allowed - angle) > np.radians(2)
    assert beyond[clear, joint_index].all()
    assert not np.delete(beyond, joint_index, axis=1).any()


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("finger", "joint"), [("index", "mcp"), ("ring", "pip")])
def test_spread_stops_either_way(rig, side, finger, joint):
    name = f"{side}_{finger}_{joint}"
    along, hinge = _line(rig, name)
    angle = np.radians(np.arange(-60.0, 61.0, 4.0))
    kept, _ = limit_fingers(rig, _bent(rig, name, np.cross(hinge, along), angle))
    most = np.radians(SPREAD_DEG[joint])
    assert angles_deg(kept, _bent(rig, name, np.cross(hinge, along), np.clip(angle, -most, most))).max() < 1.5


def test_twist_about_the_finger_is_kept(rig):
    name = "left_middle_pip"
    along, hinge = _line(rig, name)
    joint, frames = rig.skeleton.semantic[name], 20
    twist = np.linspace(-0.5, 0.5, frames)
    bent = _bent(rig, name, hinge, np.full(frames, np.radians(140)))
    own = world_transforms(rig, _rest(rig, 1), rest_performance(rig, even_times(1)).translation_m)[0, joint, :3, :3]
    about = Rotation.from_rotvec(twist[:, None] * (along @ own))
    bent[:, joint] = (Rotation.from_quat(bent[:, joint]) * about).as_quat()
    kept, _ = limit_fingers(rig, bent)
    expected = _bent(rig, name, hinge, np.full(frames, np.radians(FLEXION_DEG["pip"][1])))
    expected[:, joint] = (Rotation.from_quat(expected[:, joint]) * about).as_quat()
    assert angles_deg(kept, expected).max() < 1.5


def test_hands_within_their_limits_are_not_touched_by_a_bit(rig):
    rest = _rest(rig)
    assert np.array_equal(limit_fingers(rig, rest)[0], rest)
    given = shaken(rest, 0.03)  # 10 deviations are not reached by 90 frames
    kept, beyond = limit_fingers(rig, given)
    assert np.array_equal(kept, given)
    assert not beyond.any()


def test_limits_are_kept_whatever_comes_in_and_keeping_them_twice_changes_nothing(rig):
    given = Rotation.random(FRAMES * len(rig.joint_names), random_state=2).as_quat().reshape(FRAMES, -1, 4)
    once, beyond = limit_fingers(rig, given)
    twice, again = limit_fingers(rig, once)
    assert np.allclose(np.linalg.norm(once, axis=-1), 1)
    assert angles_deg(once, twice).max() < 1e-4
    assert beyond.any(0)[_hands(rig)].all()
    assert not again.any()
    assert np.array_equal(np.delete(once, _hands(rig), axis=1), np.delete(given, _hands(rig), axis=1))


def test_a_rig_without_fingers_stays_as_it_is():
    rig = humanoid(fingers=False)
    given = shaken(_rest(rig), 1.0)
    kept, beyond = limit_fingers(rig, given)
    assert np.array_equal(kept, given)
    assert not beyond.any()


@pytest.mark.parametrize("name", ["sam3d_body_subj00", "sam3d_body_subj01"])
def test_real_hands_lie_within_the_limits(shared, name):
    model = load_mhr_model(shared / "mhr" / "lod3")
    with np.load(shared / "samples" / f"{name}.npz") as sample:
        quat, _, _ = model.local(np.asarray(sample["mhr_model_params"], np.float64).reshape(1, -1))
    assert not limit_fingers(model.rig, quat)[1].any()
    # What these hands do, five times over, no hand does: one of each pair is curled by 20 to 40 degrees a joint.
    fingers = _hands(model.rig)
    rest = matrix_to_quat(model.rig.skeleton.rest_local[fingers, :3, :3])
    turn = Rotation.from_quat(rest).inv() * Rotation.from_quat(quat[0, fingers])
    further = quat.copy()
    further[0, fingers] = (Rotation.from_quat(rest) * turn**5).as_quat()
    assert limit_fingers(model.rig, further)[1].sum() > 10


def test_every_finger_joint_has_limits_that_hold_its_rest():
    joints = {name.rsplit("_", 1)[1] for name in FINGER_JOINTS}
    assert joints == set(FLEXION_DEG) == set(SPREAD_DEG)
    assert all(low < 0 < high for low, high in (*FLEXION_DEG.values(), THUMB_MCP_DEG))
