"""A character read from its file: what of the file each part of the rig is; and files that have none."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from rigdrop.convert.rigs.character_file import character_from
from rigdrop.errors import ReadError
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.verify.glb import verify_glb_skeletal
from rigdrop.ingest.motion_files.character import is_character_file, read_character

from .bodies import humanoid
from .characters import tiny_character, tiny_stage
from .synthetic import rig_take


@pytest.mark.parametrize("name", ["hero.glb", "Hero.GLB", "a/b.usd", "b.usda", "b.usdc", "b.usdz"])
def test_names_of_files_are_told_from_names_of_rigs(name):
    assert is_character_file(name)
    assert not is_character_file("unreal") and not is_character_file("hero.fbx")


def test_a_glbs_origin_says_which_node_and_which_primitive_everything_is(tmp_path):
    path = tiny_character().write(tmp_path / "hero.glb")
    origin = read_character(path).rig.origin
    half = 55 * 8 // 16 * 8
    assert (origin.format, origin.file_name, origin.skeleton) == ("glb", "hero.glb", "")
    assert origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and origin.content == path.read_bytes()
    assert sorted(map(int, origin.joints)) == list(range(55)) and origin.meshes == ("56/0", "57/0")
    assert origin.vertex_counts.tolist() == [half, 440 - half] and (origin.points[half:] == np.arange(440 - half)).all()
    assert origin.materials == ("0", "1") and np.bincount(origin.face_materials).tolist() == [half // 8 * 12, (440 - half) // 8 * 12]
    linear = origin.T_world_joint_bind[:, :3, :3]
    np.testing.assert_allclose(np.linalg.norm(linear, axis=1), 0.01, rtol=1e-5)


def _two_materials(file):
    """Let the first mesh's triangles be of two materials by turns, which share its vertices, as exporters do that keep one buffer."""
    primitive = file.json["meshes"][0]["primitives"][0]
    count = file.json["accessors"][primitive["indices"]]["count"]
    at = file.json["bufferViews"][file.json["accessors"][primitive["indices"]]["bufferView"]]["byteOffset"]
    faces = np.frombuffer(file.binary, np.uint16, count, at).reshape(-1, 3)
    file.json["meshes"][0]["primitives"] = [
        {**primitive, "attributes": dict(primitive["attributes"]), "indices": file.add(faces[part::2].ravel(), "uint16"), "material": part}
        for part in (0, 1)]


def test_vertices_that_primitives_share_are_there_once(tmp_path):
    plain = read_character(tiny_character().write(tmp_path / "plain.glb")).rig
    path = tiny_character(_two_materials).write(tmp_path / "hero.glb")
    rig, half = read_character(path).rig, plain.origin.vertex_counts[0]
    np.testing.assert_array_equal(rig.vertices_m, plain.vertices_m)
    np.testing.assert_array_equal(rig.skin_weights, plain.skin_weights)
    first = len(plain.faces[plain.faces[:, 0] < half])
    np.testing.assert_array_equal(rig.faces, np.concatenate([plain.faces[:first:2], plain.faces[1:first:2], plain.faces[first:]]))
    assert rig.origin.meshes == ("56/0", "57/0") and rig.origin.vertex_counts.tolist() == plain.origin.vertex_counts.tolist()
    materials = [0] * len(plain.faces[:first:2]) + [1] * (len(plain.faces) - len(plain.faces[:first:2]))
    assert rig.origin.face_materials.tolist() == materials
    take = rig_take(character_from(read_character(path)), 3)
    write_glb_skeletal(take, take.people[0], tmp_path / "moved.glb")
    report = verify_glb_skeletal(take, take.people[0], tmp_path / "moved.glb")
    assert report.broken_rules == () and report.max_mm < 0.02  # weights in bytes, and float32 places in centimetres


def _no_skin(file):
    file.json["nodes"] = [{key: value for key, value in node.items() if key != "skin"} for node in file.json["nodes"]]


def _no_mesh(file):
    file.json["nodes"] = [{key: value for key, value in node.items() if key not in ("skin", "mesh")} for node in file.json["nodes"]]


