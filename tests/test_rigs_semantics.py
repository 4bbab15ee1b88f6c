"""The tables of joint names against body_models' own, and against themselves."""

import pytest
from body_models import Joint

from rigdrop.convert.rigs.semantics import JOINT_NAMES, semantic_indices
from rigdrop.errors import RigdropError

OURS = {"spine_1", "spine_2", "spine_3", "left_clavicle", "right_clavicle"}


@pytest.mark.parametrize("rig", JOINT_NAMES)
def test_each_rig_names_every_joint_once(rig):
    # Unreal's skeleton alone has a joint above the pelvis that carries root motion.
    assert set(JOINT_NAMES[rig]) == {joint.value for joint in Joint} | OURS | ({"root"} if rig == "unreal" else set())
    assert len(set(JOINT_NAMES[rig].values())) == len(JOINT_NAMES[rig])


@pytest.mark.parametrize(("rig", "module"), [("anny", "body_models.anny._constants"), ("mhr", "body_models.mhr._constants")])
def test_tables_agree_with_those_of_body_models(rig, module):
    constants = __import__(module, fromlist=["x"])
    theirs = {joint.value: name for joint, name in getattr(constants, f"{rig.upper()}_JOINTS").items()}
    differing = {key for key, name in theirs.items() if JOINT_NAMES[rig][key] != name}
    # body_models takes the clavicle's far end for Anny's shoulder; the upper arm turns about upperarm01.
    assert differing == ({"left_shoulder", "right_shoulder"} if rig == "anny" else set())


def test_a_joint_that_is_not_there_is_named():
    with pytest.raises(RigdropError, match=r"rig unreal: found no joint 'Root' among 1"):
        semantic_indices("unreal", ["pelvis"])
