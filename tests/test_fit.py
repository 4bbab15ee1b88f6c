"""The fit against motion whose truth is known, seen by a perfect estimator unless a test says otherwise.

Places are compared from the pelvis, because one camera tells the distance only by the height that it is given. What
remains is what the fit adds to what it sees: prior, limits, smoothness, and landmarks' 9 cm of mistrust. Measured with
exact landmarks: 5 to 7 mm on walks, 7 to 13 mm on an exercise that strains every joint; limits are about twice that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from threadpoolctl import threadpool_limits

from rigdrop.convert import fit
from rigdrop.convert.body import Body, body_joint
from rigdrop.convert.fit import FitOptions, FitResult, Lens, fit_track
from rigdrop.convert.fitting.terms import MEAN_POSE_XYZW
from rigdrop.ingest.tracks import Track

from .bodies import (
    FOCAL_PX,
    HEIGHT,
    HEIGHT_M,
    WIDTH,
    exercise,
    humanoid,
    landmark_places,
    mirrored,
    seen_track,
    walk,
    world_from_camera,
)

LENS = Lens(FOCAL_PX, WIDTH / 2, HEIGHT / 2)
# The exercise moves its feet slowly over the ground, which no sole that stands does.
IN_THE_AIR = FitOptions(height_m=HEIGHT_M, contacts=False)
ON_THE_GROUND = FitOptions(height_m=HEIGHT_M)
TIMES_S = np.arange(45) / 30


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """As `fit_people` does: on a busy machine many threads wait for each other."""
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


def _into_camera(quat: np.ndarray, root_m: np.ndarray, T_world_camera: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    turned = quat.copy()
    turned[:, 0] = (Rotation.from_matrix(T_world_camera[:3, :3].T) * Rotation.from_quat(quat[:, 0])).as_quat()
    return turned, (root_m - T_world_camera[:3, 3]) @ T_world_camera[:3, :3]


def _errors_mm(body: Body, result: FitResult, quat: np.ndarray, root_m: np.ndarray) -> np.ndarray:
    """Distances (F,22) of joints from where they should be, seen from the pelvis."""
    away = body.positions(result.quat_xyzw, result.root_m) - body.positions(quat, root_m)
    return 1000 * np.linalg.norm(away - away[:, :1], axis=-1)


def _assert_whole(result: FitResult) -> None:
    for values in (result.quat_xyzw, result.root_m, result.log_shape, result.planted, result.seen_scale):
        assert np.isfinite(values).all()
    assert np.allclose(np.linalg.norm(result.quat_xyzw, axis=-1), 1)


@pytest.fixture(scope="module")
def seen(body) -> tuple[Track, np.ndarray, np.ndarray]:
    quat, root_m = exercise(TIMES_S)
    return seen_track(landmark_places(body, quat, root_m)), quat, root_m


@pytest.fixture(scope="module")
def fitted(body, seen) -> FitResult:
    return fit_track(body, seen[0], LENS, TIMES_S, IN_THE_AIR)


def test_exact_landmarks_give_the_motion_back(body, seen, fitted):
    _, quat, root_m = seen
    errors = _errors_mm(body, fitted, quat, root_m)
    assert errors.mean() < 20
    assert errors.max() < 60
    away = fitted.root_m - root_m
    assert np.abs(away[:, :2]).mean() < 0.015
    assert np.abs(away[:, 2]).mean() < 0.03 * 3.5  # the distance is known as well as the height
    _assert_whole(fitted)


def test_the_size_of_the_3d_landmarks_is_found(body, seen):
    _, quat, root_m = seen
    track = seen_track(landmark_places(body, quat, root_m), short=1 / 1.2)
    result = fit_track(body, track, LENS, TIMES_S, IN_THE_AIR)
    assert result.seen_scale == pytest.approx(1.2, rel=0.03)
    assert _errors_mm(body, result, quat, root_m).mean() < 25


def test_a_given_height_makes_the_body_that_tall(body, seen):
    short = _part(seen[0], slice(0, 15))
    result = fit_track(body, short, LENS, TIMES_S[:15], replace(IN_THE_AIR, height_m=1.9))
    assert np.exp(result.log_shape[0]) == pytest.approx(1.9 / HEIGHT_M, rel=0.03)
    # A taller body fills the same picture from further away.
    assert result.root_m[:, 2].mean() / seen[2][:15, 2].mean() == pytest.approx(1.9 / HEIGHT_M, rel=0.04)


def _part(track: Track, frames: slice) -> Track:
    names = ("landmarks_px", "landmarks_m", "visibility", "seen", "score", "box_px", "hands_px", "hands_m", "hand_score")
    return replace(track, **{name: getattr(track, name)[frames] for name in names})


def _hidden(track: Track, frames: np.ndarray) -> Track:
    """The track with nothing seen on ``frames`` (F,)."""
    wide = {
        name: np.where(frames.reshape(-1, *[1] * (getattr(track, name).ndim - 1)), np.nan, getattr(track, name))
        for name in ("landmarks_px", "landmarks_m", "visibility", "score", "box_px")
    }
    return replace(track, seen=track.seen & ~frames, **wide)


def test_frames_that_were_not_seen_are_filled(body, seen):
    track, quat, root_m = seen
    hidden = np.zeros(len(TIMES_S), bool)
    hidden[18:24] = True
    result = fit_track(body, _hidden(track, hidden), LENS, TIMES_S, IN_THE_AIR)
    _assert_whole(result)
    errors = _errors_mm(body, result, quat, root_m)
    assert errors[~hidden].mean() < 20
    # A fifth of a second in which limbs swing by up to half a metre; held still, they are off by 150 mm and more.
    assert errors[hidden].mean() < 40


@pytest.mark.parametrize("ends", [slice(0, 6), slice(-6, None)], ids=["start", "end"])
def test_a_track_that_begins_or_ends_unseen(body, seen, ends):
    track, quat, root_m = seen
    hidden = np.zeros(len(TIMES_S), bool)
    hidden[ends] = True
    result = fit_track(body, _hidden(track, hidden), LENS, TIMES_S, IN_THE_AIR)
    _assert_whole(result)
    assert _errors_mm(body, result, quat, root_m)[~hidden].mean() < 20
    assert np.abs(np.diff(result.root_m, axis=0)).max() < 0.03  # it goes on at a walk, no faster


def test_a_landmark_that_is_hidden_does_not_pull(body, seen, fitted):
    track, quat, root_m = seen
    visibility, pixels, points = track.visibility.copy(), track.landmarks_px.copy(), track.landmarks_m.copy()
    hand = [15, 17, 19, 21]
    visibility[20:25, hand], pixels[20:25, hand], points[20:25, hand] = 0.0, pixels[20:25, hand] + 80, points[20:25, hand] + 0.25
    result = fit_track(body, replace(track, visibility=visibility, landmarks_px=pixels, landmarks_m=points), LENS, TIMES_S, IN_THE_AIR)
    wrist = body_joint("left_wrist")
    errors = _errors_mm(body, result, quat, root_m)
    assert errors[20:25, wrist].max() < 60  # of the 300 and more by which it lies
    assert np.delete(errors, wrist, axis=1).mean() < 20


def test_a_guessed_landmark_weighs_next_to_nothing():
    trust = fit._trust(np.array([0.0, 0.005, 0.02, 0.1, 0.5, 1.0]))
    assert (np.diff(trust) > 0).all()
    assert trust[:2].max() < 0.001  # such landmarks lie by half a metre
    assert trust[3:] == pytest.approx([0.1, 0.5, 1.0], rel=0.05)


def test_habit_is_stronger_where_an_arm_is_not_seen(body, seen, monkeypatch):
    track, quat, root_m = seen
    arm, shoulder = [13, 15, 17, 19, 21], body_joint("left_shoulder")
    visibility = track.visibility.copy()
    visibility[:, arm] = 0.0
    blind = replace(track, visibility=visibility)

    def away() -> float:
        result = fit_track(body, blind, LENS, TIMES_S, IN_THE_AIR)
        others = np.delete(_errors_mm(body, result, quat, root_m), [body_joint("left_elbow"), body_joint("left_wrist")], axis=1)
        assert others.mean() < 25
        found, habit = Rotation.from_quat(result.quat_xyzw[:, shoulder]), Rotation.from_quat(MEAN_POSE_XYZW[shoulder])
        return float((found * habit.inv()).magnitude().mean())

    with_habit = away()
    monkeypatch.setattr(fit, "_BLIND_STRENGTH", 1.0)
    assert with_habit < 0.95 * away()


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_blow_toward_the_camera_whose_depth_is_not_read(body, share):
    quat, root_m = _blow()
    track = seen_track(landmark_places(body, quat, root_m))
    flat, right_arm = track.landmarks_m.copy(), [14, 16, 18, 20, 22]
    flat[:, right_arm, 2] = flat[:, 12, None, 2] + share * (flat[:, right_arm, 2] - flat[:, 12, None, 2])
    result = fit_track(body, replace(track, landmarks_m=flat), LENS, TIMES_S, IN_THE_AIR)
    wrist = body_joint("right_wrist")
    ours, truth = (body.positions(q, r)[:, wrist] - r for q, r in ((result.quat_xyzw, result.root_m), (quat, root_m)))
    held = slice(20, 30)
    assert np.abs(ours[held, 2] - truth[held, 2]).max() < 0.1  # of half a metre
    speed, true_speed = (np.linalg.norm(np.diff(place, axis=0), axis=-1).max() for place in (ours, truth))
    assert speed > 0.75 * true_speed


def _blow() -> tuple[np.ndarray, np.ndarray]:
    """Local turns (45,22,4) and pelvis (45,3) of somebody who strikes toward the camera with the right fist, and holds it there."""
    out = np.clip((np.arange(45) - 17) / 3, 0, 1)
    guard, struck = Rotation.from_euler("xyz", [0, 30, 60], degrees=True), Rotation.from_euler("xyz", [0, 85, 5], degrees=True)
    away = (struck * guard.inv()).as_rotvec()
    quat = np.tile(MEAN_POSE_XYZW, (45, 1, 1))
    quat[:, body_joint("right_shoulder")] = (Rotation.from_rotvec(out[:, None] * away) * guard).as_quat()
    quat[:, body_joint("right_elbow")] = Rotation.from_rotvec((1.9 - 1.7 * out)[:, None] * [0, 1.0, 0]).as_quat()
    return quat, np.tile([0.1, 0.1, -3.5], (45, 1))


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_a_track_of_a_few_frames(body, seen, frames):
    track, quat, root_m = seen
    for options in (IN_THE_AIR, ON_THE_GROUND):
        result = fit_track(body, _part(track, slice(0, frames)), LENS, TIMES_S[:frames], options)
        _assert_whole(result)
        assert len(result.quat_xyzw) == len(result.root_m) == len(result.planted) == frames
        assert _errors_mm(body, result, quat[:frames], root_m[:frames]).mean() < 20


def test_uneven_times_are_as_good_as_even_ones(body):
    times_s = np.cumsum(np.random.default_rng(0).choice([1 / 60, 1 / 30, 1 / 15], len(TIMES_S)))
    quat, root_m = exercise(times_s)
    result = fit_track(body, seen_track(landmark_places(body, quat, root_m)), LENS, times_s, IN_THE_AIR)
    assert _errors_mm(body, result, quat, root_m).mean() < 20


def test_a_mirrored_person_gives_the_mirrored_motion(body, seen, fitted):
    _, quat, root_m = seen
    other = fit_track(body, seen_track(landmark_places(body, *mirrored(quat, root_m))), LENS, TIMES_S, IN_THE_AIR)
    expected_quat, expected_root_m = mirrored(fitted.quat_xyzw, fitted.root_m)
    # The same sums in another order, over a dozen steps of a solve that is well conditioned where landmarks are seen.
    assert np.abs(other.root_m - expected_root_m).max() < 1e-5
    assert np.abs(body.positions(other.quat_xyzw, other.root_m) - body.positions(expected_quat, expected_root_m)).max() < 1e-4


def test_the_same_track_gives_the_same_motion(body, seen):
    short = _part(seen[0], slice(0, 10))
    first, again = (fit_track(body, short, LENS, TIMES_S[:10], IN_THE_AIR) for _ in range(2))
    assert np.array_equal(first.quat_xyzw, again.quat_xyzw)
    assert np.array_equal(first.root_m, again.root_m)


@pytest.mark.parametrize(("pitch_deg", "height_m"), [(0, 1.3), (12, 1.8)])
def test_somebody_who_walks_on_the_ground(body, pitch_deg, height_m):
    quat, root_m = walk(body, TIMES_S, heading_rad=0.6)
    in_camera = _into_camera(quat, root_m, world_from_camera(np.radians(pitch_deg), height_m, 4.0))
    result = fit_track(body, seen_track(landmark_places(body, *in_camera)), LENS, TIMES_S, ON_THE_GROUND)
    assert _errors_mm(body, result, *in_camera).mean() < 14
    truth = np.linalg.norm(np.diff(body.sole_places(quat, root_m), axis=0), axis=-1) < 1e-6
    sure = result.planted[:-1] > 0.8
    assert (sure & truth).sum() / truth.sum() > 0.9  # most standing soles are known to stand
    assert (sure & truth).sum() / sure.sum() > 0.8  # and few others are held to; a swing begins and ends slowly
    slide = np.linalg.norm(np.diff(body.sole_places(result.quat_xyzw, result.root_m), axis=0), axis=-1)[truth & sure]
    assert slide.mean() < 0.004  # a planted sole may move by 4 mm a frame


def test_noise_does_not_come_through(body):
    times_s = np.arange(45) / 30
    quat, root_m = walk(body, times_s, speed_m_s=0.0)
    in_camera = _into_camera(quat, root_m, world_from_camera(0.0, 1.3, 4.0))
    track = seen_track(landmark_places(body, *in_camera), noise_px=2.0, noise_m=0.03)
    result = fit_track(body, track, LENS, times_s, ON_THE_GROUND)
    given = np.linalg.norm(np.diff(track.landmarks_m, 2, axis=0), axis=-1).mean()
    ours = np.linalg.norm(np.diff(body.positions(result.quat_xyzw, result.root_m), 2, axis=0), axis=-1).mean()
    assert ours < 0.1 * given
    assert _errors_mm(body, result, *in_camera).mean() < 30


# Long tracks.


def test_windows_cover_all_frames_and_overlap(monkeypatch):
    monkeypatch.setattr(fit, "WINDOW_FRAMES", 40)
    monkeypatch.setattr(fit, "OVERLAP_FRAMES", 12)
    for frames in range(1, 200):
        windows = fit._windows(frames)
        assert (windows[0].start, windows[-1].stop) == (0, frames)
        for before, after in pairwise(windows):
            assert before.stop - after.start == 12
        assert all(window.stop - window.start <= 52 for window in windows)
        assert all(window.stop - window.start > 12 for window in windows) or len(windows) == 1


def test_windows_of_a_long_track_agree_at_their_seams(body, monkeypatch):
    times_s = np.arange(100) / 30
    quat, root_m = exercise(times_s)
    track = seen_track(landmark_places(body, quat, root_m))
    whole = fit_track(body, track, LENS, times_s, IN_THE_AIR)
    monkeypatch.setattr(fit, "WINDOW_FRAMES", 40)
    monkeypatch.setattr(fit, "OVERLAP_FRAMES", 12)
    done: list[int] = []
    parts = fit_track(body, track, LENS, times_s, IN_THE_AIR, done.append)
    seams = [window.start for window in fit._windows(100)[1:]]
    assert seams == [28, 56, 84]
    _assert_whole(parts)
    assert _errors_mm(body, parts, quat, root_m).mean() < 20
    places, all_at_once = (body.positions(result.quat_xyzw, result.root_m) for result in (parts, whole))
    assert np.linalg.norm(places - all_at_once, axis=-1).mean() < 0.005
    # No pop: within the blends nothing speeds up more than it does in the whole clip's solve, but for a few mm a frame².
    pops = [np.linalg.norm(np.diff(values, 2, axis=0), axis=-1) for values in (places, all_at_once)]
    for seam in seams:
        assert pops[0][seam - 2 : seam + 13].max() < pops[1].max() + 0.003
    assert sum(done) == 100 + 3 * 12


def test_progress_counts_every_frame(body, seen):
    done: list[int] = []
    fit_track(body, _part(seen[0], slice(0, 7)), LENS, TIMES_S[:7], IN_THE_AIR, done.append)
    assert done == [7]


def test_rays_go_right_and_up_from_the_middle():
    rays = LENS.rays(np.array([[WIDTH / 2, HEIGHT / 2], [WIDTH / 2 + FOCAL_PX, HEIGHT / 2], [WIDTH / 2, HEIGHT / 2 - FOCAL_PX / 2]]))
    assert np.allclose(rays, [[0, 0], [1, 0], [0, 0.5]])


def test_the_rigs_height_is_its_meshs(body):
    assert fit.rig_height_m(body) == pytest.approx(HEIGHT_M)
