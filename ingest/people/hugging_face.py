"""People found by a detector of Hugging Face's zoo that the user has as a folder: RT-DETR v2, D-FINE and their like.

Pictures are made ready here, as ``preprocessor_config.json`` says: the zoo's own way needs torchvision, whose builds must fit
torch's to the letter. Boxes are read here too; both agree with the zoo's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingPartError, ReadError, SettingsError
from ..pose.ahead import ahead
from ..tracks import Progress
from ..video import Clip, Frame
from .box_tracker import BoxTracker
from .boxes import Sighted
from .options import PeopleOptions

if TYPE_CHECKING:
    import torch

PIP = "pip install 'rigdrop[detectors]'"
_BATCH, _BATCH_PX = 8, 8 * 1920 * 1080  # pictures at a time, and fewer where they are large
_LEAST_SCORE = 0.1  # what is less is not even a doubt for the tracker
_BICUBIC = 3  # PIL's number; 2, bilinear, is what most were trained with


def sight_people(
    clip: Clip, folder: Path, people: PeopleOptions, device: str = "auto", on_progress: Progress | None = None
) -> Sighted:
    """Return everybody in a clip, found picture by picture with the detector in ``folder`` and followed by their boxes.

    Raises `MissingPartError` without transformers or the device, `SettingsError` for a folder that is no person detector, and
    what reading the clip raises.
    """
    detector = Detector(folder, device)
    tracker, times_s = BoxTracker(clip.fps, people), []
    count = max(1, min(_BATCH, _BATCH_PX // (clip.width * clip.height)))
    for frames in _batches(ahead(clip.frames()), count):
        found = detector([frame.image_bgr for frame in frames])
        for frame, (boxes, scores) in zip(frames, found, strict=True):
            tracker.step(frame.index, boxes, scores)
            times_s.append(frame.time_s)
        if on_progress is not None:
            on_progress(len(times_s), clip.expected_frames)
    times = np.array(times_s)
    return Sighted(times, tracker.people(times), warnings=tuple(clip.warnings), details=detector.details)


class Detector:
    """A person detector on a device."""

    def __init__(self, folder: Path, device: str = "auto") -> None:
        config = read_config(folder, "config.json")
        transformers = load_transformers()
        from ..pose.sam3d_body.device import choose_device
        from ..pose.sam3d_body.options import Sam3dOptions

        self._device = choose_device(Sam3dOptions(device=device)).device
        self._ready = Preparation(read_config(folder, "preprocessor_config.json"), folder)
        model = _loaded(transformers, folder)
        self._model: Any = model.to(self._device).eval()
        self._person = _person_label(model.config.id2label, folder)
        self._labels = len(model.config.id2label)
        self.details = {
            "by": config.get("model_type", "?"), "folder": folder.name, "runtime": f"transformers {transformers.__version__}",
        }

    def __call__(self, images_bgr: Sequence[NDArray[np.uint8]]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Return boxes (N,4), pixels, x0 y0 x1 y1, and scores (N,) of the people in each of several pictures (H,W,3) of one size."""
        import torch

        with torch.inference_mode():
            pixels = self._ready(torch.from_numpy(np.stack(images_bgr)).to(self._device))
            out = self._model(pixel_values=pixels)
            return boxes_of_people(out.logits, out.pred_boxes, self._person, self._labels, images_bgr[0].shape[:2])


