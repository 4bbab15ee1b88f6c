"""One heap for all threads: how much memory a clip takes must not depend on which thread did what, when."""

from __future__ import annotations

import contextlib
import ctypes
import sys

_M_ARENA_MAX = -8  # mallopt(3)


def one_heap() -> None:
    """Let threads that begin from now on share the process' heap, where the system is one that gives each its own (glibc).

    Each heap of its own keeps the most that its thread ever needed; over a long clip, each of several threads that take
    turns comes to need the most of all at some time.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library than GNU's has no such switch, nor such heaps
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give the system what is free within the heap, where small pieces at its end would keep it (glibc)."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
