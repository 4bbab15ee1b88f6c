"""Somebody's own GLB with new motion: the joints go where the take says, everything else stays, whatever the file is like."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.rest_pose import with_bind_pose
from rigdrop.convert.rigs.character_file import character_from
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.options import GlbSkeletalOptions
from rigdrop.formats.verify.glb import verify_glb_skeletal
from rigdrop.ingest.motion_files.character import read_character
from rigdrop.ingest.motion_files.glb import read
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.motion.kinematics import local_matrices, local_to_world, skin_vertices, world_transforms

from .bodies import humanoid
from .characters import glb_parts, tiny_character
from .format_contract import gltf_issues, largest_mm, truth_m
from .synthetic import rig_take
from .tampering import tampered_glb

FRAMES = 8


def _take(path, scale="none", frames=FRAMES):
    return rig_take(character_from(read_character(path)), frames, scale=scale)


@pytest.fixture(scope="module")
def hero(tmp_path_factory):
    return tiny_character().write(tmp_path_factory.mktemp("hero") / "my hero.glb")


@pytest.fixture(scope="module")
def written(hero, tmp_path_factory):
    take = _take(hero)
    path = tmp_path_factory.mktemp("out") / "a_skeletal.glb"
    write_glb_skeletal(take, take.people[0], path)
    return take, path


def test_the_rig_is_the_stick_figure_whatever_the_file_is_like(hero):
    rig, plain = character_from(read_character(hero)), humanoid()
    lowest = float(plain.vertices_m[:, 1].min())
    order = np.argsort(np.argsort([name == "x" for name in rig.joint_names], kind="stable"))
    assert (order == np.arange(len(order))).all() and len(rig.joint_names) == len(plain.joint_names)
    # float32 places in centimetres.
    np.testing.assert_allclose(rig.vertices_m, plain.vertices_m - [0, lowest, 0], atol=2e-6)
    place = {name: rig.bind_world[joint, :3, 3] for name, joint in rig.skeleton.semantic.items()}
    for name in ("pelvis", "left_wrist", "right_ankle", "head"):
        np.testing.assert_allclose(place[name], plain.bind_world[plain.skeleton.semantic[name], :3, 3] - [0, lowest, 0], atol=2e-6)


@pytest.mark.parametrize("scale", ["none", "constant", "varying"])
def test_the_verifier_sees_the_take(hero, tmp_path, scale):
    take = _take(hero, scale)
    write_glb_skeletal(take, take.people[0], tmp_path / "a.glb")
    report = verify_glb_skeletal(take, take.people[0], tmp_path / "a.glb")
    # Weights in bytes are a 255th apart, and the file's are read as they are; places are float32 in centimetres.
    assert report.broken_rules == () and report.max_mm < 0.02


def test_a_reader_of_motion_sees_the_takes_vertices(written):
    take, path = written
    actor = read(path, MotionFileOptions()).actors[0]
    motion, rig = actor.motion.motion, actor.motion.rig
    worlds = local_to_world(rig.joint_parents, local_matrices(motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale))
    assert largest_mm(skin_vertices(rig, worlds), truth_m(take.people[0])) < 0.02


def test_everything_but_the_skeletons_own_motion_is_kept(hero, written):
    own, binary = glb_parts(hero)
    found, out = glb_parts(written[1])
    assert out[:len(binary)] == binary
    for kind in ("meshes", "skins", "materials", "scene", "extensions", "extensionsUsed", "extras"):
        assert found[kind] == own[kind], kind
    assert [animation["name"] for animation in found["animations"]] == ["a clip", "clip_2"], "the hammer still swings"
    changed = [number for number, node in enumerate(own["nodes"]) if found["nodes"][number] != node]
    assert changed == [0, 1, 2], "joints that were matrices, which glTF moves none of"
    for number in changed:
        parts, matrix = found["nodes"][number], np.array(own["nodes"][number]["matrix"]).reshape(4, 4).T
        assert "matrix" not in parts and parts["name"] == own["nodes"][number]["name"]
        np.testing.assert_allclose(Rotation.from_quat(parts["rotation"]).as_matrix() * parts["scale"], matrix[:3, :3], atol=1e-9)
        np.testing.assert_allclose(parts["translation"], matrix[:3, 3], atol=1e-12)


def test_what_hangs_on_a_joint_goes_with_it(hero, written):
    take, path = written
    content, _ = glb_parts(path)
    wrist = take.people[0].rig.skeleton.semantic["right_wrist"]
    node = int(take.people[0].rig.origin.joints[wrist])
    assert content["nodes"][content["nodes"][node]["children"][-1]]["name"] == "hammer"


def test_khronos_finds_no_error(written, hero, node_modules):
    issues = gltf_issues([written[1], hero], node_modules)
    assert [issue for issue in issues[str(hero)] if issue["severity"] == 0] == [], "the character itself must be sound"
    assert [issue for issue in issues[str(written[1])] if issue["severity"] == 0] == []


def test_the_camera_joins_the_scene_that_is_shown(hero, tmp_path):
    take = _take(hero)
    write_glb_skeletal(take, take.people[0], tmp_path / "a.glb", GlbSkeletalOptions(camera=True))
    content, _ = glb_parts(tmp_path / "a.glb")
    assert content["nodes"][content["scenes"][0]["nodes"][-1]]["camera"] == 0 and len(content["cameras"]) == 1
    assert verify_glb_skeletal(take, take.people[0], tmp_path / "a.glb").ok


def test_a_pointer_into_the_skeleton_goes_too(tmp_path):
    def point(file):
        for number, node in ((0, 3), (1, len(file.json["nodes"]) - 1)):
            pointer = {"KHR_animation_pointer": {"pointer": f"/nodes/{node}/rotation"}}
            channel = {"sampler": 0, "target": {"path": "pointer", "extensions": pointer}}
            samplers = file.json["animations"][0]["samplers"]
            file.json["animations"].append({"name": f"pointer {number}", "samplers": samplers, "channels": [channel]})

    hero = tiny_character(point).write(tmp_path / "hero.glb")
    take = _take(hero)
    write_glb_skeletal(take, take.people[0], tmp_path / "a.glb")
    assert [animation["name"] for animation in glb_parts(tmp_path / "a.glb")[0]["animations"]] == ["a clip", "clip_2", "pointer 1"]


def test_another_bind_pose_is_written_anew_and_said(hero, tmp_path):
    take = _take(hero)
    rig = with_bind_pose(take.people[0].rig, "T")
    bound = rig_take(rig, FRAMES)
    changed, left = r"my hero\.glb: its bind pose or its proportions were changed", "materials: left behind emissiveFactor of paint"
    with pytest.warns(UserWarning, match=changed), pytest.warns(UserWarning, match=left):
        write_glb_skeletal(bound, bound.people[0], tmp_path / "a.glb", None)
    content, _ = glb_parts(tmp_path / "a.glb")
    assert [material["name"] for material in content["materials"]] == ["paint", "ink"] and len(content["skins"]) == 1
    report = verify_glb_skeletal(bound, bound.people[0], tmp_path / "a.glb")
    assert report.ok and report.max_mm < 0.02


def test_only_what_moves_gets_a_channel(hero, tmp_path):
    rig = character_from(read_character(hero))
    take = rig_take(rig, FRAMES)
    still = world_transforms(rig, take.people[0].motion.local_quat_xyzw, take.people[0].motion.local_translation_m)
    motion = take.people[0].motion
    same = replace(motion, local_quat_xyzw=np.repeat(motion.local_quat_xyzw[:1], FRAMES, 0),
                   local_translation_m=np.repeat(motion.local_translation_m[:1], FRAMES, 0))
    quiet = replace(take, people=[replace(take.people[0], motion=same)])
    write_glb_skeletal(quiet, quiet.people[0], tmp_path / "a.glb")
    content, _ = glb_parts(tmp_path / "a.glb")
    counts = {content["accessors"][sampler["input"]]["count"] for sampler in content["animations"][0]["samplers"]}
    assert counts == {2} and len(still) == FRAMES


def _move_a_point(content, binary):
    binary[8] ^= 1


def _recolor(content, binary):
    content["materials"][0]["emissiveFactor"] = [1, 1, 1]


def _rename(content, binary):
    content["nodes"][5]["name"] = "other"


def _bring_back(content, binary):
    content["animations"].append(content["animations"][0])


def _drop_a_node(content, binary):
    content["skins"][0]["joints"] = content["skins"][0]["joints"][:-1]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_move_a_point, "the binary chunk doesn't begin with the character's own"), (_recolor, "materials: not the character's own"),
        (_rename, r"nodes\[5\]: not the character's own"), (_bring_back, r"animations\[2\]: moves the skeleton too"),
        (_drop_a_node, "skins: not the character's own"),
    ],
)
def test_the_verifier_finds_what_was_changed(written, tmp_path, change, rule):
    take, path = written
    report = verify_glb_skeletal(take, take.people[0], tampered_glb(path, tmp_path / "bad.glb", change))
    assert any(re.search(rule, broken) for broken in report.broken_rules), report.broken_rules


def test_a_file_that_is_no_glb_is_a_broken_rule(written, tmp_path):
    take, _ = written
    (tmp_path / "bad.glb").write_bytes(b"glTF nothing")
    report = verify_glb_skeletal(take, take.people[0], tmp_path / "bad.glb")
    assert not report.ok and report.max_mm == np.inf
