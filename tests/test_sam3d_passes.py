from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rigdrop.errors import SettingsError
from rigdrop.ingest.pose.sam3d_body.mhr import flip_yz
from rigdrop.ingest.pose.sam3d_body.passes import PassOptions, People, find_bodies

from .sam3d_cases import CASES, people_of, run_case
from .sam3d_fixture import recorded_network  # noqa: F401

# What is asked of the network, end to end.
JOINTS_M, PIXELS = 1e-5, 1e-2
PARAMS = {
    "body": "body_pose_params", "hand": "hand_pose_params", "scale": "scale_params", "shape": "shape_params", "global_rot": "global_rot",
}


def _pick(people: People, which: list[int]) -> People:
    chosen = {f.name: getattr(people, f.name)[which] for f in fields(People) if f.name not in ("frames", "mask_scores", "shared")}
    return People(people.frames, **chosen)


def _whole(people: People, **changed: torch.Tensor) -> People:
    return replace(people, **changed)


def _far(found: torch.Tensor, truth: torch.Tensor) -> float:
    assert found.shape == truth.shape
    return float((found - truth).abs().max())


@pytest.mark.parametrize("name", CASES)
def test_a_case_ends_as_recorded(recorded, name):
    about, bodies = run_case(recorded, name)

    def truth(key: str) -> torch.Tensor:
        return torch.stack([recorded.body[f"{name}/person{person}/{key}"] for person in range(len(about["boxes_xyxy"]))])

    assert _far(bodies.joints_m, truth("pred_joint_coords")) < JOINTS_M
    assert _far(bodies.keypoints_m, truth("pred_keypoints_3d")) < JOINTS_M
    assert _far(bodies.vertices_m, truth("pred_vertices")) < JOINTS_M
    assert _far(bodies.translation_m, truth("pred_cam_t")) < JOINTS_M
    assert _far(bodies.keypoints_px, truth("pred_keypoints_2d")) < PIXELS
    assert _far(bodies.focal_px, truth("focal_length")) == 0
    for mine, theirs in PARAMS.items():
        assert _far(getattr(bodies.params, mine), truth(theirs)) < 2e-4, mine  # the hands' boxes differ by 1e-4 px: float32
    if bodies.hand is None:
        assert _far(bodies.rotations, truth("pred_global_rots")) < 1e-5
        return
    assert _far(bodies.hand.boxes_xyxy[:, 0], truth("lhand_bbox")) < PIXELS
    assert _far(bodies.hand.boxes_xyxy[:, 1], truth("rhand_bbox")) < PIXELS
    assert not bodies.params.raw.any()


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("body")])
def test_the_gates_decide_as_recorded(recorded, name):
    about, bodies = run_case(recorded, name)
    assert bodies.hand.valid.tolist() == about["hand_valid_mask"]
    assert bodies.hand.fused.tolist() == about["spliced"]
    assert bool(bodies.hand.looked_again.any()) == about["reran_body_decoder"]
    for number, key in enumerate(("angles_first", "angles_second")):
        assert _far(bodies.hand.angles_rad[..., number], torch.tensor(about[key])) < 1e-4


def test_lone_hands_are_the_recorded_ones(recorded):
    about = recorded.about["cases"]["full_all"] | {"boxes_xyxy": recorded.body["hand_only/boxes_xyxy"].tolist(), "uses_masks": False}
    bodies = find_bodies(recorded.network(), people_of(recorded, about), PassOptions("hand", vertices=True))
    for key, mine in {
        "pred_keypoints_3d": bodies.keypoints_m, "pred_vertices": bodies.vertices_m, "pred_joint_coords": bodies.joints_m,
        "pred_cam_t": bodies.translation_m, "joint_global_rots": bodies.rotations,
    }.items():
        assert _far(mine, recorded.body[f"hand_only/mhr_hand/{key}"]) < JOINTS_M, key
    assert _far(bodies.keypoints_px, recorded.body["hand_only/mhr_hand/pred_keypoints_2d"]) < PIXELS


# What is right where the original is not.


