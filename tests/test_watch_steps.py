"""The steps of a job on real files, each as if by a new process, and each twice."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rigdrop.config.options import OutputOptions
from rigdrop.config.settings import Settings
from rigdrop.errors import ReadError
from rigdrop.events import silent
from rigdrop.motion.store import read_take, write_take
from rigdrop.watch import claim as claims
from rigdrop.watch import steps
from rigdrop.watch.job import JobSpec, staging_folder
from rigdrop.watch.steps import run_step

from .synthetic import small_take
from .watch_folders import claim_of


@pytest.fixture
def spec(tmp_path: Path) -> JobSpec:
    root = tmp_path / "inbox"
    root.mkdir()
    write_take(root / "clip.h5", replace(small_take(people=2), provenance={"take": "clip", "fingerprint": "m"}))
    claims.name(claim_of(root, "clip.h5"), "a-1")
    settings = Settings(output=OutputOptions(format=("glb-skeletal", "usd-skel"), preview=False)).as_table()
    return JobSpec("a-1", "a", str(root), "clip.h5", str(tmp_path / "out"), settings, "sha", 1, 1)


def _job(spec: JobSpec) -> dict:
    return spec.as_json()


def test_the_plan_names_the_take_and_the_steps(spec):
    plan = run_step("probe", _job(spec), silent)
    assert plan["take"] == "clip" and plan["kept_at"] == f"{spec.root}/done/clip.h5"
    assert plan["steps"] == [
        "store", "write glb-skeletal", "verify glb-skeletal", "write usd-skel", "verify usd-skel", "extras", "preview", "report",
    ]


def test_each_step_in_a_process_of_its_own_comes_to_a_finished_take(spec, monkeypatch):
    plan = run_step("probe", _job(spec), silent)
    for step in plan["steps"]:
        for _ in range(1 if step == "report" else 2):
            monkeypatch.setattr(steps, "_current", None)
            told = run_step(step, {**_job(spec), "plan": plan}, silent)
    folder = staging_folder(Path(spec.out), spec.job) / "clip"
    report = json.loads((folder / "report.json").read_text())
    assert (told["people"], told["frames"], report["job"]) == (2, 12, "a-1")
    verified = [file["verify"]["max_mm"] for person in report["people"] for file in person["files"]]
    assert len(verified) == 4 and max(verified) < 0.01
    assert read_take(folder / "take.h5").frame_count == 12


def test_a_source_that_is_gone_says_so(spec):
    held = claims.find(Path(spec.root), spec.job)
    assert held is not None
    held.source.unlink()
    with pytest.raises(ReadError, match=r"clip\.h5: is gone since it was taken"):
        run_step("probe", _job(spec), silent)


def test_the_next_job_forgets_the_one_before(spec, tmp_path):
    run_step("probe", _job(spec), silent)
    assert steps._current is not None and steps._current[0] == "a-1"
    root = Path(spec.root)
    write_take(root / "other.h5", small_take(frames=5))
    claims.name(claim_of(root, "other.h5"), "b-1")
    run_step("probe", _job(replace(spec, job="b-1", relative="other.h5")), silent)
    assert steps._current[0] == "b-1" and steps._current[1].take.frame_count == 5
