"""GLB skeletal animation: our own files, and tiny ones written by hand whose truth is worked out with SciPy or on paper."""

import copy
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from rigdrop.errors import ReadError
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.options import GlbSkeletalOptions
from rigdrop.ingest.motion_files import glb
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.registry import read_recording
from rigdrop.motion.kinematics import local_matrices, local_to_world, skin_vertices, world_transforms

from .synthetic import small_take
from .tiny_glb import TinyGlb

OPTIONS = MotionFileOptions()


def _worlds(actor):
    motion, skeleton = actor.motion.motion, actor.motion.skeleton
    local = local_matrices(motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale)
    return local_to_world(skeleton.joint_parents, local)


def _quat(axis, degrees):
    return Rotation.from_rotvec(np.radians(degrees) * np.eye(3)["xyz".index(axis)]).as_quat().tolist()


@pytest.mark.parametrize("scale", ["none", "constant", "varying"])
@pytest.mark.parametrize("influences", [4, 8])
def test_a_file_of_ours_gives_back_the_take(tmp_path, scale, influences):
    take = small_take(frames=20, fps=Fraction(30000, 1001), scale=scale, influences=influences)
    person = take.people[0]
    path = tmp_path / "person.glb"
    write_glb_skeletal(take, person, path, GlbSkeletalOptions(influences=influences))
    recording = read_recording(path, OPTIONS)
    actor = recording.actors[0]
    assert recording.fps == take.fps and actor.name == person.id and actor.visible.all()
    np.testing.assert_allclose(recording.times_s, take.times_s - take.times_s[0], atol=1e-6)
    truth = world_transforms(person.rig, person.motion.local_quat_xyzw, person.motion.local_translation_m, person.motion.local_scale)
    read, rig = _worlds(actor), actor.motion.rig
    assert rig.joint_names == person.rig.joint_names and (rig.joint_parents == person.rig.joint_parents).all()
    np.testing.assert_allclose(read, truth, atol=1e-6)  # 0.001 mm; 1e-6 rad is 0.00006°
    np.testing.assert_allclose(skin_vertices(rig, read), skin_vertices(person.rig, truth), atol=2e-6)
    np.testing.assert_allclose(rig.uvs, person.rig.uvs, atol=1e-6)
    np.testing.assert_allclose(rig.skeleton.rest_local, person.rig.skeleton.rest_local, atol=1e-6)
    assert (rig.faces == person.rig.faces).all() and rig.skin_joints.shape[1] <= influences


def _arm(file: TinyGlb, above: dict | None = None) -> dict:
    """Two joints on a node that may be turned and scaled: 0 above, 1 shoulder, 2 elbow."""
    file.json["nodes"] = [
        {"name": "Armature", "children": [1], **(above or {})}, {"name": "shoulder", "children": [2], "translation": [0, 1, 0]},
        {"name": "elbow", "translation": [1, 0, 0]},
    ]
    file.json["skins"] = [{"joints": [1, 2]}]
    return file.json


def test_each_interpolation_is_sampled_where_there_are_keys(tmp_path):
    file = TinyGlb()
    _arm(file)
    linear = [_quat("z", 0), _quat("z", 90), [-value for value in _quat("z", 100)]]  # the last one with the other sign
    file.animate(1, "rotation", [0, 0.1, 0.2], linear)
    file.animate(2, "rotation", [0, 0.15], [_quat("x", 10), _quat("x", 50)], "STEP")
    # In tangent, value, out tangent for each key.
    cubic = [[[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 0], [1.5, 0.25, 0], [0, 0, 0]]]
    file.animate(2, "translation", [0.05, 0.25], np.reshape(cubic, (6, 3)), "CUBICSPLINE")
    recording = glb.read(file.write(tmp_path / "arm.glb"), OPTIONS)
    times_s = [0, 0.05, 0.1, 0.15, 0.2, 0.25]
    np.testing.assert_allclose(recording.times_s, times_s, atol=1e-6)
    assert recording.fps == 20
    motion = recording.actors[0].motion.motion
    upper = Slerp([0, 0.1, 0.2], Rotation.from_quat(linear))(np.minimum(times_s, 0.2))
    assert np.degrees((upper.inv() * Rotation.from_quat(motion.local_quat_xyzw[:, 0])).magnitude()).max() < 0.01
    lower = Rotation.from_quat([_quat("x", degrees) for degrees in (10, 10, 10, 50, 50, 50)])
    assert np.degrees((lower.inv() * Rotation.from_quat(motion.local_quat_xyzw[:, 1])).magnitude()).max() < 0.01

    def spline(time: float) -> list[float]:  # glTF's appendix C.5 with t from 0 to 1 over 0.2 s, term by term
        t = min(max((time - 0.05) / 0.2, 0), 1)
        h00, h10, h01, h11 = 2 * t**3 - 3 * t**2 + 1, t**3 - 2 * t**2 + t, -2 * t**3 + 3 * t**2, t**3 - t**2
        return [h00 * 1 + 0.2 * h10 * 2 + h01 * 1.5, h01 * 0.25 + 0.2 * h11 * 1, 0]

    np.testing.assert_allclose(motion.local_translation_m[:, 1], [spline(time) for time in times_s], atol=1e-6)