def test_rotations_are_those_of_the_parameters_and_not_the_stale_ones(recorded):
    _, bodies = run_case(recorded, "full_all")
    network = recorded.network()
    joints = network.mhr.joints(bodies.model_params)
    assert torch.equal(bodies.rotations, joints.rotations)
    stale = torch.stack([recorded.body[f"full_all/person{person}/pred_global_rots"] for person in (0, 1)])
    assert _far(bodies.rotations, stale) > 1  # hands were fused, and the recording forgot it
    assert _far(flip_yz(joints.places_cm * 0.01), bodies.joints_m) == 0


def test_a_person_s_result_does_not_depend_on_who_shares_the_frame(recorded):
    about = recorded.about["cases"]["full_mixed"]
    people, options = people_of(recorded, about), PassOptions(wrist_threshold_rad=about["thresh_wrist_angle"])
    both, alone = (find_bodies(recorded.network(), _pick(people, which), options) for which in ([0, 1], [1]))
    assert _far(both.joints_m[1:], alone.joints_m) < JOINTS_M
    exact = replace(options, exact_upstream=True)
    theirs, lone = (find_bodies(recorded.network(), _pick(people, which), exact) for which in ([0, 1], [1]))
    assert _far(theirs.params.body[1:], lone.params.body) > 1e-4  # the original's does


def test_a_batch_of_two_frames_is_two_batches_of_one(recorded):
    about = recorded.about["cases"]["full_all"]
    people = people_of(recorded, about)
    frames = torch.cat([people.frames, people.frames.flip(2)])
    split = _whole(people, frames=frames, frame=torch.tensor([0, 1]))
    options = PassOptions(wrist_threshold_rad=4.0)
    together = find_bodies(recorded.network(), split, options)
    for number in (0, 1):
        own = replace(_pick(people, [number]), frames=frames[[number]])
        assert _far(together.joints_m[[number]], find_bodies(recorded.network(), own, options).joints_m) < JOINTS_M


def test_a_custom_principal_point_is_honoured(recorded):
    people = people_of(recorded, recorded.about["cases"]["full_all"])
    bodies = find_bodies(recorded.network(), people, PassOptions())
    points = bodies.keypoints_m + bodies.translation_m[:, None]
    own = (points / points[..., 2:]) @ people.K.transpose(-1, -2)
    assert _far(bodies.keypoints_px, own[..., :2]) < PIXELS
    theirs = find_bodies(recorded.network(), people, PassOptions(exact_upstream=True))
    assert _far(theirs.keypoints_px, own[..., :2]) > 5  # theirs is about the frame's middle


def test_no_mask_and_a_mask_of_score_zero_are_the_same(recorded):
    people = people_of(recorded, recorded.about["cases"]["body_only"])
    options = PassOptions("body")
    plain = find_bodies(recorded.network(), replace(people, masks=None), options)
    scored = find_bodies(recorded.network(), replace(people, mask_scores=torch.tensor([0.0, 1.0])), options)
    masked = find_bodies(recorded.network(), people, options)
    assert _far(scored.joints_m[0], plain.joints_m[0]) < 1e-6 and _far(scored.joints_m[1], masked.joints_m[1]) < 1e-6
    assert _far(plain.joints_m[1], masked.joints_m[1]) > 1e-5


@pytest.mark.parametrize("mode", ["full", "fast", "body", "hand"])
def test_nobody_is_a_batch_of_none(recorded, mode):
    people = _pick(people_of(recorded, recorded.about["cases"]["full_all"]), [])
    bodies = find_bodies(recorded.network(), people, PassOptions(mode, vertices=True))
    assert bodies.joints_m.shape == (0, 127, 3) and bodies.vertices_m.shape[0] == 0


def test_people_at_and_beyond_the_border_are_numbers_all_the_same(recorded):
    people = people_of(recorded, recorded.about["cases"]["full_all"])
    boxes = torch.tensor([[-400.0, -300, -200, -10], [470, 350, 900, 1200]])
    bodies = find_bodies(recorded.network(), replace(people, boxes_xyxy=boxes), PassOptions())
    assert all(torch.isfinite(part).all() for part in (bodies.joints_m, bodies.keypoints_px, bodies.model_params))


