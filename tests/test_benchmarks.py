"""The benchmarks' own arithmetic against naive loops and made-up truths, and tiny versions of what they run."""

from __future__ import annotations

import importlib
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import BODY_JOINTS, Body
from rigdrop.convert.fitting.landmarks import REFERENCE_HEIGHT_M, landmark_table
from rigdrop.ingest.tracks import Observations
from rigdrop.motion.take import Camera, Person, Take
from rigdrop.render.demo import DemoOptions

from .bodies import FOCAL_PX, HEIGHT, HEIGHT_M, WIDTH, exercise, humanoid, landmark_places, loop_places, seen_track, world_from_camera

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))  # benchmarks are no part of what is installed

from benchmarks import __main__ as everything  # noqa: E402
from benchmarks import accuracy, calibrated, clips, judge, landmark_offsets, machine, pose2sim, speed, table  # noqa: E402

FRAMES, FPS = 24, Fraction(30)
TIMES_S = np.arange(FRAMES) / float(FPS)
# A motion is stored as float32: half a micrometre at 4 m, a few times over along a chain of joints.
STORED_M = 5e-6
T_WORLD_CAMERA = world_from_camera(pitch_rad=0.3, height_m=1.6, distance_m=3.0)
LIMBS = list(accuracy.LIMB_LANDMARKS)


def _to_world(points: np.ndarray) -> np.ndarray:
    return points @ T_WORLD_CAMERA[:3, :3].T + T_WORLD_CAMERA[:3, 3]


def _filmed() -> tuple[Take, np.ndarray, np.ndarray]:
    """A humanoid before a camera that looks down: the take, and its canonical pose in the camera's axes."""
    body = Body.of(humanoid())
    quat, root_m = exercise(TIMES_S)
    in_world = quat.copy()
    in_world[:, 0] = (Rotation.from_matrix(T_WORLD_CAMERA[:3, :3]) * Rotation.from_quat(quat[:, 0])).as_quat()
    motion = body.to_motion(in_world, _to_world(root_m), np.ones(FRAMES, bool), np.ones(FRAMES))
    intrinsics = np.array([[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]])
    person = Person("person_01", "Person 1", 1, body.rig, motion)
    return Take(TIMES_S, FPS, Camera(WIDTH, HEIGHT, intrinsics, T_WORLD_CAMERA), (person,), "x.mp4", "", "", ""), quat, root_m


@pytest.fixture(scope="module")
def filmed() -> tuple[Take, np.ndarray, np.ndarray]:
    return _filmed()


@pytest.fixture(scope="module")
def landmarks_m(filmed) -> np.ndarray:
    take, quat, root_m = filmed
    return landmark_places(Body.of(take.people[0].rig), quat, root_m)


@pytest.fixture(scope="module")
def seen(filmed, landmarks_m) -> accuracy.Seen:
    return accuracy.Seen(clips.cases()[0], filmed[0], seen_track(landmarks_m), 1)


# -- judge


def test_joints_in_the_camera_are_those_of_a_loop_over_the_skeleton(filmed):
    take, quat, root_m = filmed
    body = Body.of(take.people[0].rig)
    joints, soles = judge.joints_in_camera(take, take.people[0])
    assert joints == pytest.approx(loop_places(body, quat, root_m)[0], abs=STORED_M)
    assert soles == pytest.approx(body.sole_places(quat, root_m), abs=STORED_M)


def test_landmarks_in_the_camera_are_those_of_a_loop_over_the_table(filmed, landmarks_m):
    take = filmed[0]
    found = judge.landmarks_in_camera(take, take.people[0])
    used = landmark_table().landmark
    assert found[:, used] == pytest.approx(landmarks_m[:, used], abs=STORED_M)
    assert np.isnan(np.delete(found, used, axis=1)).all()


def _judged(found: np.ndarray, truth: np.ndarray, soles: np.ndarray | None = None) -> dict[str, float]:
    standing = np.zeros((len(truth), 4, 3))
    return judge.judge(found, standing if soles is None else soles, truth, standing, float(FPS), judge.ALL_JOINTS, np.eye(3))


def test_a_body_that_stands_beside_the_truth_is_wrong_in_its_root_alone(filmed):
    truth = judge.joints_in_camera(filmed[0], filmed[0].people[0])[0]
    figures = _judged(truth + [0.3, 0.0, -0.4], truth)
    assert figures["root_mm"] == pytest.approx(500)
    zero = ("mpjpe_mm", "limbs_mm", "pa_mm", "accel_mm_f2", "slide_mm_f")
    assert {name: figures[name] for name in zero} == pytest.approx(dict.fromkeys(zero, 0.0), abs=1e-9)
    assert figures["jitter"] == pytest.approx(figures["true_jitter"])
    assert figures["bone_drift"] < 1e-4  # float32's rounding of the shortest bones


