"""BVH files written out by hand, and one by Blender, against positions that SciPy computes one joint and one frame at a time."""

import json
import subprocess
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.errors import ReadError
from rigdrop.ingest.motion_files import bvh
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.registry import read_recording
from rigdrop.motion.kinematics import local_matrices, local_to_world

from .skeletons import MAN, Man, man_motion

OPTIONS = MotionFileOptions()


def _bvh_text(man: Man, euler_deg, places, order: str, metres_per_unit: float, frame_time: str = "0.0333333", every_joint=False) -> str:
    """The text of a man whose joints turn by intrinsic Euler angles (F,J,3) in the file's order, and stand at places (F,J,3)."""
    channels = " ".join(f"{axis.upper()}rotation" for axis in order)

    def block(joint: int, indent: str) -> str:
        offset = " ".join(f"{value / metres_per_unit:.9g}" for value in man.offset_m[joint])
        placed = joint == 0 or every_joint
        lines = [f"OFFSET {offset}", f"CHANNELS {6 if placed else 3} {'Yposition Xposition Zposition ' if placed else ''}{channels}"]
        children = [child for child, parent in enumerate(man.parents) if parent == joint]
        inner = "".join(f"{indent}\t{line}\n" for line in lines) + "".join(block(child, indent + "\t") for child in children)
        if not children:
            inner += f"{indent}\tEnd Site\n{indent}\t{{\n{indent}\t\tOFFSET 0 1 0\n{indent}\t}}\n"
        return f"{indent}{'JOINT' if indent else 'ROOT'} {man.names[joint]}\n{indent}{{\n{inner}{indent}}}\n"

    def depth_first(joint: int) -> list[int]:
        return [joint, *(each for child, parent in enumerate(man.parents) if parent == joint for each in depth_first(child))]

    rows = []
    for frame in range(len(euler_deg)):
        row = []
        for joint in depth_first(0):
            if joint == 0 or every_joint:
                row += (places[frame, joint] / metres_per_unit)[[1, 0, 2]].tolist()
            row += euler_deg[frame, joint].tolist()
        rows.append(" ".join(f"{value:.9f}" for value in row))
    motion = f"MOTION\nFrames: {len(rows)}\nFrame Time: {frame_time}\n"
    return f"HIERARCHY\n{block(0, '')}{motion}" + "\n".join(rows) + "\n"


def _write(tmp_path, text: str):
    path = tmp_path / "walk.bvh"
    path.write_text(text, encoding="utf-8")
    return path


def _worlds(actor):
    """World transforms (F,J,4,4) of what was read, by joint name."""
    motion, skeleton = actor.motion.motion, actor.motion.skeleton
    world = local_to_world(skeleton.joint_parents, local_matrices(motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale))
    return {name: world[:, joint] for joint, name in enumerate(skeleton.joint_names)}


def _assert_same(actor, man, euler_deg, places, order):
    """Angles within 0.01°, places within 0.01 mm of a loop over joints and frames."""
    worlds = _worlds(actor)
    assert set(worlds) == set(man.names)
    for frame in range(len(euler_deg)):
        done = []
        for joint, parent in enumerate(man.parents):
            own = Rotation.from_euler(order.upper(), euler_deg[frame, joint], degrees=True)
            turn, place = (own, places[frame, joint]) if parent < 0 else (done[parent][0] * own, None)
            place = place if parent < 0 else done[parent][1] + done[parent][0].apply(places[frame, joint])
            done.append((turn, place))
            read = worlds[man.names[joint]][frame]
            np.testing.assert_allclose(read[:3, 3], place, atol=1e-5)
            apart = Rotation.from_matrix(read[:3, :3]).inv() * turn
            assert np.degrees(apart.magnitude()) < 0.01


@pytest.mark.parametrize("order", ["zxy", "xyz", "yzx", "zyx"])
def test_places_and_turns_are_the_files_in_any_order_of_channels(tmp_path, order):
    euler_deg, places = man_motion(MAN, 12)
    recording = bvh.read(_write(tmp_path, _bvh_text(MAN, euler_deg, places, order, 0.01)), OPTIONS)
    _assert_same(recording.actors[0], MAN, euler_deg, places, order)


def test_joints_may_have_positions_of_their_own(tmp_path):
    euler_deg, places = man_motion(MAN, 8)
    places[:, 5] += np.linspace(0, 0.02, 8)[:, None]  # one that is stretched
    recording = bvh.read(_write(tmp_path, _bvh_text(MAN, euler_deg, places, "zxy", 0.01, every_joint=True)), OPTIONS)
    _assert_same(recording.actors[0], MAN, euler_deg, places, "zxy")


