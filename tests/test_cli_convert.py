"""``rigdrop convert`` with many sources: how many, how many at a time, and what it says of them in the end."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from rigdrop.cli.app import main
from rigdrop.motion.store import write_take

from .synthetic import small_take

COUNT = 4


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """A working folder of its own, and no settings of the machine but where its assets are."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RIGDROP_") and name != "RIGDROP_ASSETS"]:
        monkeypatch.delenv(name)


@pytest.fixture
def stored(tmp_path) -> list[str]:
    """Takes whose lengths tell them apart; the longest, which takes longest, first."""
    for number in range(COUNT):
        take = replace(small_take(3 + 20 * (COUNT - number)), provenance={"take": f"clip{number}", "fingerprint": str(number)})
        write_take(tmp_path / "in" / f"{number}.h5", take)
    return [str(tmp_path / "in" / f"{number}.h5") for number in range(COUNT)]


def _run(capsys, *tokens) -> tuple[int, str, list[dict]]:
    code = main(["convert", *map(str, tokens), "--no-preview", "--format", "glb-skeletal"])
    captured = capsys.readouterr()
    return code, captured.out, [json.loads(line) for line in captured.err.splitlines()]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_reports_come_in_the_order_given_whichever_was_done_first(capsys, stored, jobs):
    code, out, _ = _run(capsys, *stored, "--jobs", jobs, "--json")
    takes = json.loads(out)["takes"]
    assert code == 0 and [take["take"] for take in takes] == [f"clip{number}" for number in range(COUNT)]
    assert [take["frames"] for take in takes] == [83, 63, 43, 23]


def test_no_more_than_the_limit_is_converted(capsys, stored):
    code, out, _ = _run(capsys, *stored, "--limit", "2", "--json")
    assert code == 0 and [take["take"] for take in json.loads(out)["takes"]] == ["clip0", "clip1"]
    assert sorted(path.name for path in Path("rigdrop-out").iterdir()) == ["clip0", "clip1"]


def test_a_summary_has_a_line_for_each_take(capsys, stored):
    code, out, _ = _run(capsys, *stored)
    table = out[out.index("take  "):].splitlines()
    assert code == 0 and table[0].split() == ["take", "frames", "fps", "people", "largest", "error", "spent", "warnings"]
    rows = [line.split() for line in table[1 : 1 + COUNT]]
    assert [row[:4] for row in rows] == [[f"clip{number}", str(frames), "30", "1"] for number, frames in enumerate((83, 63, 43, 23))]
    assert all(row[5] == "mm" and float(row[4]) < 0.005 for row in rows)  # float32 of coordinates of a metre or two
    assert table[-1] == f"{COUNT} converted, 0 with errors"
    assert "person_01/clip3_person_01_skeletal.glb" in out  # few takes: their files are listed too


def test_of_many_takes_the_table_stands_for_their_files(capsys, tmp_path):
    for number in range(9):
        take = replace(small_take(2), provenance={"take": f"clip{number}", "fingerprint": str(number)})
        write_take(tmp_path / "in" / f"{number}.h5", take)
    code, out, _ = _run(capsys, str(tmp_path / "in" / "*.h5"), "--jobs", "1")
    assert code == 0 and "glb" not in out and out.splitlines()[-1] == "9 converted, 0 with errors"


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_first_failure_in_the_order_given_decides_the_exit_code(capsys, stored, tmp_path, jobs):
    (tmp_path / "broken.npz").write_bytes(b"no zip")
    (tmp_path / "rigdrop-out").mkdir()
    (tmp_path / "rigdrop-out" / "clip1").write_text("a file where the folder of a take should be")
    code, out, events = _run(capsys, stored[0], tmp_path / "broken.npz", *stored[1:], "--jobs", jobs)
    assert code == 66
    assert sorted(event["exit_code"] for event in events if event["event"] == "error") == [66, 74]
    assert out.splitlines()[-1] == "3 converted, 2 with errors"
    code, out, _ = _run(capsys, stored[1], tmp_path / "broken.npz", "--jobs", jobs, "--json")
    result = json.loads(out)
    assert code == 74 and [error["exit_code"] for error in result["errors"]] == [74, 66] and not result["takes"]


def test_where_nothing_was_converted_there_is_no_table(capsys, tmp_path):
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).write_bytes(b"no zip")
    code, out, _ = _run(capsys, "a.npz", "b.npz", "--jobs", "1")
    assert code == 66 and out == "0 converted, 2 with errors\n"


@pytest.mark.parametrize("option", ["limit", "jobs"])
def test_less_than_nothing_is_refused(capsys, stored, option):
    code, _, events = _run(capsys, stored[0], f"--{option}", "-1")
    assert code == 64 and f"{option}: found -1, expected 0 or more" in events[-1]["message"]
