"""Where the network runs and in which precision, as the options and the machine say.

Only the backbone's products are ever rougher than float32. All after it stays float32, in full: torch's own default forbids
the ten bits of TF32 to matrix products and nothing here allows them, since a body's places in metres go through such products.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ....errors import MissingPartError, SettingsError
from .options import Sam3dOptions

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_MEMORY = Path("/proc/meminfo")
_PROCESSOR = Path("/proc/cpuinfo")
# Instructions that multiply in bfloat16: Intel's and AMD's, and Arm's. Without them it is slower than float32.
_ROUGH_INSTRUCTIONS = frozenset(("amx_bf16", "avx512_bf16", "bf16"))
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Place:
    """A device, and what the backbone multiplies in there."""

    device: torch.device
    dtype: torch.dtype

    @property
    def name(self) -> str:
        """The device as a report names it."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else str(self.device)

    @property
    def precision(self) -> str:
        """The precision as the options name it."""
        return str(self.dtype).removeprefix("torch.")


def choose_device(options: Sam3dOptions) -> Place:
    """Return the device that the options name, or the best there is.

    Raises `SettingsError` for a name that no device has and `MissingPartError` for one that this machine has not.
    """
    device = _device(options.device)
    if options.precision != "auto":
        return Place(device, _DTYPES[options.precision])
    return Place(device, torch.bfloat16 if multiplies_roughly(device) else torch.float32)


def multiplies_roughly(device: torch.device, processor: Path = _PROCESSOR) -> bool:
    """Return whether a device has instructions for bfloat16; of a processor, where the system says so."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    lines = processor.read_text(encoding="utf-8", errors="replace").splitlines() if processor.is_file() else []
    listed = next((line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features"))), "")
    return not _ROUGH_INSTRUCTIONS.isdisjoint(listed.split())


def free_bytes(device: torch.device) -> int:
    """Return how much memory a device has left: what nobody holds, and what torch holds for nothing."""
    if device.type == "cuda":
        spare = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + spare
    lines = _MEMORY.read_text(encoding="ascii").splitlines() if _MEMORY.is_file() else []
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), 0)


def usable_cores(quota: Path = _QUOTA) -> int:
    """Return how many cores this process may use: a container's share may be less than what it sees."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not quota.is_file():
        return cores
    allowed, *period = quota.read_text(encoding="ascii").split()
    return cores if allowed == "max" else max(1, min(cores, int(allowed) // int(period[0])))


def use_cores(place: Place) -> None:
    """Let a network on the CPU take no more threads than the process has cores: more would wait for each other."""
    if place.device.type == "cpu":
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))


def _device(name: str) -> torch.device:
    there = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device(there[1] if len(there) > 1 else "cpu")
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdecimal())):
        raise SettingsError(f"device: found {name!r}, expected auto, cpu, cuda or cuda with a number such as cuda:1")
    full = "cuda:0" if name == "cuda" else name
    if full not in there:
        raise MissingPartError(f"device: found no {name} on this machine, expected {_listed(there)}; {_WAY_OUT}")
    return torch.device(full)


_WAY_OUT = "take one of these or auto, or mend the GPU's driver (nvidia-smi shows it) or torch, which may be built for the CPU alone"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"
