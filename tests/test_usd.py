"""What all USD files share: names, time codes, metadata, and being written whole."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom

from rigdrop.errors import WriteError
from rigdrop.formats.pictures import companions
from rigdrop.formats.usd import legal_names, new_stage, save_layer, time_codes
from rigdrop.motion.frames import UNREAL, Y_UP

from .synthetic import SHA256, small_take


def test_names_become_legal_and_stay_apart():
    names = ["hips", "arm-L", "arm.L", "arm_L", "mixamorig:Hips", "3rd", "ä b", ""]
    legal = legal_names(names)
    assert legal == ["hips", "arm_L", "arm_L_2", "arm_L_3", "mixamorig_Hips", "_3rd", "__b", "_"]
    assert all(Sdf.Path.IsValidIdentifier(name) for name in legal)


@pytest.mark.parametrize("fps", [Fraction(30), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(120)])
def test_a_steady_clip_has_whole_time_codes(fps):
    assert time_codes(small_take(500, fps=fps)).tolist() == list(range(500))


def test_a_clip_of_varying_rate_keeps_its_times():
    take = replace(small_take(4), times_s=np.array([2.0, 2.033, 2.5, 2.534]))
    np.testing.assert_allclose(time_codes(take), [0, 0.99, 15, 16.02], atol=1e-9)


@pytest.mark.parametrize(("frame", "up", "unit"), [(Y_UP, "Y", 1.0), (UNREAL, "Z", 0.01)])
def test_axes_units_and_clock_are_on_the_root_layer(frame, up, unit):
    stage = new_stage(small_take(10, fps=Fraction(30000, 1001)), frame, "somebody")
    layer = stage.GetRootLayer()
    assert layer.timeCodesPerSecond == layer.framesPerSecond == float(Fraction(30000, 1001))
    assert (layer.startTimeCode, layer.endTimeCode, layer.defaultPrim) == (0, 9, "somebody")
    assert UsdGeom.GetStageUpAxis(stage) == up and UsdGeom.GetStageMetersPerUnit(stage) == unit
    assert layer.customLayerData["rigdrop"] == {"take": "a clip", "fps": "30000/1001", "source_sha256": SHA256}


@pytest.mark.parametrize("suffix", ["usdc", "usda", "usdz"])
def test_a_stage_is_saved_as_its_suffix_says_and_nothing_else_is_left(tmp_path, suffix):
    stage = new_stage(small_take(2), Y_UP, "somebody")
    UsdGeom.Xform.Define(stage, "/somebody")
    path = tmp_path / f"a.{suffix}"
    save_layer(stage.GetRootLayer(), path)
    save_layer(stage.GetRootLayer(), path)  # again, over the first
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert Usd.Stage.Open(str(path)).GetDefaultPrim().GetName() == "somebody"
    magic = {"usdc": b"PXR-USDC", "usda": b"#usda", "usdz": b"PK"}[suffix]
    assert path.read_bytes().startswith(magic)


def test_a_folder_that_can_not_be_made_is_a_write_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError):
        save_layer(new_stage(small_take(2), Y_UP, "somebody").GetRootLayer(), tmp_path / "file" / "a.usdc")


def test_pictures_of_an_older_stage_do_not_stay_with_a_new_one(tmp_path):
    layer, path = Sdf.Layer.CreateAnonymous(), tmp_path / "a_skel.usdc"
    save_layer(layer, path, {"pictures/skin.png": b"1", "pictures/hair.png": b"2"})
    save_layer(layer, path, {"pictures/skin.png": b"3"})
    assert {file.name: file.read_bytes() for file in companions(path)} == {"skin.png": b"3"}
    save_layer(layer, path)
    assert [file.name for file in tmp_path.iterdir()] == ["a_skel.usdc"]
