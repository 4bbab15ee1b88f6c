"""People in frames, gathered into batches on the device; made on another thread while the network is busy with one.

A batch may begin and end within a frame, so a crowd needs no larger batch than a lone person. Each frame goes to the device
once, whole: a 4K frame takes a GPU's bus about a millisecond, beside the other thread's work. A batch that the device has no
room for stays on the host until its turn comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....errors import RigdropError
from .crop import Frames
from .passes import People
from .room import is_out_of_memory

# So many frames in which nobody is are not waited for.
_MOST_FRAMES = 256
_NO_MASK = np.zeros((1, 1), np.uint8)


@dataclass(frozen=True, eq=False)
class FramePeople:
    """Whom to look at in one frame: P people, who may be none."""

    frame: int  # number in the clip
    image_rgb: NDArray[np.uint8]  # (H,W,3)
    boxes_xyxy: NDArray[np.float32]  # (P,4), pixels
    K: NDArray[np.float64]  # (3,3), pixels
    masks: NDArray[np.uint8] | None = None  # (P,H,W), 0 or 1
    mask_scores: NDArray[np.float32] | None = None  # (P,), 0 for a mask that is none; all 1 where it is None

    def __post_init__(self) -> None:
        count, size = len(self.boxes_xyxy), self.image_rgb.shape[:2]
        expected = {"image_rgb": (*size, 3), "boxes_xyxy": (count, 4), "K": (3, 3), "masks": (count, *size), "mask_scores": (count,)}
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise RigdropError(f"frame {self.frame}: {name}: found {value.shape}, expected {shape}")


@dataclass(eq=False)
class Seen:
    """A frame that somebody is in; its picture goes to the device when the first of them does."""

    source: FramePeople
    picture: Tensor | None = None  # (H·W,3), on the device

    def sent(self, arrivals: Arrivals) -> Tensor:
        """Return the picture on the device."""
        if self.picture is None:
            self.picture = arrivals.send(self.source.image_rgb.reshape(-1, 3))
        return self.picture


@dataclass(frozen=True, eq=False)
class Batch:
    """Some people, and the frames that begin with them."""

    seats: tuple[tuple[Seen, int], ...]  # who is not on the device yet: which frame they are in, and which of its people they are
    begun: tuple[tuple[int, int], ...]  # each frame of which nobody came before: its number, and how many people it has
    people: People | None = None  # who is on the device: all, or while there is no room for them nobody
    ready: torch.cuda.Event | None = None  # when all has arrived

    def __len__(self) -> int:
        return len(self.seats) if self.people is None else len(self.people.boxes_xyxy)

    def halves(self) -> list[Batch]:
        """Return the first and the second half of the people as batches, in which no frame begins."""
        middle = len(self) // 2
        parts = (slice(None, middle), slice(middle, None))
        if self.people is None:
            return [Batch(self.seats[part], ()) for part in parts]
        return [Batch((), (), _part(self.people, part), self.ready) for part in parts]


class Arrivals:
    """The way from the host to a device: on a GPU from pinned memory and on a stream of its own, so that nobody waits."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]

    def under_way(self) -> AbstractContextManager[Any]:
        """Copies and kernels in this context are off the network's stream."""
        return nullcontext() if self._stream is None else torch.cuda.stream(self._stream)

    def send(self, values: NDArray[Any]) -> Tensor:
        """Return the values on the device; there they may not be yet."""
        # A tensor would share what may not be written to.
        host = torch.from_numpy(np.require(values, requirements=["C", "W"]))
        return host if self._stream is None else host.pin_memory().to(self.device, non_blocking=True)

    def sent(self) -> torch.cuda.Event | None:
        """Return what marks that all sent so far is there."""
        return None if self._stream is None else self._stream.record_event()


