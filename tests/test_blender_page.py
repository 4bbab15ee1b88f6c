"""docs/blender.md against Blender: its commands are run in their order, and its scripts on what they wrote."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigdrop.motion.kinematics import world_transforms
from rigdrop.motion.store import read_take

FRAMES = 24
R_ROWS_BLENDER = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # multiplies rows from the right: (x, y, z) to (x, -z, y)
# What the page's scripts are tried with; each writes what it saw, in Blender's world.
TRIALS = """
import sys
import numpy as np

def fresh():
    bpy.ops.wm.read_factory_settings(use_empty=True)

def heads(armature, frame):
    bpy.context.scene.frame_set(frame)
    return {bone.name: list(armature.matrix_world @ bone.head) for bone in armature.pose.bones}

def angle_to_child(armature):
    angles = [np.degrees((bone.tail_local - bone.head_local).angle(bone.children[0].head_local - bone.head_local))
              for bone in armature.data.bones
              if len(bone.children) == 1 and (bone.children[0].head_local - bone.head_local).length > 0.05]
    return float(np.median(angles))

def seen(armature, frames):
    scene = bpy.context.scene
    meshes = [item for item in bpy.data.objects if item.type == "MESH" and not item.name.startswith("Icosphere")]
    return {
        "heads": {frame: heads(armature, frame) for frame in frames},
        "fps": scene.render.fps / scene.render.fps_base, "range": [scene.frame_start, scene.frame_end],
        "action": armature.animation_data.action.name, "frames": list(armature.animation_data.action.frame_range),
        "object": [armature.name, list(armature.location), list(armature.scale), list(armature.matrix_world.to_scale())],
        "parent": [armature.parent.name, list(armature.parent.rotation_euler)] if armature.parent else None,
        "meshes": {item.name: item.dimensions.z for item in meshes}, "angle": angle_to_child(armature),
        "bones": [bone.name for bone in armature.data.bones], "connected": sum(bone.use_connect for bone in armature.data.bones),
        "tracks": [[track.name, track.mute] for track in armature.animation_data.nla_tracks],
        "icospheres": sum(item.name.startswith("Icosphere") for item in bpy.data.objects),
        "keyed": len({curve.data_path.split('"')[1] for curve in curves(armature)}),
        "moving": sorted({curve.data_path.split('"')[1] for curve in curves(armature) if curve.data_path.endswith("location")
                          and len({round(key.co[1], 5) for key in curve.keyframe_points}) > 1}),
    }

def curves(armature):
    data = armature.animation_data
    return data.action.layers[0].strips[0].channelbag(data.action_slot).fcurves
"""


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "blender.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, page: str, anny_folder: Path) -> Path:
    """Where the page's commands have run, all but the one that reads what Blender exports."""
    place = tmp_path_factory.mktemp("blender")
    _walk(place / "walk.npz")
    for words in _commands(page):
        if "edited.glb" not in words:
            _rigdrop(place, *words[1:])
    return place


def _commands(page: str) -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]


def _rigdrop(place: Path, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "rigdrop", *words], cwd=place, capture_output=True, text=True,
                          env={**os.environ, "RIGDROP_PREVIEW": "false"})
    assert done.returncode == 0, f"{words}: {done.stderr[-2000:]}"


def _walk(path: Path, fps: float = 30.0) -> None:
    """AMASS's form: somebody who walks along +Z of ours, 1 m a second, swinging arms and legs."""
    time_s = np.arange(FRAMES) / 30
    swing = np.sin(2 * np.pi * time_s)
    poses = np.zeros((FRAMES, 52, 3))
    poses[:, 0, 0] = np.pi / 2
    poses[:, 1, 0], poses[:, 2, 0] = -0.4 * swing, 0.4 * swing
    poses[:, 4:6, 0] = 0.3
    poses[:, 16, 2], poses[:, 17, 2] = -1.2, 1.2
    poses[:, 18, 1], poses[:, 19, 1] = -0.4 - 0.2 * swing, 0.4 - 0.2 * swing
    trans = np.stack([np.zeros(FRAMES), 0.35 - time_s, np.full(FRAMES, 0.93)], axis=1)
    np.savez(path, poses=poses.reshape(FRAMES, -1), trans=trans, betas=np.zeros(16), gender="neutral", mocap_framerate=fps)


