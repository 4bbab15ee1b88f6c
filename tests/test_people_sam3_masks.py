from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from rigdrop.errors import SettingsError
from rigdrop.ingest.people.box_paths import BoxPaths
from rigdrop.ingest.people.outlines import Outlines
from rigdrop.ingest.people.sam3_masks import _BY_PICTURE, Follower, keep, outlines_of

HEIGHT, WIDTH = 120, 200


def block(x0, y0, x1, y1, height=HEIGHT, width=WIDTH):
    mask = np.zeros((height, width), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def kept(*found):
    outlines, paths = Outlines(HEIGHT, WIDTH), BoxPaths()
    keep(list(found), 3, outlines, paths)
    return outlines, paths.people({number for number, _, _ in found}, least_frames=0, most=0)


def test_boxes_are_about_outlines_and_outlines_are_kept():
    outlines, people = kept((4, 0.8, block(20, 10, 50, 90)), (9, 0.6, block(100, 20, 140, 110)))
    assert people[4].frame.tolist() == [3] and people[4].box_xyxy.tolist() == [[20, 10, 50, 90]]
    assert people[4].score == pytest.approx(0.8) and people[9].box_xyxy.tolist() == [[100, 20, 140, 110]]
    assert not people[4].occluded.any() and not people[9].occluded.any()
    np.testing.assert_array_equal(outlines.get(9, 3), block(100, 20, 140, 110))


def test_who_is_mostly_behind_somebody_is_flagged():
    # Of one behind, 80 high, there is a head and one side to see; the one in front stands lower.
    front = block(40, 20, 80, 110)
    behind = block(35, 5, 75, 85) & ~front
    _, people = kept((1, 0.9, front), (2, 0.9, behind))
    assert people[2].occluded.all() and not people[1].occluded.any()
    # A third of one behind is hidden: not much.
    front = block(60, 20, 100, 110)
    _, people = kept((1, 0.9, front), (2, 0.9, block(35, 5, 75, 85) & ~front))
    assert not people[2].occluded.any() and not people[1].occluded.any()
    # One in front with stretched arms, and behind between them more of another than of the first: the first is in front all the same.
    arms = block(10, 20, 150, 26) | block(75, 20, 85, 110)
    _, people = kept((1, 0.9, arms), (2, 0.9, block(90, 5, 140, 95) & ~arms))
    assert not people[1].occluded.any()


def test_nothing_and_next_to_nothing_is_nobody():
    _, people = kept((1, 0.9, block(0, 0, 0, 0)), (2, 0.9, block(10, 10, 15, 60)), (3, 0.9, block(20, 10, 28, 60)))
    assert list(people) == [3]


def test_outlines_are_read_off_what_the_network_tells():
    torch = pytest.importorskip("torch")
    # Steps of 20 by 25 pixels; between the middles of an inside and an outside cell the edge lies half way.
    small = torch.full((6, 8), -1.0)
    small[2:4, 1:5] = 1.0
    (mask,) = outlines_of({5: small[None]}, {5: 0.9}, (HEIGHT, WIDTH)).values()
    assert mask.dtype == bool and mask.shape == (HEIGHT, WIDTH)
    inner = block(25, 40, 125, 80)
    # Bilinear corners are rounded off: some of a cell's quarter each.
    assert not (mask & ~inner).any() and (inner & ~mask).sum() < 4 * 10 * 13
    rows, columns = np.nonzero(mask)
    assert (columns.min(), columns.max() + 1, rows.min(), rows.max() + 1) == (25, 125, 40, 80)


def test_a_pixel_that_two_claim_is_the_surer_ones_and_who_has_none_is_left_out():
    torch = pytest.importorskip("torch")
    whole, left = torch.full((1, 6, 8), 1.0), torch.full((1, 6, 8), 1.0)
    left[..., 4:] = -1.0
    masks = outlines_of({1: whole, 2: left}, {1: 0.5, 2: 0.8}, (HEIGHT, WIDTH))
    assert masks[2][:, :90].all() and not masks[1][:, :90].any() and masks[1][:, 110:].all() and not (masks[1] & masks[2]).any()
    assert list(outlines_of({1: whole, 2: left}, {1: 0.8, 2: 0.5}, (HEIGHT, WIDTH))) == [1]
    assert outlines_of({1: -whole}, {}, (HEIGHT, WIDTH)) == {} and outlines_of({}, {}, (HEIGHT, WIDTH)) == {}


def test_a_folder_that_is_no_network_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"found no config\.json"):
        Follower(tmp_path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """SAM 3 with a tiny, random network that knows a few letters, and follows three things at most."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    place = tmp_path_factory.mktemp("sam3")
    layer = {"num_layers": 1, "intermediate_size": 32}
    narrow = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2}
    eyes = {
        "model_type": "sam3_vision_model", "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
        "backbone_config": {
            "model_type": "sam3_vit_model", **narrow, "num_hidden_layers": 2, "image_size": 56, "pretrain_image_size": 56,
            "patch_size": 14, "window_size": 2, "global_attn_indexes": [1],
        },
    }
    words = {
        "model_type": "clip_text_model", **narrow, "num_hidden_layers": 1, "vocab_size": 32, "bos_token_id": 0, "eos_token_id": 1,
        "pad_token_id": 1, "projection_dim": 16, "max_position_embeddings": 32,
    }
    detector = {
        "model_type": "sam3", "vision_config": eyes, "text_config": words, "geometry_encoder_config": layer,
        "detr_encoder_config": layer, "detr_decoder_config": {"num_queries": 8, **layer},
    }
    tracker = {
        "model_type": "sam3_tracker_video", "vision_config": eyes, "image_size": 56, "memory_attention_num_layers": 1,
        "prompt_encoder_config": {"image_size": 56, "patch_size": 14}, "memory_attention_rope_feat_sizes": [4, 4],
        "num_maskmem": 3, "max_object_pointers_in_encoder": 3,
    }
    config = transformers.Sam3VideoConfig(
        detector_config=detector, tracker_config=tracker, low_res_mask_size=16, score_threshold_detection=0.2, new_det_thresh=0.2,
        max_num_objects=3, recondition_every_nth_frame=0,
    )
    torch.manual_seed(0)
    transformers.utils.logging.disable_progress_bar()
    model = transformers.Sam3VideoModel(config)
    # Whoever was found is taken to be there in the later pictures: else the follower would tell of nobody but in the first.
    torch.nn.init.constant_(model.tracker_model.mask_decoder.pred_obj_score_head.proj_out.bias, 5.0)
    model.save_pretrained(place)
    letters = [f"{letter}{end}" for end in ("", "</w>") for letter in "persond"]
    vocabulary = {word: number for number, word in enumerate(["<|startoftext|>", "<|endoftext|>", *letters])}
    (place / "vocab.json").write_text(json.dumps(vocabulary))
    (place / "merges.txt").write_text("#version: 0.2\n")
    ends = {f"{name}_token": "<|endoftext|>" for name in ("eos", "unk", "pad")}
    (place / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", "bos_token": "<|startoftext|>", **ends}))
    (place / "preprocessor_config.json").write_text(json.dumps({"size": {"height": 56, "width": 56}, "resample": 2}))
    return place


class Remembering(Follower):
    """One that lets go of nothing."""

    def _forget(self, frame):
        pass


@pytest.mark.slow
def test_pictures_are_followed_one_by_one_and_nothing_needed_is_forgotten(folder):
    rng = np.random.default_rng(0)
    # More than the 15 pictures within which SAM 3 strikes out who proves to be nobody, where it knows the whole clip.
    pictures = [rng.integers(0, 255, (90, 120, 3), dtype=np.uint8) for _ in range(20)]
    follower, twin = Follower(folder, "cpu"), Remembering(folder, "cpu")
    numbers = set()
    for picture in pictures:
        found, expected = follower.step(picture), twin.step(picture)
        assert found
        assert [one[:2] for one in found] == [one[:2] for one in expected]
        for (number, score, mask), (_, _, other) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mask, other)
            assert mask.shape == (90, 120) and mask.any() and 0 < score <= 1
            numbers.add(number)
    assert numbers and numbers <= follower.seen
    kept = [len(of["non_cond_frame_outputs"]) for of in follower._session.output_dict_per_obj.values()]
    assert max(kept) <= 4 and not any(picture is not None for picture in follower._session.processed_frames.values())
    # The twin had all of it to look back at: scores of each picture, people not found anew, and people found twice.
    assert all(getattr(twin._session, name) and not getattr(follower._session, name) for name in _BY_PICTURE)


@pytest.mark.slow
def test_of_outlines_set_in_anew_no_more_is_kept_than_is_looked_at(folder, tmp_path):
    rng = np.random.default_rng(0)
    eager = shutil.copytree(folder, tmp_path / "eager")
    config = json.loads((eager / "config.json").read_text())
    # Whatever is found anywhere sets somebody's outline in anew, every second picture.
    config |= {"recondition_every_nth_frame": 2, "high_conf_thresh": -100.0, "high_iou_thresh": 0.0, "assoc_iou_thresh": 0.0}
    config["tracker_config"]["max_cond_frame_num"] = 2
    (eager / "config.json").write_text(json.dumps(config))
    follower, twin = Follower(eager, "cpu"), Remembering(eager, "cpu")
    picture = rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)
    for _ in range(14):
        found, expected = follower.step(picture), twin.step(picture)
        assert [one[:2] for one in found] == [one[:2] for one in expected]
        for (_, _, mask), (_, _, other) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(mask, other)
    anew = [of["cond_frame_outputs"] for of in follower._session.output_dict_per_obj.values()]
    assert max(len(one) for one in anew) >= 5
    for one in anew:
        assert sum("maskmem_features" in out for out in one.values()) <= 4 and all("object_pointer" in out for out in one.values())
