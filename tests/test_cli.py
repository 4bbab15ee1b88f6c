"""Commands as a user or a farm sees them: output, exit codes, stops, and other packages' formats."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rigdrop
from rigdrop.cli.app import main
from rigdrop.motion.store import write_take

from .motion_clips import write_bvh
from .synthetic import big_take, small_take


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """A working folder of its own, and no settings of the machine but where its assets are."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RIGDROP_") and name != "RIGDROP_ASSETS"]:
        monkeypatch.delenv(name)


@pytest.fixture
def stored(tmp_path) -> Path:
    path = tmp_path / "in" / "take.h5"
    write_take(path, replace(small_take(people=2), provenance={"take": "clip", "fingerprint": "m"}))
    return path


def _run(capsys, *tokens) -> tuple[int, str, list[dict]]:
    """Run a command in this process; returns exit code, output, and the JSON lines of the error stream."""
    code = main([str(token) for token in tokens])
    captured = capsys.readouterr()
    return code, captured.out, [json.loads(line) for line in captured.err.splitlines()]


def _start(*tokens, **environment) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "rigdrop", *map(str, tokens)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})


def test_the_version_is_the_packages(capsys):
    assert _run(capsys, "--version")[:2] == (0, f"{rigdrop.__version__}\n")


@pytest.mark.parametrize("command", ["convert", "watch", "jobs", "service", "demo", "inspect", "verify", "formats", "assets"])
def test_every_command_is_in_the_help_and_has_one(capsys, command):
    assert command in _run(capsys, "--help")[1]
    code, out, _ = _run(capsys, command, "--help")
    assert code == 0
    assert f"Usage: rigdrop {command}" in out


def test_the_help_names_each_options_variable(capsys):
    out = " ".join(_run(capsys, "convert", "--help")[1].split())
    for name in ("RIGDROP_MAX_PEOPLE", "RIGDROP_MHR", "RIGDROP_GLB_SKELETAL_INFLUENCES"):
        assert name in out


def test_convert_prints_where_the_files_are(capsys, stored):
    code, out, events = _run(capsys, "convert", stored)
    assert code == 0
    assert str(Path("rigdrop-out/clip")) in out
    assert "person_02/clip_person_02_skel.usdc" in out
    assert [event["event"] for event in events if event["event"] in ("take", "done")] == ["take", "done"]


def test_convert_as_json_prints_the_reports_alone(capsys, stored):
    code, out, _ = _run(capsys, "convert", stored, "--json")
    result = json.loads(out)
    assert code == 0
    assert result["errors"] == []
    assert result["takes"][0]["take"] == "clip"
    assert Path(result["takes"][0]["folder"], "report.json").is_file()


def test_converting_again_says_that_it_is_up_to_date(capsys, stored):
    _run(capsys, "convert", stored)
    code, out, events = _run(capsys, "convert", stored, "--json")
    assert (code, json.loads(out)["takes"][0]["skipped"]) == (0, True)
    assert "skipped" in [event["event"] for event in events]