def _in_blender(blender_python: Path, page: str, place: Path, code: str) -> Any:
    """What ``code`` leaves in ``result``, after the page's scripts, run in Blender in the folder ``place``."""
    scripts = "\n".join(re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL))
    script = place / "trial.py"
    script.write_text(f"{scripts}\n{TRIALS}\n{code}\nPath('result.json').write_text(json.dumps(result))\n", encoding="utf-8")
    done = subprocess.run([blender_python, script.name], cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return json.loads((place / "result.json").read_text(encoding="utf-8"))


def _files(out: str) -> str:
    return f"{out}/walk/person_01/walk_person_01"


def _joints(place: Path, out: str, frame: int) -> dict[str, np.ndarray]:
    """The take's joints in Blender's axes: (x, y, z) is (x, -z, y) there."""
    person = read_take(place / out / "walk" / "take.h5").people[0]
    motion = person.motion
    world = world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale)
    return dict(zip(person.rig.joint_names, world[frame, :, :3, 3] @ R_ROWS_BLENDER, strict=True))


def _assert_same_places(heads: dict[str, list[float]], joints: dict[str, np.ndarray]) -> None:
    for name, place in joints.items():
        # Blender keeps single precision, bone lengths chained a dozen deep.
        np.testing.assert_allclose(heads[name.replace(":", "_")], place, atol=2e-4, err_msg=name)


def test_a_glb_comes_in_as_the_page_says(page, folder, blender_python):
    out = "rigdrop-out"
    result = _in_blender(blender_python, page, folder, f"""
fresh()
armature = import_character("{_files(out)}_skeletal.glb", "{out}/walk/report.json")
result = seen(armature, (0, {FRAMES - 1}))
""")
    assert result["object"] == ["person_01", [0, 0, 0], [1, 1, 1], [1, 1, 1]]
    assert result["parent"] is None
    assert (result["action"], result["fps"]) == ("walk", 30)
    assert result["frames"] == result["range"] == [0, FRAMES - 1]
    assert list(result["meshes"]) == ["person_01_body"]
    assert result["tracks"] == [["walk", True]]
    assert (result["connected"], result["icospheres"]) == (0, 0)
    assert 0 < result["keyed"] < len(result["bones"])
    assert result["moving"] == ["pelvis"]  # --preset blender puts the way on the hips
    for frame in (0, FRAMES - 1):
        _assert_same_places(result["heads"][str(frame)], _joints(folder, out, frame))


def test_the_importers_set_what_the_page_says_and_no_more(page, folder, blender_python):
    _rigdrop(folder, "convert", "walk.npz", "--out", "both", "--format", "glb-skeletal,glb-baked,usd-skel", "--scene")
    result = _in_blender(blender_python, page, folder, f"""
result = {{}}
for kind in ("skeletal.glb", "baked.glb", "skel.usdc"):
    fresh()
    if kind.endswith("glb"):
        bpy.ops.import_scene.gltf(filepath=f"{_files('both')}_{{kind}}")
    else:
        bpy.ops.wm.usd_import(filepath=f"{_files('both')}_{{kind}}")
    scene = bpy.context.scene
    result[kind] = {{"fps": scene.render.fps, "range": [scene.frame_start, scene.frame_end],
                    "keys": [list(action.frame_range) for action in bpy.data.actions],
                    "icospheres": sum(item.name.startswith("Icosphere") for item in bpy.data.objects),
                    "collections": [each.name for each in bpy.data.collections],
                    "shape_keys": sum(len(each.key_blocks) - 1 for each in bpy.data.shape_keys),
                    "armatures": len(bpy.data.armatures)}}
fresh()
bpy.ops.wm.usd_import(filepath="both/walk/scene.usdc")
result["scene"] = sorted(item.type for item in bpy.data.objects if item.type in ("ARMATURE", "CAMERA", "MESH"))
fresh()
armature = import_character("{_files('both')}_skel.usdc", "both/walk/report.json")
result["usd"] = seen(armature, (0, {FRAMES - 1}))
""")
    assert {kind: result[kind]["fps"] for kind in ("skeletal.glb", "skel.usdc")} == {"skeletal.glb": 24, "skel.usdc": 24}
    assert result["skeletal.glb"]["range"] == [1, 250]
    assert result["skel.usdc"]["range"] == [0, FRAMES - 1]
    assert result["skel.usdc"]["keys"] == [[0, FRAMES - 1]]
    (last,) = result["skeletal.glb"]["keys"]
    assert last[1] == pytest.approx((FRAMES - 1) * 24 / 30, abs=1e-3)  # keys between frames keep the speed
    assert result["skeletal.glb"]["icospheres"] == 1
    assert "glTF_not_exported" in result["skeletal.glb"]["collections"]
    assert (result["baked.glb"]["shape_keys"], result["baked.glb"]["armatures"]) == (FRAMES - 1, 0)
    assert result["scene"] == ["ARMATURE", "CAMERA", "MESH"]
    usd = result["usd"]
    assert (usd["object"][0], usd["action"], usd["fps"], usd["tracks"]) == ("skeleton", "motion", 30, [])
    name, turn = usd["parent"]
    assert name == "person_01" and turn == pytest.approx([np.pi / 2, 0, 0], abs=1e-6)
    assert usd["object"][3] == pytest.approx([1, 1, 1], abs=1e-6)
    for frame in (0, FRAMES - 1):
        _assert_same_places(usd["heads"][str(frame)], _joints(folder, "both", frame))


