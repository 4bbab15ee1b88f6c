"""Hands given to bodies and put onto them, against turns and places that are written out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.errors import ReadError, SettingsError
from rigdrop.ingest.motion_files.hand_merge import (
    HandDetections,
    HandTrack,
    assign_hands,
    filled_fingers,
    merge_hands,
)
from rigdrop.ingest.motion_files.options import HandMergeOptions
from rigdrop.ingest.recording import SmplMotion

IDENTITY = np.array([0.0, 0, 0, 1])
TIMES_S = np.arange(60) / 30
LEFT, RIGHT = 0, 1
# Where SMPL-X has wrists and fingers among its 55 joints.
WRISTS, FINGERS = (20, 21), (slice(25, 40), slice(40, 55))


def _quat(rotvec: object) -> np.ndarray:
    array = np.asarray(rotvec, dtype=float)
    return Rotation.from_rotvec(array.reshape(-1, 3)).as_quat().reshape(*array.shape[:-1], 4)


def _off_deg(left: np.ndarray, right: np.ndarray) -> float:
    turn = Rotation.from_quat(left.reshape(-1, 4)).inv() * Rotation.from_quat(right.reshape(-1, 4))
    return float(np.degrees(turn.magnitude()).max())


def _hands(*rows: tuple[int, int, tuple[float, float], float]) -> HandDetections:
    """Hands of (frame, side, wrist in pixels, box size); each is told by the angle of its fingers, a tenth a row."""
    frame, side, place, size = zip(*rows)
    fingers = _quat(np.arange(len(rows))[:, None, None] * np.array([0.1, 0, 0]) * np.ones((1, 15, 1)))
    return HandDetections(10, np.array(frame), np.array(side), fingers, np.full((len(rows), 4), np.nan), np.array(place, float),
                          np.array(size, float))


def _given(track: HandTrack, frame: int, side: int) -> int | None:
    """Which row of `_hands` a body has got."""
    quat = track.finger_quat_xyzw[frame, side, 0]
    return None if np.isnan(quat).any() else round(2 * np.arctan2(quat[0], quat[3]) / 0.1)


def _wrists(*people: tuple[tuple[float, float], tuple[float, float]], frames: int = 10) -> np.ndarray:
    return np.tile(np.array(people, float), (frames, 1, 1, 1))


def test_each_body_gets_the_hands_at_its_wrists_in_any_order():
    two = _wrists(((100, 100), (200, 100)), ((500, 100), (600, 100)))
    first, second = assign_hands(
        _hands((0, RIGHT, (605, 95), 60), (0, LEFT, (505, 100), 60), (0, LEFT, (98, 104), 60), (0, RIGHT, (203, 99), 60)), two)
    assert [_given(first, 0, LEFT), _given(first, 0, RIGHT)] == [2, 3]
    assert [_given(second, 0, LEFT), _given(second, 0, RIGHT)] == [1, 0]
    assert _given(first, 1, LEFT) is None


def test_the_largest_hand_is_not_taken_for_the_nearest():
    (body,) = assign_hands(_hands((3, LEFT, (400, 100), 300), (3, LEFT, (110, 100), 40)), _wrists(((100, 100), (200, 100))))
    assert _given(body, 3, LEFT) == 1


def test_no_hand_is_given_twice_and_together_they_lie_as_near_as_they_can():
    """Both hands are nearest to the first body; one to one, the second body gets the one that costs least."""
    two = _wrists(((100, 100), (0, 0)), ((180, 100), (0, 0)))
    first, second = assign_hands(_hands((0, LEFT, (100, 100), 100), (0, LEFT, (130, 100), 100)), two)
    assert (_given(first, 0, LEFT), _given(second, 0, LEFT)) == (0, 1)


def test_hands_that_are_nobodys_are_left_out():
    (body,) = assign_hands(_hands((0, LEFT, (300, 100), 50)), _wrists(((100, 100), (200, 100))))
    assert _given(body, 0, LEFT) is None
    (body,) = assign_hands(_hands((0, LEFT, (300, 100), 50)), _wrists(((100, 100), (200, 100))), HandMergeOptions(reach=5))
    assert _given(body, 0, LEFT) == 0


def test_a_left_hand_is_never_put_onto_a_right_wrist():
    (body,) = assign_hands(_hands((0, LEFT, (200, 100), 50)), _wrists(((100, 400), (200, 100))))
    assert _given(body, 0, RIGHT) is None and _given(body, 0, LEFT) is None


@pytest.mark.parametrize("unknown", ["hand", "body"])
def test_without_places_the_only_body_gets_the_only_hand(unknown):
    nowhere = (np.nan, np.nan)
    place = nowhere if unknown == "hand" else (5.0, 5.0)
    wrists = _wrists(((100, 100), (200, 100)) if unknown == "hand" else (nowhere, nowhere))
    (body,) = assign_hands(_hands((0, LEFT, place, np.nan), (1, LEFT, place, 9), (1, LEFT, place, 90)), wrists)
    assert _given(body, 0, LEFT) == 0
    assert _given(body, 1, LEFT) is None  # two of them: nobody knows which
    two = assign_hands(_hands((0, LEFT, place, np.nan)), np.concatenate([wrists, wrists], axis=1))
    assert [_given(body, 0, LEFT) for body in two] == [None, None]


def _turning(frames: int = 60) -> np.ndarray:
    """Fingers (F,15,4) that turn evenly, each about its own axis, by up to one and a half turns over the clip."""
    axes = np.random.default_rng(1).normal(0, 1, (15, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return _quat((np.arange(frames) / 30)[:, None, None] * np.linspace(1, 4.7, 15)[:, None] * axes)


def _with_gaps(quat: np.ndarray, *gaps: slice) -> tuple[np.ndarray, np.ndarray]:
    seen = np.ones(len(quat), bool)
    for gap in gaps:
        seen[gap] = False
    return np.where(seen[:, None, None], quat, np.nan), seen


def test_short_gaps_are_filled_on_the_sphere_and_long_ones_flat():
    truth = _turning()
    # 10 frames of 1/30 s are 0.333 s, 11 are 0.367 s: either side of the limit of 0.35 s.
    quat, seen = _with_gaps(truth, slice(12, 22), slice(35, 46))
    filled = filled_fingers(quat, seen, TIMES_S, 0.35)
    assert _off_deg(filled[:35], truth[:35]) < 1e-5 and _off_deg(filled[46:], truth[46:]) < 1e-5
    assert _off_deg(filled[35:46], np.tile(IDENTITY, (11, 15, 1))) < 1e-5
    assert np.isfinite(filled).all()


def test_a_gap_of_exactly_the_limit_is_short():
    truth = _turning()
    quat, seen = _with_gaps(truth, slice(20, 26))
    assert _off_deg(filled_fingers(quat, seen, TIMES_S, 0.2), truth) < 1e-5
    assert _off_deg(filled_fingers(quat, seen, TIMES_S, 0.199)[20:26], np.tile(IDENTITY, (6, 15, 1))) < 1e-5


def test_gaps_at_the_ends_hold_their_one_neighbour_if_they_are_short():
    truth = _turning()
    quat, seen = _with_gaps(truth, slice(0, 5), slice(40, 60))
    filled = filled_fingers(quat, seen, TIMES_S, 0.35)
    assert _off_deg(filled[:5], np.repeat(truth[5:6], 5, axis=0)) < 1e-5
    assert _off_deg(filled[40:], np.tile(IDENTITY, (20, 15, 1))) < 1e-5


def test_hands_that_were_never_found_are_flat():
    quat, seen = _with_gaps(_turning(), slice(None))
    np.testing.assert_array_equal(filled_fingers(quat, seen, TIMES_S, 0.35), np.tile(IDENTITY, (60, 15, 1)))


def test_uneven_times_fill_by_time_not_by_frame():
    times_s = np.array([0.0, 0.1, 0.13, 0.2])
    turn = _quat(times_s[:, None, None] * np.array([0, 0, 5.0]) * np.ones((1, 15, 1)))
    seen = np.array([True, False, False, True])
    assert _off_deg(filled_fingers(np.where(seen[:, None, None], turn, np.nan), seen, times_s, 1.0), turn) < 1e-5


def _body(frames: int = 60) -> SmplMotion:
    rotvec = np.random.default_rng(8).normal(0, 0.5, (1, 55, 3)) * np.linspace(0.5, 1, frames)[:, None, None]
    return SmplMotion("smplx", _quat(rotvec), np.zeros((frames, 3)), np.eye(3))


def _track(fingers: np.ndarray, wrist: np.ndarray | None = None) -> HandTrack:
    both = np.stack([fingers, fingers * [1, -1, -1, 1]], axis=1)
    return HandTrack(both, np.full((len(fingers), 2, 4), np.nan) if wrist is None else wrist)


def test_fingers_come_from_the_hands_and_everything_else_from_the_body():
    body, fingers = _body(), _turning()
    merged = merge_hands(body, _track(fingers), TIMES_S)
    assert _off_deg(merged.quat_xyzw[:, FINGERS[LEFT]], fingers) < 1e-5
    assert _off_deg(merged.quat_xyzw[:, FINGERS[RIGHT]], fingers * [1, -1, -1, 1]) < 1e-5
    np.testing.assert_array_equal(merged.quat_xyzw[:, :25], body.quat_xyzw[:, :25])
    assert merged.hands_seen is not None and merged.hands_seen.all()


def test_what_was_filled_was_not_measured():
    quat, seen = _with_gaps(_turning(), slice(10, 14), slice(30, 60))
    merged = merge_hands(_body(), _track(quat), TIMES_S)
    np.testing.assert_array_equal(merged.hands_seen, np.stack([seen, seen], axis=1))
    assert np.isfinite(merged.quat_xyzw).all()


@pytest.mark.parametrize("apart_deg", [0.0, 39.0, 41.0, 150.0])
def test_the_bodys_wrist_stays_unless_the_hands_agrees_in_the_elbows_frame(apart_deg):
    body = _body()
    elbow = Rotation.from_rotvec(np.random.default_rng(2).normal(0, 1.5, (60, 3)))
    off = Rotation.from_rotvec(np.radians(apart_deg) * np.array([0.6, 0, 0.8]))
    own = Rotation.from_quat(body.quat_xyzw[:, WRISTS[LEFT]]) * off
    in_camera = np.full((60, 2, 4), np.nan)
    in_camera[:, LEFT] = (elbow * own).as_quat()
    elbows = np.stack([elbow.as_quat()] * 2, axis=1)
    merged = merge_hands(body, _track(_turning(), in_camera), TIMES_S, elbows, HandMergeOptions(wrist_limit_deg=40))
    expected = own.as_quat() if apart_deg < 40 else body.quat_xyzw[:, WRISTS[LEFT]]
    assert _off_deg(merged.quat_xyzw[:, WRISTS[LEFT]], expected) < 1e-5
    # The right hand's turn is not known.
    np.testing.assert_array_equal(merged.quat_xyzw[:, WRISTS[RIGHT]], body.quat_xyzw[:, WRISTS[RIGHT]])
    np.testing.assert_array_equal(merged.quat_xyzw[:, :20], body.quat_xyzw[:, :20])


def test_without_elbows_the_bodys_wrists_stay():
    body = _body()
    turns = np.tile(_quat([0.1, 0, 0]), (60, 2, 1))
    np.testing.assert_array_equal(merge_hands(body, _track(_turning(), turns), TIMES_S).quat_xyzw[:, 20:22], body.quat_xyzw[:, 20:22])


def test_frames_without_the_body_stay_without_it():
    body = _body()
    body.quat_xyzw[7] = np.nan
    merged = merge_hands(body, _track(_turning()), TIMES_S)
    assert np.isnan(merged.quat_xyzw[7]).all() and np.isfinite(merged.quat_xyzw[np.arange(60) != 7]).all()
    assert merged.hands_seen is not None and not merged.hands_seen[7].any()


def test_a_body_without_fingers_and_other_counts_of_frames_are_errors():
    smpl = SmplMotion("smpl", np.tile(IDENTITY, (60, 24, 1)), np.zeros((60, 3)), np.eye(3))
    with pytest.raises(ReadError, match=r"hands: found a body of 24 joints without fingers, expected SMPL-H or SMPL-X"):
        merge_hands(smpl, _track(_turning()), TIMES_S)
    with pytest.raises(ReadError, match=r"hands: found 59 frames, expected 60, as the body has"):
        merge_hands(_body(), _track(_turning(59)), TIMES_S)


@pytest.mark.parametrize(("name", "value"), [("wrist_limit_deg", -1.0), ("gap_s", float("nan")), ("reach", float("inf"))])
def test_limits_that_can_not_be_are_refused(name, value):
    with pytest.raises(SettingsError, match=f"hand-merge.{name.removesuffix('_deg').removesuffix('_s').replace('_', '-')}: found {value}"):
        HandMergeOptions(**{name: value})
