"""Blend shapes of a UsdSkel stage, and its points as USD itself bakes them."""

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdSkel

from rigdrop.formats.options import UsdSkelOptions
from rigdrop.formats.usd_skel import write_usd_skel
from rigdrop.motion.frames import UNREAL

from .format_contract import largest_mm, truth_m
from .morphing import with_morphs
from .synthetic import small_take


def _written(tmp_path, take, options=None):
    # A name of its own each time: USD hands out a file that is still open instead of reading it again.
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.usdc"
    write_usd_skel(take, take.people[0], path, options)
    return Usd.Stage.Open(str(path))


# A scale in the world is a product of halves: of a displacement of centimetres, a share of 2^-11 and less.
@pytest.mark.parametrize(("scale", "limit_mm"), [("none", 0.005), ("constant", 0.02), ("varying", 0.2)])
@pytest.mark.parametrize("preset", ["default", "unreal"])
def test_baking_shapes_and_skin_gives_the_takes_vertices(tmp_path, scale, limit_mm, preset):
    take = with_morphs(small_take(scale=scale))
    stage = _written(tmp_path, take, UsdSkelOptions(preset=preset))
    UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetDefaultPrim()))
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/person_01/body"))
    points = np.array([mesh.GetPointsAttr().Get(code) for code in range(12)], dtype=np.float64)
    truth = truth_m(take.people[0])
    if preset == "unreal":
        truth, points = truth @ UNREAL.T_target_rigdrop[:3, :3].T * 0.01, points * 0.01
        limit_mm += 0.005  # hundreds of centimetres have coarser float32 numbers than metres
    assert largest_mm(points, truth) < limit_mm


def test_shapes_are_below_the_mesh_and_weights_at_every_frame(tmp_path):
    take = with_morphs(small_take(4))
    stage, person = _written(tmp_path, take), take.people[0]
    binding = UsdSkel.BindingAPI(stage.GetPrimAtPath("/person_01/body"))
    names = ["morph_01", "morph_02", "morph_03"]
    assert list(binding.GetBlendShapesAttr().Get()) == names
    for name, path, expected in zip(names, binding.GetBlendShapeTargetsRel().GetTargets(), person.rig.morph_targets_m, strict=True):
        assert path == f"/person_01/body/{name}"
        np.testing.assert_array_equal(UsdSkel.BlendShape(stage.GetPrimAtPath(path)).GetOffsetsAttr().Get(), expected)
    animation = UsdSkel.Animation(stage.GetPrimAtPath("/person_01/motion"))
    assert list(animation.GetBlendShapesAttr().Get()) == names
    assert animation.GetBlendShapeWeightsAttr().GetTimeSamples() == [0, 1, 2, 3]
    np.testing.assert_array_equal([animation.GetBlendShapeWeightsAttr().Get(code) for code in range(4)], person.motion.morph_weights)


def test_weights_that_stay_the_same_are_there_at_every_frame(tmp_path):
    stage = _written(tmp_path, with_morphs(small_take(4), held=True))
    assert UsdSkel.Animation(stage.GetPrimAtPath("/person_01/motion")).GetBlendShapeWeightsAttr().GetNumTimeSamples() == 4


def test_without_targets_nothing_is_said_of_them(tmp_path):
    stage = _written(tmp_path, small_take(3))
    assert not UsdSkel.BindingAPI(stage.GetPrimAtPath("/person_01/body")).GetBlendShapesAttr().HasAuthoredValue()
    assert not UsdSkel.Animation(stage.GetPrimAtPath("/person_01/motion")).GetBlendShapeWeightsAttr().HasAuthoredValue()
