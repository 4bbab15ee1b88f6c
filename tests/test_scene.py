"""The scene of all people: references that move with the folder, and a camera that sees what the clip's camera saw."""

import shutil
from fractions import Fraction

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdSkel

from rigdrop.errors import UsageError
from rigdrop.formats.options import UsdSkelOptions
from rigdrop.formats.scene import write_scene
from rigdrop.formats.usd_skel import write_usd_skel
from rigdrop.motion.frames import UNREAL

from .format_contract import read_in_blender
from .synthetic import small_take


def _written(folder, take, options=None):
    files = {}
    for person in take.people:
        files[person.id] = folder / person.id / f"clip_{person.id}_skel.usdc"
        write_usd_skel(take, person, files[person.id], options)
    write_scene(take, files, folder / "scene.usdc", options)
    return folder / "scene.usdc"


def test_the_folder_can_be_moved(tmp_path):
    _written(tmp_path / "here", small_take(people=2))
    shutil.move(tmp_path / "here", tmp_path / "there")
    stage = Usd.Stage.Open(str(tmp_path / "there" / "scene.usdc"))
    roots = [str(prim.GetPath()) for prim in stage.Traverse() if prim.IsA(UsdSkel.Root)]
    assert roots == ["/scene/person_01", "/scene/person_02"]
    assert len([prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Mesh)]) == 2
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode(), stage.GetTimeCodesPerSecond()) == (0, 11, 30)


@pytest.mark.parametrize("preset", ["default", "unreal"])
@pytest.mark.parametrize("moves", [False, True])
def test_the_camera_projects_as_the_takes_does(tmp_path, preset, moves):
    take = small_take(people=1, camera_moves=moves)
    stage = Usd.Stage.Open(str(_written(tmp_path, take, UsdSkelOptions(preset=preset))))
    lens = UsdGeom.Camera(stage.GetPrimAtPath("/scene/camera"))
    points_m = np.array([[0.3, 1.4, 0.2], [-0.8, 0.1, -1.0]])
    in_stage = points_m if preset == "default" else points_m @ UNREAL.T_target_rigdrop[:3, :3].T
    pixels = take.camera.project(points_m[None])
    for frame in (0, 11):
        frustum = lens.GetCamera(frame).frustum
        matrix = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
        seen = np.array([matrix.Transform(Gf.Vec3d(*point.tolist())) for point in in_stage])
        found = np.stack([(seen[:, 0] + 1) * 320, (1 - seen[:, 1]) * 240], axis=-1)
        # A film of 36 mm in float32: a thousandth of a pixel.
        np.testing.assert_allclose(found, pixels[frame if moves else 0], atol=1e-3)


def test_a_principal_point_off_the_middle_is_kept(tmp_path):
    from dataclasses import replace

    take = small_take()
    intrinsics = np.array([[900.0, 0, 300], [0, 880.0, 260], [0, 0, 1]])
    take = replace(take, camera=replace(take.camera, intrinsics_px=intrinsics))
    stage = Usd.Stage.Open(str(_written(tmp_path, take)))
    frustum = UsdGeom.Camera(stage.GetPrimAtPath("/scene/camera")).GetCamera(0).frustum
    seen = (frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()).Transform(Gf.Vec3d(0.3, 1.4, 0.2))
    expected = take.camera.project(np.array([[[0.3, 1.4, 0.2]]]))[0, 0]
    np.testing.assert_allclose([(seen[0] + 1) * 320, (1 - seen[1]) * 240], expected, atol=1e-3)


def test_a_file_of_nobody_and_a_missing_file_are_refused(tmp_path):
    take = small_take()
    with pytest.raises(UsageError, match="'person_07', expected one of person_01"):
        write_scene(take, {"person_07": tmp_path / "a.usdc"}, tmp_path / "scene.usdc")
    with pytest.raises(UsageError, match="found nothing, expected the stage of person_01; write usd-skel first"):
        write_scene(take, {"person_01": tmp_path / "a.usdc"}, tmp_path / "scene.usdc")


@pytest.mark.parametrize("preset", ["default", "unreal"])
def test_the_film_is_as_wide_as_a_photographers(tmp_path, preset):
    """UsdGeomCamera has film and lens in tenths of a unit; whatever the unit, they are 36 mm and what the pixels say."""
    take = small_take(people=1)
    stage = Usd.Stage.Open(str(_written(tmp_path, take, UsdSkelOptions(preset=preset))))
    lens = UsdGeom.Camera(stage.GetPrimAtPath("/scene/camera"))
    mm = UsdGeom.GetStageMetersPerUnit(stage) * 1000 / 10
    assert lens.GetHorizontalApertureAttr().Get() * mm == pytest.approx(36.0, rel=1e-6)
    focal_px, width = float(take.camera.intrinsics_px[..., 0, 0].ravel()[0]), take.camera.width
    assert lens.GetFocalLengthAttr().Get(0) * mm == pytest.approx(36.0 * focal_px / width, rel=1e-6)


def test_blender_opens_everybody_and_the_camera(tmp_path, blender_python):
    take = small_take(people=2)
    scene = _written(tmp_path, take)
    view = read_in_blender([scene], tmp_path, 12, blender_python, Fraction(30))[scene]
    assert view.cameras == 1 and view.vertices_m.shape == (12, 2 * 122, 3) and len(view.bones) == 14
