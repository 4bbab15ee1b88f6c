"""Hand files of three kinds, written here from the same left and right hands, read back and compared."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.config.settings import load_settings
from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files.hand_merge import HandDetections
from rigdrop.ingest.motion_files.wilor import read_hands, with_hands
from rigdrop.ingest.recording import Actor, SmplMotion

FRAMES = 12
LEFT, RIGHT = 0, 1
# A hand net's mirror: the reflection x → -x on both sides of a rotation.
MIRROR = np.diag([-1.0, 1, 1])


class Leave:
    """A pickle that leaves a folder behind where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _truth() -> tuple[np.ndarray, np.ndarray]:
    """Axis-angles of fingers (F,2,15,3) and wrists (F,2,3), each of its own side."""
    rng = np.random.default_rng(6)
    return rng.normal(0, 0.7, (FRAMES, 2, 15, 3)), rng.normal(0, 1.2, (FRAMES, 2, 3))


def _wilor_mini() -> list[list[dict]]:
    """As WiLoR-mini's ``predict`` returns them for each picture: leading axes of 1, left hands mirrored already."""
    fingers, wrists = _truth()
    frames = []
    for frame in range(FRAMES):
        hands = []
        for side in (RIGHT, LEFT):
            x, y = 100.0 + 200 * side, 50.0 + frame
            keypoints = np.zeros((1, 21, 2))
            keypoints[0, 0] = x, y
            hands.append({
                "hand_bbox": [x - 10, y - 30, x + 50, y + 30], "is_right": float(side),
                "wilor_preds": {"global_orient": wrists[frame, side][None, None], "hand_pose": fingers[frame, side][None],
                                "betas": np.zeros((1, 10)), "pred_keypoints_2d": keypoints},
            })
        frames.append(hands)
    return frames


def _wilor() -> list[dict]:
    """As WiLoR's own model returns a batch: rotation matrices of the right hand, whatever the side."""
    fingers, wrists = _truth()
    matrices = Rotation.from_rotvec(np.concatenate([wrists[:, :, None], fingers], axis=2).reshape(-1, 3)).as_matrix()
    matrices = matrices.reshape(FRAMES, 2, 16, 3, 3)
    matrices[:, LEFT] = MIRROR @ matrices[:, LEFT] @ MIRROR
    return [
        {"pred_mano_params": {"global_orient": matrices[frame, :, :1], "hand_pose": matrices[frame, :, 1:], "betas": np.zeros((2, 10))},
         "right": np.array([0.0, 1.0]), "box_center": np.array([[100.0, 50 + frame], [300, 50 + frame]]), "box_size": np.array([60.0, 60])}
        for frame in range(FRAMES)
    ]


def _tensors(value: object) -> object:
    """The same with tensors for arrays, as torch.save would have them."""
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(value, np.float32))
    if isinstance(value, dict):
        return {key: _tensors(each) for key, each in value.items()}
    return [_tensors(each) for each in value] if isinstance(value, list) else value


def _lists(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _lists(each) for key, each in value.items()}
    return [_lists(each) for each in value] if isinstance(value, list) else value


