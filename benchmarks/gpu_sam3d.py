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
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
if importlib.util.find_spec("rigdrop") is None:
    # Not installed: the folder that this file is in is the package, whatever its name.
    spec = importlib.util.spec_from_file_location("rigdrop", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    sys.modules["rigdrop"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["rigdrop"])

from benchmarks.random_sam3d import FRAME_PX, frames_of, random_arrays, random_network  # noqa: E402
from benchmarks.sam3d_agreement import agreements  # noqa: E402
from benchmarks.sam3d_stages import stages_that_fit  # noqa: E402
from benchmarks.table import shown, table  # noqa: E402
from benchmarks.torch_machine import Machine  # noqa: E402
from rigdrop.errors import MissingPartError  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.config import NetworkConfig  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.device import choose_device, use_cores  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.mhr_file import MhrArrays, read_mhr_arrays  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.network import Network  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.options import Sam3dOptions  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.passes import PassOptions  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.room import is_out_of_memory, make_room  # noqa: E402
from rigdrop.ingest.pose.sam3d_body.runner import RunOptions, run  # noqa: E402

PASSES = ("full", "fast", "body")
CROPS = {"full": 3, "fast": 3, "body": 1}


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


def backbone_flops(config: NetworkConfig) -> float:
    """Return the multiplications and additions of one crop's way through the backbone, matrix products alone."""
    backbone, (rows, columns) = config.backbone, config.grid
    patches, gates = rows * columns, 3 if backbone.kind == "dinov3" else 2
    tokens = patches + (1 + backbone.extra_tokens if backbone.kind == "dinov3" else 0)
    width = backbone.width
    block = tokens * (4 * width * width + gates * width * backbone.hidden) + 2 * tokens * tokens * width
    return 2.0 * (backbone.depth * block + patches * width * 3 * backbone.patch**2)


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
    if not set(said) <= set(network.warnings):  # of compiling, and no word of a smaller batch
        return Row(precision, mode, batch, people, None, None, None, "out of memory at this batch")
    count = -(-batches * batch // people) * people
    per_s = count / seconds
    flops = backbone_flops(network.config) * CROPS[mode] * per_s / 1e12
    return Row(precision, mode, batch, people, per_s, machine.peak_gib(), flops, core_s=cores_s / count)


def measure(config: NetworkConfig, mhr: Path | None, machine: Machine, plan: Plan, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measure everything; the result is what --json writes."""
    began = time.perf_counter()
    arrays = random_arrays(config.mapping[1] - 127) if mhr is None else read_mhr_arrays(mhr / "mhr_model.pt")
    rows: list[Row] = []
    by_stage: dict[str, dict[str, tuple[float, float]]] = {}
    compiled = plan.compile_it
    for precision in plan.precisions:
        tell(f"building the network in {precision}")
        network = random_network(config, arrays, machine.device, getattr(torch, precision))
        if plan.compile_it:
            # Its import is slow.
            from rigdrop.ingest.pose.sam3d_body.compiled import compile_network

            compile_network(network)
        # What is touched for the first time is slow, on a CPU too.
        network.features(torch.zeros(1, 3, config.crop_px, config.crop_px, dtype=torch.uint8, device=machine.device))
        batch, spent = stages_that_fit(network, machine, tell)
        by_stage[f"{precision}, batch {batch}"] = spent
        for row in _rows(plan, precision):
            left = plan.budget_s - (time.perf_counter() - began)
            done = throughput(network, machine, plan, row) if left > 0 else Row(*row, None, None, None, "no time left")
            tell(f"{done.precision} {done.passes} batch {done.batch} people {done.people}: {shown(done.per_s, 2)} a second {done.note}")
            rows.append(done)
        compiled = compiled and not network.warnings
        for warning in network.warnings:
            tell(warning)
        weights = sum(value.numel() for value in network.state_dict().values())
        del network
    apart = _agreements(config, arrays, machine, plan, tell)  # last: it takes memory that is no row's
    return {
        "machine": machine.describe(), "compiled": compiled,
        "weights": weights, "vertices": len(arrays.base_cm), "mhr": "made up" if mhr is None else "read",
        "backbone_gflops_a_crop": backbone_flops(config) / 1e9, "peak_teraflops": machine.peak_teraflops(),
        "rows": [asdict(row) for row in rows], "stages": by_stage, "agreements": apart, "seconds": time.perf_counter() - began,
    }


def _agreements(
    config: NetworkConfig, arrays: MhrArrays, machine: Machine, plan: Plan, tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    try:
        return [asdict(one) for one in agreements(config, arrays, machine.device, plan.precisions, tell)]
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        tell("found too little memory to compare with float32 on the processor")
        return []
    finally:
        make_room(machine.device)


def report(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    peak, compiled = found["peak_teraflops"], ", compiled" if found["compiled"] else ""
    about = (
        f"{found['machine']}. {found['weights']:,} weights, made up{compiled}; MHR of {found['vertices']:,} vertices, {found['mhr']}. "
        f"Frames of {FRAME_PX[0]} × {FRAME_PX[1]} from the host's memory, and results back to it. FLOPs: the backbone's matrix "
        f"products, by formula, {found['backbone_gflops_a_crop']:,.0f} GFLOP a crop, 3 crops a person-frame with `full` and `fast`, 1 "
        "with `body`. Core s: processor seconds a person-frame; stages on a CPU are in these too. Operations are what the host names "
        "one by one, views left out."
    )
    rows = [_shown(row, peak) for row in found["rows"]]
    columns = ("precision", "passes", "batch", "people a frame", "person-frames/s", "core s each", "peak GiB", "TFLOP/s", "% of peak")
    parts = [about, "", table(columns, rows)]
    for name, spent in found["stages"].items():
        batch = int(name.rpartition(" ")[2])
        whole = sum(seconds for seconds, _ in spent.values())
        lines = [
            (stage, shown(1000 * seconds / batch), shown(100 * seconds / whole), shown(count, 0))
            for stage, (seconds, count) in spent.items()
        ]
        parts += ["", table((f"stage ({name})", "ms a person-frame", "%", "operations a batch"), lines)]
    figures = ("joints_mean_mm", "joints_most_mm", "keypoints_px")
    apart = [(f"{one['precision']} on {one['where']}", *(shown(one[name], 4) for name in figures)) for one in found["agreements"]]
    if apart:
        title = "one person, `full`, against float32 on the processor"
        parts += ["", table((title, "joints mm, mean", "joints mm, most", "keypoints px, most"), apart)]
    return "\n".join(parts)


def plan_of(arguments: argparse.Namespace, is_gpu: bool) -> Plan:
    """Return what the options ask for, or what the device can do in minutes."""
    return Plan(
        tuple(arguments.passes or PASSES),
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


if __name__ == "__main__":
    sys.exit(main())
