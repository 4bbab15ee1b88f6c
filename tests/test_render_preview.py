"""Previews of a take: the right frames, the bodies where they are, and ghosts where nobody was seen."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest

from rigdrop.convert.body import Body
from rigdrop.errors import SettingsError
from rigdrop.ingest.video import Frame, open_clip
from rigdrop.motion.rig import Rig, Skeleton, vertex_normals
from rigdrop.motion.take import Camera, Motion, Person, Take
from rigdrop.render.panels import OrbitPanel, colour_of
from rigdrop.render.preview import PreviewOptions, contact_sheet, empty_frames, shown_frames, write_preview
from rigdrop.render.view import look_at, pinhole

from .bodies import humanoid, turns
from .synthetic import small_take
from .test_render_painter import sphere

WIDTH, HEIGHT, FRAMES = 320, 180, 14
GREY = 120
HEAD_ABOVE_PELVIS_M = 0.65  # the middle of the head's box on the test rig
OPTIONS = PreviewOptions(height=180, moments=5, sheet_width=900)


def person(number, x_m, visible=True):
    rig = humanoid()
    quat = turns({"left_shoulder": np.array([0.0, 0, -1.2]), "right_shoulder": np.array([0.0, 0, 1.2])}, FRAMES)
    root = np.tile([x_m, 0.95, 0.0], (FRAMES, 1)) + np.linspace(0, 0.3, FRAMES)[:, None] * [0, 0, 1]
    seen = np.ones(FRAMES, bool)
    if not visible:
        seen[5:] = False
    motion = Body.of(rig).to_motion(quat, root, seen, np.ones(FRAMES))
    name = f"person_{number:02d}"
    return Person(name, name, number, rig, motion)


def take_of(*people, times=None):
    camera = Camera(WIDTH, HEIGHT, pinhole(WIDTH, HEIGHT, 250.0), look_at((0, 1.2, 3.6), (0, 0.9, 0)))
    times = np.arange(FRAMES) / 30 if times is None else times
    return Take(times, Fraction(30), camera, people, "clip.mp4", "0" * 64, "2026-01-01T00:00:00+00:00", "0")


def source(count=FRAMES):
    for index in range(count):
        yield Frame(index, index / 30, np.full((HEIGHT, WIDTH, 3), GREY, np.uint8))


@pytest.fixture
def written(tmp_path):
    def write(take, options=OPTIONS, frames=None, on_progress=None):
        video, sheet = tmp_path / "preview.mp4", tmp_path / "preview.png"
        write_preview(take, source() if frames is None else frames, video, sheet, options, on_progress)
        return [frame.image_bgr.astype(int) for frame in open_clip(video).frames()], cv2.imread(str(sheet)), open_clip(video)

    return write


def test_the_video_has_every_frame_at_its_time_and_both_panels(written, tmp_path):
    frames, sheet, clip = written(take_of(person(1, 0.0)))
    assert len(frames) == FRAMES and (clip.width, clip.height) == (WIDTH + HEIGHT, HEIGHT)
    np.testing.assert_allclose([frame.time_s for frame in clip.frames()], np.arange(FRAMES) / 30, atol=1e-4)
    assert sheet.shape == (2 * 108, 900, 3)  # five moments, three a row, each scaled to 300 × 108


def test_the_body_is_drawn_where_its_joints_are_and_in_its_own_colour(written):
    take = take_of(person(1, -0.6), person(2, 0.6))
    frames, _, _ = written(take)
    for index, somebody in enumerate(take.people):
        head = np.array([(-0.6, 0.6)[index], 0.95 + HEAD_ABOVE_PELVIS_M, 0.02])
        x, y = take.camera.project(head[None, None])[0, 0].astype(int)
        drawn = frames[0][y, x]
        assert somebody.id == f"person_{index + 1:02d}" and np.argmax(drawn) == np.argmax(colour_of(index)) and np.ptp(drawn) > 40
    np.testing.assert_allclose(frames[0][HEIGHT // 2 + 40, 5], GREY, atol=4)  # the source beside them is as it was


def bare():
    """Somebody of whom there is a ball a frame, that hops from side to side and grows while their one joint stays."""
    ball = sphere((0, 0, 0), 1.0, (0, 0, 0))
    sides, radii = np.where(np.arange(FRAMES) % 2, 0.7, -0.7), np.linspace(0.2, 0.35, FRAMES)
    meshes = (ball.vertices_m * radii[:, None, None] + np.stack([sides, np.full(FRAMES, 0.9), 0 * sides], 1)[:, None]).astype(np.float32)
    here, count = np.eye(4)[None], len(ball.vertices_m)
    skeleton = Skeleton(("body",), np.array([-1], np.int32), here)
    rig = Rig("bare-mesh", skeleton, here, meshes[0], ball.faces, vertex_normals(meshes[0], ball.faces), np.zeros((count, 1), np.uint16),
              np.ones((count, 1), np.float32))
    still = np.tile([0.0, 0, 0, 1], (FRAMES, 1, 1)), np.zeros((FRAMES, 1, 3))
    return Person("person_01", "a", 1, rig, Motion(*still, np.ones(FRAMES, bool), np.ones(FRAMES)), meshes), sides, radii


def test_meshes_that_were_kept_are_drawn_as_they_are_in_every_frame(written):
    somebody, sides, radii = bare()
    take = take_of(somebody)
    frames, _, _ = written(take)
    for frame, side, radius in zip(frames, sides, radii, strict=True):
        truth_x, truth_y = take.camera.project(np.array([[[side, 0.9, 0.0]]]))[0, 0]
        top = int(truth_y - 250 * radius / 3.6) - 3  # the name is above that
        y, x = np.nonzero(np.ptp(frame[top:150, :WIDTH], axis=2) > 25) + np.array([[top], [0]])  # what has a colour
        assert np.median(x) == pytest.approx(truth_x, abs=2) and np.median(y) == pytest.approx(truth_y, abs=2)
        # A disc of that radius at 3.6 m, 250 pixels a metre at a metre; a ball is seen a little larger, and the video softens its edge.
        assert len(x) == pytest.approx(np.pi * (250 * radius / 3.6) ** 2, rel=0.2)
        room = frame[:, WIDTH:]
        assert (np.ptp(room, axis=2) > 60).sum() > 100  # it is in the view from the side too


def test_morph_targets_move_the_skin_that_is_drawn(written):
    plain = person(1, 0.0)
    aside_m = np.zeros((1, len(plain.rig.vertices_m), 3), np.float32)
    aside_m[..., 0] = 0.4
    weights = (np.arange(FRAMES) >= 7).astype(np.float32)[:, None]
    morphed = replace(plain, rig=replace(plain.rig, morph_targets_m=aside_m), motion=replace(plain.motion, morph_weights=weights))
    frames, _, _ = written(take_of(morphed))
    before, after = (np.median(np.nonzero(np.ptp(frame[40:150, :WIDTH], axis=2) > 25)[1]) for frame in (frames[6], frames[7]))
    # 250 pixels a metre at a metre, about 3.6 m away; the root goes a little way toward the camera.
    assert after - before == pytest.approx(0.4 * 250 / 3.6, abs=4)


def test_whoever_was_not_seen_is_a_ghost(written):
    frames, _, _ = written(take_of(person(1, 0.0, visible=False)))
    body = (slice(70, 110), slice(150, 170))
    change = [np.abs(frame[body] - GREY).max(axis=2).mean() for frame in frames]
    assert max(change[6:]) < 0.5 * min(change[:5])


def test_nobody_is_a_picture_of_the_clip_alone(written):
    frames, sheet, _ = written(take_of())
    np.testing.assert_allclose(frames[0][:150, :WIDTH], GREY, atol=4)
    assert sheet is not None


def test_one_frame_is_enough(written):
    take = take_of(times=np.array([0.7]))
    frames, sheet, _ = written(take, frames=source(1))
    assert len(frames) == 1 and sheet.shape == (HEIGHT, WIDTH + HEIGHT, 3)


def test_motion_that_nobody_filmed_has_an_empty_picture_for_each_frame():
    take = small_take(3)
    frames = list(empty_frames(take))
    assert [(frame.index, frame.time_s) for frame in frames] == list(enumerate(take.times_s.tolist()))
    for frame in frames:
        assert frame.image_bgr.shape == (take.camera.height, take.camera.width, 3)
        assert frame.image_bgr.min() == frame.image_bgr.max()


def test_fewer_frames_than_the_take_has_end_the_preview_early(written):
    frames, _, _ = written(take_of(person(1, 0.0)), frames=source(4))
    assert len(frames) == 4


def test_a_portrait_clip_of_odd_size_works(written):
    take = take_of(person(1, 0.0))
    camera = Camera(111, 221, pinhole(111, 221, 200.0), take.camera.world_from_camera)
    pictures = [Frame(index, index / 30, np.zeros((221, 111, 3), np.uint8)) for index in range(FRAMES)]
    _, _, clip = written(replace(take, camera=camera), options=PreviewOptions(), frames=pictures)
    assert (clip.width % 2, clip.height) == (0, 220)


def test_progress_is_told(written):
    seen = []
    written(take_of(person(1, 0.0)), on_progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (1, FRAMES) and seen[-1] == (FRAMES, FRAMES)


def test_the_view_from_the_side_is_fixed_and_shows_everybody():
    places = np.random.default_rng(0).uniform([-2, 0, -1], [1, 1.8, 2], (100, 3))
    panel = OrbitPanel(places, [places * [1, 0, 1]], 200)
    pixels, depth = panel._view.project(places)
    assert (depth > 0).all() and (pixels > 0).all() and (pixels < 200).all()
    first, second = panel.picture([], []), panel.picture([], [])
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 50  # there is a grid and a path


@pytest.mark.parametrize(
    ("rate", "count", "expected"),
    [(30, 300, 300), (60, 300, 150), (59.94, 300, 150), (240, 480, 60), (25, 300, 300), (30, 1800, 1800), (30, 3601, 1201),
     (30, 108_000, 1800)],
)
def test_long_and_fast_clips_are_thinned_evenly(rate, count, expected):
    shown = shown_frames(np.arange(count) / rate, PreviewOptions())
    assert len(shown) == expected and len(set(np.diff(shown))) <= 1


def test_a_sheet_fills_its_last_row():
    tiles = [np.full((10, 20, 3), value, np.uint8) for value in (1, 2, 3)]
    sheet = contact_sheet(tiles, 2)
    assert sheet.shape == (20, 40, 3)
    assert [sheet[0, 0, 0], sheet[0, 39, 0], sheet[19, 0, 0], sheet[19, 39, 0]] == [1, 2, 3, 0]


def test_a_preview_of_no_size_is_refused():
    with pytest.raises(SettingsError, match="preview: height"):
        PreviewOptions(height=0)


