"""The tables of names: each known skeleton's joints get their meanings, however programs decorate the names."""

import pytest
from body_models import Joint

from rigdrop.motion.joint_names import CORE, MEANINGS, PRESETS, known_semantic, plain_names

# Spot checks written out from the programs' own documentation, so that a table is not tested against itself alone.
KNOWN = {
    "unreal": {"left_shoulder": "upperarm_l", "right_foot": "ball_r", "left_pinky_dip": "pinky_03_l"},
    "unreal5": {"spine_3": "spine_05", "head": "head", "right_knee": "calf_r"},
    "mixamo": {"pelvis": "mixamorig:Hips", "left_hip": "mixamorig:LeftUpLeg", "right_thumb_ip": "mixamorig:RightHandThumb3"},
    "motionbuilder": {"root": "Reference", "left_clavicle": "LeftShoulder", "left_elbow": "LeftForeArm"},
    "rigify": {"pelvis": "DEF-spine", "left_knee": "DEF-shin.L", "right_index_pip": "DEF-f_index.02.R", "head": "DEF-spine.006"},
    "metarig": {"left_thumb_cmc": "thumb.01.L", "left_shoulder": "upper_arm.L"},
    "vrm": {"spine_3": "upperChest", "left_pinky_mcp": "leftLittleProximal", "right_thumb_cmc": "rightThumbMetacarpal"},
    "vroid": {"pelvis": "J_Bip_C_Hips", "left_knee": "J_Bip_L_LowerLeg", "right_pinky_dip": "J_Bip_R_Little3"},
    "smpl": {"spine_2": "spine2", "left_clavicle": "left_collar", "right_foot": "right_foot"},
    "smplx": {"left_index_mcp": "left_index1", "right_thumb_ip": "right_thumb3"},
    "cmu": {"spine_1": "LowerBack", "left_ankle": "LeftFoot"},
    "accad": {"spine_1": "ToSpine"},
    "acclaim": {"left_shoulder": "lhumerus", "right_hip": "rfemur", "right_foot": "rtoes"},
    "biovision": {"left_clavicle": "LeftCollar", "left_shoulder": "LeftShoulder", "right_ankle": "RightAnkle"},
    "biped": {"root": "Bip01", "left_hip": "Bip01 L Thigh", "left_thumb_mcp": "Bip01 L Finger01", "right_pinky_dip": "Bip01 R Finger42"},
    "daz": {"pelvis": "hip", "left_shoulder": "lShldrBend", "right_hip": "rThighBend", "left_middle_mcp": "lMid1"},
    "daz9": {"left_shoulder": "l_upperarm", "right_foot": "r_toes"},
    "character-creator": {"pelvis": "CC_Base_Hip", "left_knee": "CC_Base_L_Calf", "right_middle_dip": "CC_Base_R_Mid3"},
    "xsens": {"spine_3": "T8", "left_index_pip": "LeftSecondMP", "left_thumb_ip": "LeftFirstDP"},
    "rokoko": {"left_hip": "LeftThigh", "left_index_pip": "LeftFinger2Medial", "left_thumb_cmc": "LeftFinger1Metacarpal"},
}


def test_meanings_are_those_of_body_models_and_ours():
    ours = {"root", "spine_1", "spine_2", "spine_3", "left_clavicle", "right_clavicle"}
    assert set(MEANINGS) == {joint.value for joint in Joint} | ours and len(set(MEANINGS)) == len(MEANINGS)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_has_the_core_and_each_joint_once(preset):
    table = PRESETS[preset]
    assert set(CORE) <= set(table) <= set(MEANINGS)
    plain = plain_names(list(table.values()))
    assert len(set(plain)) == len(plain)
    for meaning, name in KNOWN.get(preset, {}).items():
        assert table[meaning] == name


@pytest.mark.parametrize("preset", PRESETS)
def test_a_presets_names_get_their_meanings_among_others(preset):
    # Backwards and with strangers, so that no order helps.
    names = ["prop", *reversed(PRESETS[preset].values()), "camera"]
    found = known_semantic(names)
    assert {meaning: names[joint] for meaning, joint in found.items()} == PRESETS[preset]


@pytest.mark.parametrize(("preset", "decorate"), [
    ("mixamo", lambda name: name.removeprefix("mixamorig:")),
    ("mixamo", lambda name: name.replace("mixamorig:", "mixamorig9:")),
    ("mixamo", lambda name: name.replace(":", "")),  # as three.js spells names
    ("motionbuilder", lambda name: f"Character1_{name}"),
    ("motionbuilder", lambda name: f"actor:{name}"),
    ("biped", lambda name: name.replace("Bip01", "Bip001").replace(" ", "_")),
    ("biped", lambda name: f"ValveBiped.{name.replace(' ', '_')}"),
    ("smplx-maya", lambda name: f"m_avg_{name}"),
    ("unreal", str.upper),
    ("rigify", lambda name: name.replace(".", "_")),  # as USD spells names
])
def test_what_programs_put_before_names_does_not_matter(preset, decorate):
    names = [decorate(name) for name in PRESETS[preset].values()]
    found = known_semantic(names)
    # A copy of Biped without its bare root is Biped still.
    assert {meaning: joint for meaning, joint in found.items() if meaning != "root"} == {
        meaning: joint for joint, meaning in enumerate(PRESETS[preset]) if meaning != "root"}


def test_names_that_sketchfab_numbers_are_known():
    names = [f"{name}_{number:02d}" for number, name in enumerate(PRESETS["vroid"].values())]
    assert known_semantic(names) == {meaning: number for number, meaning in enumerate(PRESETS["vroid"])}


def test_without_the_core_nothing_is_known():
    assert known_semantic(["Hips", "Spine", "LeftArm", "Head"]) == {}


def test_a_spine_of_five_bones_is_the_newer_mannequin():
    """It has every name of the older one too, whose third spine bone is not the one that carries the arms."""
    older, newer = ["pelvis", "spine_01", "spine_02", "spine_03"], ["spine_04", "spine_05"]
    limbs = [f"{bone}_{side}" for bone in ("clavicle", "upperarm", "lowerarm", "hand", "thigh", "calf", "foot", "ball") for side in "lr"]
    for names, third in ((older, "spine_03"), ([*older, *newer], "spine_05")):
        joints = [*names, "neck_01", "head", *limbs]
        assert joints[known_semantic(joints)["spine_3"]] == third
