"""How a character looks, told in the words that glTF and USD share, and what is said of the rest."""

from __future__ import annotations

import base64
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdShade

from rigdrop.convert.rigs.character_file import character_from
from rigdrop.formats.glb import GlbFile
from rigdrop.formats.glb_looks import add_looks
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.looks import Look, Looks, Picture, looks_of
from rigdrop.formats.usd_looks import define_looks
from rigdrop.formats.usd_skel import write_usd_skel
from rigdrop.ingest.motion_files.character import read_character

from .bodies import humanoid
from .characters import glb_parts, tiny_character, tiny_stage
from .synthetic import rig_take

PNG = cv2.imencode(".png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))[1].tobytes()
JPEG = cv2.imencode(".jpg", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))[1].tobytes()


def _materials(file):
    """Four surfaces: one with everything that is shared, one see-through, one with what is not shared, one with nothing said."""
    file.json["bufferViews"].append({"buffer": 0, "byteOffset": len(file.binary), "byteLength": len(PNG)})
    file.binary += PNG + b"\0" * (-len(PNG) % 4)
    image = len(file.json["bufferViews"]) - 1
    file.json["images"] = [{"bufferView": image, "mimeType": "image/png", "name": "skin.png"},
                           {"uri": "data:image/jpeg;base64," + base64.b64encode(JPEG).decode(), "name": "bumps"},
                           {"uri": "data:image/webp;base64,UklGRg=="}]
    file.json["samplers"] = [{"wrapS": 33071, "wrapT": 33648}]
    file.json["textures"] = [{"source": 0, "sampler": 0}, {"source": 1}, {"source": 2}]
    file.json["materials"] = [
        {"name": "all", "doubleSided": True, "normalTexture": {"index": 1}, "alphaMode": "MASK", "alphaCutoff": 0.25,
         "pbrMetallicRoughness": {
            "baseColorFactor": [0.5, 0.25, 0.125, 1], "baseColorTexture": {"index": 0}, "metallicFactor": 0.75, "roughnessFactor": 0.5,
            "metallicRoughnessTexture": {"index": 0}}},
        {"name": "glass", "alphaMode": "BLEND", "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0.5], "metallicFactor": 0}},
    ]


@pytest.fixture
def character(tmp_path):
    file = tiny_character(_materials)
    for mesh in file.json["meshes"][:2]:
        attributes = mesh["primitives"][0]["attributes"]
        count = file.json["accessors"][attributes["POSITION"]]["count"]
        attributes["TEXCOORD_0"] = file.add(np.linspace(0, 1, count * 2).reshape(count, 2))
    return character_from(read_character(file.write(tmp_path / "hero.glb")))


def test_a_glbs_materials_are_read_as_they_are(character):
    looks = looks_of(character)
    everything, glass, _ = looks.looks
    clamped = Picture("skin.png", PNG, ("clamp", "mirror"))
    assert everything == Look("all", (0.5, 0.25, 0.125, 1.0), clamped, 0.75, 0.5, clamped, Picture("bumps.jpg", JPEG), "mask", 0.25, True)
    assert glass == Look("glass", (1.0, 1.0, 1.0, 0.5), None, 0.0, 1.0, None, None, "blend", 0.5, False)
    assert [len(faces) for _, faces in looks.parts()] == np.bincount(character.origin.face_materials).tolist()


def test_a_mesh_without_coordinates_has_no_use_for_pictures(character):
    looks = looks_of(replace(character, uvs=None)).looks
    assert looks[0].base_picture is looks[0].normal_picture is looks[0].rough_metal_picture is None and looks[0].metallic == 0.75


def test_a_rig_of_no_file_has_none():
    assert looks_of(humanoid()) is None


def test_what_is_not_shared_is_said(tmp_path):
    def edit(file):
        _materials(file)
        extra = {"occlusionTexture": {"index": 0}, "extensions": {"KHR_materials_sheen": {}}, "emissiveFactor": [0, 0, 0]}
        file.json["materials"][1] |= extra
        file.json["materials"][1]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 2}
        moved = {"index": 0, "extensions": {"KHR_texture_transform": {"offset": [0.5, 0]}}}
        file.json["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = moved

    character = character_from(read_character(tiny_character(edit).write(tmp_path / "hero.glb")))
    match = ("hero.glb: materials: left behind KHR_texture_transform of all; occlusionTexture of glass; KHR_materials_sheen of glass; "
             "baseColorTexture of glass")
    with pytest.warns(UserWarning) as said:
        looks_of(character)
    assert [str(each.message) for each in said] == [match]


def test_the_same_looks_come_back_from_a_glb_of_ours(character, tmp_path):
    bound = replace(character, origin=replace(character.origin, T_world_joint_bind=character.origin.T_world_joint_bind * 1.0))
    file = GlbFile.new({})
    looks = looks_of(bound).looks[:2]
    assert add_looks(file, looks) == [0, 1]
    file.save(tmp_path / "a.glb")
    content, binary = glb_parts(tmp_path / "a.glb")
    assert len(content["images"]) == 2, "a picture that is used twice is there once"
    for image, expected in zip(content["images"], (PNG, JPEG), strict=True):
        view = content["bufferViews"][image["bufferView"]]
        assert binary[view["byteOffset"]:view["byteOffset"] + view["byteLength"]] == expected
    first, second = content["materials"]
    assert first["pbrMetallicRoughness"] == {
        "baseColorFactor": [0.5, 0.25, 0.125, 1.0], "baseColorTexture": {"index": 0}, "metallicFactor": 0.75, "roughnessFactor": 0.5,
        "metallicRoughnessTexture": {"index": 0},
    }
    assert (first["alphaMode"], first["alphaCutoff"], first["doubleSided"], first["normalTexture"]) == ("MASK", 0.25, True, {"index": 1})
    assert second["alphaMode"] == "BLEND" and "doubleSided" not in second
    assert content["samplers"] == [{"wrapS": 33071, "wrapT": 33648}, {"wrapS": 10497, "wrapT": 10497}]


def test_looks_survive_a_glb_that_becomes_a_stage_and_a_glb_again(character, tmp_path):
    take = rig_take(character, 2)
    write_usd_skel(take, take.people[0], tmp_path / "a_skel.usdc")
    again = character_from(read_character(tmp_path / "a_skel.usdc"))
    first, second = looks_of(character), looks_of(again)
    for look, found in ((look, next(each for each in second.looks if each.name == look.name)) for look in first.looks[:2]):
        assert found.base_color == pytest.approx(look.base_color) and (found.metallic, found.roughness) == (look.metallic, look.roughness)
        for kind in ("base_picture", "rough_metal_picture", "normal_picture"):
            own, other = getattr(look, kind), getattr(found, kind)
            assert (own is None) == (other is None) and (own is None or (own.content, own.wrap) == (other.content, other.wrap)), kind
        assert (found.alpha, found.cutoff) == (look.alpha, look.cutoff)
    write_glb_skeletal(take, replace(take.people[0], rig=replace(again, name="again")), tmp_path / "b.glb")
    assert [material["name"] for material in glb_parts(tmp_path / "b.glb")[0]["materials"]] == ["all", "glass"]


def test_a_stages_surface_is_read_and_what_is_not_shared_is_said(tmp_path):
    character = character_from(read_character(tiny_stage(tmp_path / "hero.usda", picture=True)))
    with pytest.warns(UserWarning, match=r"hero\.usda: materials: left behind ink, which is no UsdPreviewSurface; emissiveColor of paint"):
        looks = looks_of(character)
    paint = looks.looks[character.origin.materials.index("/hero/paint")]
    picture = Picture("skin.png", (tmp_path / "skin.png").read_bytes(), ("mirror", "repeat"))
    assert paint == Look("paint", (0.5, 0.25, 1.0, 1.0), picture, 0.5, 0.5, None, None, "mask", 0.25, False)


def test_a_stage_of_ours_binds_each_look_to_its_faces():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Xform.Define(stage, "/person")
    mesh = UsdGeom.Mesh.Define(stage, "/person/body")
    mesh.CreateFaceVertexCountsAttr([3, 3, 3])
    picture = Picture("my skin.png", PNG)
    other = Look("a_b", base_picture=Picture("my skin.png", JPEG))
    looks = Looks((Look("a b", base_picture=picture, double_sided=True), Look("unused"), other), np.array([2, 0, 2]))
    pictures = define_looks(stage, Sdf.Path("/person"), mesh, looks)
    assert pictures == {"pictures/my_skin.png": PNG, "pictures/my_skin_2.png": JPEG} and mesh.GetDoubleSidedAttr().Get()
    subsets = UsdShade.MaterialBindingAPI(mesh.GetPrim()).GetMaterialBindSubsets()
    bound = {}
    for each in subsets:
        material = UsdShade.MaterialBindingAPI(each.GetPrim()).ComputeBoundMaterial()[0]
        bound[str(material.GetPath())] = list(each.GetIndicesAttr().Get())
    assert bound == {"/person/looks/a_b": [1], "/person/looks/a_b_2": [0, 2]}
