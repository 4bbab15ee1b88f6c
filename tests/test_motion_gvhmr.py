"""GVHMR's results, written here with torch.save from a body and a camera that are known, read back and compared."""

from __future__ import annotations

import json
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files import gvhmr
from rigdrop.ingest.motion_files.options import MotionFileOptions

torch = pytest.importorskip("torch")

FRAMES = 90
OPTIONS = MotionFileOptions()
K = np.array([[1450.0, 0, 640], [0, 1430, 360], [0, 0, 1]])
# SMPL-X's mean pelvis at rest, from the model's origin: translations in files are of that origin.
PELVIS_REST_M = np.array([0.003, -0.351, 0.012])
OPENCV = np.diag([1.0, -1, -1])
LEFT, RIGHT = 0, 1


class Leave:
    """A pickle that leaves a folder behind where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _body() -> tuple[np.ndarray, Rotation, np.ndarray]:
    """Joint turns (F,21,3), the pelvis's turn and its place (F,3) in a level world: somebody who walks and turns."""
    time = np.arange(FRAMES) / 30
    pose = np.random.default_rng(3).normal(0, 0.4, (1, 21, 3)) * np.sin(3 * time)[:, None, None]
    turn = Rotation.from_rotvec(np.stack([0.05 * np.sin(time), 1.5 * time, 0.1 * np.cos(time)], axis=1))
    return pose, turn, np.stack([0.8 * time, 0.95 + 0.02 * np.sin(9 * time), 0.3 * time], axis=1)


def _camera(pan_deg: float = 0.0) -> tuple[Rotation, np.ndarray]:
    """R_world_camera of OpenCV's axes, pitched down by 12° and panned over the clip, and the camera's place (F,3)."""
    pan = Rotation.from_rotvec(np.radians(np.linspace(0, pan_deg, FRAMES))[:, None] * [0.0, 1, 0])
    turn = pan * Rotation.from_rotvec([np.radians(-12), 0, 0]) * Rotation.from_matrix(OPENCV)
    return turn, np.array([0.5, 1.6, 4.0]) + np.linspace(0, pan_deg / 60, FRAMES)[:, None] * [1.0, 0, 0]


def _group(orient: Rotation, pelvis_m: np.ndarray) -> dict:
    return {"body_pose": _body()[0].reshape(FRAMES, 63), "global_orient": orient.as_rotvec(), "transl": pelvis_m - PELVIS_REST_M,
            "betas": np.tile(np.linspace(-1, 1, 10), (FRAMES, 1))}


def _content(pan_deg: float = 0.0, noise_deg: float = 0.0) -> dict:
    """What GVHMR saves; ``noise_deg`` is how far the two estimates of the body's turn are apart, as its are."""
    _, turn, pelvis_m = _body()
    R_world_camera, place_m = _camera(pan_deg)
    noise = Rotation.from_rotvec(np.random.default_rng(9).normal(0, np.radians(noise_deg), (FRAMES, 3)))
    return {
        "smpl_params_global": _group(turn, pelvis_m),
        "smpl_params_incam": _group(R_world_camera.inv() * turn * noise, R_world_camera.inv().apply(pelvis_m - place_m)),
        "K_fullimg": np.tile(K, (FRAMES, 1, 1)), "net_outputs": {"pred_cam": np.zeros((1, FRAMES, 3)), "static_conf_logits": None},
    }


def _tensors(value: object) -> object:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value.astype(np.float32)) if value.dtype.kind == "f" else torch.from_numpy(value)
    return {key: _tensors(each) for key, each in value.items()} if isinstance(value, dict) else value


def _write(folder: Path, content: object, name: str = "hmr4d_results.pt") -> Path:
    torch.save(_tensors(content), folder / name)
    return folder / name


def _one(path: Path, options: MotionFileOptions = OPTIONS):
    recording = gvhmr.read(path, options)
    (actor,) = recording.actors
    return recording, actor, actor.motion


def _off_deg(quat: np.ndarray, rotvec: np.ndarray) -> float:
    truth = Rotation.from_rotvec(rotvec.reshape(-1, 3))
    return float(np.degrees((truth.inv() * Rotation.from_quat(quat.reshape(-1, 4))).magnitude()).max())


def _turn_off_deg(matrices: np.ndarray, truth: Rotation) -> float:
    return float(np.degrees((truth.inv() * Rotation.from_matrix(matrices)).magnitude()).max())