def _write(path: Path, frames: object) -> Path:
    if path.suffix == ".pt":
        import torch

        torch.save(_tensors(frames), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(_lists(frames)))
    elif path.suffix == ".npy":
        np.save(path, np.array(frames, dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(frames))
    return path


def _off_deg(quat: np.ndarray, rotvec: np.ndarray) -> float:
    truth = Rotation.from_rotvec(rotvec.reshape(-1, 3))
    return float(np.degrees((truth.inv() * Rotation.from_quat(quat.reshape(-1, 4))).magnitude()).max())


def _check(hands: HandDetections, wrists_known: bool = True) -> None:
    fingers, wrists = _truth()
    assert (hands.frame_count, len(hands.frame)) == (FRAMES, 2 * FRAMES)
    # Singles in the file: 1e-5° and less.
    assert _off_deg(hands.finger_quat_xyzw, fingers[hands.frame, hands.side]) < 1e-4
    if wrists_known:
        assert _off_deg(hands.wrist_quat_xyzw, wrists[hands.frame, hands.side]) < 1e-4
    else:
        assert np.isnan(hands.wrist_quat_xyzw).all()


@pytest.mark.parametrize("form", [_wilor_mini, _wilor])
@pytest.mark.parametrize(("suffix", "trust"), [(".pt", False), (".json", False), (".pkl", True), (".npy", True)])
def test_wilors_hands_are_of_their_own_side_mirrored_once(tmp_path, form, suffix, trust):
    hands, warnings = read_hands(_write(tmp_path / f"hands{suffix}", form()), trust)
    _check(hands)
    np.testing.assert_allclose(hands.wrist_px, np.stack([100.0 + 200 * hands.side, 50.0 + hands.frame], axis=1), atol=1e-4)
    np.testing.assert_allclose(hands.size_px, 60, atol=1e-4)
    assert warnings == ()


def test_hand_poses_npz_of_one_person(tmp_path):
    fingers, _ = _truth()
    rows = fingers.reshape(FRAMES, 2, 45).astype(np.float32)
    np.savez(tmp_path / "hand_poses.npz", left_hand_pose=rows[:, LEFT], right_hand_pose=rows[:, RIGHT])
    hands, warnings = read_hands(tmp_path / "hand_poses.npz")
    _check(hands, wrists_known=False)
    assert np.isnan(hands.wrist_px).all() and warnings == ()


def test_zeros_are_hands_that_were_not_found_and_nan_are_warned_of(tmp_path):
    fingers, _ = _truth()
    rows = fingers.reshape(FRAMES, 2, 45).copy()
    rows[3, LEFT], rows[5:8, RIGHT], rows[9, LEFT, 44] = 0, 0, np.nan
    np.savez(tmp_path / "hand_poses.npz", left_hand_pose=rows[:, LEFT], right_hand_pose=rows[:, RIGHT])
    hands, warnings = read_hands(tmp_path / "hand_poses.npz")
    found = set(zip(hands.frame.tolist(), hands.side.tolist()))
    assert found == {(f, s) for f in range(FRAMES) for s in (0, 1)} - {(3, LEFT), (9, LEFT), (5, RIGHT), (6, RIGHT), (7, RIGHT)}
    assert hands.frame_count == FRAMES
    assert warnings == (f"{tmp_path / 'hand_poses.npz'}: found NaN or infinity in 1 hands; they count as not found",)


def test_frames_without_hands_keep_their_place(tmp_path):
    frames = _wilor_mini()
    frames[0], frames[4] = [], frames[4][:1]
    hands, _ = read_hands(_write(tmp_path / "hands.json", frames))
    assert hands.frame_count == FRAMES
    assert sorted(set(range(FRAMES)) - set(hands.frame.tolist())) == [0]
    assert hands.side[hands.frame == 4].tolist() == [RIGHT]


def test_a_clip_without_any_hand_is_read(tmp_path):
    hands, _ = read_hands(_write(tmp_path / "hands.json", [[], [], []]))
    assert (hands.frame_count, hands.finger_quat_xyzw.shape, hands.wrist_px.shape) == (3, (0, 15, 4), (0, 2))


def test_a_hand_of_nan_is_left_out_with_a_warning(tmp_path):
    frames = _wilor_mini()
    frames[2][0]["wilor_preds"]["hand_pose"][0, 3, 1] = np.nan
    hands, warnings = read_hands(_write(tmp_path / "hands.pt", frames))
    assert len(hands.frame) == 2 * FRAMES - 1
    assert "hands.pt: found NaN or infinity in 1 hands" in warnings[0]


def test_left_and_right_of_other_counts_are_an_error_that_says_both(tmp_path):
    np.savez(tmp_path / "h.npz", left_hand_pose=np.zeros((10, 45)), right_hand_pose=np.zeros((9, 45)))
    with pytest.raises(ReadError, match=r"h\.npz: right_hand_pose: found 9 frames, expected 10, as left_hand_pose has"):
        read_hands(tmp_path / "h.npz")


@pytest.mark.parametrize(("fields", "message"), [
    ({"left_hand_pose": np.zeros((10, 45))}, r"right_hand_pose: found no such field among left_hand_pose, expected \(frames, 45\)"),
    ({"left_hand_pose": np.zeros((10, 12)), "right_hand_pose": np.zeros((10, 45))}, r"left_hand_pose: found \(10, 12\), expected \(fra"),
    ({"left_hand_pose": np.full((10, 45), "x"), "right_hand_pose": np.zeros((10, 45))}, r"left_hand_pose: found <U1 values, expected"),
])
def test_faults_of_hand_poses_npz(tmp_path, fields, message):
    np.savez(tmp_path / "h.npz", **fields)
    with pytest.raises(ReadError, match=r"h\.npz: " + message):
        read_hands(tmp_path / "h.npz")


def _hand(**changes: object) -> dict:
    hand = {"is_right": 1, "wilor_preds": {"hand_pose": np.zeros((15, 3)), "global_orient": np.zeros(3)}, "hand_bbox": [0, 0, 9, 9]}
    return {key: value for key, value in (hand | changes).items() if value is not None}


@pytest.mark.parametrize(("frames", "message"), [
    ([[_hand(is_right=None)]], r"frame 0: hand 0: is_right: found no such field among wilor_preds, hand_bbox, expected 0 or 1"),
    ([[_hand(is_right=0.5)]], r"frame 0: hand 0: is_right: found 0\.5, expected 0 or 1"),
    ([[], [_hand(wilor_preds={})]], r"frame 1: hand 0: hand_pose: found no such field"),
    ([[_hand(), _hand(wilor_preds={"hand_pose": np.zeros((15, 4))})]], r"frame 0: hand 1: hand_pose: found \(15, 4\), expected \(15, 3\)"),
    ([[_hand(wilor_preds={"hand_pose": np.ones((15, 3, 3))})]], r"frame 0: hand 0: hand_pose: found matrices that are no rotations"),
    ([[_hand(wilor_preds={"hand_pose": np.tile(MIRROR, (15, 1, 1))})]], r"hand_pose: found matrices that are no rotations"),
    ([[_hand(wilor_preds={"hand_pose": "curled"})]], r"hand_pose: found str .*expected numbers"),
    ([[_hand(hand_bbox=[1, 2])]], r"hand_bbox: found 2 numbers, expected x0 y0 x1 y1"),
    ([3], r"frame 0: found int, expected a list of hands"),
    ({"frames": []}, r"found dict, expected a list of frames"),
    ([], r"found list, expected a list of frames"),
])
def test_faults_of_wilors_output_name_frame_hand_and_field(tmp_path, frames, message):
    with pytest.raises(ReadError, match=r"h\.json: (frame 0: hand 0: )?" + message):
        read_hands(_write(tmp_path / "h.json", frames))


@pytest.mark.parametrize("suffix", [".pkl", ".npy", ".npz", ".pt"])
def test_a_pickle_is_refused_and_not_run(tmp_path, suffix):
    path, trace = tmp_path / f"hands{suffix}", tmp_path / "trace"
    if suffix == ".npz":
        np.savez(path, left_hand_pose=np.array([Leave(trace)], dtype=object), right_hand_pose=np.zeros((1, 45)))
    elif suffix == ".pt":
        import torch

        torch.save([[Leave(trace)]], path)
    else:
        _write(path, [Leave(trace)])
    with pytest.raises(ReadError, match=rf"hands\{suffix}: "):
        read_hands(path)
    assert not trace.exists()


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".json", ".pkl", ".npy"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_cut_file_is_an_error_with_its_name(tmp_path, suffix, share):
    path = tmp_path / f"hands{suffix}"
    if suffix == ".npz":
        np.savez(path, left_hand_pose=np.zeros((9, 45)), right_hand_pose=np.zeros((9, 45)))
    else:
        _write(path, _wilor_mini())
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    with pytest.raises(ReadError, match=rf"hands\{suffix}: "):
        read_hands(path, trust=True)


def test_a_file_of_another_kind_is_an_error_that_says_what_is_read(tmp_path):
    (tmp_path / "hands.txt").write_text("hands")
    with pytest.raises(ReadError, match=r"hands\.txt: found a \.txt file, expected hand_poses\.npz, or WiLoR's output"):
        read_hands(tmp_path / "hands.txt")


def _merged(path: Path, *tokens: str) -> SmplMotion:
    """Hands of a file on a body of SMPL-H that rests, at 30 frames a second; wrists are seen 30 pixels beside the hands'."""
    quat = np.tile([0.0, 0, 0, 1], (FRAMES, 52, 1))
    actor = Actor(0, "a", SmplMotion("smplh", quat, np.zeros((FRAMES, 3)), np.eye(3)), np.ones(FRAMES, bool), np.ones(FRAMES, np.float32))
    wrists_px = np.stack([100.0 + 200 * np.arange(2) * np.ones((FRAMES, 1)) + 30, 50.0 + np.arange(FRAMES)[:, None] * np.ones(2)], axis=-1)
    options = load_settings(list(tokens)).motion_files
    merged, _ = with_hands(actor, path, np.arange(FRAMES) / 30, path, FRAMES, options, quat[:, :2], wrists_px)
    assert isinstance(merged.motion, SmplMotion)
    return merged.motion


def test_the_limits_of_hands_are_options(tmp_path, monkeypatch):
    """Wrists 50 degrees from the body's, a gap of a fifth of a second, hands half a box beside the body's wrists."""
    monkeypatch.chdir(tmp_path)
    frames = _wilor_mini()
    for hand in (hand for hands in frames for hand in hands):
        hand["wilor_preds"]["global_orient"][:] = [np.radians(50), 0, 0]
    frames[3:9] = [[]] * 6
    path = _write(tmp_path / "hands.json", frames)
    own, wrist, finger = np.array([0.0, 0, 0, 1]), [20, 21], 22
    usual = _merged(path)
    np.testing.assert_allclose(usual.quat_xyzw[:, wrist], np.tile(own, (FRAMES, 2, 1)), atol=1e-12)
    assert (usual.quat_xyzw[3:9, finger, 3] < 0.999).all()  # filled
    turned = _merged(path, "--hand-merge.wrist-limit", "60").quat_xyzw[0, wrist]
    np.testing.assert_allclose(Rotation.from_quat(turned).magnitude(), np.radians(50), atol=1e-6)
    flat = _merged(path, "--hand-merge.gap", "0.1").quat_xyzw[3:9, finger]
    np.testing.assert_allclose(flat, np.tile(own, (6, 1)), atol=1e-12)
    np.testing.assert_array_equal(_merged(path, "--hand-merge.reach", "0.4").hands_seen, np.zeros((FRAMES, 2), bool))
    assert usual.hands_seen.sum() == 2 * (FRAMES - 6)
