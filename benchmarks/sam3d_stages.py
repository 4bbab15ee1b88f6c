"""What each stage of a batch through SAM 3D Body's network takes: seconds, and the operations that the host has to name.

A GPU does nothing while the host names an operation that is soon done, so where batches are small their number is what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rigdrop.ingest.pose.sam3d_body.hands import look_at_hands
from rigdrop.ingest.pose.sam3d_body.network import Network
from rigdrop.ingest.pose.sam3d_body.passes import PassOptions, People, begin, finish, meet
from rigdrop.ingest.pose.sam3d_body.room import is_out_of_memory, make_room

from .random_sam3d import people_of
from .torch_machine import Machine

# What makes nothing, but another look at what is there.
_VIEWS = frozenset((
    "alias", "as_strided", "chunk", "detach", "diagonal", "expand", "permute", "reshape", "select", "slice", "split",
    "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unflatten", "unsqueeze", "view", "_reshape_alias", "_unsafe_view",
))


class _Operations(TorchDispatchMode):
    """Counts what is reckoned while it lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0.0

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Mapping[str, Any] | None = None) -> Any:
        self.count += function.overloadpacket.__name__ not in _VIEWS
        return function(*arguments, **(keywords or {}))


def stages(network: Network, machine: Machine, batch: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Return seconds a batch, the median of so many, and operations of each stage; on a CPU, processor seconds.

    Each is waited for, so that together they take longer than in a run, where the host goes ahead of the device.
    """
    people = people_of(batch, machine.device)
    # The first round brings kernels, workspaces and caches too; meanwhile what is done is counted.
    with _Operations() as operations:
        counts = _one_round(network, people, lambda: operations.count)
    rounds = [_one_round(network, people, machine.spent_s) for _ in range(repeats)]
    return {name: (median(taken[name] for taken in rounds), count) for name, count in counts.items()}


def stages_that_fit(network: Network, machine: Machine, tell: Callable[[str], None]) -> tuple[int, dict[str, tuple[float, float]]]:
    """Return the stages at the largest batch of 32, 16 … that there is memory for; on a CPU, of one person."""
    batch = 32 if machine.is_gpu else 1
    while True:
        tell(f"stages at batch {batch}")
        try:
            return batch, stages(network, machine, batch, 5 if machine.is_gpu else 1)
        except (RuntimeError, MemoryError) as error:
            if batch == 1 or not is_out_of_memory(error):
                raise
        batch //= 2
        make_room(machine.device)


@torch.inference_mode()
def _one_round(network: Network, people: People, spent: Callable[[], float]) -> dict[str, float]:
    """Return what each stage of one batch spends; the last are measured together, three ways, and told apart."""
    taken: dict[str, float] = {}

    def measured(name: str, work: Callable[..., Any], *given: Any) -> Any:
        start = spent()
        result = work(*given)
        taken[name] = spent() - start
        return result

    full = PassOptions("full")
    begun = measured("crop", begin, network, people, full)
    maps = measured("backbone, bodies", network.features, begun.pixels)
    met = measured("decoder, bodies; crops of hands", meet, network, begun, maps, full)
    hand_maps = measured("backbone, hands", network.features, met.pixels)
    measured("decoder, hands", look_at_hands, network, hand_maps, met.hand_crops)
    ways = {"fast": PassOptions("fast"), "full": full, "mesh": PassOptions("fast", vertices=True)}
    for name, options in ways.items():
        measured(name, finish, network, met, hand_maps, options)
    fast, whole, mesh = (taken.pop(name) for name in ways)
    # Differences of two measurements: noise may make a small one negative.
    last = {"second look": whole - fast, "gates, fusion, MHR": fast - taken["decoder, hands"], "mesh, where asked for": mesh - fast}
    return taken | {name: max(value, 0.0) for name, value in last.items()}
