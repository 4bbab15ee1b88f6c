"""A stage and the files that it names go somewhere else together."""

from __future__ import annotations

import zipfile

from pxr import Sdf, Usd, UsdGeom

from rigdrop.motion.usd_layer import flattened, packed, unpacked

from .characters import tiny_stage


def test_a_stage_that_names_no_file_is_its_own_bytes(tmp_path):
    path = tiny_stage(tmp_path / "hero.usda")
    assert packed(path) == path.read_bytes()
    with unpacked(packed(path)) as file:
        assert file.suffix == ".usda" and Usd.Stage.Open(str(file)).GetPrimAtPath("/hero/body")


def test_a_stage_that_names_files_is_packed_with_them(tmp_path):
    path = tiny_stage(tmp_path / "hero.usda", picture=True)
    scene = Usd.Stage.CreateNew(str(tmp_path / "scene.usda"))
    scene.SetDefaultPrim(scene.DefinePrim("/all", "Xform"))
    one = scene.DefinePrim("/all/one")
    one.GetReferences().AddReference("./hero.usda", "/hero")
    one.SetInstanceable(True)
    scene.Save()
    content = packed(tmp_path / "scene.usda")
    with unpacked(content) as file:
        assert file.suffix == ".usdz"
        with zipfile.ZipFile(file) as package:
            assert package.namelist() == ["scene.usdc", "pictures/skin.png"]
            assert package.read("pictures/skin.png") == (tmp_path / "skin.png").read_bytes()
        layer, pictures = flattened(file)
    assert pictures == {"pictures/skin.png": (tmp_path / "skin.png").read_bytes()}
    stage = Usd.Stage.Open(layer)
    assert stage.GetPrimAtPath("/all/one/body").IsA(UsdGeom.Mesh) and not stage.GetPrimAtPath("/all/one").IsInstance()
    (tmp_path / "again.usdz").write_bytes(content)
    assert packed(path.with_name("again.usdz")) == content, "a package is one already"


def test_names_that_come_twice_get_files_of_their_own_and_what_leads_nowhere_stays(tmp_path):
    for folder, content in (("a", b"one"), ("b", b"two")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "skin.png").write_bytes(content)
    stage = Usd.Stage.CreateNew(str(tmp_path / "hero.usda"))
    for name, file in (("one", "./a/skin.png"), ("two", "./b/skin.png"), ("three", "./c/gone.png")):
        stage.DefinePrim(f"/{name}").CreateAttribute("file", Sdf.ValueTypeNames.Asset).Set(file)
    stage.Save()
    layer, pictures = flattened(tmp_path / "hero.usda")
    assert pictures == {"pictures/skin.png": b"one", "pictures/skin_2.png": b"two"}
    flat = Usd.Stage.Open(layer)
    paths = [flat.GetPrimAtPath(f"/{name}").GetAttribute("file").Get().path for name in ("one", "two", "three")]
    assert paths[:2] == ["pictures/skin.png", "pictures/skin_2.png"] and paths[2].endswith("gone.png")