def test_one_that_fails_does_not_stop_the_others(capsys, stored, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    code, out, events = _run(capsys, "convert", tmp_path / "bad.mp4", stored, tmp_path / "none.h5", "--json")
    result = json.loads(out)
    assert code == 66
    assert [Path(error["source"]).name for error in result["errors"]] == ["bad.mp4", "none.h5"]
    assert [take["take"] for take in result["takes"]] == ["clip"]
    assert [event["exit_code"] for event in events if event["event"] == "error"] == [66, 66]


def test_a_format_that_cannot_be_written_gives_its_own_exit_code(capsys, tmp_path):
    write_take(tmp_path / "long.h5", small_take(frames=2100))
    assert _run(capsys, "convert", tmp_path / "long.h5", "--format", "glb-baked")[0] == 78
    assert _run(capsys, "convert", tmp_path / "long.h5", "--out", "other")[0] == 0


@pytest.mark.parametrize(
    ("tokens", "code"),
    [
        (["nonsense"], 64),
        (["convert"], 64),
        (["convert", "clip.mp4", "--bogus"], 64),
        (["convert", "clip.mp4", "--start", "soon"], 64),
        (["convert", "clip.mp4", "--format", "fbx"], 64),
        (["convert", "none.mp4"], 66),
        (["convert", "*.nothing"], 66),
        (["inspect", "none.h5"], 66),
        (["verify", "x_baked.glb", "--take", "none.h5"], 66),
        (["verify", "x.bin", "--take", "none.h5"], 64),
        (["assets", "where", "bogus"], 64),
        (["convert", "clip.mp4", "--preset", "bogus"], 78),
        (["convert", "clip.mp4", "--config", "none.toml"], 78),
        (["convert", "clip.mp4", "--start", "5", "--end", "2"], 78),
    ],
)
def test_exit_codes(capsys, tokens, code):
    found, out, events = _run(capsys, *tokens)
    assert (found, events[-1]["event"], events[-1]["exit_code"]) == (code, "error", code)
    assert "Traceback" not in out + str(events)


def test_inspect_shows_a_take_without_its_motion(capsys, stored):
    out = json.loads(_run(capsys, "inspect", stored, "--json")[1])
    assert out[0]["frames"] == 12
    assert [person["id"] for person in out[0]["people"]] == ["person_01", "person_02"]
    assert "person_02" in _run(capsys, "inspect", stored)[1]


def test_verify_measures_a_file_and_finds_a_broken_one(capsys, stored):
    _run(capsys, "convert", stored)
    folder = Path("rigdrop-out/clip")
    for name in ("skeletal.glb", "baked.glb", "skel.usdc"):
        file = folder / "person_02" / f"clip_person_02_{name}"
        code, out, _ = _run(capsys, "verify", file, "--take", stored, "--json")
        assert code == 0
        assert json.loads(out)["max_mm"] < 0.005  # float32 coordinates a few metres from the origin
    # The other person of the take stands a metre and a half away.
    code, out, _ = _run(capsys, "verify", file, "--take", stored, "--person", "person_01", "--json")
    assert json.loads(out)["mean_mm"] > 1000
    cut = file.with_name("clip_person_02_cut_baked.glb")
    cut.write_bytes((folder / "person_02" / "clip_person_02_baked.glb").read_bytes()[:-100])
    code, out, _ = _run(capsys, "verify", cut, "--take", stored)
    assert code == 70
    assert "broken" in out
    renamed = cut.rename(cut.with_name("mesh.glb"))
    assert _run(capsys, "verify", renamed, "--take", stored, "--person", "person_02", "--as", "glb-baked")[0] == 70


def test_formats_and_assets_are_listed(capsys):
    assert [row["format"] for row in json.loads(_run(capsys, "formats", "--json")[1])][:3] == ["glb-baked", "glb-skeletal", "usd-skel"]
    names = [row["asset"] for row in json.loads(_run(capsys, "assets", "list", "--json")[1])]
    assert {"anny", "mhr", "pose_detection"} <= set(names)


def test_where_an_asset_is_follows_the_environment(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("RIGDROP_ASSETS", str(tmp_path / "kept"))
    assert _run(capsys, "assets", "where")[1].strip() == str(tmp_path / "kept")
    assert _run(capsys, "assets", "where", "mhr")[0] == 69
    assert _run(capsys, "assets", "verify", "anny")[0] == 69


def test_the_module_and_the_command_are_one():
    process = _start("--version")
    assert process.communicate()[0] == f"{rigdrop.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminal")
def test_in_a_terminal_a_bar_shows_the_stage_and_errors_are_sentences(stored):
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "rigdrop", "convert", str(stored), "none.mp4"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True, env=environment)
    os.close(theirs)
    seen = b""
    try:
        while block := os.read(ours, 65536):
            seen += block
    except OSError:  # Linux says so when the other end is closed
        pass
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 66
    assert b"clip: write glb-skeletal" in seen
    assert b"error: none.mp4: " in seen
    assert b'{"' not in seen
    assert "1 converted, 1 with errors" in out


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_in_the_middle_of_writing_cleans_up_and_exits_with_143(tmp_path, number):
    write_take(tmp_path / "big.h5", replace(big_take(frames=1200), provenance={"take": "big", "fingerprint": "b"}))
    process = _start("convert", tmp_path / "big.h5", "--format", "glb-baked")
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line).get("stage") == "write glb-baked":
            break
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert json.loads(err.splitlines()[-1])["exit_code"] == 143
    assert "Traceback" not in err
    assert sorted(path.name for path in (tmp_path / "rigdrop-out").rglob("*") if path.is_file()) == [
        ".unsettled.json", "take.h5",  # what is whole, and the note of what that is
    ]


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_that_a_reader_swallows_stops_all_the_same(capsys, tmp_path, number):
    """A pickle's own code gets the signal, and whoever reads it takes any error for the pickle's."""
    objects = np.empty(1, dtype=object)
    objects[0] = _Signal(number)
    np.save(tmp_path / "slow.npy", objects, allow_pickle=True)
    write_bvh(tmp_path / "walk.bvh", 2)
    code, out, events = _run(capsys, "convert", "slow.npy", "walk.bvh", "--trust", "--jobs", "1")
    assert (code, out) == (143, "")
    assert [event["exit_code"] for event in events if event["event"] == "error"] == [143]
    assert [event["take"] for event in events if event["event"] == "take"] == ["slow"]
    assert not list(Path("rigdrop-out").rglob("*.*"))