def test_keys_far_apart_are_sampled_between_at_the_rate(tmp_path):
    file = TinyGlb()
    _arm(file)
    file.animate(1, "rotation", [0, 0.5, 1.2], [_quat("y", 0), _quat("y", 60), _quat("y", 10)])
    path = file.write(tmp_path / "arm.glb")
    for options, fps in ((OPTIONS, 30), (MotionFileOptions(source_fps="25"), 25)):
        recording = glb.read(path, options)
        assert recording.fps == fps and {0.0, 0.5, 1.2} <= set(np.round(recording.times_s, 6))
        assert np.diff(recording.times_s).max() < 1.05 / fps and np.diff(recording.times_s).min() > 0.9 / fps
        turns = Rotation.from_quat(recording.actors[0].motion.motion.local_quat_xyzw[:, 0]).as_rotvec(degrees=True)[:, 1]
        np.testing.assert_allclose(turns, np.interp(recording.times_s, [0, 0.5, 1.2], [0, 60, 10]), atol=0.01)
    assert len(glb.read(path, MotionFileOptions(frame_limit=7)).times_s) == 7


def test_times_that_float32_moved_go_back_onto_their_frames(tmp_path):
    file, frames = TinyGlb(), np.arange(9000, 9060)
    _arm(file)
    turns = [_quat("y", frame % 7) for frame in frames]
    file.animate(1, "rotation", frames / 30, turns, "STEP")
    file.animate(2, "translation", np.nextafter(np.float32(frames / 30), np.float32(1e9)), [[1, frame % 5, 0] for frame in frames], "STEP")
    recording = glb.read(file.write(tmp_path / "late.glb"), OPTIONS)
    np.testing.assert_allclose(recording.times_s, frames / 30, atol=1e-9)
    motion = recording.actors[0].motion.motion
    np.testing.assert_allclose(np.abs(motion.local_quat_xyzw[:, 0]), np.abs(turns), atol=1e-6)
    np.testing.assert_allclose(motion.local_translation_m[:, 1, 1], frames % 5, atol=1e-6)


def _skinned(file: TinyGlb, joints: list[int], bind_world, vertices, joint_rows, weights, **weight_extra) -> None:
    """Append a mesh of one triangle, its node and its skin."""
    matrices = file.add(np.linalg.inv(np.asarray(bind_world, dtype=float)))
    kind = weight_extra.pop("kind", "float32")
    attributes = {"POSITION": file.add(vertices)}
    for number, start in enumerate(range(0, np.shape(joint_rows)[1], 4)):
        attributes[f"JOINTS_{number}"] = file.add(np.asarray(joint_rows)[:, start:start + 4], "uint8")
        attributes[f"WEIGHTS_{number}"] = file.add(np.asarray(weights)[:, start:start + 4], kind, **weight_extra)
    file.json.setdefault("meshes", []).append({"name": "body", "primitives": [{"attributes": attributes}]})
    file.json.setdefault("skins", []).append({"joints": joints, "inverseBindMatrices": matrices})
    file.json["nodes"].append({"name": "mesh", "mesh": len(file.json["meshes"]) - 1, "skin": len(file.json["skins"]) - 1})


def _moved(place, axis="x", degrees=0.0, scale=1.0):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler(axis, degrees, degrees=True).as_matrix() * scale
    matrix[:3, 3] = place
    return matrix


