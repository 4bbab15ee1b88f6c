"""How fast SAM 3D Body's network runs here at full size, with made-up weights: person-frames a second, memory, share of the chip's peak.

    python -m benchmarks gpu_sam3d        into docs/benchmarks.md
    python benchmarks/gpu_sam3d.py        alone: on a machine that has torch and numpy, and nothing of ours installed

Speed does not depend on what weights say, so none of the licensed ones are needed. A row that memory or time does not
suffice for says so, and the others are measured all the same.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
if importlib.util.find_spec("rigdrop") is None:
    # Not installed: the folder that this file is in is the package, whatever its name.
    spec = importlib.util.spec_from_file_location("rigdrop", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    sys.modules["rigdrop"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["rigdrop"])

from benchmarks.random_sam3d import random_arrays, random_network  # noqa: E402
from benchmarks.table import shown, table  # noqa: E402
from rigdrop.errors import MissingPartError  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.config import NetworkConfig  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.device import choose_device, use_cores  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.hands import look_at_hands  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.mhr_file import read_mhr_arrays  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.network import Network  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.options import Sam3dOptions  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.passes import PassOptions, People, begin, finish, meet  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.room import is_out_of_memory, make_room  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.runner import FramePeople, RunOptions, run  # noqa: E402

PASSES = ("full", "fast", "body")
CROPS = {"full": 3, "fast": 3, "body": 1}
# Dense bfloat16 with sums in float32, TFLOP/s, as NVIDIA's data sheets give it; the first name that fits counts.
PEAKS = (
    ("H100 PCIe", 756), ("H100", 989), ("H200", 989), ("H800", 989), ("B200", 2250), ("A100", 312), ("L40S", 362), ("L4", 121),
    ("RTX 4090", 165),
)
_WIDTH, _HEIGHT = 1280, 720
_GIB = 2**30


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    passes: tuple[str, ...]
    batches: tuple[int, ...]
    people: tuple[int, ...]  # in each frame, for the scaling
    precisions: tuple[str, ...]
    least_batches: int  # of a row
    row_s: float  # a row goes on until it took this long
    budget_s: float  # when it is spent, no row is begun
    compile_it: bool = False


@dataclass(frozen=True)
class Row:
    """One row of throughput: all the way from frames on the host to columns on the host."""

    precision: str
    passes: str
    batch: int
    people: int  # in a frame
    per_s: float | None  # person-frames
    peak_gib: float | None
    teraflops: float | None  # of the backbone, a second
    note: str = ""
    core_s: float | None = None  # of the processor's cores together, a person-frame


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


def backbone_flops(config: NetworkConfig) -> float:
    """Return the multiplications and additions of one crop's way through the backbone, matrix products alone."""
    backbone, (rows, columns) = config.backbone, config.grid
    patches, gates = rows * columns, 3 if backbone.kind == "dinov3" else 2
    tokens = patches + (1 + backbone.extra_tokens if backbone.kind == "dinov3" else 0)
    width = backbone.width
    block = tokens * (4 * width * width + gates * width * backbone.hidden) + 2 * tokens * tokens * width
    return 2.0 * (backbone.depth * block + patches * width * 3 * backbone.patch**2)


def frames_of(count: int, people: int) -> Iterator[FramePeople]:
    """Yield frames of noise with so many people in each."""
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (_HEIGHT, _WIDTH, 3), np.uint8)
    focal = float(np.hypot(_WIDTH, _HEIGHT))
    K = np.array([[focal, 0, _WIDTH / 2], [0, focal, _HEIGHT / 2], [0, 0, 1]])
    left = np.linspace(20, _WIDTH - 320, people)
    boxes = np.stack([left, np.full(people, 40), left + 300, np.full(people, 680)], axis=1).astype(np.float32)
    for frame in range(count):
        yield FramePeople(frame, image, boxes, K)


