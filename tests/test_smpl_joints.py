"""The SMPL family's joints against body-models' own tables, and against counts that everyone knows."""

from __future__ import annotations

import pytest

from rigdrop.motion.smpl_joints import JOINT_NAMES, PALMS, fingers, joint_parents, meaning


@pytest.mark.parametrize(("model", "count"), [("smpl", 24), ("smplh", 52), ("smplx", 55)])
def test_joints_are_as_many_as_the_model_has_each_once_parents_first(model, count):
    names, parents = JOINT_NAMES[model], joint_parents(model)
    assert len(names) == len(set(names)) == len(parents) == count
    assert parents[0] == -1
    assert all(0 <= parent < joint for joint, parent in enumerate(parents) if joint)


def test_hands_stand_at_the_places_that_the_models_give_them():
    assert JOINT_NAMES["smplh"][22:37] == JOINT_NAMES["smplx"][25:40] == fingers("left")
    assert JOINT_NAMES["smplh"][37:] == JOINT_NAMES["smplx"][40:] == fingers("right")
    assert JOINT_NAMES["smplx"][22:25] == ("jaw", "left_eye_smplhf", "right_eye_smplhf")
    assert JOINT_NAMES["smpl"][22:] == PALMS


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
def test_parents_are_body_models_own(model):
    """What the package that runs the licensed models knows of their public joint trees, by what joints mean."""
    from body_models.smplx._constants import SMPLX_JOINTS

    # Its names are L_Index2 for left_index2; its Joint says what a joint means.
    theirs = {joint.value: name.lower() for joint, name in SMPLX_JOINTS.items()}
    for name in JOINT_NAMES[model]:
        means = meaning(name)
        if means in theirs:
            assert name.replace("left_", "l_").replace("right_", "r_") == theirs[means]
    assert {means for means in map(meaning, JOINT_NAMES["smplh"]) if means} >= set(theirs)


@pytest.mark.parametrize(("model", "name", "parent"), [
    ("smpl", "left_hand", "left_wrist"), ("smplh", "right_thumb1", "right_wrist"), ("smplh", "left_pinky3", "left_pinky2"),
    ("smplx", "jaw", "head"), ("smplx", "right_eye_smplhf", "head"), ("smplx", "left_collar", "spine3"), ("smplx", "head", "neck"),
    ("smplx", "right_foot", "right_ankle"), ("smplx", "right_elbow", "right_shoulder"),
])
def test_joints_hang_where_anatomy_has_them(model, name, parent):
    names = JOINT_NAMES[model]
    assert names[joint_parents(model)[names.index(name)]] == parent


def test_meanings_are_the_words_of_rigs():
    assert [meaning(name) for name in ("spine1", "left_collar", "left_thumb1", "right_ring3", "left_foot")] == [
        "spine_1", "left_clavicle", "left_thumb_cmc", "right_ring_dip", "left_foot"]
    assert all(meaning(name) is None for name in ("jaw", "left_eye_smplhf", *PALMS))
