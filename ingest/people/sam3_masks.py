"""People found and followed by their outlines with SAM 3, where the user has its weights as a folder.

The network is transformers' ``Sam3VideoModel``, asked for "person" and shown one picture after another. Its own processor
needs torchvision and takes whole clips into memory: pictures are made ready, and outlines read, here.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingPartError, SettingsError
from ..pose.ahead import ahead
from ..tracks import Progress
from ..video import Clip
from .box_overlap import nearness_px
from .box_paths import BoxPaths
from .boxes import MaskOf, Sighted
from .hugging_face import Preparation, load_transformers, one_line, quiet_bars, read_config
from .options import PeopleOptions
from .outlines import Outlines

if TYPE_CHECKING:
    import torch

_PROMPT, _PROMPT_TOKENS = "person", 32
_MODEL = "transformers.models.sam3_video.modeling_sam3_video"
# What SAM 3's processor does where its folder does not say.
_USUAL = {"do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
# What the network keeps of somebody in a picture, beside a short vector: memories and outline.
_LARGE = ("maskmem_features", "maskmem_pos_enc", "pred_masks")
# What the network keeps of every picture: who was sure, hidden, not found anew, or found twice. It copies all of it for each
# picture, and where pictures come one by one it never looks at an earlier one's.
_BY_PICTURE = ("obj_id_to_tracker_score_frame_wise", "suppressed_obj_ids", "unmatched_frame_inds", "overlap_pair_to_frame_inds")
_LEAST_PX = 8.0  # somebody of whom less is in the picture is not in it


def sight_people(
    clip: Clip, folder: Path, people: PeopleOptions, device: str = "auto", on_progress: Progress | None = None
) -> Sighted:
    """Return everybody in a clip with their outlines, found and followed by SAM 3 from ``folder``.

    A person is hidden in a frame where those in front show more of themselves in their box than they do. Raises
    `MissingPartError` without transformers or the device, `SettingsError` for a folder that is no SAM 3, and what reading
    the clip raises.
    """
    follower = Follower(folder, device)
    outlines, paths, times_s = Outlines(clip.height, clip.width), BoxPaths(), []
    for frame in ahead(clip.frames()):
        keep(follower.step(frame.image_bgr), frame.index, outlines, paths)
        times_s.append(frame.time_s)
        if on_progress is not None:
            on_progress(len(times_s), clip.expected_frames)
    found = paths.people(follower.seen - follower.removed, people.min_visible_s * float(clip.fps), people.max_people)
    mask_of = _by_person({person.id: number for number, person in found.items()}, outlines)
    return Sighted(np.array(times_s), tuple(found.values()), mask_of, tuple(clip.warnings), follower.details)


def _by_person(numbers: dict[int, int], outlines: Outlines) -> MaskOf:
    return lambda person, frame: outlines.get(numbers[person], frame) if person in numbers else None


def keep(found: list[tuple[int, float, NDArray[np.bool_]]], frame: int, outlines: Outlines, paths: BoxPaths) -> None:
    """Keep what was found in a picture: number, score and outline (H,W) of each; who is hidden is flagged."""
    seen = [(number, score, mask, box) for number, score, mask in found if (box := outlines.keep(number, frame, mask)) is not None]
    seen = [one for one in seen if (one[3][2:] - one[3][:2]).min() >= _LEAST_PX]
    for number, score, mask, box in seen:
        x0, y0, x1, y1 = (int(side) for side in box)
        others = [other for _, _, other, place in seen if other is not mask and nearness_px(place) > nearness_px(box)]
        hiding = sum(int(other[y0:y1, x0:x1].sum()) for other in others)
        paths.add(frame, number, score, box, hiding > int(mask.sum()))


class Follower:
    """SAM 3 on a device, in one clip; call `step` with each picture in turn."""

    def __init__(self, folder: Path, device: str = "auto") -> None:
        read_config(folder, "config.json")
        transformers = load_transformers()
        import torch

        from ..pose.sam3d_body.device import choose_device
        from ..pose.sam3d_body.options import Sam3dOptions

        self._device = choose_device(Sam3dOptions(device=device)).device
        self._ready = Preparation(_processor(folder), folder)
        self._model: Any
        self._model, tokenizer = _loaded(transformers, folder)
        self._model = self._model.to(self._device).eval()
        self._session: Any = import_module(_MODEL).Sam3VideoInferenceSession(
            inference_device=self._device, inference_state_device=self._device, video_storage_device=self._device, dtype=torch.float32
        )
        self._ask(tokenizer)
        tracker = self._model.config.tracker_config
        self._reach = max(tracker.num_maskmem, tracker.max_object_pointers_in_encoder)
        self._looked_at = tracker.max_cond_frame_num  # of the pictures that outlines were set in anew; −1 for all
        self._frame = 0
        self.seen: set[int] = set()
        self.removed: set[int] = set()  # those that proved to be nobody
        self.details = {"by": "sam3_video", "folder": folder.name, "runtime": f"transformers {transformers.__version__}"}

    def _ask(self, tokenizer: Any) -> None:
        number = self._session.add_prompt(_PROMPT)
        told = tokenizer(_PROMPT, return_tensors="pt", padding="max_length", max_length=_PROMPT_TOKENS).to(self._device)
        self._session.prompt_input_ids[number] = told.input_ids
        self._session.prompt_attention_masks[number] = told.attention_mask

    def step(self, image_bgr: NDArray[np.uint8]) -> list[tuple[int, float, NDArray[np.bool_]]]:
        """Return number, score and outline (H,W) of everybody in a picture (H,W,3)."""
        import torch

        with torch.inference_mode():
            pixels = self._ready(torch.from_numpy(image_bgr[None]).to(self._device))
            out = self._model(inference_session=self._session, frame=pixels, frame_idx=self._frame)
            self._forget(self._frame)
            self._frame += 1
            self.removed |= {int(number) for number in out.removed_obj_ids or ()}
            hidden = {int(number) for number in out.suppressed_obj_ids or ()}
            found = {int(number): mask for number, mask in out.obj_id_to_mask.items() if int(number) not in hidden | self.removed}
            masks = outlines_of(found, {**out.obj_id_to_score, **out.obj_id_to_tracker_score}, image_bgr.shape[:2])
        self.seen |= masks.keys()
        return [(number, float(out.obj_id_to_score[number]), mask) for number, mask in masks.items()]

    def _forget(self, frame: int) -> None:
        """Let go of what the network does not look back at: the picture, and what it kept of those long before."""
        self._session.processed_frames[frame] = None  # it stays counted: by their number the network looks back
        for name in _BY_PICTURE:
            getattr(self._session, name).clear()
        for kept in self._session.output_dict_per_obj.values():
            earlier, anew = kept["non_cond_frame_outputs"], kept["cond_frame_outputs"]
            for old in [number for number in earlier if number < frame - self._reach]:
                del earlier[old]
            # There is one more of these every few pictures; the short vector of each is looked at for ever.
            passed = sorted(anew)[:-self._looked_at] if self._looked_at > 0 else []
            for old in [number for number in passed if number < frame - self._reach]:
                for large in _LARGE:
                    anew[old].pop(large, None)


def outlines_of(found: dict[int, torch.Tensor], scores: dict[int, float], size: tuple[int, int]) -> dict[int, NDArray[np.bool_]]:
    """Return outlines (H,W), by number, of what the network tells of each (1,h,w): above 0 is inside.

    Where several people claim a pixel it is the one's who is surest.
    """
    import torch

    if not found:
        return {}
    small = torch.stack([mask.float() for mask in found.values()])  # (N,1,h,w)
    inside = torch.nn.functional.interpolate(small, size=size, mode="bilinear", align_corners=False)[:, 0] > 0
    sure = torch.tensor([float(scores.get(number, 0.0)) for number in found], device=inside.device)[:, None, None]
    owner = torch.where(inside, sure, -torch.inf).argmax(dim=0)
    own = inside & (owner == torch.arange(len(found), device=inside.device)[:, None, None])
    return {number: mask for number, mask in zip(found, own.cpu().numpy(), strict=True) if mask.any()}


def _processor(folder: Path) -> dict[str, Any]:
    """What the folder says of pictures: in a file of its own, or as a part of the processor's."""
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (folder / name).is_file():
            read = read_config(folder, name)
            part = read.get("image_processor", read)
            if "size" in part:
                return {**_USUAL, **part}
    files = "preprocessor_config.json or processor_config.json"
    raise SettingsError(f"{folder}: found no size of pictures in {files}, expected SAM 3's folder")


def _loaded(transformers: Any, folder: Path) -> tuple[Any, Any]:
    """The network and its tokenizer."""
    try:
        kind = import_module(_MODEL).Sam3VideoModel
    except ImportError as error:
        found = f"transformers {transformers.__version__} has no SAM 3 for videos that works here ({one_line(error)})"
        raise MissingPartError(f"{found}; run: pip install -U transformers torchvision") from error
    try:
        with quiet_bars(transformers):
            model = kind.from_pretrained(str(folder), local_files_only=True)
            return model, transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except ImportError as error:
        raise MissingPartError(f"{folder}: SAM 3 needs more packages: {one_line(error)}") from error
    except (OSError, ValueError, RuntimeError) as error:
        raise SettingsError(f"{folder}: found no SAM 3 for videos that transformers can load: {one_line(error)}") from error
