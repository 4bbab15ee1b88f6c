"""How many people a device has room for at a time, measured with the network itself, and what running out of memory looks like."""

from __future__ import annotations

import gc
from weakref import WeakKeyDictionary

import torch

from .device import free_bytes
from .network import Network
from .passes import PassOptions, People
from .relay import Relay

# On a CPU the backbone takes as long a person however many there are; a few together spare the decoders' small steps.
_ON_CPU = 4
# Three crops each of a thousand tokens: more at a time fill no GPU better, and a clip that is stopped loses them.
_AT_MOST = 64
_PROBES = (1, 3)
_SHARE = 0.8
_FRAME_PX = 64
# Where frames are at once: waiting, gathered for the batch that waits, and in the batches under way and before.
_FRAME_COPIES = 5
_SAID_OF_MEMORY = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "CUDA error: out of memory")
_MEASURED: WeakKeyDictionary[Network, dict[PassOptions, tuple[int, int]]] = WeakKeyDictionary()


def fitting_batch(network: Network, options: PassOptions, frame_bytes: int) -> int:
    """Return how many people at a time there is room for, each in a frame of their own of so many bytes."""
    device = network.mean.device
    if device.type != "cuda":
        return _ON_CPU
    with network.turn:
        measured = _MEASURED.setdefault(network, {})
        try:
            if options not in measured:
                measured[options] = _measured(network, options)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return 1
        fixed, each = measured[options]
        return batch_for(free_bytes(device), fixed, each + _FRAME_COPIES * frame_bytes)


def batch_for(free: int, fixed: int, each: int) -> int:
    """Return how many people fit in so many bytes, of which some are kept for what comes; 1 is tried whatever there is."""
    return max(1, min(_AT_MOST, int(_SHARE * free - fixed) // each))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that a device, a library on it or the host has no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error) for part in _SAID_OF_MEMORY)


def make_room(device: torch.device) -> None:
    """Give back what nobody uses any more."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _measured(network: Network, options: PassOptions) -> tuple[int, int]:
    """Return the bytes that the passes take of themselves and for each person, at most, on a GPU."""
    peaks = [_peak(network, options, count) for count in (_PROBES[0], *_PROBES)][1:]  # the first brings libraries' workspaces too
    each = max(1, (peaks[1] - peaks[0]) // (_PROBES[1] - _PROBES[0]))
    return max(0, peaks[0] - _PROBES[0] * each), each


def _peak(network: Network, options: PassOptions, count: int) -> int:
    """Return the most bytes held at a time while batches of so many people follow each other."""
    device = network.mean.device
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    relay = Relay(network, options)
    for people in (*(2 * [_somebody(network, count)]), None):
        relay.give(people)
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def _somebody(network: Network, count: int) -> People:
    """Return people in a black frame, masks and all."""
    device, side = network.mean.device, float(_FRAME_PX)
    K = torch.tensor([[side, 0, side / 2], [0, side, side / 2], [0, 0, 1]], device=device)
    frames = torch.zeros(1, _FRAME_PX, _FRAME_PX, 3, dtype=torch.uint8, device=device)
    return People(
        frames, torch.tensor([[0, 0, side, side]], device=device).expand(count, -1), K.expand(count, -1, -1),
        torch.zeros(count, dtype=torch.int64, device=device), frames[..., 0].expand(count, -1, -1), torch.ones(count, device=device),
    )
