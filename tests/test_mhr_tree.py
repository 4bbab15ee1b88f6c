"""How MHR's parameters move its joints, against small steps and tables written independently."""

from __future__ import annotations

import json

import numpy as np
import pytest

from rigdrop.convert.mhr.mhr_tree import MhrTree
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model


@pytest.fixture(scope="module")
def tree(shared):
    return MhrTree(load_mhr_model(shared / "mhr" / "lod3"))


@pytest.fixture(scope="module")
def known(shared):
    return json.loads((shared / "mhr" / "mhr_skeleton.json").read_text())


def test_the_gradient_is_what_small_steps_do(tree):
    rng = np.random.default_rng(0)
    params = rng.normal(0, 0.4, (2, 204))
    joints, everything = np.array([3, 8, 41, 47, 64, 95, 113, 125]), np.arange(204)
    gradient = tree.gradient(params, tree.world(params), joints, everything)
    step = 1e-6
    for parameter in everything:
        there, here = params.copy(), params.copy()
        there[:, parameter] += step
        here[:, parameter] -= step
        moved = (tree.model.joints_m(there) - tree.model.joints_m(here))[:, joints] / (2 * step)
        # Central differences: step² of curvature, and rounding of 1e-16 over the step.
        np.testing.assert_allclose(gradient[:, :, parameter], moved.reshape(2, -1), atol=1e-8)


def test_what_turns_hangs_and_is_carried(tree, known):
    names, table = known["joint_names"], known["parameter_transform_sparse"]
    turned = {joint for name in known["parameter_names"][3:130] for joint, channel, _ in table[name] if channel[0] == "r"}
    assert {names[joint] for joint in np.flatnonzero(tree.turns)} == turned
    below_wrist = {names[joint] for joint in np.flatnonzero(tree.below[names.index("l_wrist")])}
    assert below_wrist == {name for name in names if name.startswith(("l_thumb", "l_index", "l_middle", "l_ring", "l_pinky"))}
    # Neither eyes nor the jaw turn, nor does the pinky's palm bone, so what hangs on them is fixed to the head, to the wrist.
    carriers = {"l_eye_null": "c_head", "c_tongue4": "c_head", "l_pinky1": "l_wrist", "l_pinky2": "l_pinky1", "l_lowarm": "l_uparm"}
    assert {name: names[tree.carrier[names.index(name)]] for name in carriers} == carriers
    assert tree.carrier[0] == tree.carrier[1] == -1


def test_parameters_move_what_their_names_say(tree, known):
    names, parameters = known["joint_names"], known["parameter_names"]
    moving = tree.moving(np.array([names.index("l_index2")]), np.arange(68, 122))
    assert {parameters[number] for number in moving} == {"l_index1_rx", "l_index1_ry", "l_index1_rz"}
    own = {(names[joint], axis): parameters[number] for (joint, axis), number in tree.own_parameter.items()}
    assert (own["l_lowarm", 2], own["r_uparm", 0], own["c_neck", 1]) == ("l_elbow_bend", "r_uparm_twist", "neck_lean")
    assert ("l_lowarm", 0) not in own and ("l_lowleg", 1) not in own  # an elbow is a hinge, and knee knock is no turn of the pose