class Preparation:
    """Makes pictures what a network wants, as its folder says."""

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        self._config, self._size = config, config.get("size") or {}
        exact, edges = {"height", "width"} <= self._size.keys(), {"shortest_edge", "longest_edge"} <= self._size.keys()
        if config.get("do_resize", True) and not (exact or edges):
            expected = "height and width, or shortest_edge and longest_edge"
            raise SettingsError(f"{folder / 'preprocessor_config.json'}: size: found {self._size}, expected {expected}")

    def __call__(self, images_bgr: torch.Tensor) -> torch.Tensor:
        """Return (B,3,h,w) float32 of pictures (B,H,W,3) uint8, BGR, on the same device."""
        import torch

        pixels = images_bgr.flip(-1).permute(0, 3, 1, 2).float()
        if self._config.get("do_resize", True):
            mode = "bicubic" if self._config.get("resample") == _BICUBIC else "bilinear"
            size = self.size(*images_bgr.shape[1:3])
            pixels = torch.nn.functional.interpolate(pixels, size, mode=mode, antialias=True, align_corners=False).round().clamp(0, 255)
        if self._config.get("do_rescale", True):
            pixels = pixels * self._config.get("rescale_factor", 1 / 255)
        if self._config.get("do_normalize", False):
            mean, std = (pixels.new_tensor(self._config[name])[:, None, None] for name in ("image_mean", "image_std"))
            pixels = (pixels - mean) / std
        return pixels

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width that a picture is brought to."""
        if "height" in self._size:
            return int(self._size["height"]), int(self._size["width"])
        short, long = float(self._size["shortest_edge"]), float(self._size["longest_edge"])
        low, high = sorted((height, width))
        short = long * low / high if high / low * short > long else short
        scaled = int(short * high / low)
        return (round(short), scaled) if height <= width else (scaled, round(short))


def boxes_of_people(
    logits: torch.Tensor, boxes: torch.Tensor, person: int, labels: int, size: tuple[int, int]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return boxes (N,4) in pixels and scores (N,) of the people among Q guesses about each of B pictures, in order of guesses.

    ``logits`` (B,Q,labels) tell of each label by itself; where there is one more, (B,Q,labels + 1), they tell of all together,
    the last of nothing. ``boxes`` (B,Q,4) are middle and size, as shares of the picture, whose height and width are ``size``.
    """
    import torch

    told = logits.float().sigmoid() if logits.shape[-1] == labels else logits.float().softmax(dim=-1)
    middle, extent = boxes[..., :2].float(), boxes[..., 2:].float()
    height, width = size
    edge = boxes.new_tensor([width, height, width, height], dtype=torch.float32)
    corners = (torch.cat([middle - extent / 2, middle + extent / 2], dim=-1) * edge).clamp(min=0).minimum(edge)
    found = []
    for score, corner in zip(told[..., person].cpu().numpy(), corners.cpu().numpy(), strict=True):
        chosen = (score > _LEAST_SCORE) & (corner[:, 2] > corner[:, 0]) & (corner[:, 3] > corner[:, 1])
        found.append((corner[chosen], score[chosen]))
    return found


def load_transformers() -> Any:
    """Return the package transformers. Raises `MissingPartError` where it, or torch, is not installed."""
    for package in ("torch", "transformers"):
        if find_spec(package) is None:
            raise MissingPartError(f"a detector of your own needs the package {package}, which is not installed; run: {PIP}")
    # Weights are the user's own files; without this the package may ask the hub for newer ones, or for faster kernels.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return import_module("transformers")


@contextmanager
def quiet_bars(transformers: Any) -> Iterator[None]:
    """Let transformers load without bars of its own: there is one progress bar, and it is ours."""
    logging = transformers.utils.logging
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _loaded(transformers: Any, folder: Path) -> Any:
    try:
        with quiet_bars(transformers):
            return transformers.AutoModelForObjectDetection.from_pretrained(str(folder), local_files_only=True)
    except ImportError as error:
        raise MissingPartError(f"{folder}: this detector needs more packages: {one_line(error)}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsError(f"{folder}: found no object detector that transformers can load: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """Return what another package says of a fault, as a part of a sentence of ours."""
    return " ".join(str(error).split())[:300]


def _person_label(id2label: dict[int, str], folder: Path) -> int:
    for label, name in id2label.items():
        if name.lower() == "person":
            return int(label)
    found = ", ".join(list(id2label.values())[:5])
    expected = "expected a label 'person'; take a detector that knows people"
    raise SettingsError(f"{folder / 'config.json'}: id2label: found {found} …, {expected}")


def read_config(folder: Path, name: str) -> dict[str, Any]:
    """Return one of the JSON files of a network's folder; raises `SettingsError` where it is not there."""
    path = folder / name
    if not path.is_file():
        raise SettingsError(f"{folder}: found no {name}, expected the folder of a detector as Hugging Face's hub has it")
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: found {error}, expected JSON") from error
    if not isinstance(read, dict):
        raise ReadError(f"{path}: found a {type(read).__name__}, expected a JSON object")
    return read


def _batches(frames: Iterator[Frame], count: int) -> Iterator[list[Frame]]:
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == count:
            yield batch
            batch = []
    if batch:
        yield batch
