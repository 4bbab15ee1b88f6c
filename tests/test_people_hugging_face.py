from __future__ import annotations

import importlib.util
import json

import cv2
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from rigdrop.errors import MissingPartError, ReadError, SettingsError
from rigdrop.ingest.people import hugging_face
from rigdrop.ingest.people.box_overlap import overlap
from rigdrop.ingest.people.hugging_face import Detector, Preparation, sight_people
from rigdrop.ingest.people.options import PeopleOptions
from rigdrop.ingest.video import open_clip

from .test_video import write_clip

LABELS = {0: "cat", 1: "person", 2: "dog"}
READY = {"do_resize": True, "size": {"height": 64, "width": 96}, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255}
SIZE = (120, 200)  # of the pictures


def config_of(kind, transformers):
    common = {
        "encoder_hidden_dim": 16, "encoder_in_channels": [16, 16, 16], "encoder_ffn_dim": 16, "d_model": 16, "num_queries": 20,
        "decoder_in_channels": [16, 16, 16], "decoder_ffn_dim": 16, "decoder_layers": 2, "decoder_attention_heads": 2,
        "encoder_attention_heads": 2, "num_denoising": 0, "id2label": LABELS, "label2id": {name: label for label, name in LABELS.items()},
    }
    if kind == "rt_detr_v2":
        backbone = transformers.RTDetrResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1] * 4, layer_type="basic", out_features=["stage2", "stage3", "stage4"]
        )
        return transformers.RTDetrV2Config(backbone_config=backbone, **common)
    backbone = transformers.HGNetV2Config(
        embedding_size=8, stem_channels=[3, 8, 8], hidden_sizes=[8, 16, 16, 16], depths=[1] * 4, stage_in_channels=[8, 8, 16, 16],
        stage_mid_channels=[4, 4, 8, 8], stage_out_channels=[8, 16, 16, 16], stage_num_blocks=[1] * 4, stage_numb_of_layers=[1] * 4,
        out_features=["stage2", "stage3", "stage4"], use_learnable_affine_block=True,
    )
    return transformers.DFineConfig(backbone_config=backbone, feat_strides=[8, 16, 32], decoder_n_points=[2, 2, 2], **common)


@pytest.fixture(scope="module", params=["rt_detr_v2", "d_fine"])
def folder(request, tmp_path_factory):
    """A detector's folder, its network tiny and its weights drawn at random; it takes most of what it sees for a person."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    place = tmp_path_factory.mktemp(request.param, numbered=False)
    torch.manual_seed(4)
    model = transformers.AutoModelForObjectDetection.from_config(config_of(request.param, transformers))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "class_embed" in name or "score_head" in name:
                weights.normal_(0, 1.0)
            if ("class_embed" in name or "score_head" in name) and name.endswith("bias"):
                weights.copy_(torch.tensor([-9.0, 3.0, -9.0]))
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(place)
    (place / "preprocessor_config.json").write_text(json.dumps(READY))
    return place


def pictures(count=3):
    rng = np.random.default_rng(2)
    return [cv2.resize(rng.integers(0, 256, (12, 20, 3), dtype=np.uint8), SIZE[::-1], interpolation=cv2.INTER_CUBIC) for _ in range(count)]


def test_people_are_those_that_the_zoos_own_chain_finds(folder):
    """The zoo's chain: its processor on Pillow, its network, its reading of boxes."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    pytest.importorskip("PIL")
    from transformers.models.rt_detr.image_processing_pil_rt_detr import RTDetrImageProcessorPil

    images = pictures()
    processor = RTDetrImageProcessorPil(**READY)
    ready = processor([image[..., ::-1].copy() for image in images], return_tensors="pt")
    model = transformers.AutoModelForObjectDetection.from_pretrained(folder, local_files_only=True).eval()
    with torch.inference_mode():
        theirs = processor.post_process_object_detection(model(**ready), threshold=0.1, target_sizes=[SIZE] * len(images))
    ours = Detector(folder, "cpu")(images)
    assert sum(len(boxes) for boxes, _ in ours) > 5
    for (boxes, scores), found in zip(ours, theirs, strict=True):
        people = found["labels"] == 1
        expected = found["boxes"][people].numpy().clip(0, [SIZE[1], SIZE[0]] * 2)
        assert len(boxes) == len(expected)
        # Guesses of like scores come in any order. Pillow and torch round a pixel differently now and then, by one level of 255.
        off_px = np.abs(boxes[:, None] - expected).max(axis=-1)
        off_score = np.abs(scores[:, None] - found["scores"][people].numpy())
        pairs = linear_sum_assignment(off_px + off_score)
        assert off_px[pairs].max() < 1 and off_score[pairs].max() < 0.02


