"""From an AMASS file and somebody's own body model to joints and mesh in our world, against SMPL's formula written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.convert.embody_smpl import embody_smpl
from rigdrop.convert.recorded import RecordedOptions, people_of
from rigdrop.convert.rigs.smpl import load_smpl, stood
from rigdrop.ingest.motion_files import amass
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.motion.kinematics import skin_vertices, world_transforms

from .smpl_files import made_up_model, moves, save_model, smpl_formula

FRAMES = 60
# The file's 16 betas, as large as people's are.
BETAS = np.random.default_rng(8).normal(0, 1.0, 16)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with AMASS's bodies, and an AMASS file of 60 frames at 120 fps, Z up; with what SMPL's formula makes of both."""
    folder = tmp_path_factory.mktemp("amass")
    arrays = made_up_model("smplh")
    save_model(folder / "bodies" / "female" / "model.npz", arrays)
    rotvec, trans_m = moves("smplh", FRAMES)
    np.savez(folder / "walk_poses.npz", poses=rotvec.reshape(FRAMES, 156), trans=trans_m, betas=BETAS, gender="female",
             mocap_framerate=120.0)
    joints, vertices = smpl_formula(arrays, BETAS, rotvec, trans_m)
    return folder, *(np.stack([places[..., 0], places[..., 2], -places[..., 1]], axis=-1) for places in (joints, vertices))


@pytest.fixture(scope="module")
def embodied(files):
    folder, _, _ = files
    recording = amass.read(folder / "walk_poses.npz", MotionFileOptions())
    (actor,) = recording.actors
    rig = load_smpl(folder / "bodies", actor.motion.model, actor.motion.gender, actor.motion.betas)
    return recording, embody_smpl(actor, recording.times_s, rig)


def test_joints_stand_where_smpl_has_them(files, embodied):
    _, joints, _ = files
    # Doubles all the way: 0.001 mm is asked for, rounding is a million times less.
    assert 1000 * np.abs(embodied[1].joints_m - joints).max() < 1e-9


def test_the_mesh_stands_where_smpls_skinning_has_it(files, embodied):
    _, _, vertices = files
    performance = embodied[1]
    # Vertices and weights are kept in single precision: 1e-7 of two metres; 0.01 mm is asked for.
    apart_mm = 1000 * np.linalg.norm(skin_vertices(performance.rig, performance.T_world_joint) - vertices, axis=-1)
    assert apart_mm.max() < 0.001


def test_what_a_take_stores_is_as_near(files, embodied):
    """Single-precision turns and places, as take.h5 holds them."""
    _, joints, vertices = files
    recording, performance = embodied
    kept = performance.of_motion(performance.rig, recording.times_s, performance.to_motion())
    # A turn in single precision is off by 1e-7 rad a joint, along a metre of ten joints.
    assert 1000 * np.linalg.norm(kept.joints_m - joints, axis=-1).max() < 0.001
    assert 1000 * np.linalg.norm(skin_vertices(kept.rig, kept.T_world_joint) - vertices, axis=-1).max() < 0.01


def test_times_are_the_files(embodied):
    recording, performance = embodied
    assert recording.fps == 120
    np.testing.assert_allclose(performance.times_s, np.arange(FRAMES) / 120, atol=1e-9)


def test_on_the_ground_the_rig_rests_elsewhere_and_moves_alike(files, embodied):
    _, joints, vertices = files
    performance = replace(embodied[1], rig=stood(embodied[1].rig))
    assert abs(performance.rig.vertices_m[:, 1].min()) < 1e-6
    assert 1000 * np.abs(performance.joints_m - joints).max() < 1e-9
    assert 1000 * np.linalg.norm(skin_vertices(performance.rig, performance.T_world_joint) - vertices, axis=-1).max() < 0.001


def test_other_betas_make_another_body(files, embodied):
    """Without the file's betas the joints would be off by centimetres: the test sees them."""
    folder, joints, _ = files
    recording = embodied[0]
    mean = load_smpl(folder / "bodies", "smplh", "female", None)
    assert np.linalg.norm(embody_smpl(recording.actors[0], recording.times_s, mean).joints_m - joints, axis=-1).max() > 0.01


@pytest.mark.parametrize("rig", ["smplh", "unreal"])
def test_a_conversion_takes_the_persons_own_body_where_there_is_a_folder(files, embodied, rig):
    """On the rig of the file's own name the motion is as the file has it; on another it is carried over from there."""
    folder, joints, vertices = files
    recording = embodied[0]
    loaded = []

    def load(name):
        loaded.append(name)
        return stood(load_smpl(folder / "bodies", "smplh", "female", None))  # any other body will do

    people = people_of(recording, RecordedOptions(rig=rig, smpl=folder / "bodies"), load, pytest.fail)
    (person,), (figures,) = people.people, people.details["clean"]
    assert loaded == ([] if rig == "smplh" else ["unreal"])
    assert figures["smpl"]["gender"] == "female" and figures["smpl"]["from_the_models_mesh_mm"]["mean"] > 1
    if rig == "smplh":
        motion = person.motion
        T_world = world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale)
        assert 1000 * np.linalg.norm(T_world[..., :3, 3] - joints, axis=-1).max() < 0.001
        assert 1000 * np.linalg.norm(skin_vertices(person.rig, T_world) - vertices, axis=-1).max() < 0.01
