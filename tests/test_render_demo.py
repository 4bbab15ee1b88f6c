"""The project's own clip: its truth is true, and its pictures show it."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from rigdrop.convert.body import Body, body_joint
from rigdrop.convert.rigs.body_options import BodyOptions
from rigdrop.errors import UsageError
from rigdrop.ingest.video import open_clip
from rigdrop.motion.store import read_take, write_take
from rigdrop.render.demo import DemoOptions, render_clip, render_demo, scene_for, stage_demo
from rigdrop.render.playback import joints_in
from rigdrop.render.scene import SceneOptions

SMALL = DemoOptions(seconds=0.5, width=180, height=240)


def joints(person):
    return joints_in(person, slice(None))[:, Body.of(person.rig).joint_index][:, :, :3, 3]


@pytest.mark.parametrize(
    "options", [DemoOptions(), DemoOptions(people=3, seed=8, seconds=6), DemoOptions(seed=2, moves=("round", "punch"), facing_deg=90)]
)
def test_everybody_stays_in_the_picture(options):
    take = stage_demo(options)
    for person in take.people:
        pixels = take.camera.project(joints(person))
        assert (pixels > 0).all() and (pixels < [take.camera.width, take.camera.height]).all()


def test_people_do_not_walk_through_each_other():
    take = stage_demo(DemoOptions(people=4, seed=5, seconds=8))
    roots = np.stack([joints(person)[:, 0] for person in take.people])[:, :, [0, 2]]
    for first in range(4):
        for second in range(first):
            assert np.linalg.norm(roots[first] - roots[second], axis=1).min() >= 0.7


@pytest.mark.parametrize("facing_deg", [0.0, 60.0])
def test_they_face_where_they_were_told_at_the_end_of_their_walk(facing_deg):
    take = stage_demo(DemoOptions(moves=("walk", "turn"), seconds=4.3, facing_deg=facing_deg))
    hips = joints(take.people[0])[-1][[body_joint("right_hip"), body_joint("left_hip")]]
    across = hips[1] - hips[0]
    # Hips that have just stepped are turned by a few degrees; 0 faces the camera on +Z, more turns to the person's left.
    assert np.degrees(np.arctan2(-across[2], across[0])) == pytest.approx(facing_deg, abs=12)


def test_the_demo_walks_turns_waves_and_squats():
    options = DemoOptions(seed=1)
    take = stage_demo(options)
    place = joints(take.people[0])
    root, head = place[:, 0], place[:, body_joint("head")]
    wrists = place[:, [body_joint("left_wrist"), body_joint("right_wrist")]]
    assert np.linalg.norm(root[-1, [0, 2]] - root[0, [0, 2]]) > 1.0
    assert (wrists[..., 1].max(axis=1) > head[:, 1]).sum() > 15
    assert root[:, 1].min() < root[0, 1] - 0.3
    across = place[:, body_joint("left_hip")] - place[:, body_joint("right_hip")]
    heading = np.unwrap(np.arctan2(-across[:, 2], across[:, 0]))
    assert abs(heading[-1] - heading[0]) > 0.8


def test_the_truth_is_a_take_that_can_be_stored(tmp_path):
    take = render_demo(tmp_path / "demo.mp4", replace(SMALL, bodies=(BodyOptions(gender=0.9),)))
    write_take(tmp_path / "truth.h5", take)
    again = read_take(tmp_path / "truth.h5")
    person = again.people[0]
    assert (again.frame_count, again.source_name, person.rig.name) == (15, "demo.mp4", "unreal")
    np.testing.assert_array_equal(person.params["contact"].astype(bool), take.people[0].params["contact"])
    assert person.params["contact"].shape == (15, 4)
    json.dumps(asdict(SMALL))


def test_the_clip_shows_the_truth(tmp_path):
    path, options = tmp_path / "demo.mp4", replace(SMALL, seed=3)
    take = render_demo(path, options)
    clip = open_clip(path)
    frames = list(clip.frames())
    assert (clip.width, clip.height, clip.fps, len(frames)) == (180, 240, 30, 15)
    np.testing.assert_allclose([frame.time_s for frame in frames], take.times_s, atol=1e-4)
    pixels = take.camera.project(joints(take.people[0]))
    knee, chest = pixels[0, body_joint("left_knee")].astype(int), pixels[0, body_joint("spine_3")].astype(int)
    background = frames[0].image_bgr[20, 20].astype(int)
    for x, y in (knee, chest):
        assert np.abs(frames[0].image_bgr[y, x].astype(int) - background).max() > 40


def test_the_same_seed_gives_the_same_truth():
    first, again, other = (stage_demo(replace(SMALL, seed=seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(joints(first.people[0]), joints(again.people[0]))
    assert np.abs(joints(first.people[0])[:, 0] - joints(other.people[0])[:, 0]).max() > 0.01


def test_a_pillar_hides_people_for_a_while_but_not_for_long():
    options = DemoOptions(seed=2, seconds=6, moves=("walk", "turn", "walk"), facing_deg=80, pillar=True, width=1280, height=720)
    take = stage_demo(options)
    scene = scene_for(take, options)
    eye = take.camera.world_from_camera[:3, 3]
    root = joints(take.people[0])[:, 0]
    crossing = eye[0] + (root[:, 0] - eye[0]) * (eye[2] - scene.pillar_z_m) / (eye[2] - root[:, 2])
    hidden = (np.abs(crossing - scene.pillar_x_m) < 0.6 * scene.pillar_width_m).mean()
    assert 0.02 < hidden < 0.3
    assert scene.pillar_z_m > root[:, 2].max() and scene.wall_z_m < root[:, 2].min() - 1


def test_progress_counts_every_frame(tmp_path):
    seen = []
    render_clip(stage_demo(replace(SMALL, seconds=0.2)), tmp_path / "a.mp4", SceneOptions(), lambda done, total: seen.append((done, total)))
    assert seen == [(frame, 6) for frame in range(1, 7)]


@pytest.mark.parametrize("bad", [{"people": 0}, {"people": 9}, {"moves": ("fly",)}, {"seconds": 0.0}, {"fps": -1.0}])
def test_what_cannot_be_is_refused(bad):
    with pytest.raises(UsageError, match="demo: "):
        DemoOptions(**bad)
