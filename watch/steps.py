"""The steps of a job, as the child process runs them: the pipeline's stages, on files that outlive the process.

What a step has done stands on the disk when it ends, so that any process can go on with the next one; while the same
child goes on, the take stays in its memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config.settings import Settings
from ..errors import ReadError
from ..events import Emit
from ..naming import take_name
from ..pipeline import Conversion, Known
from .claim import find
from .job import JobSpec, staging_folder
from .staging import SCRATCH, reserve_name, sweep

_current: tuple[str, Conversion] | None = None


def run_step(step: str, job: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run one step of ``job``: a `JobSpec` as JSON and, after the first step, what that one returned under ``plan``.

    Returns what later steps and people need to know. Raises the errors of the pipeline.
    """
    spec = JobSpec.of_json(job)
    if step == "probe":
        return _probe(spec, emit)
    return _STEPS[step.partition(" ")[0]](_conversion(spec, job["plan"], emit), step.partition(" ")[2])


def _probe(spec: JobSpec, emit: Emit) -> dict[str, Any]:
    """Look inside, choose the take's name, and list the steps to come."""
    global _current
    _current = None
    settings = Settings.of_table(spec.settings)
    # Where the source lies for the while it is called after its job; some are called after the folder that they came in.
    name = reserve_name(Path(spec.out), take_name(_source(spec), Path(spec.root) / spec.relative), spec.job)
    plan = {"take": name, "kept_at": str(_kept_at(spec))}
    conversion = _conversion(spec, plan, emit)
    looks = () if conversion.is_take else ("estimate", "fit")
    files = (f"{verb} {form}" for form in settings.output.format for verb in ("write", "verify"))
    return {**plan, "steps": [*looks, "store", *files, "extras", "preview", "report"]}


def _conversion(spec: JobSpec, plan: Mapping[str, Any], emit: Emit) -> Conversion:
    """The job's conversion: the one in memory, or one that goes on with what is on the disk."""
    global _current
    if _current is None or _current[0] != spec.job:
        sweep(Path(spec.out), spec.job)  # whoever was at it before us is no more
        staging = staging_folder(Path(spec.out), spec.job)
        known = Known(spec.source_sha256, Path(plan["kept_at"]), {"job": spec.job})
        settings = Settings.of_table(spec.settings)
        _current = spec.job, Conversion(_source(spec), staging / plan["take"], settings, emit, staging / SCRATCH, known)
    _current[1].emit = emit
    return _current[1]


def _source(spec: JobSpec) -> Path:
    claim = find(Path(spec.root), spec.job)
    if claim is None or not claim.source.is_file():
        raise ReadError(f"{spec.relative}: is gone since it was taken, expected it in {spec.root}/.rigdrop/claims; drop it again")
    return claim.source


def _kept_at(spec: JobSpec) -> Path:
    """Where the source will most likely lie when the job is done."""
    stays = spec.sources == "stay"
    return Path(spec.root) / spec.relative if stays else Path(spec.root) / "done" / spec.relative


def _report(conversion: Conversion, _: str) -> dict[str, Any]:
    global _current
    content = conversion.finish().content
    _current = None
    told = ("frames", "stages", "warnings", "problems")
    return {"people": len(content["people"]), **{name: content[name] for name in told}}


def _nothing(run: Callable[[], object]) -> dict[str, Any]:
    run()
    return {}


_STEPS: dict[str, Callable[[Conversion, str], dict[str, Any]]] = {
    "estimate": lambda conversion, _: _nothing(conversion.estimate),
    "fit": lambda conversion, _: _nothing(conversion.fit),
    "store": lambda conversion, _: _nothing(conversion.store),
    "write": lambda conversion, name: _nothing(lambda: conversion.write(name)),
    "verify": lambda conversion, name: _nothing(lambda: conversion.verify(name)),
    "extras": lambda conversion, _: _nothing(conversion.write_extras),
    "preview": lambda conversion, _: _nothing(conversion.draw),
    "report": _report,
}
