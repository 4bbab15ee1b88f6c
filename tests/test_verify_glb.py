"""The verifier of GLBs finds what is broken, one fault at a time."""

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.formats.glb_baked import write_glb_baked
from rigdrop.formats.glb_skeletal import write_glb_skeletal
from rigdrop.formats.verify.glb import verify_glb_baked, verify_glb_skeletal

from .morphing import with_morphs
from .synthetic import small_take
from .tampering import channel, elements, tampered_glb

TAKE = small_take(scale="varying")
PERSON = TAKE.people[0]


@pytest.fixture(scope="module")
def skeletal(tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "a_skeletal.glb"
    write_glb_skeletal(TAKE, PERSON, path)
    return path


@pytest.fixture(scope="module")
def baked(tmp_path_factory):
    path = tmp_path_factory.mktemp("glb") / "a_baked.glb"
    write_glb_baked(TAKE, PERSON, path)
    return path


def _attributes(content):
    return content["meshes"][0]["primitives"][0]["attributes"]


def _swap_joints(content, binary):
    joints = content["skins"][0]["joints"]
    joints[2], joints[3] = joints[3], joints[2]


def _flip_a_sign(content, binary):
    elements(content, binary, channel(content, "rotation")["output"])[5:] *= -1


def _stretch_a_scale(content, binary):
    elements(content, binary, channel(content, "scale")["output"])[:, 0] *= 1.01


def _halve_weights(content, binary):
    elements(content, binary, _attributes(content)["WEIGHTS_0"])[:] *= 0.5


def _shift_time(content, binary):
    elements(content, binary, channel(content, "rotation")["input"])[:] += 0.5


def _slow_down(content, binary):
    elements(content, binary, channel(content, "rotation")["input"])[:] *= 1.001


def _drop_animation(content, binary):
    del content["animations"]


def _shear_bind(content, binary):
    elements(content, binary, content["skins"][0]["inverseBindMatrices"])[1, 15] = 1.0001


def _move_rest(content, binary):
    content["nodes"][1]["translation"][0] += 0.1


def _nest_mesh(content, binary):
    content["nodes"][0]["children"].append(7)
    content["scenes"][0]["nodes"] = [0]


def _drop_normals(content, binary):
    del _attributes(content)["NORMAL"]


def _turn_uvs(content, binary):
    elements(content, binary, _attributes(content)["TEXCOORD_0"])[:, 1] *= -1


def _rename(content, binary):
    content["nodes"][4]["name"] = "hand"


FAULTS = {
    _swap_joints: "expected the rig's names in its order",
    _rename: "expected the rig's names in its order",
    _flip_a_sign: "rotation: a quaternion changes its sign",
    _stretch_a_scale: "scale: found a scale that is not uniform",
    _halve_weights: "weights from 0 that sum to 1",
    _shift_time: "its keys don't rise from 0",
    _slow_down: "expected the take's 12 frames",
    _drop_animation: "found 0 keys",
    _shear_bind: "a last row of exactly 0 0 0 1",
    _move_rest: "static transforms are not the bind pose",
    _nest_mesh: "not at the scene's root",
    _drop_normals: "NORMAL: found none",
    _turn_uvs: "TEXCOORD_0: found other coordinates",
    (lambda content, binary: content["asset"]["extras"].update(fps="24/1")): "asset.extras.fps: found '24/1', expected '30/1'",
    (lambda content, binary: content["asset"].pop("generator")): "expected version 2.0 and a generator",
    (lambda content, binary: content["accessors"][0].update(min=[0, 0, 0])): "min and max are not those",
    (lambda content, binary: content["bufferViews"][0].pop("target")): "its view's target is None",
    (lambda content, binary: content.update(extensionsRequired=["KHR_x"])): "expected none: not every program reads them",
    (lambda content, binary: content["accessors"][0].update(count=10**6)): "can't be checked",
}


def test_what_we_write_has_no_fault(skeletal, baked):
    assert verify_glb_skeletal(TAKE, PERSON, skeletal).ok and verify_glb_baked(TAKE, PERSON, baked).ok


@pytest.mark.parametrize("noise_m", [0.0, 2e-8, 5e-7, 1e-5])
def test_somebody_who_stands_still_but_for_rounding_has_no_fault(tmp_path, noise_m):
    """Below the writer's 1e-7 two keys are all there is; above it there is one for each frame, however little they differ."""
    moving = small_take()
    motion = moving.people[0].motion
    still, turns = (values[:1].repeat(12, axis=0) for values in (motion.local_translation_m, motion.local_quat_xyzw))
    noise = np.random.default_rng(0).uniform(-noise_m, noise_m, still.shape).astype(np.float32)
    person = replace(moving.people[0], motion=replace(motion, local_quat_xyzw=turns, local_translation_m=still + noise))
    take = replace(moving, people=[person])
    write_glb_skeletal(take, person, tmp_path / "still.glb")
    assert verify_glb_skeletal(take, person, tmp_path / "still.glb").broken_rules == ()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__.strip("_<>"))
