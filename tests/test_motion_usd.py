"""UsdSkel animation: our own stages, and text written by hand whose truth is worked out with SciPy."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.errors import ReadError
from rigdrop.formats.options import UsdSkelOptions
from rigdrop.formats.usd_skel import write_usd_skel
from rigdrop.ingest.motion_files import usd
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.registry import read_recording
from rigdrop.motion.kinematics import local_matrices, local_to_world, skin_vertices, world_transforms

from .synthetic import small_take

OPTIONS = MotionFileOptions()


def _worlds(actor):
    motion, skeleton = actor.motion.motion, actor.motion.skeleton
    local = local_matrices(motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale)
    return local_to_world(skeleton.joint_parents, local)


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usdz"])
@pytest.mark.parametrize("preset", ["default", "unreal"])
def test_a_stage_of_ours_gives_back_the_take(tmp_path, preset, suffix):
    take = small_take(frames=12, fps=Fraction(24000, 1001))
    person = take.people[0]
    path = tmp_path / f"person{suffix}"
    write_usd_skel(take, person, path, UsdSkelOptions(preset=preset))
    recording = read_recording(path, OPTIONS)
    actor = recording.actors[0]
    assert recording.fps == take.fps and actor.name == person.id
    np.testing.assert_allclose(recording.times_s, take.times_s - take.times_s[0], atol=1e-6)
    truth = world_transforms(person.rig, person.motion.local_quat_xyzw, person.motion.local_translation_m)
    read, rig = _worlds(actor), actor.motion.rig
    # Names that USD does not take are kept beside the joints.
    assert rig.joint_names == person.rig.joint_names and (rig.joint_parents == person.rig.joint_parents).all()
    np.testing.assert_allclose(read, truth, atol=2e-6)  # 0.002 mm, float32's in centimetres; 2e-6 rad is 0.0001°
    np.testing.assert_allclose(skin_vertices(rig, read), skin_vertices(person.rig, truth), atol=3e-6)
    np.testing.assert_allclose(rig.skeleton.rest_local, person.rig.skeleton.rest_local, atol=1e-9)
    np.testing.assert_allclose(rig.bind_world, person.rig.bind_world, atol=1e-9)
    np.testing.assert_allclose(rig.uvs, person.rig.uvs, atol=1e-6)


def test_scales_that_vary_are_read_as_the_stage_has_them(tmp_path):
    take = small_take(frames=8, scale="varying")
    person = take.people[0]
    write_usd_skel(take, person, tmp_path / "person.usdc")
    actor = usd.read(tmp_path / "person.usdc", OPTIONS).actors[0]
    truth = world_transforms(person.rig, person.motion.local_quat_xyzw, person.motion.local_translation_m, person.motion.local_scale)
    # Half floats keep three digits of a scale; the writer makes up for it in the places.
    np.testing.assert_allclose(_worlds(actor)[..., :3, 3], truth[..., :3, 3], atol=1e-5)
    np.testing.assert_allclose(actor.motion.motion.local_scale, person.motion.local_scale, atol=1e-3)


_STAGE = """#usda 1.0
(
    defaultPrim = "World"
    metersPerUnit = 0.01
    upAxis = "Z"
    timeCodesPerSecond = 24
    startTimeCode = 1
    endTimeCode = 3
)
def Xform "World"
{
    double3 xformOp:translate.timeSamples = { 1: (0, 0, 10), 3: (20, 0, 10) }
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def SkelRoot "Hero" (prepend apiSchemas = ["SkelBindingAPI"])
    {
        float xformOp:rotateZ = 90
        uniform token[] xformOpOrder = ["xformOp:rotateZ"]
        rel skel:animationSource = </World/Hero/Walk>
        def Skeleton "Bones" (prepend apiSchemas = ["SkelBindingAPI"])
        {
            uniform token[] joints = ["hips", "hips/spine", "hips/spine/head"]
            uniform matrix4d[] bindTransforms = [
                ((1,0,0,0),(0,1,0,0),(0,0,1,0),(0,0,100,1)),
                ((1,0,0,0),(0,1,0,0),(0,0,1,0),(0,0,130,1)),
                ((1,0,0,0),(0,1,0,0),(0,0,1,0),(0,0,170,1))]
            REST
        }
        def SkelAnimation "Walk"
        {
            uniform token[] joints = ["hips/spine/head", "hips"]
            float3[] translations.timeSamples = { 1: [(0, 0, 40), (0, 0, 100)], 2: [(0, 0, 40), (3, 0, 101)], 3: [(0, 0, 40), (5, 0, 99)] }
            quatf[] rotations.timeSamples = {
                1: [(1, 0, 0, 0), (1, 0, 0, 0)],
                2: [(0.9238795325, 0.3826834324, 0, 0), (0.7071067812, 0, 0, 0.7071067812)],
                3: [(0.7071067812, 0.7071067812, 0, 0), (0, 0, 0, 1)] }
            half3[] scales = [(1, 1, 1), (1, 1, 1)]
        }
        def Mesh "Body" (prepend apiSchemas = ["SkelBindingAPI"])
        {
            rel skel:skeleton = </World/Hero/Bones>
            uniform token[] skel:joints = ["hips/spine/head", "hips"]
            point3f[] points = [(0, 0, 0), (10, 0, 0), (10, 10, 0), (0, 10, 0), (5, 5, 8)]
            int[] faceVertexCounts = [4, 3]
            int[] faceVertexIndices = [0, 1, 2, 3, 2, 3, 4]
            matrix4d primvars:skel:geomBindTransform = ((1,0,0,0),(0,1,0,0),(0,0,1,0),(0,0,150,1))
            int[] primvars:skel:jointIndices = [0, 1, 0, 1, 0, 1, 0, 1, 0, 1] (elementSize = 2; interpolation = "vertex")
            float[] primvars:skel:jointWeights = [1, 0, 0.25, 0.75, 0.5, 0.5, 0, 1, 1, 0] (elementSize = 2; interpolation = "vertex")
        }
    }
}
"""
_REST = """uniform matrix4d[] restTransforms = [
                ((1,0,0,0),(0,1,0,0),(0,0,1,0),(0,0,100,1)),
                ((1,0,0,0),(0,1,0,0),(0,0,1,0),(0,0,30,1)),
                ((1,0,0,0),(0,0,1,0),(0,-1,0,0),(0,0,40,1))]"""


_WHOLE = _STAGE.replace("REST", _REST)
_STANDING = _WHOLE.replace("translate.timeSamples = { 1: (0, 0, 10), 3: (20, 0, 10) }", "translate = (0, 0, 10)")


def _write(tmp_path, text=_WHOLE, name="stage.usda"):
    path = tmp_path / name
    path.write_text(text)
    return path


def _moved(place, axis="x", degrees=0.0):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix()
    matrix[:3, 3] = place
    return matrix


# From the stage's centimetres, Z up, to metres, Y up: (x, y, z) to (x, z, -y).
_TO_OURS = np.array([[0.01, 0, 0, 0], [0, 0, 0.01, 0], [0, -0.01, 0, 0], [0, 0, 0, 1]])


def _truth(frame):
    """World transforms of hips, spine and head, and the skinned points, in metres, worked out in the stage's own terms."""
    stage = _moved([10 * frame, 0, 10]) @ _moved([0, 0, 0], "z", 90)
    hips = stage @ _moved([(0, 3, 5)[frame], 0, (100, 101, 99)[frame]], "z", 90 * frame)
    spine = hips @ _moved([0, 0, 30])
    head = spine @ _moved([0, 0, 40], "x", 45 * frame)
    points = np.array([[0, 0, 0, 1], [10, 0, 0, 1], [10, 10, 0, 1], [0, 10, 0, 1], [5, 5, 8, 1]]) + [0, 0, 150, 0]
    skinning = [head @ np.linalg.inv(_moved([0, 0, 170])), hips @ np.linalg.inv(_moved([0, 0, 100]))]
    weights = [(1, 0), (0.25, 0.75), (0.5, 0.5), (0, 1), (1, 0)]
    skinned = [sum(weight * (matrix @ point) for weight, matrix in zip(each, skinning)) for point, each in zip(points, weights)]
    return [_TO_OURS @ joint for joint in (hips, spine, head)], np.array(skinned) @ _TO_OURS.T