class _Signal:
    """Sends a signal to whoever unpickles it."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self):
        return signal.raise_signal, (int(self.number),)


def test_a_folder_is_converted_once_and_its_takes_are_no_clips(capsys, tmp_path):
    write_bvh(tmp_path / "walk.bvh", 3)
    for skipped in (False, True):
        code, out, _ = _run(capsys, "convert", ".", "--format", "glb-skeletal", "--json")
        assert (code, [(take["take"], take["skipped"]) for take in json.loads(out)["takes"]]) == (0, [("walk", skipped)])
    assert Path("rigdrop-out/walk/preview.mp4").is_file()
    code, out, _ = _run(capsys, "convert", ".", "--format", "glb-skeletal", "--out", "other", "--no-preview", "--json")
    assert (code, [take["take"] for take in json.loads(out)["takes"]]) == (0, ["walk"])


_NO_SIGPIPE = pytest.mark.skipif(sys.platform == "win32", reason="Windows says it in another way")


def _without_reader(*tokens: object, both: bool = False, unbuffered: str = "") -> tuple[int, bytes]:
    """Run a command whose output nobody reads; returns the exit code and what is on the error stream, where somebody reads that."""
    ours, theirs = os.pipe()
    os.close(ours)
    error = theirs if both else subprocess.PIPE
    try:
        ended = subprocess.run([sys.executable, "-m", "rigdrop", *map(str, tokens)], stdout=theirs, stderr=error, timeout=60,
                               env={**os.environ, "PYTHONUNBUFFERED": unbuffered})
    finally:
        os.close(theirs)
    return ended.returncode, ended.stderr or b""


@_NO_SIGPIPE
@pytest.mark.parametrize("tokens", [["formats"], ["formats", "--json"], ["--help"], ["--version"], ["convert", "--help"]])
def test_output_that_nobody_reads_ends_a_command_in_peace(tokens):
    assert _without_reader(*tokens) == (141, b"")
    assert _without_reader(*tokens, unbuffered="1") == (141, b"")


@pytest.mark.faults
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no disk that is always full")
def test_output_that_a_full_disk_refuses_is_an_error_of_the_disk():
    with open("/dev/full", "wb") as full:
        ended = subprocess.run([sys.executable, "-m", "rigdrop", "formats"], stdout=full, stderr=subprocess.PIPE, timeout=60,
                               env={**os.environ, "PYTHONUNBUFFERED": ""})
    assert ended.returncode == 74
    assert "the output can't be written (No space left on device)" in json.loads(ended.stderr)["message"]


@_NO_SIGPIPE
def test_errors_that_nobody_reads_end_a_command_in_peace(stored):
    assert _without_reader("nonsense", both=True)[0] == 141
    assert _without_reader("convert", stored, "--format", "glb-skeletal", both=True)[0] == 141
    assert not [path for path in Path("rigdrop-out").rglob("*") if ".part" in path.name]


@_NO_SIGPIPE
def test_a_conversion_whose_table_nobody_reads_is_whole(stored):
    code, err = _without_reader("convert", stored, "--format", "glb-skeletal", "--no-preview")
    assert code == 141
    assert [json.loads(line)["event"] for line in err.splitlines()][-1] == "done"
    assert Path("rigdrop-out/clip/report.json").is_file()


@_NO_SIGPIPE
def test_a_map_whose_table_nobody_reads_is_written(tmp_path):
    write_bvh(tmp_path / "walk.bvh", 2)
    assert _without_reader("map", "init", "walk.bvh") == (141, b"")
    assert Path("map.toml").is_file()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are Unicode")
@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_a_name_that_is_not_unicode_is_printed_with_escapes(tmp_path, encoding):
    name = os.fsdecode(b"caf\xe9-\xe6\xad\xa9.bvh")
    write_bvh(tmp_path / "walk.bvh", 2).rename(tmp_path / name)
    command = ["convert", name, "--format", "glb-skeletal", "--no-preview", "--out", os.fsdecode(b"o\xe9")]
    out, err = _start(*command, PYTHONIOENCODING=encoding).communicate(timeout=60)
    assert "o\\udce9" in out and "Traceback" not in err
    process = _start(*command, "--json", PYTHONIOENCODING=encoding)
    takes = json.loads(process.communicate(timeout=60)[0])["takes"]
    assert process.returncode == 0
    assert [(take["folder"], take["take"]) for take in takes] == [("o\udce9/caf%E9-歩", "caf%E9-歩")]


def test_a_name_that_no_system_takes_is_an_input_that_cannot_be_read(capsys):
    code, _, events = _run(capsys, "convert", "x" * 300 + ".mp4")
    assert code == 66 and "File name too long" in events[-1]["message"]


def test_a_preset_in_a_file_that_is_no_name_is_an_error_of_settings(capsys, tmp_path):
    (tmp_path / "p.toml").write_text("preset = 3\n")
    code, _, events = _run(capsys, "convert", "clip.mp4", "--config", "p.toml")
    assert code == 78 and "preset: found '3'" in events[-1]["message"]


_PLUG_IN = '''
from dataclasses import dataclass
from rigdrop.formats.registry import Format
from rigdrop.formats.verify.report import VerifyReport

@dataclass(frozen=True)
class Options:
    """How a text is written."""
    shout: bool = False
    """Write in capitals."""
    fail: bool = False
    """Show a fault of the plug-in's own."""