def test_position_channels_that_are_all_zero_leave_the_joint_at_its_offset(tmp_path):
    euler_deg, places = man_motion(MAN, 4)
    zeros = places.copy()
    zeros[:, 1:] = 0
    recording = bvh.read(_write(tmp_path, _bvh_text(MAN, euler_deg, zeros, "zxy", 0.01, every_joint=True)), OPTIONS)
    _assert_same(recording.actors[0], MAN, euler_deg, places, "zxy")
    assert any("all zero" in warning for warning in recording.warnings)


@pytest.mark.parametrize(("metres", "unit"), [(1.0, "metres"), (0.01, "centimetres"), (0.001, "millimetres"), (0.0254, "inches"),
                                              (0.0254 / 0.45, "CMU's units")])
def test_units_are_told_from_how_tall_somebody_is_and_said(tmp_path, metres, unit):
    euler_deg, places = man_motion(MAN, 5)
    recording = bvh.read(_write(tmp_path, _bvh_text(MAN, euler_deg, places, "zxy", metres)), OPTIONS)
    _assert_same(recording.actors[0], MAN, euler_deg, places, "zxy")
    assert unit in recording.warnings[0] and "OFFSET" in recording.warnings[0]


@pytest.mark.parametrize(("text", "fps"), [
    ("0.0333333", Fraction(30)), ("0.033333", Fraction(30)), ("0.0333", Fraction(30)), ("0.033", Fraction(30)),
    ("0.008333", Fraction(120)), ("0.0083333", Fraction(120)), ("0.016666", Fraction(60)),
    ("0.0166667", Fraction(60)), ("0.041667", Fraction(24)),
    ("0.04", Fraction(25)), ("0.041708", Fraction(24000, 1001)),
    ("0.0333667", Fraction(30000, 1001)), ("0.01", Fraction(100)), ("0.05", Fraction(20)),
    ("8.33333e-03", Fraction(120)), ("0.00813008", Fraction(100_000_000, 813_008)),
])
def test_the_rate_is_the_one_that_was_rounded_and_times_are_exact(tmp_path, text, fps):
    euler_deg, places = man_motion(MAN, 40)
    recording = bvh.read(_write(tmp_path, _bvh_text(MAN, euler_deg, places, "zxy", 0.01, frame_time=text)), OPTIONS)
    assert recording.fps == fps
    np.testing.assert_allclose(recording.times_s, [float(frame / fps) for frame in range(40)], atol=1e-9)


def test_the_rest_pose_is_that_of_the_offsets_and_joints_have_their_meanings(tmp_path):
    euler_deg, places = man_motion(MAN, 3)
    skeleton = bvh.read_skeleton(_write(tmp_path, _bvh_text(MAN, euler_deg, places, "zxy", 0.01)))
    np.testing.assert_allclose([local[:3, 3] for local in skeleton.rest_local],
                               [MAN.offset_m[MAN.names.index(name)] for name in skeleton.joint_names], atol=1e-8)
    named = {meaning: skeleton.joint_names[joint] for meaning, joint in skeleton.semantic.items()}
    assert named["left_knee"] == "LeftLeg" and named["right_wrist"] == "RightHand" and named["pelvis"] == "Hips"


def test_a_file_whose_zero_pose_is_no_person_rests_as_its_straightest_frame(tmp_path):
    """As LAFAN1: every joint's own X runs along its bone, so that with all turns zero legs and arms lie along the trunk."""
    first_child = {parent: child for child, parent in reversed(list(enumerate(MAN.parents)))}
    along = [MAN.offset_m[first_child[joint]] if joint in first_child else np.array([1.0, 0, 0]) for joint in range(len(MAN.names))]
    own = [Rotation.align_vectors([direction / np.linalg.norm(direction)], [[1, 0, 0]])[0] for direction in along]
    offsets = np.array([offset if parent < 0 else own[parent].inv().apply(offset) for parent, offset in zip(MAN.parents, MAN.offset_m)])
    man = Man(MAN.names, MAN.parents, offsets)
    euler_deg, places = man_motion(man, 9)
    heading = Rotation.from_euler("y", 130, degrees=True)
    stand = [heading * own[0] if parent < 0 else own[parent].inv() * own[joint] for joint, parent in enumerate(MAN.parents)]
    euler_deg[4] = [turn.as_euler("ZXY", degrees=True) for turn in stand]  # a T-pose, seen from elsewhere
    recording = bvh.read(_write(tmp_path, _bvh_text(man, euler_deg, places, "zxy", 0.01)), OPTIONS)
    _assert_same(recording.actors[0], man, euler_deg, places, "zxy")
    assert any("straightest frame" in warning for warning in recording.warnings)
    skeleton = recording.actors[0].motion.skeleton
    rest = local_to_world(skeleton.joint_parents, skeleton.rest_local)[:, :3, 3]
    truth = {name: place for name, place in zip(MAN.names, MAN.places_m())}
    for name, place in zip(skeleton.joint_names, rest):
        np.testing.assert_allclose(place - [0, places[4, 0, 1] - 0.94, 0], truth[name], atol=1e-5)