def test_one_wrong_wrist_counts_by_its_share_of_the_joints(filmed):
    truth = judge.joints_in_camera(filmed[0], filmed[0].people[0])[0]
    found = truth.copy()
    found[:, BODY_JOINTS.index("left_wrist"), 0] += 0.22
    figures = _judged(found, truth)
    assert figures["mpjpe_mm"] == pytest.approx(220 / 22)
    assert figures["limbs_mm"] == pytest.approx(220 / 12)


def test_feet_slide_along_the_true_ground(filmed):
    truth = judge.joints_in_camera(filmed[0], filmed[0].people[0])[0]
    soles = np.zeros((FRAMES, 4, 3))
    soles[:, :, 0] = 0.002 * np.arange(FRAMES)[:, None]
    assert _judged(truth, truth, soles)["slide_mm_f"] == pytest.approx(2.0)
    soles[:, :, 1] = 0.05 * np.arange(FRAMES)[:, None]  # up is no slide
    assert _judged(truth, truth, soles)["slide_mm_f"] == pytest.approx(2.0)


def _blow(peak_m_s: float, at_s: float, wrist: int = judge.WRISTS[0]) -> np.ndarray:
    """Joints (60,22,3) at rest but for a wrist whose speed is a bell of this peak."""
    times = (np.arange(59) + 0.5) / float(FPS)
    joints = np.zeros((60, len(BODY_JOINTS), 3))
    joints[1:, wrist, 2] = np.cumsum(peak_m_s * np.exp(-0.5 * ((times - at_s) / 0.05) ** 2)) / float(FPS)
    return joints


def test_a_punch_keeps_what_is_left_of_its_peak():
    middle_s = 30.5 / float(FPS)  # between two frames, as speeds are
    truth = _blow(8.0, middle_s)
    assert judge.punch_kept(truth, truth, float(FPS)) == pytest.approx(1.0)
    assert judge.punch_kept(_blow(6.0, middle_s + 2 / float(FPS)), truth, float(FPS)) == pytest.approx(0.75)


def test_speed_of_another_wrist_or_of_another_time_is_no_punch():
    truth = _blow(8.0, 1.0)
    assert judge.punch_kept(_blow(8.0, 1.0, judge.WRISTS[1]), truth, float(FPS)) < 0.01
    assert judge.punch_kept(_blow(8.0, 1.5), truth, float(FPS)) < 0.01


def test_a_truth_without_blows_has_no_figure_for_them():
    assert np.isnan(judge.punch_kept(_blow(8.0, 1.0), _blow(4.0, 1.0), float(FPS)))


def test_means_leave_out_what_a_clip_does_not_have():
    nan = float("nan")
    assert judge.mean_figures([{"a": 1.0, "b": nan}, {"a": 3.0, "b": 5.0, "c": 7.0}]) == {"a": 2.0, "b": 5.0, "c": 7.0}
    assert np.isnan(judge.mean_figures([{"a": nan}])["a"])


# -- clips, accuracy


def test_what_is_measured_is_not_what_was_tuned_on():
    measured, tuned = clips.cases(), clips.cases(tuning=True)
    assert {case.options.seed for case in measured}.isdisjoint({case.options.seed for case in tuned})
    assert [case.name for case in measured] == [case.name for case in tuned]
    assert len({case.name for case in measured}) == len(measured)


def test_landmarks_are_placed_where_the_picture_shows_them(seen, landmarks_m):
    joints, soles = accuracy.landmark_places(seen)
    assert joints[:, judge.LIMBS] == pytest.approx(landmarks_m[:, LIMBS], abs=1e-4)  # a ridge keeps the solve from being singular
    assert soles == pytest.approx(landmarks_m[:, list(accuracy.SOLE_LANDMARKS)], abs=1e-4)
    assert {"mpjpe_mm", "pa_mm"}.isdisjoint(accuracy.landmark_figures(seen))  # only twelve joints have landmarks


def test_a_perfect_estimate_is_fitted_nearly_perfectly_and_a_wrong_height_shows(seen):
    rig = seen.truth.people[0].rig
    told = accuracy.fitted_figures(seen, rig, accuracy.Setting())
    # Priors and smoothness pull a little even where everything is seen.
    assert told["mpjpe_mm"] < 20 and told["root_mm"] < 60 and told["bone_drift"] < 1e-4
    assert told["fit_s"] > 0
    longer = accuracy.fitted_figures(seen, rig, accuracy.Setting(focal=1.25))
    assert longer["root_mm"] > 500  # a quarter of 3.5 m


