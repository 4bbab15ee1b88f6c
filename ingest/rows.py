"""Records that come one by one and are kept for long: packed, so that each costs its own bytes and nothing more."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1024


class Rows:
    """Records of one numpy layout, in blocks.

    A small array or object for each would cost as much again, and lie between large ones that come and go, so that the
    memory of those is never given back.
    """

    def __init__(self, layout: np.dtype[np.void]) -> None:
        self._layout = layout
        self._blocks: list[NDArray[np.void]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *values: Any) -> int:
        """Append a record, its fields in the layout's order, and return its row."""
        block, place = divmod(self._count, _BLOCK)
        if place == 0:
            self._blocks.append(np.empty(_BLOCK, self._layout))
        self._blocks[block][place] = values
        self._count += 1
        return self._count - 1

    def column(self, name: str, rows: NDArray[np.integer] | None = None) -> NDArray[Any]:
        """Return a copy of one field of all records, or of ``rows`` (N,) in their order: (N,…)."""
        block, place = np.divmod(np.arange(self._count) if rows is None else rows, _BLOCK)
        field = self._layout[name]
        values = np.empty((len(block), *field.shape), field.base)
        for number in np.unique(block):
            here = block == number
            values[here] = self._blocks[number][name][place[here]]
        return values