def test_the_level_world_comes_back(tmp_path):
    content = _content()
    path = _write(tmp_path, content)
    assert gvhmr.is_mine(path)
    recording, actor, motion = _one(path)
    pose, turn, pelvis_m = _body()
    # Singles: 1e-5° of an angle, 1e-4 mm of a place.
    assert _off_deg(motion.quat_xyzw[:, 1:22], pose) < 1e-4
    assert _off_deg(motion.quat_xyzw[:, 0], turn.as_rotvec()) < 1e-4
    np.testing.assert_allclose(motion.translation_m + PELVIS_REST_M, pelvis_m, atol=1e-6)
    np.testing.assert_array_equal(motion.R_world_source, np.eye(3))
    np.testing.assert_allclose(recording.times_s, np.arange(FRAMES) / 30, atol=1e-12)
    np.testing.assert_allclose(motion.betas, np.linspace(-1, 1, 10), atol=1e-6)
    assert (motion.model, recording.fps, actor.name, recording.warnings) == ("smplx", 30, tmp_path.name, ())
    # Nobody measured hands or face.
    np.testing.assert_array_equal(motion.quat_xyzw[:, 22:], np.tile([0, 0, 0, 1.0], (FRAMES, 33, 1)))
    assert motion.hands_seen.shape == (FRAMES, 2) and not motion.hands_seen.any()


def test_the_cameras_axes_come_back_as_gltfs(tmp_path):
    recording, _, motion = _one(_write(tmp_path, _content()), MotionFileOptions(world="camera"))
    _, turn, pelvis_m = _body()
    R_world_camera, place_m = _camera()
    np.testing.assert_array_equal(motion.R_world_source, OPENCV)
    assert _off_deg(motion.quat_xyzw[:, 0], (R_world_camera.inv() * turn).as_rotvec()) < 1e-4
    in_camera = R_world_camera.inv().apply(pelvis_m - place_m)
    np.testing.assert_allclose((motion.translation_m + PELVIS_REST_M) @ motion.R_world_source.T, in_camera * [1, -1, -1], atol=1e-5)
    np.testing.assert_array_equal(recording.camera.world_from_camera, np.eye(4))


def test_a_cameras_turn_and_place_follow_from_both_estimates(tmp_path):
    recording = _one(_write(tmp_path, _content()))[0]
    camera = recording.camera
    R_world_camera, place_m = _camera()
    assert camera.world_from_camera.shape == (4, 4)
    assert _turn_off_deg(camera.world_from_camera[None, :3, :3] @ OPENCV, R_world_camera[:1]) < 0.001
    np.testing.assert_allclose(camera.world_from_camera[:3, 3], place_m[0], atol=1e-5)
    assert (camera.width, camera.height, camera.focal_source) == (1280, 720, "estimator")
    np.testing.assert_allclose(camera.intrinsics_px, K, atol=1e-3)
    assert recording.details["camera_moves"] is False


def test_the_pelvis_is_seen_where_the_in_camera_estimate_has_it(tmp_path):
    """Through the world, the body's place and the camera, to the pixel: all signs at once."""
    recording, _, motion = _one(_write(tmp_path, _content()))
    pelvis_m = (motion.translation_m + PELVIS_REST_M) @ motion.R_world_source.T
    R_world_camera, place_m = _camera()
    in_camera = R_world_camera.inv().apply(_body()[2] - place_m)
    expected = (in_camera / in_camera[:, 2:]) @ K.T
    np.testing.assert_allclose(recording.camera.project(pelvis_m[:, None])[:, 0], expected[:, :2], atol=0.01)


def test_a_still_camera_is_averaged_over_the_clip(tmp_path):
    """The two estimates differ by some degrees in each frame, and are far off in a tenth of them; frame 0 alone is no good."""
    content = _content(noise_deg=3.0)
    for frame in range(0, FRAMES, 10):
        turned = Rotation.from_rotvec([0, 1.0, 0]) * Rotation.from_rotvec(content["smpl_params_incam"]["global_orient"][frame])
        content["smpl_params_incam"]["global_orient"][frame] = turned.as_rotvec()
    camera = _one(_write(tmp_path, content))[0].camera
    assert camera.world_from_camera.shape == (4, 4)
    # 3° a frame in each axis over 81 good frames: 0.6° at two deviations, and what the bad ones add.
    assert _turn_off_deg(camera.world_from_camera[None, :3, :3] @ OPENCV, _camera()[0][:1]) < 1.0