def test_the_report_holds_every_table_and_a_limit_for_each_promise(seen):
    report = accuracy._report([seen], seen.truth.people[0].rig, "high")
    assert [line.split(":")[1].strip() for line in report.splitlines() if line.startswith("### ")] == [
        "stage by stage", "clip by clip", "what the user knows", "limits",
    ]
    assert all(name in report for name in (*accuracy.STAGES, *accuracy.SETTINGS))


@pytest.mark.slow
def test_a_tiny_clip_is_rendered_read_and_judged_once(tmp_path, anny_folder):
    case = clips.Case("tiny", DemoOptions(seconds=0.5, moves=("wave",)))
    first = accuracy.look(case, "draft", tmp_path)
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert {path.suffix for path in made} == {".mp4", ".h5", ".pkl"}
    again = accuracy.look(case, "draft", tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == made
    assert np.array_equal(first.track.landmarks_px, again.track.landmarks_px)
    assert accuracy.landmark_figures(first)["limbs_mm"] < 300  # it is that body, whatever the net's error


# -- calibrated, pose2sim


def _camera_at(center_m: tuple[float, float, float], target_m: tuple[float, float, float], name: str) -> calibrated.CalibratedCamera:
    forward = np.subtract(target_m, center_m) / np.linalg.norm(np.subtract(target_m, center_m))
    right = np.cross(forward, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(forward, [0.0, 0.0, 1.0]))
    intrinsics = np.array([[1700.0, 0, 530.0], [0, 1690.0, 950.0], [0, 0, 1]])
    lens = np.array([-0.05, 0.14, 6e-4, 7e-4])
    return calibrated.CalibratedCamera(name, intrinsics, lens, np.stack([right, np.cross(forward, right), forward]), np.array(center_m))


CENTERS = {"a": (1.5, -1.9, 1.9), "b": (2.6, 0.7, 1.7), "c": (-3.2, 2.2, 2.1), "d": (-3.7, -1.4, 1.9)}
CAMERAS = {name: _camera_at(center, (0.0, 0.0, 0.9), name) for name, center in CENTERS.items()}


def _pixels(camera: calibrated.CalibratedCamera, points_m: np.ndarray) -> np.ndarray:
    """OpenCV's own projection."""
    turn, shift = cv2.Rodrigues(camera.R_camera_world)[0], -camera.R_camera_world @ camera.center_m
    pixels = cv2.projectPoints(points_m.reshape(-1, 3), turn, shift, camera.intrinsics_px, camera.distortion)[0]
    return pixels.reshape(*points_m.shape[:-1], 2)


def _rays(points_m: np.ndarray) -> np.ndarray:
    return np.stack([camera.rays(_pixels(camera, points_m)) for camera in CAMERAS.values()])


def test_rays_meet_where_opencv_projected_from():
    points = np.random.default_rng(3).uniform([-0.5, -0.5, 0], [0.5, 0.5, 1.8], (5, 7, 3))
    met = calibrated.meet(list(CAMERAS.values()), _rays(points), np.ones((4, 5, 7)), 2.0)
    # OpenCV stops its search for the undistorted point at 1e-5 or so of the focal length.
    assert met.points_m == pytest.approx(points, abs=1e-4)
    assert (met.cameras == 4).all()


def test_a_ray_of_another_point_is_left_out():
    points = np.random.default_rng(3).uniform([-0.5, -0.5, 0], [0.5, 0.5, 1.8], (6, 3))
    rays = _rays(points)
    rays[1] += 0.1  # 170 px
    met = calibrated.meet(list(CAMERAS.values()), rays, np.ones((4, 6)), 5.0)
    assert (met.cameras == 3).all()
    assert met.points_m == pytest.approx(points, abs=1e-4)


def test_what_no_two_cameras_agree_on_is_unknown():
    points = np.array([[0.1, 0.2, 1.0], [0.0, 0.0, 0.5]])
    rays, weight = _rays(points), np.ones((4, 2))
    rays[1:, 0] += np.array([0.1, -0.2, 0.3])[:, None]
    weight[:3, 1] = 0.0
    met = calibrated.meet(list(CAMERAS.values()), rays, weight, 5.0)
    assert np.isnan(met.points_m).all() and (met.cameras == 0).all() and np.isnan(met.error_px).all()


def test_a_qualisys_file_is_read_as_its_makers_mean_it(tmp_path):
    """Rows of its matrix are the camera's right, up and back; millimetres; 64ths of pixels."""
    camera = CAMERAS["a"]
    axes = np.diag([1.0, -1.0, -1.0]) @ camera.R_camera_world
    turn = " ".join(f'r{row + 1}{column + 1}="{axes[row, column]}"' for row in range(3) for column in range(3))
    place = " ".join(f'{axis}="{1000 * value}"' for axis, value in zip("xyz", camera.center_m, strict=True))
    (k1, k2, p1, p2), K = camera.distortion, camera.intrinsics_px
    lens = (
        f'focalLengthU="{64 * K[0, 0]}" focalLengthV="{64 * K[1, 1]}" centerPointU="{64 * (K[0, 2] + 8)}" centerPointV="{64 * K[1, 2]}" '
        f'radialDistortion1="{k1}" radialDistortion2="{k2}" tangentalDistortion1="{p1}" tangentalDistortion2="{p2}"'
    )
    content = f'<camera serial="a"><fov_video left="8" top="0"/><transform {turn} {place}/><intrinsic {lens}/></camera>'
    (tmp_path / "x.qca.txt").write_text(f"<calibration><cameras>{content}</cameras></calibration>", encoding="utf-8")
    read = calibrated.read_qualisys(tmp_path / "x.qca.txt")["a"]
    points = np.array([[0.1, 0.2, 1.0], [-0.3, 0.0, 0.4]])
    assert _pixels(read, points) == pytest.approx(_pixels(camera, points))


@pytest.fixture(scope="module")
def views() -> tuple[pose2sim.Views, np.ndarray]:
    """A humanoid whom four calibrated cameras see perfectly, beside a stranger whom two of them see; its landmarks, world."""
    quat, root_m = exercise(TIMES_S)
    in_camera = landmark_places(Body.of(humanoid()), quat, root_m - root_m.mean(0))
    world = in_camera[..., [2, 0, 1]] + [0.0, 0.0, 0.9]  # z up: forward, left, up
    observations = {}
    for name, camera in CAMERAS.items():
        man = replace(seen_track(in_camera - [0, 0, 3]), landmarks_px=_pixels(camera, world))
        stranger = replace(man, id=9, landmarks_px=_pixels(camera, world + [0.0, 0.8 if name == "a" else -0.8, 0.0]))
        observations[name] = Observations(TIMES_S, FPS, 1060, 1900, (stranger, man) if name in "ab" else (man,))
    return pose2sim.Views(CAMERAS, observations, pose2sim._same_person(CAMERAS, observations)), world


def test_the_man_is_the_one_on_whom_all_cameras_agree(views):
    assert {name: track.id for name, track in views[0].tracks.items()} == dict.fromkeys(CAMERAS, 1)


def test_the_truth_for_a_camera_comes_from_the_others_and_is_told_in_its_axes(views):
    found, world = views
    truth = pose2sim.truth_for(found, "b")
    camera = CAMERAS["b"]
    expected = ((world[:, LIMBS] - camera.center_m) @ camera.R_camera_world.T) * [1, -1, -1]
    assert truth.raw_m == pytest.approx(expected, abs=1e-4)
    assert truth.known.all() and truth.cameras == 3 and truth.error_px < 0.1


def test_height_is_read_from_the_limbs(views):
    assert pose2sim.height_of(views[0], humanoid()) == pytest.approx(HEIGHT_M, abs=1e-3)


def test_a_late_clip_is_compared_with_the_frames_that_it_shows(views):
    found, _ = views
    truth = pose2sim.truth_for(found, "b")
    late = np.concatenate([np.full((2, 12, 3), 9.0), truth.raw_m[:-2]])
    figures = pose2sim.compare(late, truth, 2, float(FPS))
    assert figures["mpjpe_mm"] == pytest.approx(0, abs=1e-6) and figures["root_mm"] == pytest.approx(0, abs=1e-6)
    assert pose2sim.compare(late, truth, 0, float(FPS))["root_mm"] > 10


# -- offsets


@pytest.mark.parametrize("landmark", sorted(landmark_offsets._RIDES))
def test_the_tables_offset_is_found_where_landmarks_follow_it(seen, landmark):
    used = landmark_table()
    row = used.landmark.tolist().index(landmark)
    carrier, origin = BODY_JOINTS[used.carrier[row]], BODY_JOINTS[used.origin[row]]
    right, _, rides = landmark_offsets._RIDES[landmark]
    assert (carrier, origin) in rides
    offset, miss = landmark_offsets.offset_of([landmark_offsets.sight(seen.truth, seen.track)], landmark, right, carrier, origin)
    assert offset * 1000 == pytest.approx(used.offset_m[row] * 1000, abs=0.5)  # float32 motion, and sides that move apart
    assert miss < 1e-3


# -- machine, speed


def test_memory_of_a_command_and_of_its_children_is_seen():
    grab = "import time; held = bytearray(b'x') * {}; time.sleep(1.5)"
    alone = machine.spend([sys.executable, "-c", grab.format(150_000_000)])
    assert 150 < alone.peak_mb < 250  # an interpreter is 10 to 30 MB
    parent = "import subprocess, sys; held = bytearray(b'x') * 100_000_000; subprocess.run([sys.executable, '-c', {!r}])"
    both = machine.spend([sys.executable, "-c", parent.format(grab.format(100_000_000))])
    assert 200 < both.peak_mb < 350
    assert alone.seconds > 0 and alone.processor_s > 0


def test_a_command_that_fails_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="exit code 3: out of milk"):
        machine.spend([sys.executable, "-c", "import sys; sys.stderr.write('out of milk'); sys.exit(3)"], tmp_path)


