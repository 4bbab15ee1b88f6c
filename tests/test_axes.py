"""``--up`` and ``--units``: asked of all formats, obeyed by those that can, and weaker than what is asked of one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from rigdrop.config.settings import Settings, load_settings
from rigdrop.errors import SettingsError
from rigdrop.formats.options import AxesOptions, GlbBakedOptions, GlbSkeletalOptions, UsdSkelOptions
from rigdrop.formats.registry import FORMATS
from rigdrop.motion.store import write_take
from rigdrop.pipeline import convert_clip

from .synthetic import small_take


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("tokens", "up", "metres"), [
    ([], "Y", 1.0),
    (["--up", "z"], "Z", 1.0),
    (["--units", "cm"], "Y", 0.01),
    (["--up", "z", "--units", "cm"], "Z", 0.01),
    (["--up", "z", "--usd-skel.up", "y"], "Y", 1.0),
    (["--units", "cm", "--usd-skel.units", "m"], "Y", 1.0),
    (["--usd-skel.preset", "unreal", "--up", "y"], "Y", 0.01),
    (["--preset", "unreal"], "Z", 0.01),
    (["--preset", "unreal", "--units", "m"], "Z", 1.0),
    (["--preset", "maya"], "Y", 0.01),
    (["--preset", "maya", "--up", "z"], "Z", 0.01),
])
def test_whoever_is_asked_more_closely_wins(tokens, up, metres):
    options = load_settings(tokens).format_options("usd-skel")
    assert (options.up_axis, options.metres_per_unit) == (up, metres)


def test_formats_without_a_choice_are_as_they_were():
    asked = AxesOptions("z", "cm")
    for options in (GlbSkeletalOptions(influences=4), GlbBakedOptions(camera=True), None):
        assert options is None or asked.given_to(options) == options

    @dataclass(frozen=True)
    class Theirs:
        up: str = "preset"
        units: str = "inches"

    assert asked.given_to(Theirs()) == Theirs("z", "inches")
    assert AxesOptions().given_to(UsdSkelOptions()) == UsdSkelOptions()


@pytest.mark.parametrize(("up", "units"), [("x", None), (None, "mm")])
def test_other_axes_and_units_are_refused(up, units):
    with pytest.raises(SettingsError, match="expected one of None, "):
        AxesOptions(up, units)


def test_stages_and_the_scene_obey_and_a_glb_stays_as_its_specification_says(tmp_path):
    write_take(tmp_path / "take.h5", small_take(4))
    tokens = ["--format", "glb-skeletal,usd-skel", "--scene", "--no-preview"]
    plain = convert_clip(tmp_path / "take.h5", tmp_path / "plain" / "a", load_settings(tokens))
    asked = convert_clip(tmp_path / "take.h5", tmp_path / "asked" / "a", load_settings([*tokens, "--up", "z", "--units", "cm"]))
    assert not asked.problems and not asked.content["warnings"]
    glbs = [(report.folder / "person_01" / "a_person_01_skeletal.glb").read_bytes() for report in (plain, asked)]
    assert glbs[0] == glbs[1]
    points = []
    for report, up, metres in ((plain, "Y", 1.0), (asked, "Z", 0.01)):
        for name in ("person_01/a_person_01_skel.usdc", "scene.usdc"):
            stage = Usd.Stage.Open(str(report.folder / name))
            assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == (up, pytest.approx(metres))
        stage = Usd.Stage.Open(str(report.folder / "person_01/a_person_01_skel.usdc"))
        mesh = next(prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh))
        points.append(np.array(UsdGeom.Mesh(mesh).GetPointsAttr().Get(), dtype=float))
        (person,) = report.content["people"]
        assert all(file["verify"]["max_mm"] < 0.02 and not file["verify"]["broken_rules"] for file in person["files"])
    # +Y up in metres to +Z up in centimetres: (x, y, z) becomes (100 x, -100 z, 100 y).
    np.testing.assert_allclose(points[1], points[0][:, [0, 2, 1]] * [100, -100, 100], atol=1e-3)


def test_asking_anew_writes_the_stages_anew(tmp_path):
    write_take(tmp_path / "take.h5", small_take(4))
    folder, tokens = tmp_path / "out" / "a", ["--format", "usd-skel", "--no-preview"]
    convert_clip(tmp_path / "take.h5", folder, load_settings(tokens))
    assert convert_clip(tmp_path / "take.h5", folder, load_settings(tokens)).skipped
    assert not convert_clip(tmp_path / "take.h5", folder, load_settings([*tokens, "--up", "z"])).skipped


def test_every_format_of_ours_that_has_a_choice_joins_in():
    with_choice = {name for name, form in FORMATS.items() if hasattr(form.options_type(), "up")}
    assert with_choice == {"usd-skel"} and Settings().axes == AxesOptions()