def write(take, person, path, options):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = f"{person.id} {take.frame_count} {1 / (not options.fail):.0f}"
    path.write_text(text.upper() if options.shout else text)

def verify(take, person, path, options):
    return VerifyReport(str(path), person.id, 0.0, 0.0, 0.0, take.frame_count, take.frame_count)

FORMAT = Format("text", "a line of text", "_text.txt", Options, write, verify)
'''


@pytest.fixture
def plug_in(tmp_path) -> dict[str, str]:
    """A format in an installed package of its own; returns the environment in which it is installed."""
    site = tmp_path / "site"
    info = site / "studio_text-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "studio_text.py").write_text(_PLUG_IN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: studio-text\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[rigdrop.formats]\ntext = studio_text:FORMAT\n")
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")]))}


def test_another_packages_format_is_written_and_its_options_are_ours(stored, plug_in):
    process = _start("convert", stored, "--format", "text,glb-baked", "--text.shout", **plug_in)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert Path("rigdrop-out/clip/person_01/clip_person_01_text.txt").read_text() == "PERSON_01 12 1"
    assert "clip_person_01_text.txt" in out
    assert "text" in [row["format"] for row in json.loads(_start("formats", "--json", **plug_in).communicate()[0])]


def test_a_fault_of_ours_is_one_sentence_with_a_log_and_a_traceback_on_request(stored, plug_in):
    process = _start("convert", stored, "--format", "text", "--text.fail", **plug_in)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 70
    assert "Traceback" not in err
    message = json.loads(err.splitlines()[-1])["message"]
    log = Path(message.split(" with ")[-1])
    assert "ZeroDivisionError" in message and "Traceback" in log.read_text()
    log.unlink()
    assert "Traceback" in _start("convert", stored, "--format", "text", "--text.fail", "--debug", **plug_in).communicate()[1]
