"""A clip's people through the network: in batches over frames and people, in order, and whatever memory there is.

While the network is busy with one batch, another thread reads and sends the next, and the bodies of the one before come
back; the host looks at no result before the device has its next work. Memory that runs out costs no frame: what was under
way is given again, in batches half as large.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ....errors import MissingPartError, SettingsError
from ..ahead import ahead
from .batches import Arrivals, Batch, FramePeople, arrived, batches
from .columns import Columns, Returning, Rows, named, no_rows, sent_back
from .device import free_bytes
from .network import Network
from .options import Sam3dOptions
from .passes import PassOptions
from .relay import Relay
from .room import fitting_batch, is_out_of_memory, make_room

__all__ = ["FrameBodies", "FramePeople", "RunOptions", "run"]

Tell = Callable[[str], None]
# One more batch is made than the one that waits.
_AHEAD = 1
_GIB = 2**30


@dataclass(frozen=True)
class RunOptions:
    """What is computed of a clip, and how much at a time."""

    passes: PassOptions = field(default_factory=PassOptions)
    batch_size: int = 0
    """People in frames at a time; 0 takes what memory allows."""

    def __post_init__(self) -> None:
        if self.batch_size < 0:
            raise SettingsError(f"batch-size: found {self.batch_size}, expected 0, for what memory allows, or a number of people in frames")

    @classmethod
    def of(cls, options: Sam3dOptions) -> RunOptions:
        """Return what the user's options ask for."""
        passes = PassOptions(options.passes, vertices=options.keep_mesh, exact_upstream=options.exact_upstream)
        return cls(passes, options.batch_size)


@dataclass(frozen=True, eq=False)
class FrameBodies:
    """The bodies of one frame, in the order of its boxes."""

    frame: int  # number in the clip
    columns: Columns  # (P,…), by upstream's names
    ok: NDArray[np.bool_]  # (P,), every number is one; where not, a row is NaN, and no hand fused


def run(network: Network, frames: Iterable[FramePeople], options: RunOptions, tell: Tell | None = None) -> Iterator[FrameBodies]:
    """Yield the bodies of every frame, each once and in order; a frame of nobody has columns without rows.

    ``tell`` is told in a sentence if batches had to become smaller, or the network can't run as it was asked to. Raises
    `MissingPartError` where there is no memory for one person alone.
    """
    frames = iter(frames)
    first = next(frames, None)
    if first is None:
        return
    size = options.batch_size or fitting_batch(network, options.passes, first.image_rgb.nbytes)
    yield from _Run(network, options.passes, size, tell).bodies(chain([first], frames))
    if tell is not None:
        for said in network.warnings:
            tell(said)


class _Run:
    """The state of one run: how large batches are, and what is under way."""

    def __init__(self, network: Network, options: PassOptions, size: int, tell: Tell | None) -> None:
        self._network, self._options, self._size, self._tell = network, options, size, tell
        self._device = network.mean.device
        self._relay = Relay(network, options)
        self._before: Batch | None = None  # the one that the relay holds
        self._again: deque[Batch] = deque()  # to be given before any that is new
        self._apart = False  # no batch's hands with the bodies of the next: there is room for one person at a time
        self._arrivals = Arrivals(self._device)
        self._rows = Rows(no_rows(network, options))

    def bodies(self, frames: Iterator[FramePeople]) -> Iterator[FrameBodies]:
        """Yield the bodies of all frames; a batch's are waited for when the next but one is under way."""
        returning: deque[Returning] = deque()
        made = cast(Generator[Batch, None, None], ahead(batches(frames, lambda: self._size, self._arrivals), _AHEAD))
        with closing(made):
            while (batch := self._next(made)) is not None or self._before is not None:
                returning.extend(self._given(batch))
                if self._apart and self._before is not None:
                    returning.extend(self._given(None))
                while len(returning) > 1:
                    yield from self._came_back(returning.popleft())
        for last in returning:
            yield from self._came_back(last)
        yield from self._came_back(None)

    def _next(self, made: Iterator[Batch]) -> Batch | None:
        """Return the next batch of people, no larger than may be; None at the end."""
        while True:
            batch = self._again.popleft() if self._again else next(made, None)
            if batch is None:
                return None
            self._rows.expect(batch.begun)
            if len(batch) > self._size:
                self._again.extendleft(reversed(batch.halves()))
            elif len(batch):
                return replace(batch, begun=())

    def _given(self, batch: Batch | None) -> list[Returning]:
        """Give a batch to the relay, or nobody at the end; return what begins to come back."""
        try:
            # Two clips on one network take turns: both at once would need the memory of both.
            with self._network.turn:
                before = None if self._before is None else self._before.people
                batch = None if batch is None else arrived(batch, self._arrivals)
                bodies = self._relay.give(None if batch is None else batch.people)
                done = [] if bodies is None or before is None else [sent_back(named(bodies, before))]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        else:
            self._before = batch
            return done
        # Here the error is gone, and all that it held.
        self._halve([one for one in (self._before, batch) if one is not None])
        return []

    def _halve(self, again: list[Batch]) -> None:
        """Have batches given again, at most half as large."""
        self._relay, self._before = Relay(self._network, self._options), None
        make_room(self._device)
        largest = max(map(len, again))
        if largest == 1 and not self._apart:
            self._apart = True
            self._again.extendleft(reversed(again))
            return
        if largest == 1:
            free_gib = free_bytes(self._device) / _GIB
            raise MissingPartError(f"{self._device}: found {free_gib:.1f} GiB of memory free, too little for one person; end other "
                                   "programs that hold it, or take precision bfloat16, passes body or device cpu")
        self._size = largest // 2
        self._again.extendleft(reversed(again))
        if self._tell is not None:
            self._tell(f"{self._device}: found too little memory for {largest} people at a time, went on with {self._size}; "
                       f"with --batch-size {self._size} it begins so")

    def _came_back(self, returning: Returning | None) -> Iterator[FrameBodies]:
        if returning is not None:
            self._rows.add(*returning.columns())
        for frame, columns, ok in self._rows.whole():
            yield FrameBodies(frame, columns, ok)
