"""Batches one behind the other: the hands of one go through the backbone with the bodies of the next.

Hands are known only once the body was looked at, so a batch alone takes two turns through the backbone, the second for two
crops a person. Shared turns are half as many and all of one size, which keeps a GPU busy where batches are small.
"""

from __future__ import annotations

import torch

from .network import Network
from .passes import Bodies, Met, PassOptions, People, begin, finish, meet


class Relay:
    """Takes batches, and hands each one's bodies over when the next is given."""

    def __init__(self, network: Network, options: PassOptions) -> None:
        self._network, self._options = network, options
        self._before: Met | Bodies | None = None

    @torch.inference_mode()
    def give(self, people: People | None) -> Bodies | None:
        """Take the next batch, or nobody at the end; return the bodies of the one before, if there was one.

        After an error the batch before is lost, too: give both again, to a new relay.
        """
        network, options = self._network, self._options
        before, self._before = self._before, None
        begun = None if people is None else begin(network, people, options)
        parts = [] if begun is None else [begun.pixels]
        if isinstance(before, Met):
            parts.append(before.pixels)
        if not parts:
            return before if isinstance(before, Bodies) else None
        maps = network.features(torch.cat(parts))
        count = 0 if begun is None else len(begun.pixels)
        done = finish(network, before, maps[count:], options) if isinstance(before, Met) else before
        if begun is not None:
            self._before = meet(network, begun, maps[:count], options)
        return done