def test_a_camera_that_moves_has_its_path(tmp_path):
    recording = _one(_write(tmp_path, _content(pan_deg=70, noise_deg=1.0)))[0]
    R_world_camera, place_m = _camera(70)
    camera = recording.camera
    assert recording.details["camera_moves"] is True
    assert camera.world_from_camera.shape == (FRAMES, 4, 4)
    inner = slice(8, -8)  # at the ends the half second around a frame is cut
    # 1° in each axis over 15 frames leaves 0.45° in most; the worst of 74 frames is three or four times that, as 4° is of one.
    assert _turn_off_deg((camera.world_from_camera[:, :3, :3] @ OPENCV)[inner], R_world_camera[inner]) < 1.8
    # A degree at 4 m is 7 cm.
    assert np.linalg.norm(camera.world_from_camera[inner, :3, 3] - place_m[inner], axis=1).max() < 0.1


def test_a_lens_that_only_trembles_is_one_lens_and_a_zoom_is_not(tmp_path):
    content = _content()
    content["K_fullimg"] = content["K_fullimg"] * np.random.default_rng(0).normal(1, 1e-4, (FRAMES, 1, 1))
    content["K_fullimg"][:, 2, 2], content["K_fullimg"][4, 0, 0] = 1, 9000
    camera = _one(_write(tmp_path, content))[0].camera
    np.testing.assert_allclose(camera.intrinsics_px, K, rtol=1e-4)
    content["K_fullimg"][:, 0, 0] = content["K_fullimg"][:, 1, 1] = np.linspace(900, 1800, FRAMES)
    camera = _one(_write(tmp_path, content))[0].camera
    assert camera.intrinsics_px.shape == (FRAMES, 3, 3)
    np.testing.assert_allclose(camera.intrinsics_px[:, 0, 0], np.linspace(900, 1800, FRAMES), rtol=1e-6)


@pytest.mark.parametrize("lacking", ["K_fullimg", "smpl_params_incam"])
def test_without_lens_or_camera_axes_there_is_no_camera_and_a_warning(tmp_path, lacking):
    content = _content()
    del content[lacking]
    recording = _one(_write(tmp_path, content))[0]
    assert recording.camera is None
    assert f"{lacking}: found no such field, so the camera is not known" in recording.warnings[0]


def test_the_users_rate_and_limit(tmp_path):
    recording, actor, motion = _one(_write(tmp_path, _content(pan_deg=70)), MotionFileOptions(source_fps="30000/1001", frame_limit=20))
    assert recording.fps == Fraction(30000, 1001)
    assert len(recording.times_s) == len(actor.visible) == motion.frame_count == len(recording.camera.world_from_camera) == 20
    np.testing.assert_allclose(recording.times_s, np.arange(20) * 1001 / 30000, atol=1e-12)


def test_frames_of_nan_are_masked_and_spoil_neither_the_others_nor_the_camera(tmp_path):
    content = _content()
    content["smpl_params_global"]["body_pose"][7, 3] = np.nan
    content["smpl_params_incam"]["transl"][[0, 1]] = np.nan
    content["K_fullimg"][3] = np.nan
    recording, actor, motion = _one(_write(tmp_path, content))
    assert np.flatnonzero(~actor.visible).tolist() == [7]
    assert np.isnan(motion.quat_xyzw[7]).all() and np.isfinite(motion.quat_xyzw[np.arange(FRAMES) != 7]).all()
    assert "found NaN or infinity in 1 of 90 frames, frame 7 the first" in recording.warnings[0]
    np.testing.assert_allclose(recording.camera.world_from_camera[:3, 3], _camera()[1][0], atol=1e-5)
    np.testing.assert_allclose(recording.camera.intrinsics_px, K, atol=1e-3)


def _hands(seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.6, (FRAMES, 2, 15, 3))


def _hand_poses(folder: Path, rows: np.ndarray) -> Path:
    path = folder / "hand_poses.npz"
    np.savez(path, left_hand_pose=rows[:, LEFT].reshape(len(rows), 45), right_hand_pose=rows[:, RIGHT].reshape(len(rows), 45))
    return path


