from __future__ import annotations

import math
import sys

import numpy as np
import pytest

from rigdrop.ingest.pose.sam3d_body.focal import clip_focal, steady_focal
from rigdrop.ingest.video import open_clip
from rigdrop.ingest.video_options import VideoOptions

from .test_video import write_clip

WIDTH, HEIGHT = 160, 120
DIAGONAL_PX = 200.0

# What MoGe's own page says of its interface, told of a picture by its mean: a normalised focal length of grey / 100.
_MOGE = """
from pathlib import Path

class MoGeModel:
    @classmethod
    def from_pretrained(cls, path):
        assert Path(path).read_text() == "weights"
        return cls()
    def to(self, device):
        return self
    def eval(self):
        return self
    def infer(self, image):
        assert image.shape == (3, 120, 160) and 0 <= float(image.min()) and float(image.max()) <= 1
        share = float(image.mean()) * 255 / 100
        return {"intrinsics": image.new_tensor([[share, 0, 0.5], [0, share * 160 / 120, 0.5], [0, 0, 1]])}
"""


@pytest.fixture
def clip(tmp_path):
    # Ten pictures, brighter and brighter.
    return open_clip(write_clip(tmp_path / "grey.mkv", [np.full((HEIGHT, WIDTH, 3), 80 + 10 * k, np.uint8) for k in range(10)]))


def test_the_users_word_comes_before_the_files_and_that_before_a_guess(clip, monkeypatch):
    assert clip_focal(clip, 321.0) == (321.0, "user")
    object.__setattr__(clip, "focal_px", 222.0)
    assert clip_focal(clip, 321.0) == (321.0, "user") and clip_focal(clip) == (222.0, "metadata")


def test_without_an_estimator_it_is_the_diagonal(clip):
    assert clip_focal(clip) == (DIAGONAL_PX, "default")
    assert "moge" not in sys.modules


def test_an_estimate_is_the_median_of_ratios_without_what_no_lens_has():
    assert steady_focal([100.0, 400.0], DIAGONAL_PX) == pytest.approx(200.0)
    assert steady_focal([210.0, 190.0, 205.0, 4000.0, 20.0], DIAGONAL_PX) == pytest.approx(205.0)
    # A diagonal field of view of 150° is f = 100 / tan 75°, one of 5° is f = 100 / tan 2.5°.
    for angle, inside in ((151, False), (149, True), (5.1, True), (4.9, False)):
        focal = 100 / math.tan(math.radians(angle / 2))
        assert (steady_focal([focal], DIAGONAL_PX) is not None) == inside
    assert steady_focal([math.nan, math.inf, -3.0, 0.0], DIAGONAL_PX) is None and steady_focal([], DIAGONAL_PX) is None


@pytest.fixture
def moge(tmp_path, monkeypatch):
    """A package that has MoGe's interface, and an empty cache of the hub."""
    constants = pytest.importorskip("huggingface_hub.constants")
    package = tmp_path / "packages" / "moge" / "model"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "v2.py").write_text(_MOGE)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    yield tmp_path / "hub" / "models--Ruicheng--moge-2-vitl-normal"
    for name in [name for name in sys.modules if name.split(".")[0] == "moge"]:
        del sys.modules[name]


def test_an_installed_estimator_without_weights_is_left_alone(clip, moge):
    assert clip_focal(clip) == (DIAGONAL_PX, "default")


def test_one_focal_length_of_pictures_all_over_the_clip(clip, moge):
    (moge / "refs").mkdir(parents=True)
    (moge / "refs" / "main").write_text("abc")
    (moge / "snapshots" / "abc").mkdir(parents=True)
    (moge / "snapshots" / "abc" / "model.pt").write_text("weights")
    # Greys of pictures 1, 3, 5, 7 and 9 are 90 to 170, so that the median is 1.3 widths.
    focal_px, source = clip_focal(clip, device="cpu")
    assert source == "estimator" and focal_px == pytest.approx(1.3 * WIDTH, rel=0.01)  # the video's rounding of greys
    # What is cut off is not looked at: pictures 0 to 3, 80 to 110.
    cut = open_clip(clip.path, VideoOptions(end_s=0.13))
    assert clip_focal(cut, device="cpu")[0] == pytest.approx(1.0 * WIDTH, rel=0.01)