def batches(frames: Iterable[FramePeople], size: Callable[[], int], arrivals: Arrivals) -> Iterator[Batch]:
    """Yield everybody in order, ``size()`` at a time, which may change on the way."""
    seats: list[tuple[Seen, int]] = []
    begun: list[tuple[int, int]] = []

    def batch() -> Batch:
        made = _sent(Batch(tuple(seats), tuple(begun)), arrivals)
        seats.clear()
        begun.clear()
        return made

    for frame in frames:
        seen, count = Seen(frame), len(frame.boxes_xyxy)
        begun.append((frame.frame, count))
        for person in range(count):
            seats.append((seen, person))
            if len(seats) >= size():
                yield batch()
        if len(begun) >= _MOST_FRAMES:
            yield batch()
    if begun or seats:
        yield batch()


def arrived(batch: Batch, arrivals: Arrivals) -> Batch:
    """Return a batch whose people are on the device, and let the current stream wait for them; the host does not.

    Raises what torch raises where there is no memory for them.
    """
    if batch.people is None:
        return replace(batch, people=_people(batch.seats, arrivals), seats=()) if batch.seats else batch
    if batch.ready is not None:
        stream = torch.cuda.current_stream(batch.people.boxes_xyxy.device)
        stream.wait_event(batch.ready)
        for tensor in _tensors(batch.people):
            # Its memory is the other stream's, who must not take it back before this one is done.
            tensor.record_stream(stream)
    return batch


def _sent(batch: Batch, arrivals: Arrivals) -> Batch:
    """Return a batch on its way to the device; as it is where there is no room, which whoever takes it can make and this thread can't."""
    if not batch.seats:
        return batch
    try:
        with arrivals.under_way():
            # Whoever has the batch needs its pictures no more one by one.
            return replace(batch, people=_people(batch.seats, arrivals), ready=arrivals.sent(), seats=())
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return batch


def _people(seats: Sequence[tuple[Seen, int]], arrivals: Arrivals) -> People:
    seen = list(dict.fromkeys(one for one, _ in seats))
    number = {one: place for place, one in enumerate(seen)}
    sources = [(one.source, person) for one, person in seats]
    scores = np.array([_score(source, person) for source, person in sources], np.float32)
    masks = [source.masks[person] if source.masks is not None and score else _NO_MASK for (source, person), score in zip(sources, scores)]
    return People(
        _frames([one.sent(arrivals) for one in seen], [one.source.image_rgb.shape[:2] for one in seen], arrivals),
        arrivals.send(np.stack([source.boxes_xyxy[person] for source, person in sources]).astype(np.float32)),
        arrivals.send(np.stack([source.K for source, _ in sources]).astype(np.float32)),
        arrivals.send(np.array([number[one] for one, _ in seats])),
        _frames([arrivals.send(mask.reshape(-1, 1)) for mask in masks], [mask.shape for mask in masks], arrivals) if scores.any() else None,
        arrivals.send(scores) if scores.any() else None,
        arrivals.send(np.array([len(source.boxes_xyxy) > 1 for source, _ in sources])),
    )


def _score(source: FramePeople, person: int) -> float:
    if source.masks is None:
        return 0.0
    return 1.0 if source.mask_scores is None else float(source.mask_scores[person])


def _frames(flat: list[Tensor], sizes: list[tuple[int, ...]], arrivals: Arrivals) -> Frames:
    """Return pictures (pixels,C) of sizes height and width as one."""
    pixels = np.array([high * wide for high, wide in sizes])
    size_px = np.array([(wide, high) for high, wide in sizes])
    whole = flat[0] if len(flat) == 1 else torch.cat(flat)
    return Frames(whole, arrivals.send(np.cumsum(pixels) - pixels), arrivals.send(size_px))


def _part(people: People, which: slice) -> People:
    """Return some of the people, in the same frames."""
    masks = people.masks
    if isinstance(masks, Frames):
        masks = Frames(masks.flat, masks.first[which], masks.size_px[which])
    scores, shared = (None if values is None else values[which] for values in (people.mask_scores, people.shared))
    own = (people.boxes_xyxy[which], people.K[which], people.frame[which])
    return People(people.frames, *own, masks, scores, shared)


def _tensors(people: People) -> Iterator[Tensor]:
    for value in vars(people).values():
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Frames):
            yield from vars(value).values()