def test_two_roots_are_two_people_and_a_limit_reads_fewer_frames(tmp_path):
    euler_deg, places = man_motion(MAN, 6)
    head, motion = _bvh_text(MAN, euler_deg, places, "zxy", 0.01).removeprefix("HIERARCHY\n").split("MOTION\n")
    frames, clock, *rows = motion.strip().split("\n")
    twice = "\n".join([frames, clock, *(f"{row} {row}" for row in rows)])
    recording = bvh.read(_write(tmp_path, f"HIERARCHY\n{head}{head}MOTION\n{twice}\n"), MotionFileOptions(frame_limit=4))
    assert len(recording.actors) == 2 and len(recording.times_s) == 4
    for actor in recording.actors:
        _assert_same(actor, MAN, euler_deg[:4], places[:4], "zxy")


def test_names_may_have_spaces_and_braces_stand_anywhere(tmp_path):
    text = ("HIERARCHY\nROOT Bip01 Pelvis {\nOFFSET 0 90 0\nCHANNELS 3 Xrotation Yrotation Zrotation\nJOINT Bip01 L Thigh {\n"
            "OFFSET 10 0 0\nCHANNELS 1 Zrotation\nEnd Site {\nOFFSET 0 -90 0\n}}}\nMOTION\r\n"
            "Frames:\t1\r\nFrame Time:\t.04\r\n0 0 0\t90\r\n")
    actor = bvh.read(_write(tmp_path, text), OPTIONS).actors[0]
    assert actor.motion.skeleton.joint_names == ("Bip01 Pelvis", "Bip01 L Thigh")
    np.testing.assert_allclose(actor.motion.motion.local_quat_xyzw[0, 1], [0, 0, np.sqrt(0.5), np.sqrt(0.5)], atol=1e-7)


_SMALL = ("HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n"
          "JOINT Spine\n{\nOFFSET 0 10 0\nCHANNELS 3 Zrotation Xrotation Yrotation\nEnd Site\n{\nOFFSET 0 5 0\n}\n}\n}\n"
          "MOTION\nFrames: 2\nFrame Time: 0.0333333\n0 90 0 0 0 0 1 2 3\n0 91 0 0 0 0 4 5 6\n")


@pytest.mark.parametrize(("old", "new", "message"), [
    ("MOTION\n", "", "MOTION: found none"),
    ("0 91 0 0 0 0 4 5 6\n", "", "found 9 numbers (1 frames), expected 2 frames of 9 channels"),
    ("4 5 6", "4 5", "found 17 numbers"),
    ("4 5 6", "4 five 6", "found 'five', expected numbers"),
    ("4 5 6", "4 nan 6", "found nan in frame 2, channel 8"),
    ("4 5 6", "4 1.#IND 6", "found '1.#IND'"),
    ("Frames: 2", "Frames: 0", "Frames: found '0'"),
    ("Frames: 2", "Frames: two", "Frames: found 'two'"),
    ("Frame Time: 0.0333333", "Frame Time: 0", "Frame Time: found '0', expected seconds above 0"),
    ("Frame Time: 0.0333333", "Frame Time: nan", "Frame Time: found 'nan'"),
    ("Frame Time: 0.0333333\n", "", "expected Frames: and Frame Time:"),
    ("CHANNELS 3 Z", "CHANNELS 4 Z", "line 9: Spine: CHANNELS: found '4 Zrotation Xrotation Yrotation'"),
    ("CHANNELS 3 Zrotation Xrotation", "CHANNELS 3 Zrotation Zrotation", "line 9: Spine: CHANNELS"),
    ("CHANNELS 3 Zrotation", "CHANNELS 3 Wrotation", "line 9: Spine: CHANNELS"),
    ("OFFSET 0 10 0", "OFFSET 0 10", "line 8: Spine: OFFSET: found '0 10', expected three"),
    ("OFFSET 0 10 0", "OFFSET 0 inf 0", "line 8: Spine: OFFSET"),
    ("JOINT Spine", "BONE Spine", "line 6: found 'BONE Spine'"),
    ("}\n}\n}\n", "}\n}\n", "open braces"),
    ("ROOT Hips", "JOINT Hips", "line 2: found 'JOINT Hips'"),
])
def test_a_malformed_file_is_an_error_that_names_the_file_and_the_place(tmp_path, old, new, message):
    assert old in _SMALL
    path = _write(tmp_path, _SMALL.replace(old, new))
    with pytest.raises(ReadError) as caught:
        bvh.read(path, OPTIONS)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_the_registry_knows_one_by_its_first_word(tmp_path):
    assert len(read_recording(_write(tmp_path, _SMALL), OPTIONS).times_s) == 2
    with pytest.raises(ReadError, match=r"no reader knows, expected one of: Biovision"):
        read_recording(_write(tmp_path, "hello"), OPTIONS)


