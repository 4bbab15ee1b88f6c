"""Memory for pictures of one size, used again as soon as nobody holds the picture that was in it.

The system clears, page by page, what it hands out; and large pieces that come and go between small ones that stay leave
holes, so that a long clip would need more memory than a short one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


class PictureMemory:
    """Pictures (H,W,3) to write into; each is theirs who hold it, or a view of it, and comes back when they let go, on any thread."""

    def __init__(self, height: int, width: int) -> None:
        self._shape = height, width, 3
        self._free: list[Picture] | None = []

    def picture(self) -> Picture:
        """Return a picture, whatever was in it before."""
        try:
            memory = self._free.pop() if self._free is not None else np.empty(self._shape, dtype=np.uint8)
        except IndexError:
            memory = np.empty(self._shape, dtype=np.uint8)
        return np.asarray(_Lent(memory, self))

    def give_back(self, memory: Picture) -> None:
        """Take what nobody holds any more."""
        free = self._free
        if free is not None:
            free.append(memory)

    def close(self) -> None:
        """Free what is not held, and from now on what is let go."""
        self._free = None


class _Lent:
    """What all views of a picture hold on to (numpy's array interface): it dies with the last of them."""

    def __init__(self, memory: Picture, owner: PictureMemory) -> None:
        self._memory, self._owner = memory, owner
        self.__array_interface__ = memory.__array_interface__

    def __del__(self) -> None:
        self._owner.give_back(self._memory)
