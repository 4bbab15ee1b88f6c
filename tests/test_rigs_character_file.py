"""Somebody's own character: named, stood up and freed of scale, its mesh and its motion as they were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body
from rigdrop.convert.rigs.character_file import body_semantic, character_from
from rigdrop.errors import ReadError
from rigdrop.ingest.recording import SkeletalMotion
from rigdrop.motion.joint_names import CORE, PRESETS
from rigdrop.motion.kinematics import local_to_world, skin_vertices, world_to_local
from rigdrop.motion.rig import Rig, Skeleton
from rigdrop.motion.take import Motion

from .bodies import humanoid


def _named(rig: Rig, preset: str = "mixamo") -> Rig:
    """The stick figure with a common skeleton's names and nothing said of what they mean."""
    meaning_of = {joint: meaning for meaning, joint in rig.skeleton.semantic.items()}
    names = [PRESETS[preset].get(meaning_of.get(joint, ""), name) for joint, name in enumerate(rig.joint_names)]
    return replace(rig, skeleton=replace(rig.skeleton, joint_names=tuple(names), semantic={}))


def _brought(rig: Rig) -> SkeletalMotion:
    joints = len(rig.joint_names)
    quat = np.tile(np.array([0, 0, 0, 1], np.float32), (1, joints, 1))
    motion = Motion(quat, np.zeros((1, joints, 3), np.float32), np.ones(1, bool), np.ones(1, np.float32))
    return SkeletalMotion(rig.skeleton, motion, rig)


def _as_a_program_left_it(rig: Rig, yaw_rad: float) -> tuple[Rig, np.ndarray]:
    """The whole character turned and lifted, its joints in centimetres under a scaled root; and the move that did it."""
    moved = np.eye(4)
    moved[:3, :3], moved[1, 3] = Rotation.from_rotvec([0, yaw_rad, 0]).as_matrix(), 0.3
    bind_world = moved @ rig.bind_world
    bind_world[:, :3, :3] *= 0.01
    skeleton = replace(rig.skeleton, rest_local=world_to_local(rig.joint_parents, bind_world))
    vertices = rig.vertices_m @ moved[:3, :3].T + moved[:3, 3]
    return replace(rig, skeleton=skeleton, bind_world=bind_world, vertices_m=vertices, normals=rig.normals @ moved[:3, :3].T), moved


@pytest.mark.parametrize("yaw_rad", [0.0, np.pi / 2, np.pi, -np.pi / 2])
def test_it_stands_on_the_ground_facing_front_without_scale(yaw_rad):
    rig = humanoid()
    character = character_from(_brought(_as_a_program_left_it(_named(rig), yaw_rad)[0]))
    lowest = float(rig.vertices_m[:, 1].min())
    np.testing.assert_allclose(character.vertices_m, rig.vertices_m - [0, lowest, 0], atol=1e-6)
    np.testing.assert_allclose(character.normals, rig.normals, atol=1e-6)
    np.testing.assert_allclose(character.bind_world[:, :3, 3], rig.bind_world[:, :3, 3] - [0, lowest, 0], atol=1e-6)
    np.testing.assert_allclose(character.bind_world[:, :3, :3], rig.bind_world[:, :3, :3], atol=1e-6)
    np.testing.assert_allclose(local_to_world(rig.joint_parents, character.skeleton.rest_local), character.bind_world, atol=1e-9)
    assert character.skeleton.semantic == rig.skeleton.semantic | {"root": rig.joint_names.index("bone_root")}


def test_the_files_own_mesh_and_binding_move_as_the_character_does():
    """What a writer that keeps the file's mesh does: T_file = T_world · bind_world⁻¹ · bind_file."""
    given, _ = _as_a_program_left_it(_named(humanoid()), np.pi / 2)
    character = character_from(_brought(given))
    local = character.skeleton.rest_local.copy()
    for joint, meaning in enumerate(("left_elbow", "right_hip", "head")):
        index = character.skeleton.semantic[meaning]
        local[index, :3, :3] = local[index, :3, :3] @ Rotation.from_rotvec(np.roll([0.7, 0.2, 0.0], joint)).as_matrix()
    T_world = local_to_world(character.joint_parents, local)
    T_file = T_world @ np.linalg.inv(character.bind_world) @ _stood(given, character)
    expected = skin_vertices(character, T_world[None])[0]
    # float32 vertices, some of them 1.7 m up.
    np.testing.assert_allclose(skin_vertices(given, T_file[None])[0], expected, atol=2e-6)


def _stood(given: Rig, character: Rig) -> np.ndarray:
    """The file's binding in the world in which the character stands: the file's, moved as its mesh was."""
    yaw = Rotation.from_rotvec([0, -np.pi / 2, 0]).as_matrix()
    moved = np.eye(4)
    moved[:3, :3] = yaw
    moved[:3, 3] = (character.vertices_m - given.vertices_m @ yaw.T).mean(axis=0)
    return moved @ given.bind_world