def test_pictures_are_made_ready_as_pillow_does():
    torch, image_of = pytest.importorskip("torch"), pytest.importorskip("PIL.Image")
    image = pictures(1)[0]
    for resample in (2, 3):
        config = {**READY, "resample": resample, "do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]}
        ready = Preparation(config, None)(torch.from_numpy(image[None]))[0].permute(1, 2, 0).numpy()
        by_pillow = np.asarray(image_of.fromarray(image[..., ::-1].copy()).resize((96, 64), resample), np.float64) / 255
        assert np.abs(ready * [0.2, 0.3, 0.4] + [0.5, 0.4, 0.3] - by_pillow).max() < 1.01 / 255  # one level


@pytest.mark.parametrize(("picture", "expected"), [((480, 640), (800, 1066)), ((640, 480), (1066, 800)), ((400, 1600), (333, 1332)),
                                                   ((800, 800), (800, 800)), ((1080, 1920), (750, 1333))])
def test_a_short_side_is_brought_to_its_length_unless_the_long_one_gets_too_long(picture, expected):
    # DETR's rule: 800 for the short side, no more than 1333 for the long one. The last fraction of a pixel may go either way.
    found = Preparation({"size": {"shortest_edge": 800, "longest_edge": 1333}}, None).size(*picture)
    assert np.abs(np.subtract(found, expected)).max() <= 1
    assert found[0] * picture[1] == pytest.approx(found[1] * picture[0], rel=0.003)


def test_scores_of_networks_that_also_know_nothing_are_shares():
    torch = pytest.importorskip("torch")
    logits = torch.log(torch.tensor([[[0.1, 0.6, 0.1, 0.2], [0.05, 0.05, 0.1, 0.8]]]))
    boxes = torch.tensor([[[0.5, 0.5, 0.2, 0.4], [0.9, 0.5, 0.4, 1.0]]])
    ((found, scores),) = hugging_face.boxes_of_people(logits, boxes, 1, 3, (100, 200))
    np.testing.assert_allclose(scores, [0.6], rtol=1e-5)
    np.testing.assert_allclose(found, [[80, 30, 120, 70]], rtol=1e-5)
    ((found, scores),) = hugging_face.boxes_of_people(logits[..., :3] * 0 + 2, boxes, 2, 3, (100, 200))
    np.testing.assert_allclose(scores, [1 / (1 + np.exp(-2))] * 2, rtol=1e-5)
    np.testing.assert_allclose(found[1], [140, 0, 200, 100], rtol=1e-5)  # as far as it is in the picture


def test_a_clip_is_read_and_people_are_followed(folder, tmp_path):
    image = pictures(1)[0]
    clip = open_clip(write_clip(tmp_path / "still.mkv", [image] * 21))
    steps = []
    found = sight_people(clip, folder, PeopleOptions(), "cpu", lambda done, total: steps.append((done, total)))
    assert steps == [(8, 21), (16, 21), (21, 21)] and len(found.times_s) == 21
    ((boxes, scores),) = Detector(folder, "cpu")([next(clip.frames()).image_bgr])
    assert len(found.people) > 0 and (scores >= 0.5).any()
    for person in found.people:
        assert person.frame.tolist() == list(range(21))
        assert overlap(person.box_xyxy[10], boxes[scores >= 0.2]).max() > 0.999
    assert found.details["by"] == folder.name and found.mask_of is None and found.warnings == ()


def test_a_folder_that_is_no_person_detector_is_refused(folder, tmp_path):
    with pytest.raises(SettingsError, match=r"found no config\.json, expected the folder of a detector"):
        Detector(tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(SettingsError, match=r"found no preprocessor_config\.json"):
        Detector(tmp_path, "cpu")
    ready = tmp_path / "preprocessor_config.json"
    ready.write_text("[1]")
    with pytest.raises(ReadError, match="found a list, expected a JSON object"):
        Detector(tmp_path, "cpu")
    ready.write_text(json.dumps({**READY, "size": {"width": 5}}))
    with pytest.raises(SettingsError, match=r"size: found \{.width.: 5\}, expected height and width"):
        Detector(tmp_path, "cpu")
    ready.write_text(json.dumps(READY))
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "id2label": {"0": "cat", "1": "cow", "2": "dog"}}))
    with pytest.raises(SettingsError, match="found cat, cow, dog …, expected a label 'person'"):
        Detector(tmp_path, "cpu")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(SettingsError, match="found no object detector that transformers can load"):
        Detector(tmp_path, "cpu")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(SettingsError, match="found no object detector"):
        Detector(tmp_path, "cpu")


def test_without_its_package_it_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    find = importlib.util.find_spec
    monkeypatch.setattr(hugging_face, "find_spec", lambda name: None if name == "transformers" else find(name))
    with pytest.raises(MissingPartError, match=r"transformers, which is not installed; run: pip install 'rigdrop\[detectors\]'") as raised:
        Detector(tmp_path)
    assert raised.value.exit_code == 69
