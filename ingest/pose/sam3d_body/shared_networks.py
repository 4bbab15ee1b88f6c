"""One loaded network for all clips that a process converts, at once or one after the other: loading takes longer than a clip may."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from ....errors import MissingPartError
from .checkpoint import load_network
from .checkpoint_place import checkpoint_files
from .device import Place, use_cores
from .network import Network
from .room import is_out_of_memory, make_room


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
        # The old one goes first: there may be no memory for both. A compiled one holds itself until it is looked for.
        _LOADED.pop(str(place.device), None)
        del kept
        make_room(place.device)
        use_cores(place)
        network = _loaded(path, place)
        if compile_it:
            # The compiler is heavy; it is loaded only when it is used.
            from .compiled import compile_network

            compile_network(network)
        _LOADED[str(place.device)] = key, network
        return network


def _loaded(path: Path, place: Place) -> Network:
    try:
        return load_network(path, place.device, place.dtype)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise MissingPartError(f"{place.name}: found too little memory for the network, expected about 2 GiB in bfloat16 and 4 in float32; "
                               "end other programs that hold it, or take precision bfloat16 or device cpu") from error


def _files(path: Path) -> tuple[tuple[Path, int, int], ...]:
    found = checkpoint_files(path.resolve())
    there = [file for file in (found.state, found.settings, found.mhr) if file.is_file()]
    return tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in there)