def test_hand_poses_give_the_fingers_and_gaps_are_masked(tmp_path):
    hands = _hands()
    hands[30:70, LEFT] = 0  # longer than a third of a second: flat
    motion = _one(_write(tmp_path, _content()), MotionFileOptions(hand_poses=_hand_poses(tmp_path, hands)))[2]
    assert _off_deg(motion.quat_xyzw[:, 25:40], hands[:, LEFT]) < 1e-4
    assert _off_deg(motion.quat_xyzw[:, 40:], hands[:, RIGHT]) < 1e-4
    np.testing.assert_array_equal(motion.hands_seen, (hands != 0).any(axis=(2, 3)))
    assert _off_deg(motion.quat_xyzw[:, 1:22], _body()[0]) < 1e-4


def test_a_limit_of_frames_takes_as_many_of_the_hands(tmp_path):
    hands = _hands()
    options = MotionFileOptions(hand_poses=_hand_poses(tmp_path, hands), frame_limit=11)
    assert _off_deg(_one(_write(tmp_path, _content()), options)[2].quat_xyzw[:, 40:], hands[:11, RIGHT]) < 1e-4


def test_other_counts_of_frames_are_an_error_that_says_both(tmp_path):
    path = _write(tmp_path, _content())
    options = MotionFileOptions(hand_poses=_hand_poses(tmp_path, _hands()[:-1]))
    with pytest.raises(ReadError, match=r"hand_poses\.npz: found 89 frames, expected 90, as .*hmr4d_results\.pt has"):
        gvhmr.read(path, options)


def _hand(side: int, x: float, y: float, size: float, pose: np.ndarray, wrist: np.ndarray) -> dict:
    preds = {"hand_pose": pose.tolist(), "global_orient": wrist.tolist(), "pred_keypoints_2d": [[x, y]] * 21}
    return {"is_right": float(side), "hand_bbox": [x - size / 2, y - size / 2, x + size / 2, y + size / 2], "wilor_preds": preds}


def test_hands_of_a_crowd_go_to_the_body_by_its_wrists_in_the_picture(tmp_path):
    """A hand net's output with a stranger's larger hands beside ours, and our wrists turned as the hand net sees them."""
    content = _content()
    seen = content["smpl_params_incam"]
    turns = np.concatenate([seen["global_orient"], seen["body_pose"]], axis=1).reshape(FRAMES, 22, 3)
    pelvis_m = seen["transl"] + PELVIS_REST_M
    hands, frames = _hands(), []
    off = Rotation.from_rotvec([0.0, 0.2, 0.0])  # the hand net's wrist, 11° from the body's
    arms = {LEFT: (0, 3, 6, 9, 13, 16, 18, 20), RIGHT: (0, 3, 6, 9, 14, 17, 19, 21)}
    # A chain of an adult's bones, not those with which the reader looks for wrists.
    bones = {3: (0, 0.12, -0.01), 6: (0, 0.14, 0), 9: (0, 0.05, 0.02), 13: (0.08, 0.1, 0), 16: (0.1, 0.04, 0), 18: (0.27, 0, 0),
             20: (0.26, 0, 0)}
    bones |= {right: tuple(np.array(bones[left]) * [-1, 1, 1]) for left, right in ((13, 14), (16, 17), (18, 19), (20, 21))}
    for frame in range(FRAMES):
        found = []
        for side, chain in arms.items():
            turn, place = Rotation.from_rotvec(turns[frame, 0]), pelvis_m[frame]
            for joint in chain[1:]:
                place = place + turn.apply(bones[joint])
                turn = turn * Rotation.from_rotvec(turns[frame, joint])
            x, y = (K @ (place / place[2]))[:2]
            found.append(_hand(side, x + 600, y, 400, np.full((15, 3), 0.9), np.zeros(3)))
            found.append(_hand(side, x, y, 90, hands[frame, side], (turn * off).as_rotvec()))
        frames.append(found)
    (tmp_path / "wilor.json").write_text(json.dumps(frames))
    motion = _one(_write(tmp_path, content), MotionFileOptions(hand_poses=tmp_path / "wilor.json"))[2]
    assert motion.hands_seen.all()
    assert _off_deg(motion.quat_xyzw[:, 25:40], hands[:, LEFT]) < 1e-4
    assert _off_deg(motion.quat_xyzw[:, 40:], hands[:, RIGHT]) < 1e-4
    for wrist in (20, 21):
        expected = Rotation.from_rotvec(turns[:, wrist]) * off
        # The chain of seven turns of singles.
        assert _off_deg(motion.quat_xyzw[:, wrist], expected.as_rotvec()) < 1e-3