def test_what_joints_mean_may_come_from_a_map(tmp_path):
    joint_map = tmp_path / "map.toml"
    joint_map.write_text('neck = "Spine"\n')
    recording = bvh.read(_write(tmp_path, _SMALL), MotionFileOptions(joint_map=joint_map))
    assert recording.actors[0].motion.skeleton.semantic == {"neck": 1}
    assert any("no joint that means pelvis" in warning for warning in recording.warnings)


_BLENDER = '''
import sys, json, bpy, numpy as np
from mathutils import Euler, Quaternion
source, target, places = sys.argv[-3:]
man = json.load(open(source))
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = 30
armature = bpy.data.armatures.new("man"); body = bpy.data.objects.new("man", armature)
bpy.context.collection.objects.link(body); bpy.context.view_layer.objects.active = body
bpy.ops.object.mode_set(mode="EDIT")
bones = []
for name, parent, head, tail in man["bones"]:
    bone = armature.edit_bones.new(name); bone.head = head; bone.tail = tail; bone.roll = 0.3
    bone.parent = bones[parent] if parent >= 0 else None
    bones.append(bone)
bpy.ops.object.mode_set(mode="POSE")
frames = len(man["turns"])
for frame in range(frames):
    for bone, turn in zip(body.pose.bones, man["turns"][frame]):
        bone.rotation_mode = "QUATERNION"; bone.rotation_quaternion = Quaternion(turn)
        bone.keyframe_insert("rotation_quaternion", frame=frame + 1)
    body.pose.bones[0].location = (0.1 * frame, 0.02 * frame, 0); body.pose.bones[0].keyframe_insert("location", frame=frame + 1)
bpy.ops.export_anim.bvh(filepath=target, frame_start=1, frame_end=frames, rotate_mode="NATIVE", root_transform_only=True)
rows = []
for frame in range(frames):
    bpy.context.scene.frame_set(frame + 1)
    rows.append([list(bone.head) for bone in body.pose.bones])
np.savez(places, places=np.array(rows), names=np.array([bone.name for bone in body.pose.bones]))
'''


def test_joints_of_blenders_export_stand_where_blender_has_them(tmp_path, blender_python):
    rng, frames = np.random.default_rng(2), 6
    world = np.array(MAN.places_m())[:, [0, 2, 1]] * [1, -1, 1]  # Blender's Z up, -Y ahead
    children = [[child for child, parent in enumerate(MAN.parents) if parent == joint] for joint in range(len(MAN.names))]
    tails = [world[child[0]] if child else world[joint] + [0, 0, 0.05] for joint, child in enumerate(children)]
    bones = [(name, parent, head.tolist(), tail.tolist()) for name, parent, head, tail in zip(MAN.names, MAN.parents, world, tails)]
    turns = Rotation.from_rotvec(rng.normal(0, 0.3, (frames * len(bones), 3))).as_quat()[:, [3, 0, 1, 2]].reshape(frames, len(bones), 4)
    script, source = tmp_path / "make.py", tmp_path / "man.json"
    script.write_text(_BLENDER)
    source.write_text(json.dumps({"bones": bones, "turns": turns.tolist()}))
    subprocess.run([str(blender_python), str(script), str(source), str(tmp_path / "man.bvh"), str(tmp_path / "places.npz")], check=True,
                   capture_output=True)
    recording = bvh.read(tmp_path / "man.bvh", OPTIONS)
    seen = np.load(tmp_path / "places.npz")
    worlds = _worlds(recording.actors[0])
    assert recording.fps == 30 and any("took Z for up" in warning for warning in recording.warnings)
    for joint, name in enumerate(seen["names"].tolist()):
        # Blender writes six decimals: 1e-6 m, and 1e-6 degrees, down ten joints.
        np.testing.assert_allclose(worlds[name][:, :3, 3], seen["places"][:, joint][:, [0, 2, 1]] * [1, 1, -1], atol=1e-5)