def throughput(network: Network, machine: Machine, plan: Plan, row: tuple[str, str, int, int]) -> Row:
    """Measure a row: a warm-up on a GPU, then as many batches as its time needs."""
    precision, mode, batch, people = row
    said: list[str] = []
    options = RunOptions(PassOptions(mode), batch)

    def spend(batches: int) -> tuple[float, float]:
        start, cores = machine.now_s(), time.process_time()
        for _ in run(network, frames_of(-(-batches * batch // people), people), options, said.append):
            pass
        return machine.now_s() - start, time.process_time() - cores

    machine.forget_peak()
    try:
        batches = plan.least_batches
        if machine.is_gpu:
            spend(2)
            batches = max(batches, int(plan.row_s / max(spend(2)[0] / 2, 1e-6)))
        seconds, cores_s = spend(batches)
    except (MissingPartError, RuntimeError, MemoryError) as error:
        # The runner raises the first of these where there is no memory for one person alone.
        if not isinstance(error, MissingPartError) and not is_out_of_memory(error):
            raise
        make_room(machine.device)
        return Row(precision, mode, batch, people, None, None, None, "out of memory")
    if said:
        return Row(precision, mode, batch, people, None, None, None, "out of memory at this batch")
    count = -(-batches * batch // people) * people
    per_s = count / seconds
    flops = backbone_flops(network.config) * CROPS[mode] * per_s / 1e12
    return Row(precision, mode, batch, people, per_s, machine.peak_gib(), flops, core_s=cores_s / count)


def stages(network: Network, machine: Machine, batch: int, repeats: int) -> dict[str, float]:
    """Return seconds a batch of each stage, the median of so many; on a CPU, processor seconds.

    Each is waited for, so that together they take longer than in a run, where the host goes ahead of the device.
    """
    frame = next(frames_of(1, 1))
    device = machine.device
    people = People(
        torch.from_numpy(frame.image_rgb)[None].to(device), torch.from_numpy(frame.boxes_xyxy).to(device).expand(batch, -1),
        torch.from_numpy(frame.K).float().to(device).expand(batch, -1, -1), torch.zeros(batch, dtype=torch.int64, device=device),
    )
    # On a GPU the first brings kernels and workspaces too.
    rounds = [_one_round(network, machine, people) for _ in range(repeats + machine.is_gpu)][machine.is_gpu:]
    spent = {name: median(taken[name] for taken in rounds) for name in rounds[0]}
    fast_s, full_s, mesh_s = (spent.pop(name) for name in ("fast", "full", "fast and mesh"))
    last = {
        "second look": full_s - fast_s, "gates, fusion, MHR": fast_s - spent["decoder, hands"], "mesh, where asked for": mesh_s - fast_s,
    }
    # Differences of two measurements: noise may make a small one negative.
    return spent | {name: max(seconds, 0.0) for name, seconds in last.items()}


def _stages_that_fit(network: Network, machine: Machine, tell: Callable[[str], None]) -> tuple[int, dict[str, float]]:
    """Return the stages at the largest batch of 32, 16 … that there is memory for."""
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
def _one_round(network: Network, machine: Machine, people: People) -> dict[str, float]:
    """Return the seconds of each stage of one batch; the last stages are timed together, three ways."""
    taken: dict[str, float] = {}

    def timed(name: str, work: Callable[..., Any], *given: Any) -> Any:
        start = machine.spent_s()
        result = work(*given)
        taken[name] = machine.spent_s() - start
        return result

    full = PassOptions("full")
    begun = timed("crop", begin, network, people, full)
    maps = timed("backbone, bodies", network.features, begun.pixels)
    met = timed("decoder, bodies; crops of hands", meet, network, begun, maps, full)
    hand_maps = timed("backbone, hands", network.features, met.pixels)
    timed("decoder, hands", look_at_hands, network, hand_maps, met.hand_crops)
    ways = {"fast": PassOptions("fast"), "full": full, "fast and mesh": PassOptions("fast", vertices=True)}
    for name, options in ways.items():
        timed(name, finish, network, met, hand_maps, options)
    return taken


def measure(config: NetworkConfig, mhr: Path | None, machine: Machine, plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything; the result is what --json writes."""
    began = time.perf_counter()
    arrays = random_arrays(config.mapping[1] - 127) if mhr is None else read_mhr_arrays(mhr / "mhr_model.pt")
    rows: list[Row] = []
    by_stage: dict[str, dict[str, float]] = {}
    for precision in plan.precisions:
        tell(f"building the network in {precision}")
        network = random_network(config, arrays, machine.device, getattr(torch, precision))
        if plan.compile_it:
            # Its import is slow.
            from rigdrop.ingest.pose.sam3d_body.compiled import compile_network

            compile_network(network)
        # What is touched for the first time is slow, on a CPU too.
        network.features(torch.zeros(1, 3, config.crop_px, config.crop_px, dtype=torch.uint8, device=machine.device))
        batch, spent = _stages_that_fit(network, machine, tell)
        by_stage[f"{precision}, batch {batch}"] = spent
        for row in _rows(plan, precision):
            left = plan.budget_s - (time.perf_counter() - began)
            done = throughput(network, machine, plan, row) if left > 0 else Row(*row, None, None, None, "no time left")
            tell(f"{done.precision} {done.passes} batch {done.batch} people {done.people}: {shown(done.per_s, 2)} a second {done.note}")
            rows.append(done)
        weights = sum(value.numel() for value in network.state_dict().values())
        del network
    return {
        "machine": machine.describe(), "compiled": plan.compile_it,
        "weights": weights, "vertices": len(arrays.base_cm), "mhr": "made up" if mhr is None else "read",
        "backbone_gflops_a_crop": backbone_flops(config) / 1e9, "peak_teraflops": machine.peak_teraflops(),
        "rows": [asdict(row) for row in rows], "stages_s": by_stage, "seconds": time.perf_counter() - began,
    }


def report(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    peak, compiled = found["peak_teraflops"], ", compiled" if found["compiled"] else ""
    about = (
        f"{found['machine']}. {found['weights']:,} weights, made up{compiled}; MHR of {found['vertices']:,} vertices, {found['mhr']}. "
        f"Frames of {_WIDTH} × {_HEIGHT} from the host's memory, and results back to it. FLOPs: the backbone's matrix products, by "
        f"formula, {found['backbone_gflops_a_crop']:,.0f} GFLOP a crop, 3 crops a person-frame with `full` and `fast`, 1 with `body`. "
        "Core s: processor seconds a person-frame; stages on a CPU are in these too."
    )
    rows = [_shown(row, peak) for row in found["rows"]]
    columns = ("precision", "passes", "batch", "people a frame", "person-frames/s", "core s each", "peak GiB", "TFLOP/s", "% of peak")
    parts = [about, "", table(columns, rows)]
    for name, spent in found["stages_s"].items():
        batch = int(name.rpartition(" ")[2])
        whole = sum(spent.values())
        lines = [(stage, shown(1000 * seconds / batch), shown(100 * seconds / whole)) for stage, seconds in spent.items()]
        parts += ["", table((f"stage ({name})", "ms a person-frame", "%"), lines)]
    return "\n".join(parts)


def plan_of(arguments: argparse.Namespace, is_gpu: bool) -> Plan:
    """Return what the options ask for, or what the device can do in minutes."""
    return Plan(
        tuple(arguments.passes or (PASSES if is_gpu else ("body", "full"))),
        tuple(arguments.batch or ((1, 8, 32, 128) if is_gpu else (1, 2))),
        tuple(arguments.people or ((2, 4, 8) if is_gpu else ())),
        tuple(arguments.precision or (("bfloat16",) if is_gpu else ("bfloat16", "float32"))),
        least_batches=4 if is_gpu else 1, row_s=arguments.row_seconds, budget_s=arguments.budget, compile_it=arguments.compile,
    )


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:1")
    parser.add_argument("--precision", nargs="+", choices=("float32", "bfloat16", "float16"),
                        help="of the backbone; bfloat16 on a GPU, float32 too on a CPU")
    parser.add_argument("--passes", nargs="+", choices=PASSES)
    parser.add_argument("--batch", nargs="+", type=int, help="1 8 32 128 on a GPU, 1 2 on a CPU")
    parser.add_argument("--people", nargs="+", type=int, help="people in a frame for the scaling, at batch 32")
    parser.add_argument("--compile", action="store_true", help="compile the network first")
    parser.add_argument("--mhr", type=Path, help="MHR's asset folder; made up without one")
    parser.add_argument("--row-seconds", type=float, default=6.0, help="how long a row is measured on a GPU")
    parser.add_argument("--budget", type=float, default=480.0, help="seconds after which no row is begun")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args(words)
    place = choose_device(Sam3dOptions(device=arguments.device))
    use_cores(place)
    machine = Machine(place.device)
    config = _fitting(NetworkConfig(), arguments.mhr)
    found = measure(config, arguments.mhr, machine, plan_of(arguments, machine.is_gpu), _tell)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2), encoding="utf-8")
    print(report(found))
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _fitting(config: NetworkConfig, mhr: Path | None) -> NetworkConfig:
    """Return the sizes with a keypoint regressor for the MHR model that is read."""
    if mhr is None:
        return config
    arrays = read_mhr_arrays(mhr / "mhr_model.pt")
    return NetworkConfig(**{**vars(config), "mapping": (config.mapping[0], len(arrays.base_cm) + len(arrays.parents))})


def _shown(row: dict[str, Any], peak: float | None) -> tuple[str, ...]:
    per_s, teraflops = row["per_s"], row["teraflops"]
    share = 100 * teraflops / peak if peak and teraflops else None
    return (
        row["precision"], row["passes"], str(row["batch"]), str(row["people"]), row["note"] or shown(per_s, 1 if per_s >= 10 else 3),
        shown(row["core_s"], 2), shown(row["peak_gib"]), shown(teraflops, 0 if peak else 2), shown(share),
    )


def _rows(plan: Plan, precision: str) -> list[tuple[str, str, int, int]]:
    alone = [(precision, mode, batch, 1) for mode in plan.passes for batch in plan.batches]
    return alone + [(precision, plan.passes[0], 32, people) for people in plan.people]


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


if __name__ == "__main__":
    sys.exit(main())
