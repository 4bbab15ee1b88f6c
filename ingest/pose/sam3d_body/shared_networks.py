"""One loaded network for all clips that a process converts, at once or one after the other: loading takes longer than a clip may."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from .checkpoint import load_network
from .checkpoint_place import checkpoint_files
from .device import Place, use_cores
from .network import Network


@dataclass(frozen=True)
class _Key:
    """What makes a loaded network another one."""

    files: tuple[tuple[Path, int, int], ...]  # path, time of change in nanoseconds, bytes
    place: Place
    compiled: bool


_LOADED: dict[str, tuple[_Key, Network]] = {}
_LOADING = threading.Lock()


def shared_network(path: Path, place: Place, compile_it: bool = False) -> Network:
    """Return the network of a checkpoint on a device, loaded if it is not there yet or its files have changed.

    One is kept for each device; who still uses one that another took the place of keeps it. Raises what `load_network` does.
    """
    key = _Key(_files(path), place, compile_it)
    with _LOADING:
        kept = _LOADED.get(str(place.device))
        if kept is not None and kept[0] == key:
            return kept[1]
        # The old one goes first: there may be no memory for both.
        _LOADED.pop(str(place.device), None)
        del kept
        use_cores(place)
        network = load_network(path, place.device, place.dtype)
        if compile_it:
            # The compiler is heavy; it is loaded only when it is used.
            from .compiled import compile_network

            compile_network(network)
        _LOADED[str(place.device)] = key, network
        return network


def _files(path: Path) -> tuple[tuple[Path, int, int], ...]:
    found = checkpoint_files(path.resolve())
    there = [file for file in (found.state, found.settings, found.mhr) if file.is_file()]
    return tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in there)
