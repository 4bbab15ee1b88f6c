"""A motion file that brings its own character and keeps it: materials and pictures come along, as those of ``--rig hero.glb`` do."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdShade

from rigdrop.convert.recorded import RecordedOptions, people_of
from rigdrop.formats.registry import FORMATS
from rigdrop.ingest.motion_files import glb, usd
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.recording import Recording
from rigdrop.motion.store import read_take, write_take
from rigdrop.motion.take import Take

from .characters import glb_parts, tiny_character, tiny_stage
from .synthetic import small_take

PNG = cv2.imencode(".png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))[1].tobytes()
OPTIONS = MotionFileOptions(source_fps="10")


def _textured(file) -> None:
    """The body wears a picture, its feet a plain colour."""
    file.json["bufferViews"].append({"buffer": 0, "byteOffset": len(file.binary), "byteLength": len(PNG)})
    file.binary += PNG + b"\0" * (-len(PNG) % 4)
    file.json["images"] = [{"bufferView": len(file.json["bufferViews"]) - 1, "mimeType": "image/png", "name": "skin.png"}]
    file.json["textures"] = [{"source": 0}]
    skin = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.25, "roughnessFactor": 0.5}
    boots = {"baseColorFactor": [0.125, 0.25, 0.5, 1.0], "metallicFactor": 0.0}
    file.json["materials"] = [{"name": "skin", "pbrMetallicRoughness": skin}, {"name": "boots", "pbrMetallicRoughness": boots}]
    for mesh in file.json["meshes"][:2]:
        attributes = mesh["primitives"][0]["attributes"]
        count = file.json["accessors"][attributes["POSITION"]]["count"]
        attributes["TEXCOORD_0"] = file.add(np.linspace(0, 1, count * 2).reshape(count, 2))


def _moving_stage(path: Path, **kind) -> Path:
    """The characters of a stage go 1 m ahead within half a second of its 24 time codes."""
    tiny_stage(path, **kind)
    stage = Usd.Stage.Open(str(path))
    for prim in stage.GetPseudoRoot().GetChildren():
        ways = UsdGeom.Xformable(prim).GetOrderedXformOps()
        for code, ahead_m in ((0.0, 0.0), (12.0, 1.0)):
            ways[0].Set(Gf.Matrix4d(1).SetTranslate(Gf.Vec3d(0, 0, ahead_m)), code)
    stage.Save()
    return path


def _nothing(*_: object):
    raise AssertionError("nobody should ask for another body")


def _take(recording: Recording, path: Path) -> Take:
    """The recording's people on their own characters, as a store has them: the files that were read could be gone."""
    people, like = people_of(recording, RecordedOptions(), _nothing, _nothing), small_take(2)
    write_take(path, Take(times_s=recording.times_s, fps=recording.fps, camera=people.camera, people=people.people,
                          source_name=like.source_name, source_sha256=like.source_sha256, created_utc=like.created_utc,
                          rigdrop_version="0.1.0"))
    return read_take(path)


def _written(take: Take, folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"out{offered.suffix}" for name, offered in FORMATS.items()}
    for name, path in paths.items():
        FORMATS[name].write(take, take.people[0], path, None)
        report = FORMATS[name].verify(take, take.people[0], path, None)
        assert report.broken_rules == () and report.max_mm < 0.02, (name, report.broken_rules)  # the project's promise
    return paths


def _glb_looks(path: Path) -> dict[str, tuple[tuple[float, ...], bytes]]:
    """Each material's colour and picture, by the specification alone."""
    content, binary = glb_parts(path)
    looks = {}
    for material in content["materials"]:
        surface = material["pbrMetallicRoughness"]
        picture = b""
        if "baseColorTexture" in surface:
            image = content["images"][content["textures"][surface["baseColorTexture"]["index"]]["source"]]
            view = content["bufferViews"][image["bufferView"]]
            picture = binary[view.get("byteOffset", 0):view.get("byteOffset", 0) + view["byteLength"]]
        looks[material["name"]] = tuple(surface.get("baseColorFactor", [1, 1, 1, 1])), picture
    return looks


def _usd_pictures(path: Path) -> list[bytes]:
    stage = Usd.Stage.Open(str(path))
    files = [UsdShade.Shader(prim).GetInput("file").Get() for prim in stage.Traverse() if UsdShade.Shader(prim).GetInput("file")]
    assert all(file.resolvedPath for file in files)
    return [Path(file.resolvedPath).read_bytes() for file in files]


def test_a_moving_glbs_own_character_keeps_its_looks_in_every_format(tmp_path):
    recording = glb.read(tiny_character(_textured).write(tmp_path / "walk.glb"), OPTIONS)
    take = _take(recording, tmp_path / "take.h5")
    assert take.people[0].rig.origin.file_name == "walk.glb"
    paths = _written(take, tmp_path)
    expected = {"skin": ((1, 1, 1, 1), PNG), "boots": ((0.125, 0.25, 0.5, 1.0), b"")}
    for name in ("glb-skeletal", "glb-baked"):
        assert _glb_looks(paths[name]) == expected, name
    assert _usd_pictures(paths["usd-skel"]) == [PNG]
    content, _ = glb_parts(paths["glb-skeletal"])
    # Our motion is in it in place of its own; what moves the hammer alone stays.
    assert [len(animation["channels"]) > 1 for animation in content["animations"]] == [True, False]


def test_a_moving_stages_own_character_keeps_its_looks(tmp_path):
    recording = usd.read(_moving_stage(tmp_path / "walk.usda", picture=True), OPTIONS)
    take = _take(recording, tmp_path / "take.h5")
    picture = (tmp_path / "skin.png").read_bytes()
    with pytest.warns(UserWarning, match=r"walk\.usda: materials: left behind ink, which is no UsdPreviewSurface"):
        paths = _written(take, tmp_path)
    assert _usd_pictures(paths["usd-skel"]) == [picture]
    assert _glb_looks(paths["glb-baked"])["paint"][1] == picture


def test_characters_that_share_a_file_come_without_their_materials_and_it_is_said(tmp_path):
    recording = usd.read(_moving_stage(tmp_path / "two.usda", skeletons=2), OPTIONS)
    assert [actor.motion.rig.origin for actor in recording.actors] == [None, None]
    said = [f"{tmp_path / 'two.usda'}: /hero{number}/bones: found other characters beside it; took its mesh without its materials"
            for number in ("", "1")]
    assert list(recording.warnings) == said


def test_a_glb_whose_pictures_are_elsewhere_comes_without_its_materials_and_it_is_said(tmp_path):
    def elsewhere(file) -> None:
        _textured(file)
        file.json["images"] = [{"uri": "skin.png"}]

    recording = glb.read(tiny_character(elsewhere).write(tmp_path / "walk.glb"), OPTIONS)
    assert recording.actors[0].motion.rig.origin is None
    assert "images[0]: found 'skin.png' outside the file" in recording.warnings[-1]
    assert recording.warnings[-1].endswith("; took its mesh without its materials")


def test_a_character_without_materials_needs_no_file(tmp_path):
    def plain(file) -> None:
        del file.json["materials"]
        for mesh in file.json["meshes"][:2]:
            del mesh["primitives"][0]["material"]

    assert glb.read(tiny_character(plain).write(tmp_path / "walk.glb"), OPTIONS).actors[0].motion.rig.origin is None