def test_nodes_above_the_skeleton_are_baked_in_and_centimetres_become_metres(tmp_path):
    """As files that went through FBX: an armature scaled to 0.01 and turned, joints and mesh in centimetres, Z up."""
    file = TinyGlb()
    file.json["nodes"] = [
        {"name": "Armature", "children": [1], "rotation": _quat("x", -90), "scale": [0.01, 0.01, 0.01], "translation": [0, 0.5, 0]},
        {"name": "hips", "children": [2], "translation": [0, 0, 100], "rotation": _quat("z", 20)},
        {"name": "neck", "translation": [0, 0, 60]},
    ]
    bind = [_moved([0, 0, 100], "z", 20), _moved([0, 0, 100], "z", 20) @ _moved([0, 0, 60])]
    vertices = [[0, 10, 100], [5, 0, 120], [0, -10, 160]]
    _skinned(file, [1, 2], bind, vertices, [[0, 1, 0, 0]] * 3, [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.25, 0.75, 0, 0]])
    file.animate(0, "translation", [0, 0.1], [[0, 0.5, 0], [2, 0.5, 0]])
    file.animate(2, "rotation", [0, 0.1], [_quat("x", 0), _quat("x", 40)])
    actor = glb.read(file.write(tmp_path / "fbx.glb"), OPTIONS).actors[0]
    assert actor.motion.skeleton.joint_names == ("hips", "neck") and actor.motion.motion.local_scale is None
    worlds = _worlds(actor)
    for frame, (aside, bend) in enumerate([(0, 0), (2, 40)]):
        armature = _moved([aside, 0.5, 0], "x", -90, 0.01)
        hips = armature @ bind[0]
        neck = hips @ _moved([0, 0, 60], "x", bend)
        np.testing.assert_allclose(worlds[frame, :, :3, 3], [hips[:3, 3], neck[:3, 3]], atol=1e-6)
        np.testing.assert_allclose(worlds[frame, 1, :3, :3], neck[:3, :3] / 0.01, atol=1e-6)
        skinning = [hips @ np.linalg.inv(bind[0]), neck @ np.linalg.inv(bind[1])]
        points = np.array([[*vertex, 1] for vertex in vertices])
        truth = [sum(weight * (matrix @ point) for weight, matrix in zip(weights, skinning))[:3]
                 for point, weights in zip(points, [(1, 0), (0.5, 0.5), (0.25, 0.75)])]
        np.testing.assert_allclose(skin_vertices(actor.motion.rig, worlds[frame:frame + 1])[0], truth, atol=1e-6)
    np.testing.assert_allclose(actor.motion.rig.skeleton.rest_local[1, :3, 3], [0, 0, 0.6], atol=1e-7)


def test_a_rest_pose_is_the_bind_pose_wherever_the_nodes_stand(tmp_path):
    file = TinyGlb()
    file.json["nodes"] = [{"name": "hips", "children": [1], "translation": [0, 1, 0]},
                          {"name": "neck", "translation": [0, 0.6, 0], "rotation": _quat("z", 70)}]  # left in a pose
    _skinned(file, [0, 1], [_moved([0, 1, 0]), _moved([0, 1.6, 0])], np.eye(3), [[0, 1, 0, 0]] * 3, [[0.5, 0.5, 0, 0]] * 3)
    file.animate(1, "rotation", [0, 0.1], [_quat("z", 30), _quat("z", 31)])
    actor = glb.read(file.write(tmp_path / "posed.glb"), OPTIONS).actors[0]
    np.testing.assert_allclose(actor.motion.skeleton.rest_local[1], _moved([0, 0.6, 0]), atol=1e-7)
    np.testing.assert_allclose(actor.motion.motion.local_quat_xyzw[0, 1], _quat("z", 30), atol=1e-6)