def test_a_box_of_no_size_spoils_no_other(recorded):
    people = people_of(recorded, recorded.about["cases"]["full_all"])
    boxes = people.boxes_xyxy.clone()
    boxes[0] = torch.tensor([50.0, 60, 50, 60])
    spoilt, whole = (find_bodies(recorded.network(), replace(people, boxes_xyxy=b), PassOptions()) for b in (boxes, people.boxes_xyxy))
    assert not torch.isfinite(spoilt.translation_m[0]).all()
    assert _far(spoilt.joints_m[1], whole.joints_m[1]) < JOINTS_M


def test_without_a_second_look_hands_are_put_on_the_first_body(recorded):
    people = people_of(recorded, recorded.about["cases"]["full_all"])
    body, fast = (find_bodies(recorded.network(), people, PassOptions(mode, wrist_threshold_rad=4.0)) for mode in ("body", "fast"))
    assert fast.hand.fused.all() and not fast.hand.looked_again.any()
    assert torch.equal(fast.hand.angles_rad[..., 0], fast.hand.angles_rad[..., 1])
    arms = [41, 42, 43, 31, 32, 33]
    rest = [index for index in range(133) if index not in arms]
    assert torch.equal(fast.params.body[:, rest], body.params.body[:, rest])
    assert not torch.equal(fast.params.hand, body.params.hand)


def test_a_4k_frame_is_cut_like_any_other(recorded):
    people = people_of(recorded, recorded.about["cases"]["body_only_nomask_edgebox"])
    frames = torch.zeros(1, 2160, 3840, 3, dtype=torch.uint8)
    frames[:, 1000:1360, 3000:3480] = people.frames
    moved = replace(people, frames=frames, boxes_xyxy=torch.tensor([[3040.0, 1030, 3190, 1335], [3260, 1052, 3420, 1349]]))
    small = replace(people, boxes_xyxy=torch.tensor([[40.0, 30, 190, 335], [260, 52, 420, 349]]))
    K = people.K.clone()
    K[:, :2, 2] += torch.tensor([3000.0, 1000])
    options = PassOptions("body")
    far, near = find_bodies(recorded.network(), replace(moved, K=K), options), find_bodies(recorded.network(), small, options)
    assert _far(far.joints_m, near.joints_m) < 1e-4


def test_an_unknown_mode_is_an_error():
    with pytest.raises(SettingsError, match="mode: found 'quick', expected one of full, fast, body, hand"):
        PassOptions("quick")


def test_a_clip_of_the_same_frame_says_the_same_in_each(recorded):
    people = _pick(people_of(recorded, recorded.about["cases"]["full_all"]), [0, 0, 0])
    bodies = find_bodies(recorded.network(), people, PassOptions())
    assert np.ptp(bodies.joints_m.numpy(), axis=0).max() < 1e-6


class _NoLookingBack(TorchDispatchMode):
    """Forbids what would make the host wait for a GPU: its numbers read, chosen by, or copied up anew."""

    FORBIDDEN = ("_local_scalar_dense", "nonzero", "masked_select", "item", "equal", "is_nonzero", "unique", "lift_fresh")

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        name = function.overloadpacket.__name__
        chosen = arguments[1] if name in ("index", "index_put", "index_put_") else ()
        assert name not in self.FORBIDDEN, name
        assert not any(index is not None and index.dtype == torch.bool for index in chosen), name
        return function(*arguments, **(keywords or {}))


@pytest.mark.parametrize("mode", ["full", "fast", "body"])
def test_the_host_never_waits_for_what_was_reckoned(recorded, mode):
    people, options = people_of(recorded, recorded.about["cases"]["full_all"]), PassOptions(mode, vertices=True)
    find_bodies(recorded.network(), people, options)  # tables go up once
    with _NoLookingBack():
        find_bodies(recorded.network(), people, options)
