"""Joints get channels where they leave what their node says, and no others."""

from __future__ import annotations

import numpy as np
import pygltflib
from scipy.spatial.transform import Rotation

from rigdrop.formats.glb import GlbFile
from rigdrop.formats.glb_animator import JointAnimator, JointValues
from rigdrop.formats.glb_parts import Clock

FRAMES = 5


def _animated(static_scale, scale, same_scale=1e-7):
    """Four joints at nodes 10, 12, 14, 16: one stays, one turns, one stands off its node, one has its node's turn with the other sign."""
    quat = np.tile(np.array([0, 0, 0, 1], np.float32), (FRAMES, 4, 1))
    quat[:, 1] = Rotation.from_rotvec(np.linspace(0, 1, FRAMES)[:, None] * [1, 0, 0]).as_quat()
    quat[:, 3] *= -1
    translation = np.zeros((FRAMES, 4, 3), np.float32)
    translation[:, 2, 1] = 0.5
    rest = (np.tile([0.0, 0, 0, 1], (4, 1)), np.zeros((4, 3)), np.full(4, static_scale))
    file, animation = GlbFile.new({}), pygltflib.Animation()
    clock = Clock(file, np.linspace(0, 1, FRAMES, dtype=np.float32))
    JointAnimator(file, animation, clock, (10, 12, 14, 16)).add(JointValues(quat, translation, scale, rest, same_scale))
    counts = [file.gltf.accessors[sampler.output].count for sampler in animation.samplers]
    return {(channel.target.node, channel.target.path): count for channel, count in zip(animation.channels, counts, strict=True)}


def test_only_what_leaves_its_node_has_a_channel_and_what_stands_has_two_keys():
    assert _animated(1.0, None) == {(12, "rotation"): FRAMES, (14, "translation"): 2}


def test_scales_are_written_where_they_are_not_the_nodes():
    still = {(12, "rotation"): FRAMES, (14, "translation"): 2}
    assert _animated(0.5, None) == still | {(node, "scale"): 2 for node in (10, 12, 14, 16)}, "a motion without scale means 1"
    grain = np.full((FRAMES, 4), 1 + 5e-7, np.float32)
    grain[:, 2] = np.linspace(1, 1.5, FRAMES)
    assert _animated(1.0, grain, same_scale=1e-6) == still | {(14, "scale"): FRAMES}