def _without(group: str, field: str) -> dict:
    content = _content()
    del content[group][field]
    return content


def _with(group: str, field: str, value: object) -> dict:
    content = _content()
    content[group][field] = value
    return content


FAULTS = {
    "no groups": (lambda: {"K_fullimg": np.tile(K, (FRAMES, 1, 1))}, r"smpl_params_global: found NoneType, expected a mapping with"),
    "no pose": (lambda: _without("smpl_params_global", "body_pose"), r"smpl_params_global/body_pose: found no such field among global"),
    "no orient": (lambda: _without("smpl_params_incam", "global_orient"), r"smpl_params_incam/global_orient: found no such field"),
    "69 numbers": (lambda: _with("smpl_params_global", "body_pose", np.zeros((FRAMES, 69))),
                   r"smpl_params_global/body_pose: found \(90, 69\), expected \(frames, 63\)"),
    "no frames' axis": (lambda: _with("smpl_params_global", "transl", np.zeros(3)), r"smpl_params_global/transl: found \(3,\), expected"),
    "frames differ": (lambda: _with("smpl_params_global", "transl", np.zeros((89, 3))),
                      r"smpl_params_global/transl: found 89 frames, expected 90, as smpl_params_global/global_orient has"),
    "text": (lambda: _with("smpl_params_global", "transl", "here"), r"smpl_params_global/transl: found <U4 values, expected numbers"),
    "betas": (lambda: _with("smpl_params_global", "betas", np.zeros((2, 2, 2))), r"smpl_params_global/betas: found float32 \(2, 2, 2\)"),
    "all NaN": (lambda: _with("smpl_params_global", "transl", np.full((FRAMES, 3), np.nan)), r"found NaN or infinity in each of 90 frames"),
    "lens shape": (lambda: _content() | {"K_fullimg": np.zeros((4, 3, 3))}, r"K_fullimg: found float32 \(4, 3, 3\), expected \(90, 3, 3\)"),
    "lens zero": (lambda: _content() | {"K_fullimg": np.zeros((FRAMES, 3, 3))}, r"K_fullimg: found a focal length or middle of 0 or less"),
    "lens NaN": (lambda: _content() | {"K_fullimg": np.full((3, 3), np.nan)}, r"K_fullimg: found NaN or infinity in every frame"),
    "a list": (lambda: [1, 2], r"found list, expected a mapping with smpl_params_global"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_error_with_file_and_field(tmp_path, fault):
    content, message = FAULTS[fault]
    with pytest.raises(ReadError, match=r"hmr4d_results\.pt: " + message):
        gvhmr.read(_write(tmp_path, content()), OPTIONS)


def test_groups_of_other_counts_are_an_error_that_says_both(tmp_path):
    content = _content()
    content["smpl_params_incam"] = {key: value[:80] for key, value in content["smpl_params_incam"].items()}
    with pytest.raises(ReadError, match=r"smpl_params_incam: found 80 frames, expected 90, as smpl_params_global has"):
        gvhmr.read(_write(tmp_path, content), OPTIONS)


@pytest.mark.parametrize("trust", [False, True])
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, trust):
    trace = tmp_path / "trace"
    path = _write(tmp_path, _content() | {"net_outputs": Leave(trace)})
    assert gvhmr.is_mine(path)
    with pytest.raises(ReadError, match=r"hmr4d_results\.pt: found no whole file of tensors .*mkdir"):
        gvhmr.read(path, MotionFileOptions(trust=trust))
    assert not trace.exists()


@pytest.mark.parametrize("share", [0.0, 0.4, 0.95])
def test_a_cut_file_is_an_error_with_its_name(tmp_path, share):
    path = _write(tmp_path, _content())
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    assert gvhmr.is_mine(path)
    with pytest.raises(ReadError, match=r"hmr4d_results\.pt: found no whole file of tensors"):
        gvhmr.read(path, OPTIONS)


def test_other_names_are_told_by_their_keys(tmp_path):
    assert gvhmr.is_mine(_write(tmp_path, _content(), "walk.pt"))
    assert _one(tmp_path / "walk.pt")[1].name == "walk"
    assert not gvhmr.is_mine(_write(tmp_path, {"weights": np.zeros(3)}, "net.pt"))
