"""What a UsdSkel stage holds, and its points as USD itself bakes them."""

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdSkel

from rigdrop.formats.options import UsdSkelOptions
from rigdrop.formats.usd_skel import joint_tokens, write_usd_skel
from rigdrop.motion.frames import UNREAL

from .format_contract import largest_mm, truth_m
from .synthetic import SMALL_NAMES, small_take


def _written(tmp_path, take, options=None):
    # A name of its own each time: USD hands out a file that is still open instead of reading it again.
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.usdc"
    write_usd_skel(take, take.people[0], path, options)
    return Usd.Stage.Open(str(path))


def _only(stage, schema):
    found = [prim for prim in stage.Traverse() if prim.IsA(schema)]
    assert len(found) == 1
    return schema(found[0])


@pytest.mark.parametrize(("scale", "limit_mm"), [("none", 0.005), ("constant", 0.02), ("varying", 0.2)])
@pytest.mark.parametrize("preset", ["default", "unreal"])
def test_baking_the_skin_gives_the_takes_vertices(tmp_path, scale, limit_mm, preset):
    take = small_take(scale=scale)
    stage = _written(tmp_path, take, UsdSkelOptions(preset=preset))
    UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetDefaultPrim()))
    points = np.array([_only(stage, UsdGeom.Mesh).GetPointsAttr().Get(code) for code in range(12)], dtype=np.float64)
    truth = truth_m(take.people[0])
    if preset == "unreal":
        truth = truth @ UNREAL.T_target_rigdrop[:3, :3].T
        points, truth = points * 0.01, truth * 0.01
        limit_mm += 0.005  # hundreds of centimetres have coarser float32 numbers than metres
    assert largest_mm(points, truth) < limit_mm


@pytest.mark.parametrize(
    ("options", "up", "metres", "to_y_up"),
    [
        (UsdSkelOptions(up="z"), "Z", 1.0, lambda p: np.stack([p[..., 0], p[..., 2], -p[..., 1]], axis=-1)),
        (UsdSkelOptions(units="cm"), "Y", 0.01, lambda p: p),
        (UsdSkelOptions("unreal", units="m"), "Z", 1.0, lambda p: np.stack([p[..., 0], p[..., 2], -p[..., 1]], axis=-1)),
        (UsdSkelOptions("unreal", up="y"), "Y", 0.01, lambda p: p),
    ],
)
def test_axes_and_units_can_be_chosen(tmp_path, options, up, metres, to_y_up):
    """+Z up is a quarter turn about X: what was up, y, is z, and what was toward the viewer, z, is -y."""
    take = small_take()
    stage = _written(tmp_path, take, options)
    assert (UsdGeom.GetStageUpAxis(stage), UsdGeom.GetStageMetersPerUnit(stage)) == (up, metres)
    UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetDefaultPrim()))
    points = np.array([_only(stage, UsdGeom.Mesh).GetPointsAttr().Get(code) for code in range(12)], dtype=np.float64)
    assert largest_mm(to_y_up(points * metres), truth_m(take.people[0])) < 0.01


def test_tokens_are_paths_parents_first():
    assert joint_tokens(small_take().people[0].rig) == [
        "root", "root/spine_01", "root/spine_01/chest", "root/spine_01/chest/arm_L", "root/spine_01/chest/arm_L/hand_L",
        "root/spine_01/chest/arm_L/hand_L/finger_L", "root/leg_R",
    ]


def test_the_rigs_own_names_are_kept_where_they_had_to_change(tmp_path):
    stage = _written(tmp_path, small_take())
    skeleton = _only(stage, UsdSkel.Skeleton)
    assert list(skeleton.GetPrim().GetCustomDataByKey("rigdrop:jointNames")) == list(SMALL_NAMES)


def test_bounds_are_those_that_usd_computes_at_every_frame(tmp_path):
    stage = _written(tmp_path, small_take(scale="varying"))
    for schema in (UsdSkel.Root, UsdGeom.Mesh):
        boundable = UsdGeom.Boundable(_only(stage, schema))
        for code in range(12):
            computed = UsdGeom.Boundable.ComputeExtentFromPlugins(boundable, code)
            assert list(boundable.GetExtentAttr().Get(code)) == list(computed)


def test_translations_rotations_and_scales_are_always_there(tmp_path):
    stage = _written(tmp_path, small_take())
    animation = _only(stage, UsdSkel.Animation)
    assert len(animation.GetTranslationsAttr().GetTimeSamples()) == len(animation.GetRotationsAttr().GetTimeSamples()) == 12
    # Scales that never change are said once.
    assert animation.GetScalesAttr().GetNumTimeSamples() == 0 and list(animation.GetScalesAttr().Get()) == [(1, 1, 1)] * 7


def test_a_clip_of_one_frame_is_written(tmp_path):
    stage = _written(tmp_path, small_take(1))
    assert stage.GetEndTimeCode() == 0 and UsdSkel.BakeSkinning(UsdSkel.Root(stage.GetDefaultPrim()))


def test_the_root_keeps_its_path_in_both_presets(tmp_path):
    take = small_take()
    root_m = take.people[0].motion.local_translation_m[:, 0].astype(np.float64)
    for preset, matrix in (("default", np.eye(3)), ("unreal", UNREAL.T_target_rigdrop[:3, :3])):
        stage = _written(tmp_path, take, UsdSkelOptions(preset=preset))
        animation = _only(stage, UsdSkel.Animation)
        written = np.array([animation.GetTranslationsAttr().Get(code)[0] for code in range(12)])
        np.testing.assert_allclose(written, root_m @ matrix.T, rtol=1e-6, atol=1e-6)
