"""The device that torch runs on: its clock, its memory, what it is and what it can do at best; with torch alone, and no package of ours."""

from __future__ import annotations

import os
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import torch

from rigdrop.ingest.pose.sam3d_body.room import make_room

# Dense bfloat16 with sums in float32, TFLOP/s, as NVIDIA's data sheets give it; the first name that fits counts.
PEAKS = (
    ("H100 PCIe", 756), ("H100", 989), ("H200", 989), ("H800", 989), ("B200", 2250), ("A100", 312), ("L40S", 362), ("L40", 181),
    ("L4", 121), ("RTX 4090", 165),
)
_GIB = 2**30


class Machine:
    """A device, its clock, and what it is."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.is_gpu = device, device.type == "cuda"

    def describe(self) -> str:
        """Return date, processor, cores, card, driver and versions in a few words."""
        words = [f"{datetime.now(UTC):%Y-%m-%d}", _processor(), f"{os.cpu_count()} cores", f"{_host_gib():.0f} GiB"]
        if self.is_gpu:
            about = torch.cuda.get_device_properties(self.device)
            words += [f"{about.name}, {about.total_memory / _GIB:.0f} GiB", f"driver {_driver()}", f"CUDA {torch.version.cuda}"]
        else:
            words.append(f"{torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "")
        return ", ".join([*filter(None, words), f"torch {torch.__version__}", f"Python {platform.python_version()}", platform.system()])

    def peak_teraflops(self) -> float | None:
        """Return what the card can do at best, where it is known."""
        name = torch.cuda.get_device_name(self.device) if self.is_gpu else ""
        return next((float(peak) for card, peak in PEAKS if card in name), None)

    def now_s(self) -> float:
        """Return the time once all that was begun is done."""
        if self.is_gpu:
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def spent_s(self) -> float:
        """Return what work has taken so far: time on a GPU, processor time on a CPU, which others who keep it busy lengthen less."""
        return self.now_s() if self.is_gpu else time.process_time()

    def forget_peak(self) -> None:
        """Let the next `peak_gib` be of what comes."""
        make_room(self.device)
        if self.is_gpu:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_gib(self) -> float | None:
        """Return the most memory held since; on a CPU, by the process since it began."""
        if self.is_gpu:
            return torch.cuda.max_memory_allocated(self.device) / _GIB
        try:
            import resource
        except ImportError:  # Windows
            return None
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / _GIB


def _processor() -> str:
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return platform.processor() or platform.machine()


def _host_gib() -> float:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB if hasattr(os, "sysconf") else float("nan")


def _driver() -> str:
    path = Path("/proc/driver/nvidia/version")
    words = path.read_text(encoding="utf-8").split() if path.is_file() else []
    return next((word for word in words if word[:1].isdigit() and "." in word), "unknown")