def test_keys_lie_on_frames_at_broken_rates(page, folder, blender_python):
    (folder / "ntsc").mkdir()
    _walk(folder / "ntsc" / "walk.npz", 30000 / 1001)
    _rigdrop(folder, "convert", "ntsc/walk.npz", "--out", "ntsc", "--format", "glb-skeletal,usd-skel")
    result = _in_blender(blender_python, page, folder, f"""
result = []
for kind in ("skeletal.glb", "skel.usdc"):
    fresh()
    armature = import_character(f"{_files('ntsc')}_{{kind}}", "ntsc/walk/report.json")
    keys = sorted({{key.co[0] for curve in curves(armature) for key in curve.keyframe_points}})
    result.append([bpy.context.scene.render.fps / bpy.context.scene.render.fps_base, keys])
""")
    for fps, keys in result:
        assert fps == pytest.approx(30000 / 1001, rel=1e-7)
        assert np.abs(np.array(keys) - np.rint(keys)).max() < 1e-3
        assert len(set(np.rint(keys))) == len(keys)


@pytest.mark.slow
def test_bones_lie_along_the_limbs_as_the_table_says(page, folder, blender_python):
    table = re.search(r"^\| rig \| default.*?\n\n", page, flags=re.MULTILINE | re.DOTALL)
    assert table is not None
    rigs = {word: row.split("|")[2].strip() for row in table[0].splitlines()[2:] for word in re.findall(r"`(\w+)`", row)}
    tried = [name for name in rigs if name != "mhr"]  # which needs its own files
    for name in tried:
        _rigdrop(folder, "convert", "walk.npz", "--out", f"rigs/{name}", "--rig", name, "--format", "glb-skeletal", "--frame-limit", "2")
    result = _in_blender(blender_python, page, folder, f"""
result = {{}}
for name in {tried!r}:
    for bones in ("BLENDER", "TEMPERANCE"):
        fresh()
        bpy.ops.import_scene.gltf(filepath=f"rigs/{{name}}/walk/person_01/walk_person_01_skeletal.glb", bone_heuristic=bones)
        result[f"{{name}} {{bones}}"] = angle_to_child(next(item for item in bpy.data.objects if item.type == "ARMATURE"))
""")
    for name in tried:
        assert result[f"{name} TEMPERANCE"] < 15, name
        assert (result[f"{name} BLENDER"] < 15) == (rigs[name] == "along the limbs"), name


def test_the_way_is_where_the_root_modes_put_it(page, folder, blender_python):
    result = _in_blender(blender_python, page, folder, f"""
result = {{}}
for out in ("on-root", "on-the-spot"):
    fresh()
    armature = import_character(f"{{out}}/walk/person_01/walk_person_01_skeletal.glb", f"{{out}}/walk/report.json")
    result[out] = seen(armature, (0, {FRAMES - 1}))
""")
    way, hips = ({out: np.array(each["heads"][str(FRAMES - 1)][bone]) - each["heads"]["0"][bone] for out, each in result.items()}
                 for bone in ("Root", "pelvis"))
    assert "Root" in result["on-root"]["moving"]
    assert way["on-root"][1] < -0.6 and abs(way["on-root"][2]) < 1e-4
    np.testing.assert_allclose(way["on-root"][:2], hips["on-root"][:2], atol=0.05)
    np.testing.assert_allclose(way["on-the-spot"], 0, atol=1e-4)
    np.testing.assert_allclose(hips["on-the-spot"][:2], 0, atol=1e-4)


def test_centimetres_arrive_scaled(page, folder, blender_python):
    _rigdrop(folder, "convert", "walk.npz", "--out", "cm", "--preset", "unreal", "--frame-limit", "3")
    result = _in_blender(blender_python, page, folder, f"""
fresh()
result = seen(import_character("{_files('cm')}_skel.usdc", "cm/walk/report.json"), (0,))
""")
    assert result["object"][3] == pytest.approx([0.01, 0.01, 0.01], rel=1e-5)
    assert result["meshes"]["body"] == pytest.approx(1.75, abs=0.05)


