"""AMASS and its kin, written here as the data sets write them, read back and compared."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files import amass
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.motion.smpl_joints import JOINT_NAMES

FRAMES = 40
OPTIONS = MotionFileOptions()
# How AMASS and SMPL-X list the joints of a joined ``poses``, written out by place.
JOINED = {22: ("smplh", range(22)), 24: ("smpl", range(24)), 52: ("smplh", range(52)), 55: ("smplx", range(55))}


class Leave:
    """A pickle that leaves a folder behind where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def _moves(joints: int, frames: int = FRAMES) -> np.ndarray:
    """Axis-angles (F,J,3) of up to π and beyond, each joint its own way."""
    rng = np.random.default_rng(joints)
    return rng.normal(0, 1.0, (1, joints, 3)) + np.linspace(0, 1, frames)[:, None, None] * rng.normal(0, 1.5, (1, joints, 3))


def _trans(frames: int = FRAMES) -> np.ndarray:
    return np.stack([np.linspace(0, 3, frames), np.sin(np.arange(frames) / 5), np.full(frames, 0.9)], axis=1)


def _write(folder: Path, **fields: object) -> Path:
    path = folder / "clip.npz"
    np.savez(path, **fields)  # type: ignore[arg-type]
    return path


def _fields(joints: int = 52) -> dict[str, object]:
    return {"poses": _moves(joints).reshape(FRAMES, -1), "trans": _trans(), "betas": np.linspace(-1, 1, 16), "gender": "male",
            "mocap_framerate": 120.0}


def _off_deg(quat: np.ndarray, rotvec: np.ndarray) -> float:
    truth = Rotation.from_rotvec(rotvec.reshape(-1, 3))
    return float(np.degrees((truth.inv() * Rotation.from_quat(quat.reshape(-1, 4))).magnitude()).max())


def _one(path: Path, options: MotionFileOptions = OPTIONS):
    recording = amass.read(path, options)
    (actor,) = recording.actors
    return recording, actor, actor.motion


