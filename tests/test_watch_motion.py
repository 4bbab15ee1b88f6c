"""Motion files that are dropped into a watched folder: looked into, converted, kept under their names; broken ones set aside."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rigdrop.formats.registry import FORMATS
from rigdrop.motion.store import read_take
from rigdrop.watch.names import is_input, numbered
from rigdrop.watch.prober import Prober

from .motion_clips import write_amass, write_bvh
from .running_service import Place, RunningService
from .synthetic import small_take

_TIMEOUT_S = 60.0


@pytest.fixture
def tube(tmp_path) -> bytes:
    """A .glb with a character of its own, which needs no body of ours."""
    take = small_take(12)
    FORMATS["glb-skeletal"].write(take, take.people[0], tmp_path / "made.glb", None)
    return (tmp_path / "made.glb").read_bytes()


@pytest.mark.parametrize("name", ["walk.npz", "walk.BVH", "people.npy", "hmr4d_results.pt", "hero.glb", "hero.usdz"])
def test_motion_files_are_inputs(name):
    assert is_input(name) and not is_input(f".{name}") and not is_input(f"{name}.part")
    stem, suffix = name.rsplit(".", 1)
    assert numbered(name, 2) == f"{stem}_2.{suffix}"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_look_inside_tells_what_opens_and_why_another_does_not(tmp_path):
    prober = Prober()
    try:
        whole = write_amass(tmp_path / "walk.npz", 40)
        assert prober.probe(whole, _TIMEOUT_S) is None
        assert prober.probe(write_bvh(tmp_path / "walk.bvh"), _TIMEOUT_S) is None
        half = tmp_path / "half.npz"
        half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])  # still being copied
        assert "found no whole .npz" in str(prober.probe(half, _TIMEOUT_S))
        np.savez(tmp_path / "else.npz", words=np.arange(3))
        assert "no reader knows" in str(prober.probe(tmp_path / "else.npz", _TIMEOUT_S))
        assert prober.memory_mb is not None and prober.memory_mb < 200  # it reads without the libraries of bodies
    finally:
        prober.stop()


def test_what_is_dropped_comes_out_and_what_is_broken_is_set_aside(tmp_path, tube):
    place = Place(tmp_path / "place")
    with RunningService(place, "--grace", "1", "--format", "glb-skeletal") as service:
        place.drop("set/tube.glb", tube)
        place.drop("cut.npz", write_amass(tmp_path / "cut.npz").read_bytes()[:900], good=False)
        place.drop("notes.npz", _other(tmp_path), good=False)
        place.wait_until_ended()
        assert service.stop() == 143
    take = read_take(place.out / "set" / "tube" / "take.h5")
    assert (take.frame_count, take.source_name, take.provenance["kind"]) == (12, "tube.glb", "motion")
    assert (place.out / "set" / "tube" / "person_01" / "tube_person_01_skeletal.glb").is_file()
    told = {path.read_text(encoding="utf-8") for path in (place.inbox / "failed").glob("*/error.txt")}
    assert len(told) == 2 and any("found no whole .npz" in text for text in told) and any("no reader knows" in text for text in told)
    place.outcome(service).check()


def _other(folder: Path) -> bytes:
    np.savez(folder / "other.npz", words=np.arange(3))
    return (folder / "other.npz").read_bytes()


def test_settings_of_just_this_file_are_taken_and_a_preview_is_drawn(tmp_path, tube):
    place = Place(tmp_path / "place")
    with RunningService(place, "--grace", "1", "--format", "glb-skeletal") as service:
        place.drop("tube.glb", tube, sidecar="frame-limit = 5\npreview = true\n")
        place.wait_until_ended()
        service.stop()
    assert read_take(place.out / "tube" / "take.h5").frame_count == 5
    assert (place.out / "tube" / "preview.mp4").is_file()
    place.outcome(service).check()


@pytest.mark.slow
def test_a_walk_of_amass_becomes_a_character(tmp_path, anny_folder):
    place = Place(tmp_path / "place")
    with RunningService(place, "--grace", "1", "--format", "glb-skeletal,usd-skel") as service:
        place.drop("walk_poses.npz", write_amass(tmp_path / "walk.npz", 30).read_bytes())
        place.wait_until_ended()
        service.stop()
    take = read_take(place.out / "walk_poses" / "take.h5")
    assert (take.frame_count, take.people[0].rig.name) == (30, "unreal")
    place.outcome(service).check()