def test_the_long_clip_goes_forth_and_back_without_a_jump():
    rows = list(speed._forth_and_back(4))
    assert len(rows) == 40 and rows[:9] == [0, 1, 2, 3, 3, 2, 1, 0, 0]
    assert np.abs(np.diff(rows)).max() == 1


def test_what_grows_with_frames_is_counted(filmed):
    take = filmed[0]
    joints = len(take.people[0].rig.joint_names)
    per_frame = 8 + joints * 7 * 4 + 1 + 4  # time, turns and places, seen, confidence
    assert speed.array_bytes(take) == FRAMES * per_frame


@pytest.mark.slow
def test_a_conversion_is_timed_and_weighed(tmp_path, anny_folder):
    from rigdrop.render.demo import render_demo

    render_demo(tmp_path / "tiny.mp4", DemoOptions(seconds=0.5))
    run = speed.convert(tmp_path / "tiny.mp4", "--no-preview")
    assert {"estimate", "fit", "write usd-skel", "verify glb-baked"} <= {stage["stage"] for stage in run.stages}
    assert run.spent.seconds > sum(stage["seconds"] for stage in run.stages)
    assert run.peak_mb > 100  # numpy, OpenCV and the nets alone
    report = speed._report({"300 frames": run, "300 frames, with previews": run}, 0.2)
    assert "300 frames, three formats, no previews" in report


