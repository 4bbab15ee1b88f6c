"""The verifier of UsdSkel stages finds what is broken, one fault at a time; most of these pass every validator."""

import numpy as np
import pytest
from pxr import Sdf, Usd, UsdGeom, UsdSkel, Vt

from rigdrop.formats.usd_skel import write_usd_skel
from rigdrop.formats.verify.usd import named_person, verify_usd_skel

from .morphing import with_morphs
from .synthetic import small_take

TAKE = small_take(scale="varying")
PERSON = TAKE.people[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("usd") / "a.usdc"
    write_usd_skel(TAKE, PERSON, path)
    return path


def _verified(whole, tmp_path, change, take=TAKE):
    stage = Usd.Stage.Open(str(whole))
    layer = Sdf.Layer.CreateAnonymous(".usda")
    layer.TransferContent(stage.GetRootLayer())
    change(Usd.Stage.Open(layer))
    layer.Export(str(tmp_path / "b.usdc"))
    return verify_usd_skel(take, take.people[0], tmp_path / "b.usdc")


def _skeleton(stage):
    return UsdSkel.Skeleton(stage.GetPrimAtPath("/person_01/skeleton"))


def _animation(stage):
    return UsdSkel.Animation(stage.GetPrimAtPath("/person_01/motion"))


def _mesh(stage):
    return UsdGeom.Mesh(stage.GetPrimAtPath("/person_01/body"))


def _swap_joints(stage):
    joints = list(_animation(stage).GetJointsAttr().Get())
    _animation(stage).GetJointsAttr().Set([joints[index] for index in (0, 1, 2, 3, 4, 6, 5)])


def _halve_weights(stage):
    weights = UsdSkel.BindingAPI(_mesh(stage)).GetJointWeightsPrimvar()
    weights.Set(Vt.FloatArray.FromNumpy(np.array(weights.Get()) / 2))


def _flip_a_sign(stage):
    rotations = _animation(stage).GetRotationsAttr()
    for code in range(6, 12):
        rotations.Set(Vt.QuatfArray([-quat for quat in rotations.Get(code)]), code)


def _lose_a_frame(stage):
    rotations = _animation(stage).GetRotationsAttr()
    rotations.ClearAtTime(5)


def _stretch(stage):
    scales = _animation(stage).GetScalesAttr()
    for code in scales.GetTimeSamples():
        scales.Set(Vt.Vec3hArray([(1, 1.5, 1)] * 7), code)


FAULTS = {
    _swap_joints: "its joints are not the skeleton's, in the same order",
    _halve_weights: "weights that sum to 1",
    _flip_a_sign: "a rotation changes its sign before time code 6",
    _lose_a_frame: "rotations have 11 samples that are not the take's 12 frames",
    _stretch: "a scale is not uniform",
    (lambda stage: stage.SetTimeCodesPerSecond(24)): "timeCodesPerSecond: found 24.0 on the root layer, expected 30.0",
    (lambda stage: stage.GetRootLayer().ClearFramesPerSecond()): "framesPerSecond: found None",
    (lambda stage: stage.SetEndTimeCode(300)): "endTimeCode: found 300, expected 11",
    (lambda stage: stage.ClearMetadata("upAxis")): "upAxis, metersPerUnit: expected both",
    (lambda stage: stage.GetRootLayer().ClearDefaultPrim()): "defaultPrim: found no SkelRoot there",
    (lambda stage: stage.RemovePrim("/person_01/motion")): "found 0 prims of Animation",
    (lambda stage: _animation(stage).GetPrim().RemoveProperty("scales")): "scales are missing, so the whole animation is dropped",
    (lambda stage: _skeleton(stage).GetPrim().RemoveProperty("skel:animationSource")): "skel:animationSource doesn't lead to",
    (lambda stage: _skeleton(stage).GetPrim().RemoveProperty("restTransforms")): "RestTransforms: expected one for each joint",
    (lambda stage: _skeleton(stage).GetPrim().RemoveAppliedSchema("SkelBindingAPI")): "skeleton: SkelBindingAPI is not applied",
    (lambda stage: _skeleton(stage).GetPrim().ClearCustomData()): "expected the rig's names in its order",
    (lambda stage: _mesh(stage).GetPrim().RemoveAppliedSchema("SkelBindingAPI")): "mesh: SkelBindingAPI is not applied",
    (lambda stage: _mesh(stage).GetSubdivisionSchemeAttr().Set("catmullClark")): "expected no subdivision",
    (lambda stage: UsdSkel.BindingAPI(_mesh(stage)).GetJointIndicesPrimvar().SetElementSize(2)): "joint indices and",
    (lambda stage: _mesh(stage).GetPrim().RemoveProperty("primvars:skel:geomBindTransform")): "geomBindTransform is missing",
    (lambda stage: UsdSkel.Root(stage.GetDefaultPrim()).GetExtentAttr().Clear()): "extent at time code 0.0 is not what USD computes",
}


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{number}" for number in range(len(FAULTS))])
def test_a_fault_is_named(whole, tmp_path, fault):
    report = _verified(whole, tmp_path, fault)
    assert any(FAULTS[fault] in rule for rule in report.broken_rules), report.broken_rules


@pytest.mark.parametrize(("fault", "least_mm"), [(_halve_weights, 100), (_swap_joints, 1), (_lose_a_frame, 0.3)])
def test_a_fault_that_moves_vertices_is_measured(whole, tmp_path, fault, least_mm):
    assert _verified(whole, tmp_path, fault).max_mm > least_mm


def test_what_we_write_has_no_fault(whole, tmp_path):
    report = _verified(whole, tmp_path, lambda stage: None)
    assert report.ok and report.max_mm < 0.2 and report.frames == 12


def test_a_file_that_is_no_stage_is_a_broken_rule(tmp_path):
    (tmp_path / "b.usdc").write_bytes(b"PXR-USDC and then nothing")
    report = verify_usd_skel(TAKE, PERSON, tmp_path / "b.usdc")
    assert "can't be evaluated" in report.broken_rules[0] and report.max_mm == np.inf


def test_a_stage_names_its_person(whole):
    assert named_person(whole) == "person_01"


MORPHED = with_morphs(TAKE)


def _weights(stage):
    return _animation(stage).GetBlendShapeWeightsAttr()


@pytest.mark.parametrize(("fault", "says"), [
    (lambda stage: stage.RemovePrim("/person_01/body/morph_02"), "a blend shape that has not an offset for each point"),
    (lambda stage: UsdSkel.BindingAPI(_mesh(stage)).GetBlendShapesAttr().Set(["morph_01"]), "found 1 names and 3 targets"),
    (lambda stage: _animation(stage).GetBlendShapesAttr().Set(["morph_02", "morph_01", "morph_03"]), "not the mesh's, in the same order"),
    (lambda stage: _weights(stage).ClearAtTime(5), "blendShapeWeights have 11 samples that are not the take's 12 frames"),
    (lambda stage: _weights(stage).Set([0.5, 0.5], 5), "expected 3 blendShapeWeights from 0 to 1"),
    (lambda stage: _weights(stage).Set([0.5, 0.5, 2.0], 5), "expected 3 blendShapeWeights from 0 to 1"),
    (lambda stage: _weights(stage).Clear(), "blendShapeWeights have 0 samples"),
], ids=range(7))
def test_a_fault_of_blend_shapes_is_named(tmp_path, fault, says):
    write_usd_skel(MORPHED, MORPHED.people[0], tmp_path / "a.usdc")
    assert verify_usd_skel(MORPHED, MORPHED.people[0], tmp_path / "a.usdc").ok
    report = _verified(tmp_path / "a.usdc", tmp_path, fault, MORPHED)
    assert any(says in rule for rule in report.broken_rules), report.broken_rules


def test_a_stage_without_the_rigs_morphs_is_named_and_measured(whole, tmp_path):
    report = _verified(whole, tmp_path, lambda stage: None, MORPHED)
    # Three targets of 1 cm in each axis, half on: about a centimetre.
    assert "expected the rig's 3 of each" in " ".join(report.broken_rules) and 5 < report.mean_mm < 100
