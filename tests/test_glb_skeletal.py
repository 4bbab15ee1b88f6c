"""What a skeletal GLB holds, read with pygltflib, and what is left out of it."""

from dataclasses import replace

import numpy as np
import pygltflib
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.options import GlbSkeletalOptions
from rigdrop.motion.take import Motion

from .synthetic import SMALL_NAMES, SMALL_PARENTS, small_take


def _written(tmp_path, take, options=None):
    write_glb_skeletal(take, take.people[0], tmp_path / "a.glb", options)
    return pygltflib.GLTF2().load(str(tmp_path / "a.glb"))


def _channels(gltf):
    animation = gltf.animations[0]
    return {(channel.target.node, channel.target.path): animation.samplers[channel.sampler] for channel in animation.channels}


def test_joints_come_first_and_keep_their_names_and_tree(tmp_path):
    gltf = _written(tmp_path, small_take())
    assert tuple(node.name for node in gltf.nodes[:7]) == SMALL_NAMES
    assert gltf.skins[0].joints == list(range(7))
    for joint, parent in enumerate(SMALL_PARENTS):
        assert parent < 0 or joint in gltf.nodes[parent].children
    assert gltf.scenes[0].nodes == [0, 7] and gltf.nodes[7].skin == 0


def test_only_joints_that_move_have_a_channel_with_every_frame(tmp_path):
    channels = _channels(_written(tmp_path, small_take()))
    rotations = {node for node, path in channels if path == "rotation"}
    translations = {node for node, path in channels if path == "translation"}
    # Joint 1 keeps its bind rotation; the root and the last joint move, joint 5 stands off the bind pose.
    assert rotations == {0, 2, 3, 4, 5, 6} and translations == {0, 5, 6}
    assert not any(path == "scale" for _, path in channels)


def test_a_joint_that_stands_off_the_bind_pose_has_two_keys(tmp_path):
    gltf = _written(tmp_path, small_take(12))
    counts = {node: gltf.accessors[sampler.input].count for (node, path), sampler in _channels(gltf).items() if path == "translation"}
    assert counts == {0: 12, 5: 2, 6: 12}


def test_a_constant_scale_has_two_keys_and_a_varying_one_all(tmp_path):
    gltf = _written(tmp_path, small_take(12, scale="varying"))
    counts = {node: gltf.accessors[sampler.input].count for (node, path), sampler in _channels(gltf).items() if path == "scale"}
    assert counts == {3: 12, 4: 12}
    gltf = _written(tmp_path, small_take(12, scale="constant"))
    counts = {node: gltf.accessors[sampler.input].count for (node, path), sampler in _channels(gltf).items() if path == "scale"}
    assert counts == {3: 2, 4: 2}


@pytest.mark.parametrize(("influences", "sets"), [(4, 1), (8, 2)])
def test_influences_come_in_sets_of_four(tmp_path, influences, sets):
    gltf = _written(tmp_path, small_take(influences=7), GlbSkeletalOptions(influences))
    attributes = gltf.meshes[0].primitives[0].attributes
    assert attributes.JOINTS_0 is not None and (getattr(attributes, "JOINTS_1", None) is not None) == (sets == 2)


def test_columns_of_nothing_make_no_second_set(tmp_path):
    take = small_take(influences=4)
    rig = take.people[0].rig
    padded = replace(rig, skin_joints=np.pad(rig.skin_joints, ((0, 0), (0, 2))), skin_weights=np.pad(rig.skin_weights, ((0, 0), (0, 2))))
    take = replace(take, people=[replace(take.people[0], rig=padded)])
    assert getattr(_written(tmp_path, take).meshes[0].primitives[0].attributes, "JOINTS_1", None) is None


def test_a_clip_of_one_frame_is_written(tmp_path):
    gltf = _written(tmp_path, small_take(1))
    assert {gltf.accessors[sampler.input].count for sampler in gltf.animations[0].samplers} == {1}


def test_a_body_that_never_leaves_its_bind_pose_has_no_animation(tmp_path):
    take = small_take(2)
    rig = take.people[0].rig
    quats = Rotation.from_matrix(rig.skeleton.rest_local[:, :3, :3]).as_quat()
    offsets = rig.skeleton.rest_local[:, :3, 3]
    still = Motion(np.tile(quats, (2, 1, 1)), np.tile(offsets, (2, 1, 1)), np.ones(2, bool), np.ones(2))
    gltf = _written(tmp_path, replace(take, people=[replace(take.people[0], motion=still)]))
    assert gltf.animations == []


def test_quaternions_are_written_on_one_side(tmp_path):
    take = small_take(6)
    motion = take.people[0].motion
    signs = np.where(np.arange(6) % 2, -1, 1)[:, None, None].astype(np.float32)
    flipped = replace(take, people=[replace(take.people[0], motion=replace(motion, local_quat_xyzw=motion.local_quat_xyzw * signs))])
    first = _written(tmp_path, take).binary_blob()
    assert _written(tmp_path, flipped).binary_blob() == first
