"""`watch.job`: a job survives the way through JSON, between versions too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rigdrop.errors import RigdropError
from rigdrop.watch.job import JobSpec, claims_folder, logs_folder, staging_folder

_SAID = {
    "job": "3f9a21c07be1d2c4-1", "key": "3f9a21c07be1d2c4" + "0" * 48, "root": "/srv/eingang", "relative": "unreal/手話.mp4",
    "out": "/srv/takes", "settings": {"max-people": 2, "preset": None}, "source_sha256": "a" * 64, "size_bytes": 2**40, "mtime_ns": 1,
}


def test_a_job_is_the_same_after_the_way_through_json():
    spec = JobSpec(**_SAID, sources="stay", device="gpu", refused="clip.mp4: found nothing", refused_code=66)
    assert JobSpec.of_json(json.loads(json.dumps(spec.as_json()))) == spec
    assert spec.name == "手話.mp4"


def test_what_a_newer_version_added_is_passed_over_and_what_an_older_one_lacked_has_its_default():
    spec = JobSpec.of_json({**_SAID, "priority": 7})
    assert (spec.sources, spec.device, spec.refused, spec.refused_code) == ("move", "cpu", None, 0)
    assert not hasattr(spec, "priority")


def test_a_job_that_lacks_what_it_needs_is_refused():
    with pytest.raises(RigdropError, match=r"expected what watch/job.py describes .*source_sha256"):
        JobSpec.of_json({name: value for name, value in _SAID.items() if name != "source_sha256"})


def test_places_are_those_that_the_service_page_names(root):
    page = (root / "docs" / "service.md").read_text(encoding="utf-8")
    inbox = Path("inbox")
    assert f"{claims_folder(inbox).as_posix()}/" in page
    assert f"{logs_folder(inbox).as_posix()}/<job>.jsonl" in page
    # One rename publishes a take only where both places are on one disk: staging is inside the folder of the takes.
    assert staging_folder(Path("/srv/takes"), "j").is_relative_to("/srv/takes")
