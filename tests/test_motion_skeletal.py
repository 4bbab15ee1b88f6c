"""What the readers of skeletal animation share, and files that went through Blender and came back."""

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rigdrop.errors import ReadError
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.registry import read_recording
from rigdrop.ingest.motion_files.skeletal import motion_of, rest_of, split, unique_names
from rigdrop.ingest.motion_files.skin_weights import packed_influences
from rigdrop.motion.kinematics import local_matrices, local_to_world, skin_vertices, world_transforms
from rigdrop.motion.rotations import quat_to_matrix, rotvec_to_quat

from .skeletons import MAN
from .synthetic import rig_take, small_take

TOOL = Path(__file__).parent / "tools" / "blender_rewrite.py"


def test_what_blender_reads_and_writes_again_is_the_same_motion_and_mesh(tmp_path, blender_python):
    take = rig_take(small_take(influences=8).people[0].rig, frames=16, fps=Fraction(30))
    person = take.people[0]
    write_glb_skeletal(take, person, tmp_path / "ours.glb")
    targets = [tmp_path / "theirs.glb", tmp_path / "theirs.usdc"]
    subprocess.run([str(blender_python), str(TOOL), str(tmp_path / "ours.glb"), *map(str, targets)], check=True, capture_output=True)
    truth = world_transforms(person.rig, person.motion.local_quat_xyzw, person.motion.local_translation_m)
    for target in targets:
        recording = read_recording(target, MotionFileOptions())
        assert len(recording.actors) == 1 and recording.fps == 30
        np.testing.assert_allclose(recording.times_s, np.arange(16) / 30, atol=1e-6)
        skeletal = recording.actors[0].motion
        motion, skeleton = skeletal.motion, skeletal.skeleton
        local = local_matrices(motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale)
        read = local_to_world(skeleton.joint_parents, local)
        order = [_legal(skeleton.joint_names).index(name) for name in _legal(person.rig.joint_names)]
        np.testing.assert_allclose(read[:, order][..., :3, 3], truth[..., :3, 3], atol=1e-5)
        # Blender may split vertices and list them otherwise; what they are around is the same in every frame.
        ours, theirs = skin_vertices(person.rig, truth), skin_vertices(skeletal.rig, read)
        np.testing.assert_allclose(theirs.min(axis=1), ours.min(axis=1), atol=1e-4)
        np.testing.assert_allclose(theirs.max(axis=1), ours.max(axis=1), atol=1e-4)


def _legal(names) -> list[str]:
    return ["".join(letter if letter.isalnum() else "_" for letter in name) for name in names]


def test_world_transforms_become_local_ones_that_give_them_back():
    rng = np.random.default_rng(0)
    parents = [-1, 0, 1, 1, 0]
    worlds = np.tile(np.eye(4), (7, 5, 1, 1))
    worlds[..., :3, :3] = quat_to_matrix(rotvec_to_quat(rng.normal(0, 1.5, (7, 5, 3)))) * rng.uniform(0.5, 2, (7, 5))[..., None, None]
    worlds[..., :3, 3] = rng.normal(size=(7, 5, 3))
    rest = rest_of("a file", list("abcde"), parents, worlds[0], None)
    motion = motion_of("a file", rest, [worlds[:3], worlds[3:]])
    read = local_to_world(np.array(parents), local_matrices(motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale))
    np.testing.assert_allclose(read[..., :3, 3], worlds[..., :3, 3], atol=1e-5)
    # Scales are what they are at rest times what moves.
    np.testing.assert_allclose(read[..., :3, :3] * rest.scale[:, None, None], worlds[..., :3, :3], atol=1e-5)
    np.testing.assert_allclose(local_to_world(np.array(parents), rest.skeleton.rest_local)[:, :3, 3], worlds[0, :, :3, 3], atol=1e-12)


def test_a_map_of_the_needed_joints_is_enough_and_the_spine_lies_between_them(tmp_path):
    parts = {"shoulder": "Arm", "elbow": "ForeArm", "wrist": "Hand", "hip": "UpLeg", "knee": "Leg", "ankle": "Foot"}
    truth = {"pelvis": "Hips", **{f"{side}_{part}": side.title() + name for side in ("left", "right") for part, name in parts.items()}}
    bone = {name: f"Bone{number:02}" for number, name in enumerate(MAN.names)}
    worlds = np.tile(np.eye(4), (len(MAN.names), 1, 1))
    worlds[:, :3, 3] = MAN.places_m()
    joint_map = tmp_path / "map.toml"
    joint_map.write_text("".join(f'{meaning} = "{bone[name]}"\n' for meaning, name in truth.items()))
    rest = rest_of("a file", list(bone.values()), MAN.parents, worlds, joint_map)
    truth |= {"spine_1": "Spine", "spine_2": "Spine1", "spine_3": "Spine2"}
    assert {meaning: MAN.names[joint] for meaning, joint in rest.skeleton.semantic.items()} == truth and not rest.warnings


@pytest.mark.parametrize(("linear", "message"), [
    (np.diag([1, 1, 1.01]), "joint 'b': found a scale that is not the same along all axes \\(1, 1, 1.01\\)"),
    (np.diag([1, -1, 1]), "joint 'b': found a mirrored or zero scale"),
    (np.diag([0, 0, 0]), "joint 'b': found a mirrored or zero scale"),
    (np.array([[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]), "joint 'b': found a scale that is not the same"),
    (np.diag([1, np.nan, 1]), "found NaN"),
])
def test_scales_that_cannot_be_kept_are_refused_by_name(linear, message):
    matrices = np.tile(np.eye(4), (3, 2, 1, 1))
    matrices[1, 1, :3, :3] = linear
    with pytest.raises(ReadError, match=f"a file: {message}"):
        split("a file", ["a", "b"], matrices)


def test_scales_that_only_rounding_made_uneven_are_taken():
    _, scale = split("a file", ["a"], np.diag([0.01, 0.01 * (1 + 1e-4), 0.01, 1.0])[None])
    np.testing.assert_allclose(scale, 0.01, rtol=1e-4)


def test_names_are_made_unique_without_taking_anothers():
    assert unique_names(["a", "b", "a", "a_2", "a", "b"]) == ("a", "b", "a_3", "a_2", "a_4", "b_2")


def test_influences_are_sorted_cut_to_eight_and_sum_to_one():
    weights = np.array([[0.0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]])
    joints, packed = packed_influences([(np.tile(np.arange(10), (2, 1)), weights), (np.array([[3, 4]]), np.array([[-1.0, 2.0]]))])
    assert joints[0].tolist() == [9, 8, 7, 6, 5, 4, 3, 2] and joints[2].tolist() == [4, 0, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(packed[0], np.arange(9, 1, -1) / 44, atol=1e-7)
    np.testing.assert_allclose(packed.sum(axis=1), 1, atol=1e-6)
    assert packed[1].tolist() == [1, 0, 0, 0, 0, 0, 0, 0] and joints[1, 0] == 0