def test_a_fault_is_named(skeletal, tmp_path, fault):
    report = verify_glb_skeletal(TAKE, PERSON, tampered_glb(skeletal, tmp_path / "b.glb", fault))
    assert any(FAULTS[fault] in rule for rule in report.broken_rules), report.broken_rules


@pytest.mark.parametrize(("fault", "least_mm"), [(_swap_joints, 10), (_drop_animation, 100), (_halve_weights, 100), (_slow_down, 0.1)])
def test_a_fault_that_moves_vertices_is_measured(skeletal, tmp_path, fault, least_mm):
    assert verify_glb_skeletal(TAKE, PERSON, tampered_glb(skeletal, tmp_path / "b.glb", fault)).max_mm > least_mm


def test_another_persons_file_is_far_off(tmp_path):
    take = small_take(people=2)
    write_glb_skeletal(take, take.people[1], tmp_path / "b.glb")
    report = verify_glb_skeletal(take, take.people[0], tmp_path / "b.glb")
    assert report.mean_mm == pytest.approx(1500, rel=0.01) and "asset.extras.person: found 'person_02'" in report.broken_rules[0]


def test_a_morph_too_few_is_named(baked, tmp_path):
    def drop(content, binary):
        content["meshes"][0]["primitives"][0]["targets"].pop()

    report = verify_glb_baked(TAKE, PERSON, tampered_glb(baked, tmp_path / "b.glb", drop))
    assert any("targets: found 10, expected one for each of the 11 frames" in rule for rule in report.broken_rules)


def test_a_weight_in_the_wrong_place_is_named_and_measured(baked, tmp_path):
    def swap(content, binary):
        rows = elements(content, binary, channel(content, "weights")["output"]).reshape(12, 11)
        rows[[3, 4]] = rows[[4, 3]]

    report = verify_glb_baked(TAKE, PERSON, tampered_glb(baked, tmp_path / "b.glb", swap))
    assert "weights: frame 3 doesn't show its own target alone" in report.broken_rules and report.max_mm > 10


@pytest.mark.parametrize("content", [b"", b"no glb", b"glTF" + bytes(100), None])
def test_a_file_that_is_no_glb_is_a_broken_rule(skeletal, tmp_path, content):
    path = tmp_path / "b.glb"
    path.write_bytes(skeletal.read_bytes()[:-8] if content is None else content)
    report = verify_glb_skeletal(TAKE, PERSON, path)
    assert not report.ok and report.frames == 0 and report.max_mm == np.inf


def test_a_part_of_the_frames_can_be_asked_for(skeletal):
    report = verify_glb_skeletal(TAKE, PERSON, skeletal, None, 5)
    assert (report.frames, report.frame_count) == (5, 12) and report.ok


def test_a_baked_file_is_no_skeletal_one(baked):
    assert "skins: found none, expected a skinned mesh" in verify_glb_skeletal(TAKE, PERSON, baked).broken_rules


MORPHED = with_morphs(TAKE)


def _lose_a_target(content, binary):
    content["meshes"][0]["primitives"][0]["targets"].pop()


def _lose_the_names(content, binary):
    del content["meshes"][0]["extras"]


def _raise_a_weight(content, binary):
    elements(content, binary, channel(content, "weights")["output"])[7] = 1.5


def _lose_a_key(content, binary):
    content["accessors"][channel(content, "weights")["output"]]["count"] -= 3


@pytest.mark.parametrize(("fault", "says"), [
    (_lose_a_target, "targets: found 2, expected the rig's 3"),
    (_lose_the_names, "expected weights and extras.targetNames of 3 targets"),
    (_raise_a_weight, "weights: found 36 numbers at 12 keys, expected 3 from 0 to 1 at each"),
    (_lose_a_key, "weights: found 33 numbers at 12 keys"),
])
def test_a_fault_of_a_skins_morphs_is_named(tmp_path, fault, says):
    write_glb_skeletal(MORPHED, MORPHED.people[0], tmp_path / "a.glb")
    assert verify_glb_skeletal(MORPHED, MORPHED.people[0], tmp_path / "a.glb").ok
    report = verify_glb_skeletal(MORPHED, MORPHED.people[0], tampered_glb(tmp_path / "a.glb", tmp_path / "b.glb", fault))
    assert any(says in rule for rule in report.broken_rules), report.broken_rules


def test_a_file_without_the_rigs_morphs_is_named_and_measured(skeletal):
    report = verify_glb_skeletal(MORPHED, MORPHED.people[0], skeletal)
    # Three targets of 1 cm in each axis, half on: about a centimetre.
    assert "targets: found 0, expected the rig's 3" in report.broken_rules and 5 < report.mean_mm < 100
