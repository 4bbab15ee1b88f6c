"""Somebody's own character, from their file through a retargeted walk to their file again, as Blender and Khronos see it.

Blender makes the character: two meshes, three materials, packed pictures, seams, an action of its own; once in
metres with Rigify's names and once, as Mixamo's are, in centimetres under a root of scale 0.01. Distances are float32's and USD's rounding
down a tree of joints; the project promises 0.02 mm.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdShade
from scipy.spatial import cKDTree

from rigdrop.convert.body import Body
from rigdrop.convert.performance import Performance
from rigdrop.convert.retarget import retarget
from rigdrop.convert.rigs.character_file import character_from
from rigdrop.formats.options import UsdSkelOptions
from rigdrop.formats.pictures import pictures_folder
from rigdrop.formats.registry import FORMATS
from rigdrop.formats.scene import write_scene
from rigdrop.ingest.motion_files.character import read_character
from rigdrop.motion.store import read_take, write_take
from rigdrop.motion.take import Person, Take

from .bodies import humanoid, walk
from .characters import CharacterFiles, blender_character, glb_parts
from .format_contract import TOOLS, gltf_issues, largest_mm, read_in_blender, truth_m
from .synthetic import small_take

FRAMES = 24
LIMIT_MM = 0.02


@dataclass(frozen=True)
class Case:
    source: Path
    format: str
    take: Take
    path: Path

    @property
    def person(self) -> Person:
        return self.take.people[0]

    @property
    def stays(self) -> bool:
        """The same kind of file in and out."""
        return (self.source.suffix == ".glb") == (self.format == "glb-skeletal") and self.format != "glb-baked"


def _walking(path: Path) -> Take:
    """A walk of the humanoid on the character of a file."""
    times_s = np.arange(FRAMES) / 30
    source = humanoid()
    quat, root_m = walk(Body.of(source), times_s)
    motion = Body.of(source).to_motion(quat, root_m, np.ones(FRAMES, bool), np.ones(FRAMES))
    character = character_from(read_character(path))
    done = retarget(Performance.of_motion(source, times_s, motion), character)
    like = small_take(FRAMES)
    return Take(times_s=times_s, fps=like.fps, camera=like.camera, people=[Person("person_01", "Hero", 1, character, done.to_motion())],
                source_name=like.source_name, source_sha256=like.source_sha256, created_utc=like.created_utc, rigdrop_version="0.1.0")


@pytest.fixture(scope="module")
def heroes(tmp_path_factory, blender_python) -> list[CharacterFiles]:
    kinds = ((1.0, "rigify"), (0.01, "mixamo"))
    return [blender_character(tmp_path_factory.mktemp("hero"), blender_python, scale, preset) for scale, preset in kinds]


@pytest.fixture(scope="module")
def cases(heroes, tmp_path_factory) -> list[Case]:
    folder, made = tmp_path_factory.mktemp("out"), []
    for number, source in enumerate(file for hero in heroes for file in (hero.glb, hero.usd)):
        # What is written comes from a stored take alone: the files that were read could be gone.
        write_take(folder / f"{number}.h5", _walking(source))
        take = read_take(folder / f"{number}.h5")
        for name, offered in FORMATS.items():
            path = folder / f"{number}{offered.suffix}"
            offered.write(take, take.people[0], path, None)
            made.append(Case(source, name, take, path))
    return made


def test_the_walk_reaches_the_character(cases):
    for case in cases:
        hips = case.person.rig.skeleton.semantic["pelvis"]
        place = truth_m(case.person)[:, case.person.rig.skin_joints[:, 0] == hips].mean(axis=1)
        assert np.linalg.norm(place[-1] - place[0]) > 0.3 and 0.8 < place[:, 1].mean() < 1.1
        assert case.person.rig.vertices_m[:, 1].min() == pytest.approx(0, abs=1e-6)


def test_the_verifier_finds_the_takes_vertices_and_no_broken_rule(cases):
    for case in cases:
        report = FORMATS[case.format].verify(case.take, case.person, case.path, None)
        assert report.broken_rules == (), (case.path.name, report.broken_rules)
        assert (report.frames, report.max_mm < LIMIT_MM) == (FRAMES, True), (case.path.name, report.max_mm)


def test_blender_shows_the_takes_vertices(cases, blender_python, tmp_path):
    views = read_in_blender([case.path for case in cases], tmp_path, FRAMES, blender_python)
    for case in cases:
        seen, truth = views[case.path].vertices_m, truth_m(case.person)
        if case.source.suffix == ".glb":
            assert largest_mm(seen, truth) < LIMIT_MM, case.path.name
            continue
        # Blender joins vertices that a seam splits, or sorts them by material: each must have its place, and none be left over.
        for found, wanted in zip(seen, truth, strict=True):
            assert cKDTree(found).query(wanted)[0].max() * 1000 < LIMIT_MM, case.path.name
            assert cKDTree(wanted).query(found)[0].max() * 1000 < LIMIT_MM, case.path.name


def _looks(files: list[Path], folder: Path, blender_python: Path) -> dict[str, dict]:
    (folder / "looks.json").write_text(json.dumps({"files": list(map(str, files)), "out": str(folder / "seen.json")}))
    command = [str(blender_python), str(TOOLS / "blender_looks.py"), str(folder / "looks.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads((folder / "seen.json").read_text())


def test_blender_sees_the_characters_materials_and_the_same_pictures(cases, blender_python, tmp_path):
    looks = _looks([*{case.source for case in cases}, *(case.path for case in cases)], tmp_path, blender_python)
    for case in cases:
        own, seen = looks[str(case.source)], looks[str(case.path)]
        assert set(seen) == set(own) == {"skin", "cloth", "plain"}, case.path.name
        for name, material in own.items():
            for part in ("base", "normal", "rough", "metal"):
                assert seen[name][part] == material[part], (case.path.name, name, part)
            if name == "plain":
                np.testing.assert_allclose(seen[name]["color"], material["color"], atol=1e-6)
            if not material["rough"]:
                assert (seen[name]["roughness"], seen[name]["metallic"]) == pytest.approx((0.625, 0.25), abs=1e-6), case.path.name
        assert own["skin"]["base"] and own["skin"]["normal"] and own["skin"]["rough"] == own["skin"]["metal"] and own["cloth"]["base"]


def test_khronos_validator_finds_no_error_and_no_warning_that_the_character_has_not(cases, node_modules):
    files = [case for case in cases if case.path.suffix == ".glb"]
    reports = gltf_issues([*(case.path for case in files), *(case.source for case in files if case.source.suffix == ".glb")], node_modules)
    # A picture of normals without tangents: glTF lets viewers make them, and the validator says that they may differ.
    known = {"MESH_PRIMITIVE_GENERATED_TANGENT_SPACE"}
    for case in files:
        own = {issue["code"] for issue in reports.get(str(case.source), [])} if case.stays else set()
        new = [issue for issue in reports[str(case.path)] if issue["severity"] == 0 or issue["code"] not in own | known]
        assert new == [], case.path.name


def test_a_glb_keeps_every_accessor_byte_for_byte(cases):
    for case in [case for case in cases if case.stays and case.format == "glb-skeletal"]:
        own, own_binary = glb_parts(case.source)
        found, binary = glb_parts(case.path)
        assert binary[:len(own_binary)] == own_binary
        for kind in ("meshes", "skins", "materials", "textures", "images", "samplers", "nodes", "scene"):
            assert found.get(kind) == own.get(kind), kind
        for kind in ("accessors", "bufferViews"):
            assert found[kind][:len(own[kind])] == own[kind]
        assert [animation["name"] for animation in own["animations"]] == ["HeroAction"], "the test is to have one to drop"
        assert [animation["name"] for animation in found["animations"]] == ["a clip"]
        paths = [channel["target"]["path"] for channel in found["animations"][0]["channels"]]
        assert "scale" not in paths, "no bone of this character is ever scaled"
        assert found["asset"]["extras"]["person"] == "person_01" and found["asset"]["extras"]["character"]["file"] == "hero.glb"


def test_a_stage_keeps_its_materials_and_its_pictures_resolve(cases, tmp_path):
    for case in [case for case in cases if case.stays and case.format == "usd-skel"]:
        usdz = tmp_path / f"{case.path.stem}.usdz"
        FORMATS["usd-skel"].write(case.take, case.person, usdz, UsdSkelOptions(format="usdz"))
        assert FORMATS["usd-skel"].verify(case.take, case.person, usdz, None).ok
        pictures, beside = (
            {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
            for folder in (case.source.parent / "textures", pictures_folder(case.path))
        )
        assert beside == pictures and len(pictures) == 4
        for path in (case.path, usdz):
            stage = Usd.Stage.Open(str(path))
            files = [UsdShade.Shader(prim).GetInput("file").Get() for prim in stage.Traverse() if UsdShade.Shader(prim).GetInput("file")]
            assert len(files) == 4 and all(file.resolvedPath for file in files), path.name


def test_a_stage_with_other_axes_stands_upright_in_the_scene(cases, tmp_path):
    case = next(case for case in cases if case.stays and case.format == "usd-skel")
    write_scene(case.take, {"person_01": case.path}, tmp_path / "scene.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "scene.usdc"))
    prim = stage.GetPrimAtPath("/scene/person_01/character/Hero/Armature")
    up = np.array(stage.GetPrimAtPath("/scene/person_01").GetAttribute("xformOp:transform").Get())
    assert prim and np.allclose(up[2, :3], [0, 1, 0]), "the file's Z is the scene's Y"