# -- table, docs


def test_tables_are_aligned_markdown():
    assert table.table(("", "mm"), [("left", "1.0"), ("r", "10.0")]).splitlines() == [
        "|      |   mm |", "| ---- | ---: |", "| left |  1.0 |", "| r    | 10.0 |",
    ]
    assert table.shown(1234.56) == "1,234.6" and table.shown(None) == table.shown(float("nan")) == "–"


@pytest.mark.parametrize(
    ("figure", "kept"),
    [
        (table.Figure("a", 5.0, 5), True), (table.Figure("a", 5.04, 5), True), (table.Figure("a", 5.06, 5), False),
        (table.Figure("a", 75.0, 75, at_least=True), True), (table.Figure("a", 74.0, 75, at_least=True), False),
        (table.Figure("a", float("nan"), 5), False), (table.Figure("a", None, 5), False), (table.Figure("a", None), True),
    ],
)
def test_a_figure_keeps_its_limit_as_it_is_shown(figure, kept):
    assert figure.met is kept


def test_results_replace_only_what_stood_between_their_markers():
    page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n<!-- y -->\n<!-- /y -->\n"
    assert everything.with_results(page, "x", r"new \1") == page.replace("old", r"new \1")
    with pytest.raises(ValueError, match="<!-- z -->"):
        everything.with_results(page, "z", "new")


@pytest.mark.parametrize("name", everything.BENCHMARKS)
def test_every_benchmark_is_there_and_has_its_place_in_the_page(name):
    assert callable(importlib.import_module(f"benchmarks.{name}").main)
    page = everything.with_results(everything.PAGE.read_text(encoding="utf-8"), name, "x")
    assert page.count(f"<!-- {name} -->\nx\n<!-- /{name} -->") == 1


def test_one_command_runs_them(root):
    done = subprocess.run([sys.executable, "-m", "benchmarks", "--help"], cwd=root, capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in everything.BENCHMARKS)


def test_the_tables_height_is_the_one_that_offsets_are_told_for(seen):
    assert landmark_offsets.sight(seen.truth, seen.track).size == pytest.approx(HEIGHT_M / REFERENCE_HEIGHT_M, rel=1e-6)
