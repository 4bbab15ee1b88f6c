"""A walk, spoilt in every way that estimators spoil one, and what the clean-up makes of it and says about it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body
from rigdrop.convert.clean import CleanOptions, clean
from rigdrop.convert.cleaning.parts import hand_joints
from rigdrop.convert.performance import Performance, rest_performance
from rigdrop.errors import SettingsError
from rigdrop.motion.metrics import bone_drift

from .bodies import humanoid, walk
from .tumbling import angles_deg, even_times, rms, shaken, uneven_times

FRAMES = 256
EVERYTHING = CleanOptions(
    root_depth_s=0.12, spike_frames=3, fill_gaps=True, smoothing="gaussian", hand_motion="smoothed", finger_limits=True)
SMOOTHERS = ["gaussian", "one-euro", "adaptive-ema"]


def _walking(times_s: np.ndarray, z_m: float = 0.0) -> Performance:
    rig = humanoid()
    body = Body.of(rig)
    quat, root_m = walk(body, times_s - times_s[0], speed_m_s=0.6)
    motion = body.to_motion(quat, root_m + [0, 0, z_m], np.ones(len(times_s), bool), np.ones(len(times_s), np.float32))
    return Performance.of_motion(rig, times_s, motion)


@pytest.fixture(scope="module")
def truth() -> Performance:
    return _walking(even_times(FRAMES))


def _noisy(truth: Performance, sigma_rad: float = 0.01, sigma_m: float = 0.005) -> Performance:
    translation = truth.translation_m.copy()
    translation[:, 0] += np.random.default_rng(1).normal(0, sigma_m, (truth.frame_count, 3))
    return truth.with_turns(shaken(truth.quat_xyzw, sigma_rad), translation)


def _error_mm(performance: Performance, truth: Performance) -> float:
    return rms(np.linalg.norm(performance.joints_m - truth.joints_m, axis=-1)) * 1000


def test_nothing_is_done_that_was_not_asked_for(truth):
    cleaned, figures = clean(truth)
    assert cleaned is truth
    assert figures == {"stages": []}


def test_stages_come_in_one_order(truth):
    before_camera = _walking(even_times(FRAMES), z_m=-10.0)
    options = replace(EVERYTHING, smoothing="one-euro", hand_motion="static")
    _, figures = clean(before_camera, options)
    assert [stage["stage"] for stage in figures["stages"]] == [
        "root_depth", "spikes", "gaps", "smoothing_one_euro", "hands_static", "finger_limits",
    ]
    for earlier, later in zip(figures["stages"], figures["stages"][1:], strict=False):
        assert earlier["after"] == later["before"]


@pytest.mark.parametrize(("smoothing", "share"), [("gaussian", 0.55), ("one-euro", 0.75)])
def test_smoothing_brings_a_walk_nearer_to_the_truth_and_says_so(truth, smoothing, share):
    given = _noisy(truth)
    cleaned, figures = clean(given, CleanOptions(smoothing=smoothing))
    assert _error_mm(cleaned, truth) < share * _error_mm(given, truth)
    stage = figures["stages"][0]
    assert stage["after"]["jitter_10m_s3"] < 0.3 * stage["before"]["jitter_10m_s3"]
    assert stage["after"]["angular_acceleration_most_rad_s2"] < 0.6 * stage["before"]["angular_acceleration_most_rad_s2"]


def test_the_adaptive_scheme_holds_somebody_who_stands():
    rest = rest_performance(humanoid(), even_times(FRAMES))
    given = _noisy(rest, sigma_rad=0.001, sigma_m=0.002)
    cleaned, figures = clean(given, CleanOptions(smoothing="adaptive-ema"))
    assert _error_mm(cleaned, rest) < 0.45 * _error_mm(given, rest)  # √(α / (2 − α)): 0.31 for the body, 0.23 for the root
    assert figures["stages"][0]["after"]["jitter_10m_s3"] < 0.25 * figures["stages"][0]["before"]["jitter_10m_s3"]


def test_the_adaptive_scheme_does_a_walk_no_harm(truth):
    given = _noisy(truth)
    cleaned, _ = clean(given, CleanOptions(smoothing="adaptive-ema"))
    assert _error_mm(cleaned, truth) < 1.01 * _error_mm(given, truth)


def test_the_adaptive_scheme_lets_the_whole_person_turn():
    rest = rest_performance(humanoid(), even_times(120))
    quat, pelvis = rest.quat_xyzw.copy(), rest.rig.skeleton.semantic["pelvis"]
    spin = Rotation.from_rotvec(0.05 * np.arange(120)[:, None] * np.array([0.0, 1.0, 0.0]))  # 86°/s: little for a body, not for a person
    quat[:, pelvis] = (Rotation.from_quat(quat[:, pelvis]) * spin).as_quat()
    cleaned, _ = clean(rest.with_turns(quat), CleanOptions(smoothing="adaptive-ema"))
    assert angles_deg(cleaned.quat_xyzw, quat).max() < 1e-4


@pytest.mark.parametrize("smoothing", SMOOTHERS)
def test_no_bone_is_stretched(truth, smoothing):
    cleaned, _ = clean(_noisy(truth), CleanOptions(spike_frames=3, fill_gaps=True, smoothing=smoothing))
    below = slice(1, None)  # the pelvis and what hangs on it; above it is the place itself
    assert bone_drift(cleaned.joints_m[:, below], cleaned.rig.joint_parents[below] - 1) < 1e-12
    assert np.array_equal(cleaned.translation_m[:, 2:], truth.translation_m[:, 2:])


def test_planted_spikes_are_mended_counted_and_marked(truth):
    quat, translation = truth.quat_xyzw.copy(), truth.translation_m.copy()
    elbow, root = truth.rig.skeleton.semantic["left_elbow"], 0
    quat[60:62, elbow] = (Rotation.from_quat(quat[60:62, elbow]) * Rotation.from_rotvec([1.2, 0.3, 0.0])).as_quat()
    translation[150, root] += [0.4, 0.0, 0.0]
    cleaned, figures = clean(truth.with_turns(quat, translation), CleanOptions(spike_frames=3))
    assert (figures["stages"][0]["frames_mended"], figures["stages"][0]["values_mended"]) == (3, 3)
    assert np.array_equal(np.argwhere(~cleaned.known), [[60, elbow], [61, elbow], [150, root]])
    # An elbow's own acceleration over three intervals, and the body's over two.
    assert np.linalg.norm(cleaned.joints_m - truth.joints_m, axis=-1).max() < 0.01
    elsewhere = np.delete(np.arange(FRAMES), [60, 61, 150])
    assert np.array_equal(cleaned.quat_xyzw[elsewhere], truth.quat_xyzw[elsewhere])
    assert figures["stages"][0]["after"]["angular_acceleration_most_rad_s2"] < 0.2 * (
        figures["stages"][0]["before"]["angular_acceleration_most_rad_s2"])


def test_seams_every_64_frames_are_closed_and_counted(truth):
    batch = (np.arange(FRAMES) // 64) % 2
    step = Rotation.from_rotvec(batch[:, None] * np.radians(8) * np.array([0.0, 0.6, 0.8]))
    quat = truth.quat_xyzw.copy()
    shoulder = truth.rig.skeleton.semantic["right_shoulder"]
    quat[:, shoulder] = (Rotation.from_quat(quat[:, shoulder]) * step).as_quat()
    cleaned, figures = clean(truth.with_turns(quat), CleanOptions(smoothing="gaussian"))
    assert figures["stages"][0]["before"]["pops"] - clean(truth, CleanOptions(fill_gaps=True))[1]["stages"][0]["before"]["pops"] == 3
    assert figures["stages"][0]["after"]["pops"] == 0
    assert figures["stages"][0]["pops_closed"] >= 3
    apart = angles_deg(cleaned.quat_xyzw[1:, shoulder], cleaned.quat_xyzw[:-1, shoulder])
    usual = angles_deg(truth.quat_xyzw[1:, shoulder], truth.quat_xyzw[:-1, shoulder])
    assert apart[[63, 127, 191]].max() < 0.2 * 8.0 + usual.max() + 0.05


def test_gaps_are_filled_and_what_was_seen_stays_as_it_was(truth):
    known, visible = truth.known.copy(), truth.visible.copy()
    elbow = truth.rig.skeleton.semantic["left_elbow"]
    known[40:44, elbow] = False
    known[100:160], visible[100:160] = False, False
    quat, translation = truth.quat_xyzw.copy(), truth.translation_m.copy()
    quat[~known] = [1.0, 0.0, 0.0, 0.0]
    translation[100:160, :2] += 5.0
    given = replace(truth.with_turns(quat, translation), known=known, visible=visible)
    cleaned, figures = clean(given, CleanOptions(fill_gaps=True))
    joints = len(truth.rig.joint_names)
    assert figures["stages"][0]["frames_filled"] == 64
    assert figures["stages"][0]["values_filled"] == 4 + 60 * joints
    assert np.array_equal(cleaned.quat_xyzw[known], truth.quat_xyzw[known])
    assert np.array_equal(cleaned.translation_m[~known.all(1)][:, 2:], truth.translation_m[~known.all(1)][:, 2:])
    assert angles_deg(cleaned.quat_xyzw[40:44], truth.quat_xyzw[40:44]).max() < 3.0
    assert np.linalg.norm(cleaned.joints_m - truth.joints_m, axis=-1).max() < 0.6  # a gap of 2 s: somebody who walks on at 0.6 m/s
    assert np.array_equal(cleaned.known, known)


def test_fingers_that_were_lost_while_somebody_was_seen_stay_as_the_reader_left_them(truth):
    known, hand = truth.known.copy(), hand_joints(truth.rig, "left")
    known[50:120, hand] = False
    quat = truth.quat_xyzw.copy()
    quat[50:120, hand] = Rotation.from_rotvec([0.1, 0.2, 0.3]).as_quat()
    given = replace(truth.with_turns(quat), known=known)
    cleaned, figures = clean(given, CleanOptions(fill_gaps=True))
    assert np.array_equal(cleaned.quat_xyzw, quat)
    assert figures["stages"][0]["values_filled"] == 0
    known[50:120, hand], known[60:65, hand] = True, False
    bridged, figures = clean(replace(given, known=known), CleanOptions(fill_gaps=True))
    assert figures["stages"][0]["values_filled"] == 5 * 15
    assert np.array_equal(np.delete(bridged.quat_xyzw, slice(60, 65), axis=0), np.delete(quat, slice(60, 65), axis=0))


def test_a_joint_that_was_never_seen_keeps_what_it_has(truth):
    known = truth.known.copy()
    known[:, 7] = False
    cleaned, _ = clean(replace(truth, known=known), CleanOptions(fill_gaps=True))
    assert np.array_equal(cleaned.quat_xyzw, truth.quat_xyzw)


@pytest.mark.parametrize("options", [
    CleanOptions(spike_frames=3, fill_gaps=True),
    CleanOptions(spike_frames=3, fill_gaps=True, smoothing="gaussian"),
    replace(EVERYTHING, root_depth_s=0.0),
])
def test_a_frame_of_nonsense_that_is_marked_changes_nothing_beyond_the_windows(truth, options):
    given = _noisy(truth)
    known = given.known.copy()
    known[128] = False
    quat, translation = given.quat_xyzw.copy(), given.translation_m.copy()
    quat[128] = Rotation.random(quat.shape[1], random_state=0).as_quat()
    translation[128, :2] = 1e3
    with_it, _ = clean(replace(given.with_turns(quat, translation), known=known), options)
    without, _ = clean(given, options)
    # Gaussian windows reach 7 frames and, for smoothed hands, 11 more; filling alone reaches nothing.
    reach = {"auto": 0, "gaussian": 7}[options.smoothing] + (11 if options.hand_motion == "smoothed" else 0)
    far = np.abs(np.arange(FRAMES) - 128) > reach
    assert angles_deg(with_it.quat_xyzw, without.quat_xyzw)[far].max() < 1e-5
    assert np.abs(with_it.translation_m - without.translation_m)[far].max() < 1e-9
    # Inside, by what noise of 0.6° an axis and of 5 mm leaves.
    assert angles_deg(with_it.quat_xyzw, without.quat_xyzw).max() < 6.0
    assert np.abs(with_it.translation_m - without.translation_m).max() < 0.03


def test_still_hands_hold_their_median(truth):
    cleaned, _ = clean(_noisy(truth), CleanOptions(hand_motion="static"))
    hands = np.concatenate([hand_joints(truth.rig, side) for side in ("left", "right")])
    assert np.ptp(cleaned.quat_xyzw[:, hands], axis=0).max() == 0
    assert angles_deg(cleaned.quat_xyzw[:, hands], truth.quat_xyzw[:, hands]).max() < 0.5  # 0.6° of noise, over 256 frames


def test_fingers_are_brought_back_and_counted(truth):
    quat, joint = truth.quat_xyzw.copy(), truth.rig.skeleton.semantic["left_index_pip"]
    quat[10:20, joint] = (Rotation.from_quat(quat[10:20, joint]) * Rotation.from_rotvec([2.0, 2.0, 0.0])).as_quat()
    _, figures = clean(truth.with_turns(quat), CleanOptions(finger_limits=True))
    assert (figures["stages"][0]["frames_limited"], figures["stages"][0]["values_limited"]) == (10, 10)


# Figures against motions whose figures are known.


def test_angular_acceleration_is_that_of_a_turn_that_grows_faster():
    times_s = uneven_times(60)
    rest = rest_performance(humanoid(), times_s)
    angle = 0.5 * 3.0 * (times_s - times_s[0]) ** 2  # 3 rad/s²
    quat = rest.quat_xyzw.copy()
    quat[:, 5] = (Rotation.from_quat(quat[:, 5]) * Rotation.from_rotvec(angle[:, None] * np.array([0.0, 1.0, 0.0]))).as_quat()
    _, figures = clean(rest.with_turns(quat), CleanOptions(fill_gaps=True))
    assert figures["stages"][0]["before"]["angular_acceleration_most_rad_s2"] == pytest.approx(3.0, abs=1e-6)


def test_jitter_is_the_jerk_of_the_body():
    times_s = even_times(60)
    rest = rest_performance(humanoid(), times_s)
    translation = rest.translation_m.copy()
    translation[:, 0, 0] += 20.0 * (times_s - times_s[0]) ** 3 / 6
    _, figures = clean(rest.with_turns(rest.quat_xyzw, translation), CleanOptions(fill_gaps=True))
    assert figures["stages"][0]["before"]["jitter_10m_s3"] == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
@pytest.mark.parametrize("smoothing", SMOOTHERS)
def test_clips_of_a_few_frames(frames, smoothing):
    times_s = even_times(frames)
    given = _walking(times_s, z_m=-5.0)
    cleaned, figures = clean(given, replace(EVERYTHING, smoothing=smoothing))
    assert cleaned.frame_count == frames
    assert len(figures["stages"]) == 6
    assert np.linalg.norm(cleaned.joints_m - given.joints_m, axis=-1).max() < 0.1


def test_depth_of_motion_in_the_world_is_refused(truth):
    with pytest.raises(SettingsError, match="root-depth: found"):
        clean(truth, CleanOptions(root_depth_s=0.12))


@pytest.mark.parametrize(("name", "value"), [
    ("root_depth_s", -0.1), ("spike_frames", -1), ("short_gap_s", np.nan), ("sigma_frames", -1.0), ("sigma_s", np.inf),
    ("cutoff_hz", 0.0), ("cutoff_rise", -1.0), ("hand_sigma_frames", -3.0),
])
def test_options_that_make_no_sense_are_refused(name, value):
    with pytest.raises(SettingsError, match=name.replace("_", "-")):
        CleanOptions(**{name: value})


def test_what_was_read_picture_by_picture_is_cleaned_unless_somebody_says_how():
    plain = CleanOptions().of_pictures()
    assert (plain.smoothing, plain.fill_gaps, plain.spike_frames, plain.root_depth_s) == ("gaussian", True, 3, 0.12)
    assert CleanOptions(spike_frames=5).of_pictures().spike_frames == 5
    for asked in (CleanOptions(smoothing="none"), CleanOptions(smoothing="one-euro", fill_gaps=True)):
        assert asked.of_pictures() == asked