@pytest.mark.parametrize("joints", JOINED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_joined_poses_come_back(tmp_path, joints, dtype):
    rotvec, trans = _moves(joints).astype(dtype), _trans().astype(dtype)
    path = _write(tmp_path, **(_fields(joints) | {"poses": rotvec.reshape(FRAMES, -1), "trans": trans}))
    assert amass.is_mine(path)
    recording, actor, motion = _one(path)
    model, places = JOINED[joints]
    assert motion.model == model
    # Files hold singles at worst; turns are computed in doubles.
    assert _off_deg(motion.quat_xyzw[:, list(places)], rotvec) < 1e-5
    np.testing.assert_array_equal(motion.translation_m, trans.astype(np.float64))
    np.testing.assert_allclose(recording.times_s, np.arange(FRAMES) / 120, atol=1e-12)
    np.testing.assert_array_equal(motion.betas, np.linspace(-1, 1, 16))
    assert (recording.fps, motion.gender, actor.name, recording.warnings) == (120, "male", "clip", ())
    assert actor.visible.all() and (actor.confidence == 1).all()


def test_joints_that_the_file_lacks_rest(tmp_path):
    motion = _one(_write(tmp_path, **_fields(22)))[2]
    assert motion.quat_xyzw.shape == (FRAMES, 52, 4)
    np.testing.assert_array_equal(motion.quat_xyzw[:, 22:], np.tile([0, 0, 0, 1.0], (FRAMES, 30, 1)))
    assert not motion.hands_seen.any()


def test_hands_that_keep_one_pose_were_not_measured(tmp_path):
    rotvec = _moves(52)
    rotvec[:, 22:37] = rotvec[:1, 22:37]  # the left hand: AMASS's way where there were no markers
    motion = _one(_write(tmp_path, **(_fields() | {"poses": rotvec.reshape(FRAMES, -1)})))[2]
    assert not motion.hands_seen[:, 0].any() and motion.hands_seen[:, 1].all()
    assert _off_deg(motion.quat_xyzw, rotvec) < 1e-5


# Split keys: where each part's joints stand among SMPL-X's 55, written out.
AMASS_KEYS = {"root_orient": (0, 1), "pose_body": (1, 22), "pose_jaw": (22, 23), "pose_eye": (23, 25), "pose_hand": (25, 55)}
SMPLX_KEYS = {"global_orient": (0, 1), "body_pose": (1, 22), "jaw_pose": (22, 23), "leye_pose": (23, 24), "reye_pose": (24, 25),
              "left_hand_pose": (25, 40), "right_hand_pose": (40, 55)}


@pytest.mark.parametrize("keys", [AMASS_KEYS, SMPLX_KEYS], ids=["amass", "smplx"])
@pytest.mark.parametrize("flat", [True, False])
def test_split_keys_are_the_same_motion(tmp_path, keys, flat):
    rotvec = _moves(55)
    parts = {key: rotvec[:, start:stop].reshape((FRAMES, -1) if flat else (FRAMES, stop - start, 3)) for key, (start, stop) in keys.items()}
    translation = "trans" if keys is AMASS_KEYS else "transl"
    motion = _one(_write(tmp_path, **parts, **{translation: _trans()}, mocap_frame_rate=60, surface_model_type="smplx"))[2]
    assert motion.model == "smplx"
    assert _off_deg(motion.quat_xyzw, rotvec) < 1e-5


def test_a_split_file_may_leave_out_hands_and_face(tmp_path):
    rotvec = _moves(22)
    path = _write(tmp_path, root_orient=rotvec[:, 0], pose_body=rotvec[:, 1:].reshape(FRAMES, 63), trans=_trans(), fps=50)
    recording, _, motion = _one(path)
    assert (motion.model, recording.fps) == ("smplh", 50)
    assert _off_deg(motion.quat_xyzw[:, :22], rotvec) < 1e-5


def test_smpl_of_69_numbers_has_palms(tmp_path):
    rotvec = _moves(24)
    path = _write(tmp_path, global_orient=rotvec[:, 0], body_pose=rotvec[:, 1:].reshape(FRAMES, 69), transl=_trans(), fps=30)
    motion = _one(path)[2]
    assert motion.model == "smpl"
    assert _off_deg(motion.quat_xyzw, rotvec) < 1e-5


@pytest.mark.parametrize(("named", "joints", "model"), [
    ("smplx", 22, "smplx"), ("smplx", 52, "smplx"), ("smplx_locked_head", 55, "smplx"), (b"smplh", 52, "smplh"), ("smplh", 24, "smplh"),
])
def test_the_file_says_whose_joints_they_are(tmp_path, named, joints, model):
    motion = _one(_write(tmp_path, **_fields(joints), surface_model_type=named))[2]
    assert motion.model == model
    assert motion.quat_xyzw.shape[1] == len(JOINT_NAMES[model])
    assert _off_deg(motion.quat_xyzw[:, :22], _moves(joints)[:, :22]) < 1e-5


@pytest.mark.parametrize("spelling", ["mocap_framerate", "mocap_frame_rate"])
@pytest.mark.parametrize(("stored", "rate"), [
    (np.float64(120.00004577), Fraction(120.00004577)), (np.float32(59.94006), Fraction(60000, 1001)), (np.array([100]), Fraction(100)),
])
def test_rates_are_kept_exactly_under_both_spellings(tmp_path, spelling, stored, rate):
    fields = _fields()
    del fields["mocap_framerate"]
    recording = _one(_write(tmp_path, **fields, **{spelling: stored}))[0]
    assert recording.fps == rate
    exact = [float(frame / rate) for frame in range(FRAMES)]
    np.testing.assert_allclose(recording.times_s, exact, rtol=0, atol=1e-9)  # 1 µs is asked for


@pytest.mark.parametrize(("told", "rate"), [("", Fraction(30)), ("24000/1001", Fraction(24000, 1001))])
def test_a_file_without_a_rate_takes_the_users_and_says_so(tmp_path, told, rate):
    fields = _fields()
    del fields["mocap_framerate"]
    recording = _one(_write(tmp_path, **fields), MotionFileOptions(source_fps=told))[0]
    assert recording.fps == rate
    assert "mocap_framerate: found no rate" in recording.warnings[0]


def test_the_files_rate_counts_more_than_the_users(tmp_path):
    assert _one(_write(tmp_path, **_fields()), MotionFileOptions(source_fps="24"))[0].fps == 120


@pytest.mark.parametrize(("stored", "gender"), [
    ("female", "female"), (b"female", "female"), (np.array(b"male"), "male"), (np.array(["neutral"]), "neutral"), ("b'male'", "male"),
])
def test_gender_comes_as_str_or_bytes(tmp_path, stored, gender):
    assert _one(_write(tmp_path, **(_fields() | {"gender": stored})))[2].gender == gender


def test_gender_and_betas_may_be_lacking(tmp_path):
    fields = _fields()
    del fields["gender"], fields["betas"]
    motion = _one(_write(tmp_path, **fields))[2]
    assert (motion.gender, motion.betas) == ("neutral", None)


@pytest.mark.parametrize("rows", [1, FRAMES])
def test_betas_of_each_frame_become_one_that_outliers_do_not_move(tmp_path, rows):
    betas = np.tile(np.linspace(-1, 1, 10), (rows, 1))
    betas[: rows // 3] += 5
    np.testing.assert_allclose(_one(_write(tmp_path, **(_fields() | {"betas": betas})))[2].betas, np.linspace(-1, 1, 10))


def test_z_up_becomes_y_up_and_a_person_who_faces_us_still_does(tmp_path):
    R = _one(_write(tmp_path, **_fields()))[2].R_world_source
    np.testing.assert_allclose(R @ [0, 0, 1], [0, 1, 0], atol=1e-15)
    # In AMASS a person who stands in the zero pose turned upright, by 90° about X, looks along -Y; in ours, along +Z.
    np.testing.assert_allclose(R @ Rotation.from_rotvec([np.pi / 2, 0, 0]).apply([0, 0, 1]), [0, 0, 1], atol=1e-15)
    assert np.linalg.det(R) == pytest.approx(1)


@pytest.mark.parametrize("axis", ["Y", b"y"])
def test_only_a_field_makes_a_file_y_up(tmp_path, axis):
    np.testing.assert_array_equal(_one(_write(tmp_path, **_fields(), up_axis=axis))[2].R_world_source, np.eye(3))
    np.testing.assert_array_equal(_one(_write(tmp_path, **_fields(), up_axis="Z"))[2].R_world_source @ [0, 0, 1], [0, 1, 0])


def test_no_more_frames_than_the_user_wants(tmp_path):
    recording, actor, motion = _one(_write(tmp_path, **_fields()), MotionFileOptions(frame_limit=7))
    assert len(recording.times_s) == len(actor.visible) == motion.frame_count == 7
    assert _off_deg(motion.quat_xyzw, _moves(52)[:7]) < 1e-5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_frames_of_nan_are_masked_with_a_warning_and_touch_no_other(tmp_path, value):
    fields = _fields()
    poses, trans = fields["poses"].copy(), fields["trans"].copy()
    poses[5, 40], trans[[9, 10], 1] = value, value
    recording, actor, motion = _one(_write(tmp_path, **(fields | {"poses": poses, "trans": trans})))
    gone = np.isin(np.arange(FRAMES), [5, 9, 10])
    np.testing.assert_array_equal(actor.visible, ~gone)
    np.testing.assert_array_equal(actor.confidence, (~gone).astype(np.float32))
    assert np.isnan(motion.quat_xyzw[gone]).all() and np.isnan(motion.translation_m[gone]).all()
    assert not motion.hands_seen[gone].any()
    assert _off_deg(motion.quat_xyzw[~gone], _moves(52)[~gone]) < 1e-5
    assert "clip.npz: found NaN or infinity in 3 of 40 frames, frame 5 the first" in recording.warnings[0]


def test_hands_of_another_file_are_put_on(tmp_path):
    hands = _moves(30).reshape(FRAMES, 2, 45) * 0.3
    np.savez(tmp_path / "hand_poses.npz", left_hand_pose=hands[:, 0], right_hand_pose=hands[:, 1])
    motion = _one(_write(tmp_path, **_fields(22)), MotionFileOptions(hand_poses=tmp_path / "hand_poses.npz"))[2]
    assert motion.hands_seen.all()
    assert _off_deg(motion.quat_xyzw[:, 22:37], hands[:, 0]) < 1e-5
    assert _off_deg(motion.quat_xyzw[:, 37:], hands[:, 1]) < 1e-5


def test_hands_that_do_not_fit_the_body_are_an_error_with_both_files(tmp_path):
    for frames in (FRAMES, 39):
        np.savez(tmp_path / f"{frames}.npz", left_hand_pose=np.ones((frames, 45)), right_hand_pose=np.ones((frames, 45)))
    with pytest.raises(ReadError, match=r"39\.npz: found 39 frames, expected 40, as .*clip\.npz has"):
        amass.read(_write(tmp_path, **_fields()), MotionFileOptions(hand_poses=tmp_path / "39.npz"))
    with pytest.raises(ReadError, match=r"clip\.npz: hands: found a body of 24 joints without fingers, expected SMPL-H or SMPL-X"):
        amass.read(_write(tmp_path, **_fields(24)), MotionFileOptions(hand_poses=tmp_path / "40.npz"))


# What is wrong with a file, and what its error must name.
FAULTS = {
    "no translation": ({"trans": None}, r"trans: found no such field among .*expected it or transl"),
    "frames differ": ({"trans": _trans(39)}, r"trans: found 39 frames, expected 40, as poses has"),
    "odd width": ({"poses": np.zeros((40, 153))}, r"poses: found \(40, 153\), expected \(frames, 66\) or \(frames, 72\)"),
    "one axis": ({"poses": np.zeros(156)}, r"poses: found \(156,\), expected"),
    "wide translation": ({"trans": np.zeros((40, 4))}, r"trans: found \(40, 4\), expected \(frames, 3\)"),
    "no frames": ({"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))}, r"poses: found 0 frames, expected one or more"),
    "text": ({"poses": np.full((40, 156), "x")}, r"poses: found <U1 values, expected numbers"),
    "all NaN": ({"trans": np.full((40, 3), np.nan)}, r"found NaN or infinity in each of 40 frames"),
    "two rates": ({"mocap_frame_rate": 60}, r"mocap_framerate: found mocap_framerate 120 and mocap_frame_rate 60, expected one rate"),
    "no rate": ({"mocap_framerate": 0}, r"mocap_framerate: found 0, expected one rate above 0"),
    "rate of NaN": ({"mocap_framerate": np.nan}, r"mocap_framerate: found nan, expected one rate"),
    "gender": ({"gender": "x"}, r"gender: found 'x', expected male, female or neutral"),
    "gender of numbers": ({"gender": 3}, r"gender: found int64 \(\), expected a text"),
    "betas": ({"betas": np.zeros((2, 3, 4))}, r"betas: found float64 \(2, 3, 4\), expected numbers \(B,\)"),
    "betas of NaN": ({"betas": np.full(16, np.nan)}, r"betas: found NaN or infinity, expected finite"),
    "wrong body": ({"surface_model_type": "mano"}, r"surface_model_type: found 'mano' with 52 joints, expected smpl, smplh or smplx"),
    "body too small": ({"surface_model_type": "smpl"}, r"surface_model_type: found 'smpl' with 52 joints"),
    "up": ({"up_axis": "x"}, r"up_axis: found 'x', expected Y or Z"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_an_error_with_file_and_field(tmp_path, fault):
    changes, message = FAULTS[fault]
    fields = {key: value for key, value in (_fields() | changes).items() if value is not None}
    with pytest.raises(ReadError, match=r"clip\.npz: " + message):
        amass.read(_write(tmp_path, **fields), OPTIONS)


@pytest.mark.parametrize(("key", "width", "message"), [
    ("pose_body", 60, r"pose_body: found \(40, 60\), expected \(frames, 63\) or \(frames, 69\)"),
    ("pose_hand", 24, r"pose_hand: found \(40, 24\), expected \(frames, 90\)"),
    ("left_hand_pose", 6, r"left_hand_pose: found \(40, 6\), expected \(frames, 45\)"),
])
def test_a_split_part_of_another_width_is_an_error(tmp_path, key, width, message):
    fields = {"root_orient": np.zeros((40, 3)), "pose_body": np.zeros((40, 63)), "trans": _trans(), "fps": 30}
    fields[key] = np.zeros((40, width))
    with pytest.raises(ReadError, match=r"clip\.npz: " + message):
        amass.read(_write(tmp_path, **fields), OPTIONS)


def test_a_split_part_of_other_frames_or_without_a_body_is_an_error(tmp_path):
    root, body = np.zeros((40, 3)), np.zeros((40, 63))
    with pytest.raises(ReadError, match=r"pose_jaw: found 39 frames, expected 40, as root_orient has"):
        amass.read(_write(tmp_path, root_orient=root, pose_body=body, pose_jaw=np.zeros((39, 3)), trans=_trans(), fps=30), OPTIONS)
    with pytest.raises(ReadError, match=r"pose_body: found no such field among fps, root_orient, trans, expected it or body_pose"):
        amass.read(_write(tmp_path, root_orient=root, trans=_trans(), fps=30), OPTIONS)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_file_is_an_error_with_its_name(tmp_path, share):
    path = _write(tmp_path, **_fields())
    path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])
    assert not amass.is_mine(path)
    with pytest.raises(ReadError, match=r"clip\.npz: "):
        amass.read(path, OPTIONS)


@pytest.mark.parametrize("key", ["poses", "trans", "gender", "betas", "mocap_framerate"])
def test_a_pickled_field_is_refused_and_not_run(tmp_path, key):
    trace = tmp_path / "trace"
    path = _write(tmp_path, **(_fields() | {key: np.array([Leave(trace)], dtype=object)}))
    with pytest.raises(ReadError, match=rf"clip\.npz: {key}: found pickled"):
        amass.read(path, OPTIONS)
    assert not trace.exists()


def test_pickled_fields_that_nobody_asks_for_do_no_harm(tmp_path):
    """AMASS's own files carry marker names as pickled objects."""
    trace = tmp_path / "trace"
    path = _write(tmp_path, **_fields(), markers_latent_vids=np.array([Leave(trace)], dtype=object))
    assert amass.is_mine(path)
    amass.read(path, OPTIONS)
    assert not trace.exists()


def test_other_files_are_not_taken_for_amass(tmp_path):
    assert not amass.is_mine(_write(tmp_path, left_hand_pose=np.zeros((4, 45)), right_hand_pose=np.zeros((4, 45))))
    assert not amass.is_mine(_write(tmp_path, mhr_model_params=np.zeros((4, 204)), pred_cam_t=np.zeros((4, 3))))
    (tmp_path / "text.npz").write_text("poses")
    assert not amass.is_mine(tmp_path / "text.npz")
