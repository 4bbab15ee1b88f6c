from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import BODY_JOINTS, Body, body_joint
from rigdrop.convert.fitting.points import BONE_GROUPS, SHAPE_NAMES, bone_offsets
from rigdrop.convert.fitting.shape import shaped_body, shaped_rig
from rigdrop.motion.kinematics import local_to_world, skin_vertices
from rigdrop.motion.rig import vertex_normals

from .bodies import exercise, humanoid

# Vertices are float32.
FLOAT32_M = 1e-6


@pytest.fixture(scope="module")
def body() -> Body:
    return Body.of(humanoid())


def _shape(**log_values: float) -> np.ndarray:
    return np.array([log_values.get(name, 0.0) for name in SHAPE_NAMES])


RANDOM = np.random.default_rng(0).normal(0, 0.08, len(SHAPE_NAMES))


def test_no_change_gives_the_same_rig(body):
    rig = shaped_rig(body, _shape())
    assert np.abs(rig.bind_world - body.rig.bind_world).max() < 1e-9
    assert np.abs(rig.skeleton.rest_local - body.rig.skeleton.rest_local).max() < 1e-9
    assert np.abs(rig.vertices_m - body.rig.vertices_m).max() < FLOAT32_M


def test_height_alone_scales_everything(body):
    rig = shaped_rig(body, _shape(height=np.log(1.1)))
    assert np.abs(rig.vertices_m - 1.1 * body.rig.vertices_m).max() < FLOAT32_M
    assert np.abs(rig.bind_world[1:, :3, 3] - 1.1 * body.rig.bind_world[1:, :3, 3]).max() < 1e-9


@pytest.mark.parametrize("group", BONE_GROUPS)
def test_a_groups_bones_grow_and_no_others(body, group):
    rig = shaped_rig(body, _shape(**{group: np.log(1.25)}))
    before, after = body.T_world_rest[:, :3, 3], local_to_world(rig.joint_parents, rig.skeleton.rest_local)[:, :3, 3]
    plain = {joint: joint.removeprefix("left_").removeprefix("right_") for joint in BODY_JOINTS}
    own = body.rig.skeleton.semantic
    parent = {"left_elbow": "left_shoulder", "right_elbow": "right_shoulder"}
    for joint in BODY_JOINTS[1:]:
        row = own[joint]
        # The elbow's bone runs over the helper joint in the upper arm.
        above = own[parent[joint]] if joint in parent else body.rig.joint_parents[row]
        grown = np.linalg.norm(after[row] - after[above]) / np.linalg.norm(before[row] - before[above])
        assert grown == pytest.approx(1.25 if plain[joint] in BONE_GROUPS[group] else 1.0, abs=1e-6), joint


def test_the_shaped_rig_seen_as_a_body_is_the_shaped_body(body):
    shaped, seen = shaped_body(body, RANDOM), Body.of(shaped_rig(body, RANDOM))
    assert np.abs(shaped.offset_m - bone_offsets(body, RANDOM)).max() < 1e-12
    assert np.abs(seen.offset_m - shaped.offset_m).max() < 1e-9
    assert np.abs(seen.R_canonical_rest - body.R_canonical_rest).max() < 1e-9
    quat, root_m = exercise(np.arange(3) / 30)
    assert np.abs(seen.positions(quat, root_m) - shaped.positions(quat, root_m)).max() < 1e-9


def test_feet_stand_on_the_ground_and_the_root_with_them(body):
    rig = shaped_rig(body, RANDOM)
    assert abs(rig.vertices_m[:, 1].min()) < FLOAT32_M
    assert np.abs(rig.bind_world[0, :3, 3]).max() < 1e-12


def test_axes_names_and_weights_stay(body):
    rig = shaped_rig(body, RANDOM)
    assert np.abs(rig.bind_world[:, :3, :3] - body.rig.bind_world[:, :3, :3]).max() < 1e-9
    assert (rig.joint_names, rig.skeleton.semantic) == (body.rig.joint_names, body.rig.skeleton.semantic)
    assert np.array_equal(rig.skin_weights, body.rig.skin_weights)
    assert np.array_equal(rig.faces, body.rig.faces)


def test_the_bind_pose_is_the_rest_pose_and_leaves_the_mesh(body):
    rig = shaped_rig(body, RANDOM)
    rest = local_to_world(rig.joint_parents, rig.skeleton.rest_local)
    assert np.abs(rest - rig.bind_world).max() < 1e-9
    assert np.abs(skin_vertices(rig, rest[None])[0] - rig.vertices_m).max() < FLOAT32_M


def test_flesh_grows_with_the_bone_that_leaves_its_joint(body):
    rig = shaped_rig(body, _shape(feet=np.log(1.5)))
    foot = body.rig.skeleton.semantic["left_ankle"]
    skin = body.rig.skin_joints[:, 0] == foot
    sizes = [np.ptp(mesh[skin], axis=0) for mesh in (body.rig.vertices_m, rig.vertices_m)]
    assert np.allclose(sizes[1] / sizes[0], 1.5, atol=1e-4)


def test_the_body_stays_the_same_on_both_sides(body):
    rig = shaped_rig(body, RANDOM)
    for name in BODY_JOINTS:
        if name.startswith("left_"):
            left, right = (rig.bind_world[rig.skeleton.semantic[side], :3, 3] for side in (name, name.replace("left", "right")))
            assert np.allclose(left, right * [-1, 1, 1], atol=1e-9)


def test_normals_are_those_of_the_new_mesh(body):
    rig = shaped_rig(body, RANDOM)
    # No two vertices of this mesh share a place, so that there are no seams to merge.
    assert np.abs(rig.normals - vertex_normals(rig.vertices_m, rig.faces)).max() < 1e-4
    turned = Rotation.align_vectors(rig.normals, body.rig.normals)[0].magnitude()
    assert turned < 0.05


def test_vertices_of_a_seam_keep_one_normal(body):
    # The first box twice, as if cut along a seam: its two halves' vertices stand at the same places.
    base = body.rig
    half = 8 * body_joint("head")
    faces = base.faces.copy()
    faces[12 * body_joint("head") + 6 : 12 * body_joint("head") + 12] += len(base.vertices_m) - half
    pick = np.concatenate([np.arange(len(base.vertices_m)), np.arange(half, half + 8)])
    cut = replace(
        base,
        vertices_m=base.vertices_m[pick],
        normals=base.normals[pick],
        skin_joints=base.skin_joints[pick],
        skin_weights=base.skin_weights[pick],
        faces=faces,
    )
    normals = shaped_rig(Body.of(cut), RANDOM).normals
    assert np.array_equal(normals[half : half + 8], normals[-8:])
    assert np.abs(normals[:-8] - shaped_rig(body, RANDOM).normals).max() < 1e-6