def _two(file):
    nodes = file.json["nodes"]
    nodes += [{"name": "other", "children": [len(nodes) + 1]}, {"name": "bone"}, {"mesh": 1, "skin": 2}]
    file.json["skins"].append({"joints": [len(nodes) - 3, len(nodes) - 2], "name": "dog"})


def _outside(file):
    file.json["images"] = [{"uri": "skin.png"}]


def _lines(file):
    file.json["meshes"][0]["primitives"][0]["mode"] = 1


def _apart(file):
    inverse = np.tile(np.eye(4), (55, 1, 1))
    inverse[:, 0, 3] = np.arange(55)
    file.json["skins"][1]["inverseBindMatrices"] = file.add(inverse)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (_no_skin, "skins: found no skinned mesh, expected one character"),
        (_no_mesh, "skins: found no skinned mesh, expected one character"),
        (_two, r"skins: found 2 skeletons with meshes \(.*dog\), expected one character"),
        (_outside, r"images\[0\]: found 'skin\.png' outside the file, expected it packed"),
        (_lines, "found no plain list of triangles, expected a character that can be driven"),
        (_apart, "bind poses that differ, expected a character that can be driven"),
    ],
)
def test_a_glb_without_one_character_is_one_clear_error(tmp_path, edit, match):
    with pytest.raises(ReadError, match=match):
        read_character(tiny_character(edit).write(tmp_path / "bad.glb"))


def test_what_is_no_character_file_is_an_error(tmp_path):
    (tmp_path / "text.glb").write_text("hello")
    with pytest.raises(ReadError, match=r"text\.glb: found a file that is neither, expected a character's \.glb or \.usd"):
        read_character(tmp_path / "text.glb")
    with pytest.raises(ReadError, match=r"none\.glb: found no such file"):
        read_character(tmp_path / "none.glb")


def test_a_stages_mesh_is_split_at_seams_and_knows_its_points_and_materials(tmp_path):
    rig, plain = read_character(tiny_stage(tmp_path / "hero.usda")).rig, humanoid()
    origin = rig.origin
    assert (origin.format, origin.skeleton, origin.meshes) == ("usd", "/hero/bones", ("/hero/body",))
    # Every corner of a box is in three faces, with coordinates of its own in each; some are the same.
    assert len(rig.vertices_m) == int(origin.vertex_counts[0]) > len(plain.vertices_m)
    np.testing.assert_allclose(rig.vertices_m, plain.vertices_m[origin.points], atol=1e-7)
    assert set(origin.points) == set(range(len(plain.vertices_m)))
    corners = {(int(point), *map(float, uv)) for point, uv in zip(origin.points, rig.uvs, strict=True)}
    quads = np.column_stack([plain.faces[0::2], plain.faces[1::2, 2]])
    square = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    assert corners == {(int(point), *square[place]) for quad in quads for place, point in enumerate(quad)}
    # Fans of quads: the first triangles of all, then the second ones.
    np.testing.assert_array_equal(origin.points[rig.faces], np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]]))
    named = [origin.materials[number] for number in origin.face_materials]
    assert named[:6] == ["/hero/ink"] * 6 and named[6:len(quads)] == ["/hero/paint"] * (len(quads) - 6) and len(named) == 2 * len(quads)
    assert character_from(read_character(tmp_path / "hero.usda")).origin.fits(plain.bind_world) == (plain.vertices_m[:, 1].min() == 0)


@pytest.mark.parametrize(
    ("made", "match"),
    [
        ({"skeletons": 2}, r"found 2 skeletons with meshes \(/hero/bones, /hero1/bones\), expected one character"),
        ({"skinned": False}, "found no skinned mesh, expected one character"),
        ({"bound": False}, "/hero/bones: found no bindTransforms, expected one for each joint"),
    ],
)
def test_a_stage_without_one_character_is_one_clear_error(tmp_path, made, match):
    with pytest.raises(ReadError, match=match):
        read_character(tiny_stage(tmp_path / "bad.usda", **made))