def test_axes_units_and_what_the_skeleton_stands_on_are_baked_in(tmp_path):
    recording = usd.read(_write(tmp_path), OPTIONS)
    actor = recording.actors[0]
    assert recording.fps == 24 and actor.name == "Hero" and actor.motion.motion.local_scale is None
    np.testing.assert_allclose(recording.times_s, [1 / 24, 2 / 24, 3 / 24], atol=1e-9)
    worlds = _worlds(actor)
    for frame in range(3):
        joints, points = _truth(frame)
        for joint, truth in enumerate(joints):
            np.testing.assert_allclose(worlds[frame, joint, :3, 3], truth[:3, 3], atol=1e-6)
            # A joint keeps its own axes: only the root takes the turn of the world.
            np.testing.assert_allclose(worlds[frame, joint, :3, :3], truth[:3, :3] / 0.01, atol=1e-6)
        np.testing.assert_allclose(skin_vertices(actor.motion.rig, worlds[frame:frame + 1])[0], points[:, :3], atol=1e-6)
    assert actor.motion.rig.faces.tolist() == [[0, 1, 2], [2, 3, 4], [0, 2, 3]]
    assert actor.motion.skeleton.joint_names == ("hips", "spine", "head")


def test_rest_transforms_are_the_rest_pose_and_without_them_the_bind_pose(tmp_path):
    rested = usd.read_skeleton(_write(tmp_path))
    np.testing.assert_allclose(rested.rest_local[2], _moved([0, 0, 0.4], "x", 90), atol=1e-9)
    bound = usd.read_skeleton(_write(tmp_path, _STAGE.replace("REST", ""), "bound.usda"))
    np.testing.assert_allclose(bound.rest_local[2], _moved([0, 0, 0.4]), atol=1e-9)


