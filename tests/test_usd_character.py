"""Somebody's own stage with new motion: the joints go where the take says, everything else stays, whatever its axes and units."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdSkel

from rigdrop.convert.rest_pose import with_bind_pose
from rigdrop.convert.rigs.character_file import character_from
from rigdrop.formats.options import UsdSkelOptions
from rigdrop.formats.usd_skel import write_usd_skel
from rigdrop.formats.verify.usd import verify_usd_skel
from rigdrop.ingest.motion_files import usd
from rigdrop.ingest.motion_files.character import read_character
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.motion.kinematics import local_matrices, local_to_world, skin_vertices

from .bodies import humanoid
from .characters import tiny_stage
from .format_contract import largest_mm, truth_m
from .synthetic import rig_take

FRAMES = 8
KINDS = [{}, {"up": "Z", "unit_m": 0.01}, {"up": "Y", "unit_m": 0.01, "roots": 2}, {"up": "Z", "picture": True}]


def _take(path, scale="none"):
    return rig_take(character_from(read_character(path)), FRAMES, scale=scale)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", ["none", "constant", "varying"])
def test_the_verifier_and_the_reader_see_the_take(tmp_path, kind, scale):
    take = _take(tiny_stage(tmp_path / "hero.usda", **kind), scale)
    path = tmp_path / "out_skel.usdc"
    write_usd_skel(take, take.people[0], path)
    report = verify_usd_skel(take, take.people[0], path)
    # Scales are halves in USD: a 2048th of a hand's length where the wrist's changes.
    limit_mm = 0.02 if scale == "none" else 0.5
    assert report.broken_rules == () and report.max_mm < limit_mm
    actor = usd.read(path, MotionFileOptions()).actors[0]
    motion, rig = actor.motion.motion, actor.motion.rig
    worlds = local_to_world(rig.joint_parents, local_matrices(motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale))
    assert largest_mm(skin_vertices(rig, worlds), truth_m(take.people[0])) < limit_mm


@pytest.mark.parametrize("kind", KINDS)
def test_the_rig_is_the_stick_figure_whatever_the_stage_is_like(tmp_path, kind):
    rig, plain = character_from(read_character(tiny_stage(tmp_path / "hero.usda", **kind))), humanoid()
    aside = 0.25 if kind.get("roots") == 2 else 0.0  # where the stage has its skeleton
    expected = plain.vertices_m - [-aside, plain.vertices_m[:, 1].min(), 0]
    np.testing.assert_allclose(rig.vertices_m, expected[rig.origin.points], atol=1e-6)
    assert len(rig.joint_names) == len(plain.joint_names) + (2 if kind.get("roots") == 2 else 0)


def test_pictures_lie_beside_the_stage_or_in_its_package(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    take = _take(tiny_stage(source / "hero.usda", picture=True))
    content = (source / "skin.png").read_bytes()
    shutil.rmtree(source)  # a take is all that a writer needs
    for suffix in ("usdc", "usda", "usdz"):
        path = tmp_path / f"out.{suffix}"
        write_usd_skel(take, take.people[0], path, UsdSkelOptions(format=suffix))
        assert verify_usd_skel(take, take.people[0], path).broken_rules == ()
        stage = Usd.Stage.Open(str(path))
        assert UsdShade.Shader(stage.GetPrimAtPath("/hero/paint/picture")).GetInput("file").Get().resolvedPath, suffix
    assert (tmp_path / "out_pictures" / "skin.png").read_bytes() == content
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.usda", "out.usdc", "out.usdz", "out_pictures"]


def test_what_moved_the_character_before_is_gone_and_the_rest_is_said(tmp_path):
    source = tiny_stage(tmp_path / "hero.usda")
    stage = Usd.Stage.Open(str(source))
    animation = UsdSkel.Animation.Define(stage, "/hero/old")
    UsdSkel.BindingAPI.Apply(stage.GetPrimAtPath("/hero/bones")).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    stage.GetRootLayer().customLayerData = {"mine": 1}
    stage.Save()
    take = _take(source)
    write_usd_skel(take, take.people[0], tmp_path / "out.usda", UsdSkelOptions(format="usda"))
    found = Usd.Stage.Open(str(tmp_path / "out.usda"))
    assert not found.GetPrimAtPath("/hero/old")
    assert [str(prim.GetPath()) for prim in found.Traverse() if prim.IsA(UsdSkel.Animation)] == ["/hero/bones/rigdrop_motion"]
    about = found.GetDefaultPrim().GetCustomDataByKey("rigdrop")
    assert about["person"] == "person_01" and about["character"] == "hero.usda"
    data = found.GetRootLayer().customLayerData
    assert data["mine"] == 1 and data["rigdrop"]["fps"] == "30/1"
    assert (found.GetTimeCodesPerSecond(), found.GetStartTimeCode(), found.GetEndTimeCode()) == (30, 0, FRAMES - 1)


@pytest.mark.parametrize("roots", [1, 2])
def test_the_skeletons_bounds_are_those_of_the_motion(tmp_path, roots):
    take = _take(tiny_stage(tmp_path / "hero.usda", up="Z", unit_m=0.01, roots=roots))
    write_usd_skel(take, take.people[0], tmp_path / "out.usdc")
    stage = Usd.Stage.Open(str(tmp_path / "out.usdc"))
    root = UsdSkel.Root(stage.GetPrimAtPath("/hero"))
    for code in (0, 3, FRAMES - 1):
        low, high = (np.array(corner) for corner in root.GetExtentAttr().Get(code))
        points = truth_m(take.people[0])[code]
        # USD pads the joints' bounds by how far the body reaches beyond them at rest, which is no more than about so.
        assert np.abs(low - points.min(axis=0)).max() < 0.3 and np.abs(high - points.max(axis=0)).max() < 0.3
        np.testing.assert_allclose([low, high], UsdGeom.Boundable.ComputeExtentFromPlugins(root, code), atol=1e-5)


def test_a_preset_that_would_change_the_mesh_is_left_and_said(tmp_path):
    take = _take(tiny_stage(tmp_path / "hero.usda"))
    with pytest.warns(UserWarning, match=r"hero\.usda keeps its own axes and units; others would change its mesh"):
        write_usd_skel(take, take.people[0], tmp_path / "out.usdc", UsdSkelOptions(preset="unreal"))
    assert verify_usd_skel(take, take.people[0], tmp_path / "out.usdc").ok


def test_another_bind_pose_is_written_anew_and_said(tmp_path):
    rig = with_bind_pose(character_from(read_character(tiny_stage(tmp_path / "hero.usda"))), "T")
    take = rig_take(rig, FRAMES)
    left = "left behind ink, which is no UsdPreviewSurface|left behind paint"
    with pytest.warns(UserWarning, match="its bind pose or its proportions were changed"), pytest.warns(UserWarning, match=left):
        write_usd_skel(take, take.people[0], tmp_path / "out.usdc")
    report = verify_usd_skel(take, take.people[0], tmp_path / "out.usdc")
    assert report.ok and report.max_mm < 0.02


def _move_a_point(stage):
    points = UsdGeom.Mesh(stage.GetPrimAtPath("/hero/body")).GetPointsAttr()
    points.Set([points.Get()[0] + Gf.Vec3f(0.01, 0, 0), *points.Get()[1:]])


def _swap_materials(stage):
    stage.GetPrimAtPath("/hero/body").GetRelationship("material:binding").SetTargets([Sdf.Path("/hero/ink")])


def _drop_motion(stage):
    stage.GetPrimAtPath("/hero/bones").GetRelationship("skel:animationSource").SetTargets([])


def _drop_a_material(stage):
    stage.RemovePrim("/hero/ink")


def _shift_time(stage):
    stage.SetTimeCodesPerSecond(25)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (_move_a_point, r"/hero/body\.points: not the character's own"), (_swap_materials, "material:binding: not the character's own"),
        (_drop_motion, "skel:animationSource doesn't lead to an animation"),
        (_drop_a_material, "/hero/ink: not there as the character has it"),
        (_shift_time, "timeCodesPerSecond: found 25"),
    ],
)
def test_the_verifier_finds_what_was_changed(tmp_path, change, rule):
    take = _take(tiny_stage(tmp_path / "hero.usda"))
    write_usd_skel(take, take.people[0], tmp_path / "out.usda", UsdSkelOptions(format="usda"))
    stage = Usd.Stage.Open(str(tmp_path / "out.usda"))
    change(stage)
    stage.Export(str(tmp_path / "bad.usda"))
    report = verify_usd_skel(take, take.people[0], tmp_path / "bad.usda")
    assert any(re.search(rule, broken) for broken in report.broken_rules), report.broken_rules
