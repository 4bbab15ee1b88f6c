"""The benchmark of motion files judges rightly: what is planted is found, and a fault would show."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigdrop.convert.rigs.mhr_parameters import load_mhr_model
from rigdrop.ingest.recording import MhrMotion, Recording

# Benchmarks are a package of the checkout, beside the library and not in it.
sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks import motion_files
from benchmarks.table import Figure


@pytest.fixture(scope="module")
def paths(shared):
    return sorted((shared / "samples").glob("sam3d_body_*.npz"))


@pytest.fixture(scope="module")
def model(shared):
    return load_mhr_model(shared / "mhr" / "lod3")


def _by_name(figures: list[Figure]) -> dict[str, float | None]:
    return {figure.name: figure.value for figure in figures}


def test_the_planted_sequence_keeps_every_limit(paths, model):
    figures = motion_files._sequence(paths, model)
    assert all(figure.met for figure in figures), motion_files.limits_table(figures)
    found = _by_name(figures)
    assert found["planted sequence: people found, of 2"] == 2
    # Three seams between batches, for each of two people.
    assert found["steps at which a joint goes on from somewhere else, before smoothing"] == 6


def test_people_who_are_swapped_and_time_that_is_short_would_show(paths, model, monkeypatch):
    seen: list[Recording] = []
    whole = motion_files._judged

    def swapped(recording: Recording, *truth: object) -> list[Figure]:
        one, two = recording.actors
        seen.append(recording)
        half = np.arange(len(recording.times_s)) < 100

        def mixed(first: MhrMotion, second: MhrMotion) -> MhrMotion:
            parts = {name: np.where(half[:, None], getattr(first, name), getattr(second, name))
                     for name in ("shape_params", "camera_translation_m", "model_params")}
            return replace(first, **parts, expression_params=None, joints_m=None)

        actors = [replace(each, motion=mixed(each.motion, other.motion), visible=np.where(half, each.visible, other.visible))  # type: ignore[arg-type]
                  for each, other in ((one, two), (two, one))]
        return whole(replace(recording, actors=actors, times_s=recording.times_s * 1.01), *truth)  # type: ignore[arg-type]

    monkeypatch.setattr(motion_files, "_judged", swapped)
    found = _by_name(motion_files._sequence(paths, model))
    assert len(seen) == 1
    wrong = found["frames in which a person is another"]
    assert wrong is not None and wrong > 100
    times = found["times, worst"]
    assert times is not None and times > 1000


def test_a_sample_is_seen_in_its_camera_a_step_apart(paths):
    sample = motion_files._sample(paths[0])
    seen = motion_files._seen(sample, np.zeros((1, 3)))
    np.testing.assert_allclose(seen[0, 0], sample["pred_cam_t"] * [1, -1, -1])
    np.testing.assert_allclose(seen[1] - seen[0], [[0.01, 0, 0]])


def test_correctives_are_measured_and_a_fifth_is_kept(paths, shared):
    figures = motion_files._correctives(paths[:1], shared / "mhr" / "lod3", 20)
    assert all(figure.met for figure in figures) and "correctives made up" in figures[0].name
    found = _by_name(figures)
    # Twenty frames need no more targets than twenty-one: 12 bytes a vertex, 4 a frame.
    size = found["what they add to a file"]
    assert size is not None and 0 < size <= 21 * (4899 * 12 + 20 * 4) / 1e6
    fewer = replace(figures[-2], value=4.9)
    assert figures[-2].name == "what they cut the mean by" and not fewer.met


@pytest.mark.slow
def test_a_folder_is_converted_three_ways(anny_folder, tmp_path):
    figures = motion_files._folder(4, 2)
    assert [figure.unit for figure in figures] == ["s", "×", "MB", "×"]
    assert all(figure.value is not None and figure.value > 0 for figure in figures)