def test_several_roots_hang_on_one_more_joint(tmp_path):
    text = _WHOLE.replace("hips/spine/head", "head").replace("hips/spine", "spine")
    actor = usd.read(_write(tmp_path, text), OPTIONS).actors[0]
    assert actor.motion.skeleton.joint_names == ("Bones", "hips", "spine", "head")
    assert actor.motion.skeleton.joint_parents.tolist() == [-1, 0, 0, 0]
    stage = _TO_OURS @ _moved([10, 0, 10]) @ _moved([0, 0, 0], "z", 90)
    np.testing.assert_allclose(_worlds(actor)[1, 3, :3, 3], (stage @ [0, 0, 40, 1])[:3], atol=1e-6)
    np.testing.assert_allclose(actor.motion.rig.skinning_matrix.toarray()[1], [0, 0.75, 0, 0.25], atol=1e-6)


def test_keys_far_apart_are_sampled_between_at_the_rate(tmp_path):
    text = _WHOLE.replace(" 3: [", " 25: [").replace(" 2: [", " 13: [")
    recording = usd.read(_write(tmp_path, text), OPTIONS)
    # Samples at 1, 3 (of the place), 13 and 25.
    np.testing.assert_allclose(recording.times_s, np.arange(1, 26) / 24, atol=1e-9)
    turns = Rotation.from_quat(recording.actors[0].motion.motion.local_quat_xyzw[:, 2]).magnitude()
    np.testing.assert_allclose(np.degrees(turns), np.interp(np.arange(1, 26), [1, 13, 25], [0, 45, 90]), atol=0.01)
    assert len(usd.read(tmp_path / "stage.usda", MotionFileOptions(frame_limit=5)).times_s) == 5


def test_a_stray_sample_is_an_error_that_names_the_file_and_its_time(tmp_path):
    path = _write(tmp_path, _WHOLE.replace(" 3: [", " 240000000: ["))
    with pytest.raises(ReadError, match=r"stage\.usda: time samples: found keys from .* to 10000000 s, .*, expected 2000000 at most; "):
        usd.read(path, OPTIONS)
    assert len(usd.read(path, MotionFileOptions(frame_limit=5)).times_s) == 5


