"""Hands against hands whose bones are known: landmarks are made of a rig's own fingers, posed by SciPy's rotations."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert import hands
from rigdrop.convert.body import BODY_JOINTS, FINGER_JOINTS, Body, body_joint
from rigdrop.convert.hands import HandOptions, drive_hands
from rigdrop.convert.smooth import SmoothOptions
from rigdrop.ingest.tracks import Track
from rigdrop.motion.kinematics import world_transforms

from .bodies import HEIGHT, WIDTH, hanging_arms, humanoid, landmark_places, loop_places, mirrored, seen_track, turns

FRAMES = 30
TIMES_S = np.arange(FRAMES) / 30
AS_SEEN = SmoothOptions(smooth=0)
FINGERS = ("thumb", "index", "middle", "ring", "pinky")
PELVIS_M = np.tile([0.0, 0.0, -3.0], (FRAMES, 1))


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


def _arms() -> np.ndarray:
    return turns(hanging_arms(), FRAMES)


def _hand_m(body: Body, side: str, palm: Rotation, flexion: dict[str, float]) -> np.ndarray:
    """The 21 landmarks (21,3) of a hand from its wrist, glTF axes; ``flexion`` in radians by finger, by joint, or aside at the knuckle."""
    rest = {name: body.T_world_rest[index, :3, 3] for name, index in body.rig.skeleton.semantic.items()}
    into_t_pose = Rotation.from_matrix(body.R_canonical_rest[body_joint(f"{side}_wrist")])
    points = [np.zeros(3)]
    for finger in FINGERS:
        at, turn, before = np.zeros(3), palm, f"{side}_wrist"
        for name in [name for name in FINGER_JOINTS if name.startswith(f"{side}_{finger}")]:
            at = at + turn.apply(into_t_pose.apply(rest[name] - rest[before]))
            points.append(at)
            row = FINGER_JOINTS.index(name)
            axis, rest_direction = body.finger_axis[row], body.finger_direction[row]
            turn = turn * Rotation.from_rotvec(flexion.get(name.removeprefix(f"{side}_"), flexion.get(finger, 0.0)) * axis)
            if name.endswith("mcp") and finger != "thumb":
                turn = turn * Rotation.from_rotvec(flexion.get(f"{finger}_aside", 0.0) * np.cross(axis, rest_direction))
            before = name
        points.append(at + turn.apply(0.02 * body.finger_direction[row]))
    return np.array(points)


def _wrist_world(body: Body, quat: np.ndarray, side: str) -> Rotation:
    return loop_places(body, quat[:1], PELVIS_M[:1])[1][0][body_joint(f"{side}_wrist")]


def _track(body: Body, quat: np.ndarray, hands: dict[int, np.ndarray], size_px: float = 60.0) -> Track:
    """A track with hands (21,3) or (F,21,3) from the wrist, glTF axes, by side; seen on all frames."""
    track = seen_track(landmark_places(body, quat, PELVIS_M))
    hands_m, hands_px, score = track.hands_m.copy(), track.hands_px.copy(), track.hand_score.copy()
    for side, points in hands.items():
        hands_m[:, side] = points * [1, -1, -1]
        palm_m = np.linalg.norm(np.broadcast_to(points, (FRAMES, 21, 3))[:, 9], axis=-1)[:, None, None]
        hands_px[:, side] = [WIDTH / 2, HEIGHT / 2] + hands_m[:, side, :, :2] * size_px / palm_m
        # Seen from the side a palm looks short; here it is the size that is meant to decide.
        hands_px[:, side, 9] = hands_px[:, side, 0] + [size_px, 0]
        score[:, side] = 1.0
    return replace(track, hands_m=hands_m, hands_px=hands_px, hand_score=score)


def _driven(
    body: Body, quat: np.ndarray, track: Track, options: HandOptions | None = None, smooth: SmoothOptions = AS_SEEN
) -> tuple[np.ndarray, np.ndarray]:
    return drive_hands(body, quat, track, TIMES_S, options or HandOptions(), smooth)


def _finger_places_m(body: Body, quat: np.ndarray, fingers: np.ndarray, side: str) -> np.ndarray:
    """Places (F,15,3) of a hand's finger joints from the wrist, through the rig's own joints."""
    motion = body.to_motion(quat, PELVIS_M, np.ones(FRAMES, bool), np.ones(FRAMES), fingers)
    place = world_transforms(body.rig, motion.local_quat_xyzw, motion.local_translation_m)[..., :3, 3]
    own = [body.rig.skeleton.semantic[name] for name in FINGER_JOINTS if name.startswith(side)]
    return place[:, own] - place[:, [body.rig.skeleton.semantic[f"{side}_wrist"]]]


# Landmarks 1-3, 5-7, … are the joints that bend; 4, 8, … the tips.
JOINTS = [landmark for landmark in range(1, 21) if landmark % 4]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("wrist", [(0, 0, 0), (0.3, 0.2, -0.3), (-0.8, 0.0, 0.5), (1.2, -0.3, 0.2)])
@pytest.mark.parametrize(
    "flexion",
    [
        {},
        dict.fromkeys(FINGERS[1:], 0.8),
        {"index": 1.2, "middle": 0.1, "thumb_mcp": 0.3, "pinky_pip": 1.0},
        {"index": 0.3, "index_aside": 0.2, "ring_aside": -0.1, "pinky_aside": -0.25},
    ],
    ids=["flat", "closing", "pointing", "spread"],
)
def test_a_seen_hand_is_the_hand_that_was_there(body, side, wrist, flexion):
    quat, number = _arms(), ("left", "right").index(side)
    forearm = loop_places(body, quat[:1], PELVIS_M[:1])[1][0][body_joint(f"{side}_elbow")]
    palm = forearm * Rotation.from_rotvec(np.array(wrist, float))
    hand_m = _hand_m(body, side, palm, flexion)
    driven, fingers = _driven(body, quat, _track(body, quat, {number: hand_m}))
    found = _wrist_world(body, driven, side)
    assert np.degrees((found.inv() * palm).magnitude()) < 0.01
    # Exact landmarks within every joint's range: what is left is float32, and the thumb's flexion order.
    assert np.abs(_finger_places_m(body, driven, fingers, side) - hand_m[JOINTS]).max() < 0.001


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_forearm_shares_the_wrists_twist_and_nothing_else_moves(body, side):
    quat, number = _arms(), ("left", "right").index(side)
    forearm = loop_places(body, quat[:1], PELVIS_M[:1])[1][0][body_joint(f"{side}_elbow")]
    track = _track(body, quat, {number: _hand_m(body, side, forearm * Rotation.from_rotvec([1.0, 0, 0]), {})})
    driven, _ = _driven(body, quat, track)
    assert np.abs(body.positions(driven, PELVIS_M) - body.positions(quat, PELVIS_M)).max() < 1e-9
    elbow, wrist = body_joint(f"{side}_elbow"), body_joint(f"{side}_wrist")
    others = [row for row in range(len(BODY_JOINTS)) if row not in (elbow, wrist)]
    assert np.array_equal(driven[:, others], quat[:, others])
    twist = Rotation.from_quat(driven[0, wrist]).magnitude()
    assert 0.2 < twist < 0.8  # of one radian, neither end takes it all


def test_a_wrist_may_turn_through_half_a_circle_over_time(body):
    quat = _arms()
    forearm = loop_places(body, quat[:1], PELVIS_M[:1])[1][0][body_joint("left_elbow")]
    angles = np.linspace(-2.6, 2.6, FRAMES)
    palms = [forearm * Rotation.from_rotvec([angle, 0, 0]) for angle in angles]
    hands_m = np.stack([_hand_m(body, "left", palm, {}) for palm in palms])
    driven, _ = _driven(body, quat, _track(body, quat, {0: hands_m}))
    for row in (body_joint("left_elbow"), body_joint("left_wrist")):
        steps = (Rotation.from_quat(driven[:-1, row]).inv() * Rotation.from_quat(driven[1:, row])).magnitude()
        assert steps.max() < 2 * (angles[1] - angles[0])  # no joint jumps


def test_mirrored_hands_give_mirrored_turns(body):
    quat = _arms()
    palm = _wrist_world(body, quat, "left") * Rotation.from_rotvec([0.3, 0.2, -0.3])
    hand_m = _hand_m(body, "left", palm, {"index": 0.7, "thumb": 0.2, "ring": 0.3})
    left, left_fingers = _driven(body, quat, _track(body, quat, {0: hand_m}))
    right, right_fingers = _driven(body, quat, _track(body, quat, {1: hand_m * [-1, 1, 1]}))
    assert np.allclose(right, mirrored(left, PELVIS_M)[0], atol=1e-9)
    assert np.allclose(right_fingers[:, 15:], left_fingers[:, :15] * [1, -1, -1, 1], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "score", "size_px"),
    [
        (HandOptions(hands=False), 1.0, 60),
        (HandOptions(), 0.3, 60),
        (HandOptions(), 0.0, 60),
        (HandOptions(), 1.0, 5),
        (HandOptions(min_hand_px=100), 1.0, 60),
    ],
    ids=["off", "unsure", "unseen", "tiny", "smaller than asked"],
)
def test_hands_that_are_not_to_be_driven_rest(body, options, score, size_px):
    quat = _arms()
    track = _track(body, quat, {0: _hand_m(body, "left", _wrist_world(body, quat, "left"), {"index": 1.0})}, size_px)
    driven, fingers = _driven(body, quat, replace(track, hand_score=track.hand_score * score), options)
    assert np.array_equal(driven, quat)
    assert np.array_equal(fingers, np.tile([0.0, 0, 0, 1], (FRAMES, 30, 1)))


def test_a_palm_on_the_back_of_the_forearm_is_no_palm(body):
    quat = _arms()
    palm = _wrist_world(body, quat, "left") * Rotation.from_rotvec([0, np.pi * 0.8, 0])
    driven, fingers = _driven(body, quat, _track(body, quat, {0: _hand_m(body, "left", palm, {})}))
    assert np.array_equal(driven, quat)
    assert np.array_equal(fingers, np.tile([0.0, 0, 0, 1], (FRAMES, 30, 1)))


def test_one_hand_does_not_move_the_other(body):
    quat = _arms()
    _, fingers = _driven(body, quat, _track(body, quat, {1: _hand_m(body, "right", _wrist_world(body, quat, "right"), {"index": 1.0})}))
    assert np.array_equal(fingers[:, :15], np.tile([0.0, 0, 0, 1], (FRAMES, 15, 1)))
    assert np.abs(fingers[:, 15:, :3]).max() > 0.3


def _with_gap(track: Track, gap: slice) -> Track:
    hands_m, hands_px, score = track.hands_m.copy(), track.hands_px.copy(), track.hand_score.copy()
    hands_m[gap], hands_px[gap], score[gap] = np.nan, np.nan, 0.0
    return replace(track, hands_m=hands_m, hands_px=hands_px, hand_score=score)


def test_a_short_gap_is_bridged(body):
    quat = _arms()
    track = _track(
        body, quat, {0: _hand_m(body, "left", _wrist_world(body, quat, "left") * Rotation.from_rotvec([0.2, 0, 0.2]), {"index": 1.0})}
    )
    whole, gap = _driven(body, quat, track), _driven(body, quat, _with_gap(track, slice(12, 16)))
    for left, right in zip(whole, gap, strict=True):
        assert np.abs(left - right).max() < 1e-6


def test_a_long_gap_rests_and_eases_in_and_out(body):
    quat = _arms()
    track = _with_gap(_track(body, quat, {0: _hand_m(body, "left", _wrist_world(body, quat, "left"), {"index": 1.2})}), slice(8, None))
    driven, fingers = _driven(body, quat, track, HandOptions(hand_gap_s=0.4))
    bend = Rotation.from_quat(fingers[:, FINGER_JOINTS.index("left_index_mcp")]).magnitude()
    assert bend[:8] == pytest.approx(1.2, abs=1e-6)
    assert np.abs(bend[21:]).max() < 1e-6  # 0.4 s after it was seen last
    assert np.abs(np.diff(bend)).max() < 0.4  # no pop: 1.2 rad in six frames, eased
    assert np.allclose(driven[21:], quat[21:], atol=1e-9)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nothing_that_is_no_number_comes_out(body, bad):
    quat = _arms()
    track = _track(
        body, quat, {side: _hand_m(body, name, _wrist_world(body, quat, name), {}) for side, name in enumerate(("left", "right"))}
    )
    hands_m = track.hands_m.copy()
    hands_m[np.random.default_rng(0).random(hands_m.shape) < 0.02] = bad
    hands_m[10, 0] = 0.0  # a hand of one point
    for smooth in (AS_SEEN, SmoothOptions()):
        driven, fingers = _driven(body, quat, replace(track, hands_m=hands_m), smooth=smooth)
        assert np.allclose(np.linalg.norm(driven, axis=-1), 1)
        assert np.allclose(np.linalg.norm(fingers, axis=-1), 1)


def test_fingers_stay_within_what_fingers_do(body):
    quat = _arms()
    wild = {finger: 3.0 for finger in FINGERS}
    _, fingers = _driven(body, quat, _track(body, quat, {0: _hand_m(body, "left", _wrist_world(body, quat, "left"), wild)}))
    assert Rotation.from_quat(fingers[:, :15].reshape(-1, 4)).magnitude().max() < 2.0


def test_a_rig_without_fingers_has_its_wrists_turned():
    body = Body.of(humanoid(fingers=False))
    whole = Body.of(humanoid())
    quat = _arms()
    palm = _wrist_world(whole, quat, "left") * Rotation.from_rotvec([0.3, 0.2, -0.3])
    driven, fingers = _driven(body, quat, _track(whole, quat, {0: _hand_m(whole, "left", palm, {})}))
    assert np.array_equal(fingers, np.tile([0.0, 0, 0, 1], (FRAMES, 30, 1)))
    assert (_wrist_world(body, driven, "left").inv() * palm).magnitude() < 0.35  # it has no knuckles to say where the palm is at rest


def test_one_frame(body):
    quat = _arms()
    track = _track(body, quat, {0: _hand_m(body, "left", _wrist_world(body, quat, "left"), {"index": 1.0})})
    names = ("landmarks_px", "landmarks_m", "visibility", "seen", "score", "box_px", "hands_px", "hands_m", "hand_score")
    first = replace(track, **{name: getattr(track, name)[:1] for name in names})
    driven, fingers = drive_hands(body, quat[:1], first, TIMES_S[:1], HandOptions(), SmoothOptions())
    assert driven.shape == (1, 22, 4)
    assert Rotation.from_quat(fingers[0, FINGER_JOINTS.index("left_index_mcp")]).magnitude() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_how_far_away_a_hand_was_last_seen(seed):
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(rng.uniform(0.01, 0.1, 50))
    seen = rng.random(50) < 0.3
    seen[rng.integers(50)] = True
    naive = np.abs(times_s[:, None] - times_s[seen]).min(axis=1)
    np.testing.assert_array_equal(hands._seconds_away(times_s, times_s[seen]), naive)


@pytest.mark.parametrize("fps", [25, 30, 59.94])
def test_a_palm_is_compared_with_those_around_it(fps):
    # At 25 frames a second the third frame lies on the edge of what is around.
    rng, times_s = np.random.default_rng(1), 3 + np.arange(60) / fps
    palm = Rotation.from_rotvec(rng.normal(0, 0.5, (60, 3))).as_quat()
    seen = rng.random(60) < 0.7

    def odd(frame):
        near = seen & (np.abs(times_s - times_s[frame]) <= hands._AROUND_S)
        return np.median((Rotation.from_quat(palm[near]).inv() * Rotation.from_quat(palm[frame])).magnitude()) >= hands._ODD_TURN

    expected = [bool(seen[frame]) and not odd(frame) for frame in range(60)]
    assert hands._steady(palm, seen, times_s).tolist() == expected


def test_memory_grows_with_a_clips_length_and_not_with_its_square():
    frames = 6000
    turns_xyzw = np.tile([0.0, 0.0, 0.0, 1.0], (frames, 1, 1))
    seen = np.arange(frames) % 50 > 5
    tracemalloc.start()
    try:
        hands._bridged(turns_xyzw, turns_xyzw, seen, np.arange(frames) / 30, HandOptions(), SmoothOptions())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Smoothing takes about 1 kB a value, and some 20 MB whatever the length; a table of all times against all would be 288 MB.
    assert most < 30e6 + 2000 * frames