def test_what_the_reader_said_comes_before_names():
    rig = humanoid()
    assert character_from(_brought(rig)).skeleton.semantic == rig.skeleton.semantic


def test_a_skeleton_alone_or_without_limbs_is_an_error():
    rig = _named(humanoid())
    with pytest.raises(ReadError, match="without a skinned mesh"):
        character_from(replace(_brought(rig), rig=None))
    stick = replace(
        rig, skeleton=Skeleton(("handle",), np.array([-1]), np.eye(4)[None], {}), bind_world=np.eye(4)[None],
        skin_joints=np.zeros((len(rig.vertices_m), 1), np.uint16), skin_weights=np.ones((len(rig.vertices_m), 1), np.float32),
    )
    with pytest.raises(ReadError, match=r"found none that means 'pelvis' among handle.*rigdrop map init"):
        character_from(_brought(stick))
    with pytest.raises(ReadError, match="does not hang from the pelvis"):
        body_semantic(("head", "pelvis"), np.array([-1, 0], np.int32), dict.fromkeys(CORE, 1) | {"head": 0})


def _chain(*names: str) -> tuple[tuple[str, ...], np.ndarray, dict[str, int]]:
    """A trunk of one joint after another with limbs on its ends, and what all but the trunk's middle means."""
    trunk = list(names)
    limbs = [f"{side}_{limb}" for side in ("left", "right") for limb in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "toes")]
    every = [*trunk, *limbs]
    parents = [number - 1 for number in range(len(trunk))]
    for name in limbs:
        side, limb = name.split("_")
        above = {"shoulder": trunk[-2], "hip": trunk[0], "elbow": f"{side}_shoulder", "wrist": f"{side}_elbow", "knee": f"{side}_hip",
                 "ankle": f"{side}_knee", "toes": f"{side}_ankle"}[limb]
        parents.append(every.index(above))
    told = {name: every.index(name) for name in limbs if not name.endswith("toes")} | {"pelvis": 0}
    return tuple(every), np.array(parents, np.int32), told


@pytest.mark.parametrize(
    ("trunk", "told", "expected"),
    [
        (("pelvis", "a", "b", "c", "d", "e", "neck", "head"), ("neck", "head"), {"spine_1": 1, "spine_2": 3, "spine_3": 5}),
        (("pelvis", "a", "b", "neck", "head"), ("neck", "head"), {"spine_1": 1, "spine_2": 1, "spine_3": 2}),
        (("pelvis", "a", "head"), ("head",), {"spine_1": 1, "spine_2": 1, "spine_3": 1, "neck": 2, "head": 2}),
        (("pelvis", "neck", "head"), ("neck", "head"), {"spine_1": 0, "spine_2": 0, "spine_3": 0}),
    ],
)
def test_neighbours_stand_in_for_joints_that_are_not_there(trunk, told, expected):
    names, parents, semantic = _chain(*trunk)
    found = body_semantic(names, parents, semantic | {name: names.index(name) for name in told})
    assert {meaning: found[meaning] for meaning in expected} == expected
    for side in ("left", "right"):
        assert names[found[f"{side}_clavicle"]] == f"{side}_shoulder" and names[found[f"{side}_foot"]] == f"{side}_toes"


def test_a_character_with_a_short_spine_and_no_clavicles_is_a_body_all_the_same():
    rig = humanoid()
    gone = ("spine_2", "spine_3", "neck", "left_clavicle", "right_clavicle")
    semantic = {meaning: joint for meaning, joint in rig.skeleton.semantic.items() if meaning not in gone}
    kept = replace(rig, skeleton=Skeleton(rig.joint_names, rig.joint_parents, rig.skeleton.rest_local, semantic))
    body = Body.of(character_from(_brought(kept)))
    motion = body.to_motion(np.tile([0.0, 0, 0, 1], (1, 22, 1)), np.array([[0, 1.0, 0]]), np.ones(1, bool), np.ones(1))
    local = np.tile(np.eye(4), (len(rig.joint_names), 1, 1))
    local[:, :3, :3] = Rotation.from_quat(motion.local_quat_xyzw[0]).as_matrix()
    local[:, :3, 3] = motion.local_translation_m[0]
    place = local_to_world(rig.joint_parents, local)[:, :3, 3]
    arm = place[rig.skeleton.semantic["left_wrist"]] - place[rig.skeleton.semantic["left_shoulder"]]
    np.testing.assert_allclose(arm / np.linalg.norm(arm), [1, 0, 0], atol=1e-5)