@pytest.mark.parametrize(("per_second", "codes", "fps"), [
    ("timeCodesPerSecond = 30", (1, 2, 3), Fraction(30)),
    ("timeCodesPerSecond = 29.97002997002997", (1, 2, 3), Fraction(30000, 1001)),
    ("timeCodesPerSecond = 1000", (0, 40, 80), Fraction(25)),
    ("timeCodesPerSecond = 24\n    framesPerSecond = 24", (0, 0.8, 1.6), Fraction(30)),
    ("timeCodesPerSecond = 4800\n    framesPerSecond = 24", (0, 200, 400), Fraction(24)),
])
def test_the_rate_is_the_stages_where_its_frames_are_the_keys(tmp_path, per_second, codes, fps):
    text = _STANDING.replace("timeCodesPerSecond = 24", per_second)
    for old, new in zip((1, 2, 3), codes):
        text = text.replace(f" {old}: [(", f" {new}: [(")
    recording = usd.read(_write(tmp_path, text), OPTIONS)
    assert recording.fps == fps
    np.testing.assert_allclose(recording.times_s, np.arange(3) / float(fps) + codes[0] / float(fps), atol=1e-6)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("half3[] scales = [(1, 1, 1), (1, 1, 1)]", "", "/World/Hero/Walk: found no scales, expected all of"),
    ("half3[] scales = [(1, 1, 1), (1, 1, 1)]", "half3[] scales = [(1, 2, 1), (1, 1, 1)]", "joint 'head': found a scale that is not the"),
    ('"hips/spine", "hips/spine/head"]', '"hips/spine/head", "hips/spine"]', "/World/Hero/Bones: joints: found"),
    ("3: [(0, 0, 40), (5, 0, 99)]", "3: [(0, 0, 40), (nan, 0, 99)]", "found NaN or infinity"),
    ("3: [(0, 0, 40), (5, 0, 99)]", "3: [(0, 0, 40)]", "/World/Hero/Walk: translations: found 1 values at time code 3.0, expected 2"),
    ("[0, 1, 0, 1, 0, 1, 0, 1, 0, 1]", "[0, 1, 0, 1, 0, 1, 0, 1, 0, 7]", "primvars:skel:jointIndices: found joint 7 of 2"),
    ("faceVertexCounts = [4, 3]", "faceVertexCounts = [4, 4]", "faceVertexIndices: found 7 corners for 8"),
    ("[0, 1, 2, 3, 2, 3, 4]", "[0, 1, 2, 3, 2, 3, 9]", "each one of 5 points"),
    ("def Skeleton", "def Scope", "found no Skeleton"),
    ("float xformOp:rotateZ = 90", "float3 xformOp:scale = (1, 2, 1)", "found a scale that is not the same along all axes"),
    ("def Xform", "dfe Xform", "can't be read"),
    (_REST, "", "expected values for every joint that is animated, and restTransforms for the others"),
])
def test_a_malformed_stage_is_an_error_that_names_the_file_and_the_prim(tmp_path, old, new, message):
    text = _WHOLE
    assert old in text
    text = text.replace(old, new)
    if old.startswith("float xformOp:rotateZ"):
        text = text.replace('["xformOp:rotateZ"]', '["xformOp:scale"]')
    path = _write(tmp_path, text, "bad.usda")
    with pytest.raises(ReadError) as caught:
        usd.read(path, OPTIONS)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_a_skeleton_that_stands_still_is_an_error_but_can_be_mapped(tmp_path):
    path = _write(tmp_path, _STANDING.replace("rel skel:animationSource = </World/Hero/Walk>", ""))
    with pytest.raises(ReadError, match="/World/Hero/Bones: found no animation with time samples"):
        usd.read(path, OPTIONS)
    assert usd.read_skeleton(path).joint_names == ("hips", "spine", "head")


def test_text_that_is_not_utf_8_is_an_error(tmp_path):
    path = tmp_path / "odd.usda"
    path.write_bytes(_WHOLE.encode().replace(b"def Xform", b"d\xeef Xform"))
    with pytest.raises(ReadError, match=r"odd\.usda: can't be read"):
        usd.read(path, OPTIONS)


def test_a_cut_file_is_an_error(tmp_path):
    take = small_take(frames=4)
    path = tmp_path / "person.usdc"
    write_usd_skel(take, take.people[0], path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ReadError, match=r"person\.usdc: can't be read"):
        usd.read(path, OPTIONS)