def test_a_strip_plays_the_action_from_its_start_again_and_again(page, folder, blender_python):
    start = 40
    result = _in_blender(blender_python, page, folder, f"""
fresh()
armature = import_character("{_files('on-the-spot')}_skeletal.glb", "on-the-spot/walk/report.json")
before = heads(armature, 10)
strip = put_on_track(armature, {start}, 2.0)
tracks = armature.animation_data.nla_tracks
result = [before, heads(armature, {start} + 10), heads(armature, {start} + {FRAMES - 1} + 10), strip.frame_end, len(tracks)]
""")
    before, shifted, again, end, tracks = result
    for name, place in before.items():
        np.testing.assert_allclose(shifted[name], place, atol=1e-5)
        np.testing.assert_allclose(again[name], place, atol=1e-5)
    assert (end, tracks) == (start + 2 * (FRAMES - 1), 1)


@pytest.mark.parametrize(("rig", "mode"), [("unreal", "hips"), ("ue5", "root-motion")])
def test_another_body_of_the_same_rig_takes_the_action(page, folder, blender_python, rig, mode):
    for out, options in (("lean", ()), ("heavy", ("--body.weight", "0.9", "--frame-limit", "2"))):
        _rigdrop(folder, "convert", "walk.npz", "--out", out, "--rig", rig, "--root", mode, *options, "--format", "glb-skeletal")
    result = _in_blender(blender_python, page, folder, f"""
fresh()
target = import_character("{_files('heavy')}_skeletal.glb", "heavy/walk/report.json")
source = import_character("{_files('lean')}_skeletal.glb", "lean/walk/report.json")
share_action(source, target)
bpy.context.scene.frame_set(15)
turns = [[list((bone.matrix @ bone.bone.matrix_local.inverted()).to_quaternion()) for bone in armature.pose.bones]
         for armature in (source, target)]
result = [turns, list(source.pose.bones["pelvis"].head), list(target.pose.bones["pelvis"].head)]
""")
    (source, target), way, followed = np.array(result[0]), result[1], result[2]
    apart = np.degrees(2 * np.arccos(np.clip(np.abs((source * target).sum(axis=1)), 0, 1)))
    # The same keys, each from its own rest; legs of two bodies differ by less than a millimetre here.
    assert apart.max() < 0.1
    np.testing.assert_allclose(followed, way, atol=1e-3)


def test_a_skeleton_of_other_names_follows(page, folder, blender_python):
    names = {"spine_01": "mixamorig:Spine", "thigh_l": "mixamorig:LeftUpLeg", "calf_l": "mixamorig:LeftLeg", "foot_l": "mixamorig:LeftFoot",
             "upperarm_l": "mixamorig:LeftArm", "lowerarm_l": "mixamorig:LeftForeArm", "pelvis": "mixamorig:Hips"}
    result = _in_blender(blender_python, page, folder, f"""
fresh()
target = import_character("{_files('for-mixamo')}_skeletal.glb", "for-mixamo/walk/report.json")
source = import_character("{_files('on-root')}_skeletal.glb", "on-root/walk/report.json")
target.animation_data_clear()
names = {names!r}
follow(source, target, names, "mixamorig:Hips")
result = []
for frame in (3, 20):
    bpy.context.scene.frame_set(frame)
    for theirs, mine in names.items():
        turns = [(armature.pose.bones[name].matrix @ armature.data.bones[name].matrix_local.inverted()).to_quaternion()
                 for armature, name in ((source, theirs), (target, mine))]
        result.append(np.degrees(turns[0].rotation_difference(turns[1]).angle))
    result.append((source.pose.bones["pelvis"].head - target.pose.bones["mixamorig:Hips"].head).length)
""")
    # Degrees of every bone, and then the hips' distance in metres: those of the two rigs rest 6 mm apart.
    turns, apart = np.array(result).reshape(2, -1)[:, :-1], np.array(result).reshape(2, -1)[:, -1]
    assert np.minimum(turns, 360 - turns).max() < 0.1
    assert apart.max() < 0.05


def test_what_blender_exports_is_converted_again(page, folder, blender_python):
    _in_blender(blender_python, page, folder, f"""
fresh()
armature = import_character("{_files('on-root')}_skeletal.glb", "on-root/walk/report.json")
export_character("edited.glb")
result = None
""")
    (command,) = [words for words in _commands(page) if "edited.glb" in words]
    _rigdrop(folder, *command[1:])
    take = read_take(folder / "rigdrop-out" / "edited" / "take.h5")
    assert take.fps == 30 and len(take.times_s) == FRAMES
    person = take.people[0]
    world = world_transforms(person.rig, person.motion.local_quat_xyzw, person.motion.local_translation_m, person.motion.local_scale)
    truth = _joints(folder, "on-root", 15)
    for joint, name in enumerate(person.rig.joint_names):
        if name in truth:
            np.testing.assert_allclose(world[15, joint, :3, 3] @ R_ROWS_BLENDER, truth[name], atol=2e-3, err_msg=name)