def test_several_skins_of_one_skeleton_are_one_actor_with_all_the_meshes(tmp_path):
    file = TinyGlb()
    file.json["nodes"] = [{"name": "hips", "children": [1, 2]}, {"name": "spine", "translation": [0, 0.5, 0]},
                          {"name": "tail", "translation": [0, 0, -0.3]}]
    # Weights in bytes, in no order, and five of them.
    rows, weights = [[0, 1, 1, 0, 1, 0, 0, 0]] * 3, [[51, 0, 26, 51, 127, 0, 0, 0]] * 3
    _skinned(file, [0, 1], [np.eye(4), _moved([0, 0.5, 0])], np.eye(3), rows, weights, kind="uint8", normalized=True)
    # A glove made somewhere else: its own space is shifted, and it lists the joints the other way round.
    shifted = _moved([0.2, 0, 0])
    _skinned(file, [2, 0], [shifted @ _moved([0, 0, -0.3]), shifted], np.eye(3) + [0.2, 0, 0], [[0, 1, 0, 0]] * 3, [[0.75, 0.25, 0, 0]] * 3)
    file.animate(2, "rotation", [0, 0.1], [_quat("x", 0), _quat("x", 90)])
    recording = glb.read(file.write(tmp_path / "two.glb"), OPTIONS)
    assert len(recording.actors) == 1 and all("no joint that means" in warning for warning in recording.warnings)
    rig = recording.actors[0].motion.rig
    assert rig.joint_names == ("hips", "spine", "tail") and rig.vertices_m.shape == (6, 3) and rig.faces.tolist() == [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_allclose(rig.vertices_m[3:], np.eye(3), atol=1e-6)
    np.testing.assert_allclose(rig.skinning_matrix.toarray()[0], [102 / 255, 153 / 255, 0], atol=1e-6)
    np.testing.assert_allclose(rig.skinning_matrix.toarray()[5], [0.25, 0, 0.75], atol=1e-6)


def test_skins_whose_bind_poses_differ_give_the_motion_and_a_warning(tmp_path):
    file = TinyGlb()
    _arm(file)
    file.json["skins"] = []
    for bend in (0, 30):
        _skinned(file, [1, 2], [_moved([0, 1, 0]), _moved([1, 1, 0], "z", bend)], np.eye(3), [[0, 1, 0, 0]] * 3, [[1, 0, 0, 0]] * 3)
    file.animate(2, "rotation", [0, 0.1], [_quat("x", 0), _quat("x", 90)])
    recording = glb.read(file.write(tmp_path / "two.glb"), OPTIONS)
    assert recording.actors[0].motion.rig is None and any("bind poses that differ" in warning for warning in recording.warnings)


def test_a_file_without_skins_is_read_by_the_nodes_that_move(tmp_path):
    file = TinyGlb()
    _arm(file, {"rotation": _quat("y", 90)})
    del file.json["skins"]
    file.json["nodes"][2]["children"] = [3]
    file.json["nodes"] += [{"name": "hand", "translation": [0.8, 0, 0]}, {"name": "camera", "camera": 0}]
    file.json["cameras"] = [{"type": "perspective", "perspective": {"yfov": 1, "znear": 0.1}}]
    file.animate(1, "rotation", [0, 0.1], [_quat("z", 0), _quat("z", 90)])
    file.animate(4, "translation", [0, 0.1], [[0, 0, 5], [0, 0, 6]])
    actor = glb.read(file.write(tmp_path / "bare.glb"), OPTIONS).actors[0]
    assert actor.motion.skeleton.joint_names == ("shoulder", "elbow", "hand") and actor.motion.rig is None
    np.testing.assert_allclose(_worlds(actor)[:, 2, :3, 3], [[0, 1, -1.8], [0, 2.8, 0]], atol=1e-6)


def test_two_characters_each_play_the_first_animation_that_is_theirs(tmp_path):
    file = TinyGlb()
    file.json["nodes"] = [{"name": "a", "children": [1]}, {"name": "a_arm", "translation": [0, 1, 0]}, {"name": "b", "children": [3]},
                          {"name": "b_arm", "translation": [0, 2, 0]}, {"name": "still", "children": [5]}, {"name": "still_arm"}]
    file.json["skins"] = [{"joints": [0, 1], "name": "Ann"}, {"joints": [2, 3], "name": "Bob"}, {"joints": [4, 5]}]
    file.animate(1, "rotation", [0, 0.1], [_quat("z", 0), _quat("z", 90)])
    file.animate(3, "rotation", [0.1, 0.2], [_quat("x", 0), _quat("x", 90)], animation=1)
    file.animate(1, "rotation", [0, 0.1], [_quat("z", 10), _quat("z", 20)], animation=2)
    recording = glb.read(file.write(tmp_path / "two.glb"), OPTIONS)
    assert [actor.name for actor in recording.actors] == ["Ann", "Bob"] and [actor.track for actor in recording.actors] == [0, 1]
    assert any("Ann has 2; took the first, left 'clip_2'" in warning for warning in recording.warnings)
    np.testing.assert_allclose(recording.times_s, [0, 0.1, 0.2], atol=1e-7)
    turned = [Rotation.from_quat(actor.motion.motion.local_quat_xyzw[:, 1]).magnitude() for actor in recording.actors]
    np.testing.assert_allclose(np.degrees(turned), [[0, 90, 90], [0, 0, 90]], atol=0.01)


def test_integers_sparse_elements_and_matrices_are_read_as_the_specification_says(tmp_path):
    file = TinyGlb()
    _arm(file)
    matrix = _moved([0.5, 1, 0], "y", 30)
    file.json["nodes"][0] = {"name": "Armature", "children": [1], "matrix": matrix.T.ravel().tolist()}
    turns = np.rint(np.array([_quat("z", 0), _quat("z", 120)]) * 32767)
    file.animate(1, "rotation", [0, 0.1], turns, kind="int16", normalized=True)
    file.animate(2, "translation", [0, 0.1], [[1, 0, 0], [1, 0, 0]])
    places = file.json["accessors"][-1]
    index, value = file.add([1], "uint8"), file.add([[1, 0, 7]])
    views = [file.json["accessors"].pop(-1)["bufferView"] for _ in range(2)][::-1]
    assert index and value
    places["sparse"] = {"count": 1, "indices": {"bufferView": views[0], "componentType": 5121}, "values": {"bufferView": views[1]}}
    worlds = _worlds(glb.read(file.write(tmp_path / "packed.glb"), OPTIONS).actors[0])
    truth = matrix @ _moved([0, 1, 0], "z", 120) @ _moved([1, 0, 7])
    np.testing.assert_allclose(worlds[1, 1, :3, 3], truth[:3, 3], atol=1e-3)  # 16 bits of a turn at 7 m
    np.testing.assert_allclose(worlds[0, 1, :3, 3], (matrix @ _moved([1, 1, 0]))[:3, 3], atol=1e-6)


@pytest.mark.parametrize("extensions", [
    {"VRMC_vrm": {"humanoid": {"humanBones": {"leftThumbProximal": {"node": 2}, "leftHand": {"node": 1}}}}},
    {"VRM": {"humanoid": {"humanBones": [{"bone": "leftThumbIntermediate", "node": 2}, {"bone": "leftHand", "node": 1}]}}},
])
def test_a_vrm_avatar_says_what_its_joints_mean(tmp_path, extensions):
    file = TinyGlb()
    _arm(file)["extensions"] = extensions
    file.json["extensionsUsed"] = list(extensions)
    assert glb.read_skeleton(file.write(tmp_path / "avatar.glb")).semantic == {"left_wrist": 0, "left_thumb_mcp": 1}


def _spoilt(tmp_path, change):
    file = TinyGlb()
    _arm(file)
    _skinned(file, [1, 2], [_moved([0, 1, 0]), _moved([1, 1, 0])], np.eye(3), [[0, 1, 0, 0]] * 3, [[1, 0, 0, 0]] * 3)
    file.json["skins"] = file.json["skins"][1:]
    file.json["nodes"][3]["skin"] = 0
    file.animate(1, "rotation", [0, 0.1], [_quat("z", 0), _quat("z", 90)])
    file.animate(2, "scale", [0, 0.1], [[1, 1, 1], [1, 1, 1]])
    change(file)
    return file.write(tmp_path / "bad.glb")


def _set(*keys):
    """Return a change that puts the last of ``keys`` where the others lead; a function is applied to what is there."""

    def change(file):
        place = file.json
        for key in keys[:-2]:
            place = place[key]
        if keys[-1] is None:
            del place[keys[-2]]
        else:
            place[keys[-2]] = copy.deepcopy(keys[-1])

    return change


def _numbers(path, index, value):
    def change(file):
        sampler = file.json["animations"][0]["samplers"][index]
        sampler[path] = file.add(value)

    return change


@pytest.mark.parametrize(("change", "message"), [
    (_set("animations", []), "animations: found 0, none that moves a skeleton"),
    (_set("skins", 0, "inverseBindMatrices", 1), "skins[0].inverseBindMatrices: found (3, 3), expected (2, 4, 4)"),
    (_numbers("output", 0, [_quat("z", 0)]), "animations[0].samplers[0].output: found (1, 4) numbers, expected (2, 4)"),
    (_numbers("output", 0, [[np.nan] * 4] * 2), "animations[0].samplers[0].output: accessors"),
    (_numbers("input", 0, [0.1, 0.0]), "animations[0].samplers[0].input: found times that do not rise"),
    (_numbers("output", 1, [[1, 1, 1], [1, 2, 1]]), "joint 'elbow': found a scale that is not the same along all axes (1, 2, 1)"),
    (_numbers("output", 1, [[1, 1, 1], [-1, 1, 1]]), "joint 'elbow': found a mirrored or zero scale"),
    (_set("nodes", 0, "scale", [1, 1, 2]), "found a scale that is not the same along all axes"),
    (_set("nodes", 2, "children", [0]), "found it above itself"),
    (_set("nodes", 1, "children", [2, 9]), "nodes[1].children: found 9"),
    (_set("nodes", 0, "children", [1, 2]), "children: found 2, expected nodes of one parent"),
    (_set("skins", 0, "joints", [1, 9]), "broken reference"),
    (_set("skins", 0, "joints", []), "skins: found no joints"),
    (_set("animations", 0, "samplers", 0, "input", 99), "animations[0].samplers[0].input: accessors[99]"),
    (_set("bufferViews", 0, "byteLength", 1), "accessors[0]: found"),
    (_set("accessors", 0, "componentType", 7), "accessors[0]: found 7"),
    (_set("extensionsRequired", ["EXT_meshopt_compression"]), "extensionsRequired: found EXT_meshopt_compression"),
])
def test_a_malformed_file_is_an_error_that_names_the_file_and_the_part(tmp_path, change, message):
    path = _spoilt(tmp_path, change)
    with pytest.raises(ReadError) as caught:
        glb.read(path, OPTIONS)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_a_stray_key_is_an_error_that_names_the_file_and_its_time(tmp_path):
    path = _spoilt(tmp_path, _numbers("input", 0, [0.0, 1e7]))
    with pytest.raises(ReadError, match=r"bad\.glb: animations: found keys from 0 to 10000000 s, .*, expected 2000000 at most; take"):
        glb.read(path, OPTIONS)
    assert len(glb.read(path, MotionFileOptions(frame_limit=7)).times_s) == 7


def test_normals_that_say_nothing_are_those_of_the_faces_around(tmp_path):
    file = TinyGlb()
    _arm(file)
    file.json["nodes"][0]["scale"] = [0.01, 0.01, 0.01]  # a unit normal in the file is short in the world before it is made one again
    del file.json["skins"]
    bind = [_moved([0, 1, 0]), _moved([1, 1, 0])]
    _skinned(file, [1, 2], bind, [[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 0, 0]] * 3, [[1, 0, 0, 0]] * 3)
    file.json["meshes"][0]["primitives"][0]["attributes"]["NORMAL"] = file.add([[0, 0, 0], [0.6, 0, 0.8], [0, 0, 1e-7]])
    file.animate(1, "rotation", [0, 0.1], [_quat("z", 0), _quat("z", 90)])
    rig = glb.read(file.write(tmp_path / "flat.glb"), OPTIONS).actors[0].motion.rig
    np.testing.assert_allclose(rig.normals, [[0, 0, 1], [0.6, 0, 0.8], [0, 0, 1]], atol=1e-6)


@pytest.mark.parametrize("size", [0, 8, 200, -1])
def test_a_cut_file_is_an_error(tmp_path, size):
    path = _spoilt(tmp_path, lambda file: None)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ReadError, match=r"bad\.glb: header: found .* expected b'glTF' version 2, whole"):
        glb.read(path, OPTIONS)


def test_a_still_character_has_a_skeleton_to_map(tmp_path):
    path = _spoilt(tmp_path, _set("animations", []))
    assert glb.read_skeleton(path).joint_names == ("shoulder", "elbow")
