"""Files that something went wrong with, and disks that take no more: one clear error, and nothing half-written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from rigdrop.errors import ReadError, WriteError
from rigdrop.motion.store import open_take, read_take, write_take

from .stored import full_take
from .synthetic import small_take


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    write_take(tmp_path / "take.h5", full_take())
    return tmp_path / "take.h5"


# Groups, arrays and attributes without which a take is a take.
OPTIONAL = {"local_scale", "person_01/vertices_m", "uvs", "raw", "params", "focal_source", "model", "pelvis"}


def test_no_file(tmp_path):
    with pytest.raises(ReadError, match=r"none\.h5: found no such file, expected a take"):
        read_take(tmp_path / "none.h5")


@pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89HDF\r\n\x1a\n", bytes(5000)])
def test_a_file_of_another_kind(tmp_path, content):
    (tmp_path / "take.h5").write_bytes(content)
    with pytest.raises(ReadError, match=r"take\.h5: found a file that HDF5 can't open .*expected a whole take"):
        read_take(tmp_path / "take.h5")


def test_a_folder(tmp_path):
    with pytest.raises(ReadError, match="HDF5 can't open"):
        read_take(tmp_path)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.05])
def test_a_truncated_file(stored, share):
    os.truncate(stored, int(stored.stat().st_size * share))
    with pytest.raises(ReadError, match=r"take\.h5: .*truncated.*convert the source again"):
        read_take(stored)


def test_a_damaged_chunk(tmp_path):
    write_take(tmp_path / "take.h5", full_take(frames=300))
    with h5py.File(tmp_path / "take.h5", "r") as file:
        where = file["people/person_01/local_quat_xyzw"].id.get_chunk_info(0).byte_offset
    with (tmp_path / "take.h5").open("r+b") as stream:
        stream.seek(where + 20)
        stream.write(b"\xaa" * 200)
    with pytest.raises(ReadError, match=r"take\.h5: people/person_01: "):
        read_take(tmp_path / "take.h5")


def test_one_bit_that_flips_in_any_chunk_is_noticed(stored, tmp_path):
    chunks: dict[str, list[tuple[int, int]]] = {}
    with h5py.File(stored, "r") as file:

        def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset) and item.chunks:
                found = [item.id.get_chunk_info(number) for number in range(item.id.get_num_chunks())]
                chunks[name] = [(chunk.byte_offset, chunk.size) for chunk in found]

        file.visititems(visit)
    assert {name.rsplit("/", 1)[-1] for name in chunks} >= {"local_quat_xyzw", "visible", "vertices_m", "skin_weights", "faces"}
    whole = stored.read_bytes()
    for name, places in chunks.items():
        start, size = places[-1]
        for at in (start, start + size // 2, start + size - 1):
            (tmp_path / "flipped.h5").write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1:])
            with pytest.raises(ReadError, match=rf"flipped\.h5: .*{'/'.join(name.split('/')[:2])}"):
                read_take(tmp_path / "flipped.h5")


def test_a_file_of_another_program(tmp_path):
    with h5py.File(tmp_path / "take.h5", "w") as file:
        file["times_s"] = np.arange(3.0)
    with pytest.raises(ReadError, match=r"take\.h5: schema: found None, expected 'rigdrop.take'"):
        read_take(tmp_path / "take.h5")


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("schema", "other", "schema: found 'other'"),
        ("schema_version", 2, "schema_version: found .*2.*expected 1 or less; update Rigdrop"),
        ("schema_version", 0, "schema_version: found .*0"),
        ("schema_version", "one", "schema_version: found 'one'"),
        ("up_axis", "Z", "up_axis: found 'Z', expected 'Y'"),
        ("metres_per_unit", 0.01, "metres_per_unit: found .*0.01.*expected 1.0"),
        ("fps_num", 0, "fps_num: found .*0.*above 0"),
        ("fps_den", 0, "fps_den: found .*0.*above 0"),
    ],
)
def test_a_header_that_says_what_it_must_not_say(stored, field, value, says):
    with h5py.File(stored, "a") as file:
        file.attrs[field] = value
    with pytest.raises(ReadError, match=rf"take\.h5: {says}"), open_take(stored):
        pass


def _everything(path: Path) -> list[tuple[str, str | None]]:
    """Each item of the file, and each attribute of each item: (path, attribute or nothing)."""
    with h5py.File(path, "r") as file:
        found: list[tuple[str, str | None]] = [("/", name) for name in file.attrs]

        def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if "person_02" not in name:
                found.append((name, None))
                found.extend((name, attribute) for attribute in item.attrs)

        file.visititems(visit)
    return found


def test_whatever_is_missing_is_named(stored, tmp_path):
    silent = []
    for path, attribute in _everything(stored):
        name = attribute or path.rsplit("/", 1)[-1]
        if path.endswith("/person_01") and attribute is None:
            continue
        broken = shutil.copy(stored, tmp_path / "broken.h5")
        with h5py.File(broken, "a") as file:
            if attribute:
                del file[path].attrs[attribute]
            else:
                del file[path]
        optional = name in OPTIONAL or path.endswith("person_01/vertices_m") or "/raw/" in path or "/params/" in path
        try:
            read_take(broken)
            silent += [] if optional else [(path, attribute, "read without it")]
        except ReadError as error:
            silent += [(path, attribute, str(error))] if optional or name not in str(error) or "broken.h5" not in str(error) else []
    assert silent == []


@pytest.mark.parametrize(
    "wrong", [np.zeros(2), np.float64(1), "text", None, np.full((12, 7, 4), np.nan)], ids=["pair", "number", "text", "group", "nan"]
)
def test_whatever_is_of_a_wrong_kind_is_an_error_of_ours(stored, tmp_path, wrong):
    for path, attribute in _everything(stored):
        broken = shutil.copy(stored, tmp_path / "broken.h5")
        with h5py.File(broken, "a") as file:
            if attribute and wrong is not None:
                file[path].attrs[attribute] = wrong
            elif attribute is None:
                del file[path]
                file.create_group(path) if wrong is None else file.create_dataset(path, data=wrong)
        try:
            read_take(broken)
        except ReadError as error:
            assert "broken.h5" in str(error)


def test_names_that_nobody_knows_are_passed_over(stored):
    with h5py.File(stored, "a") as file:
        file.attrs["mood"] = "good"
        file["people/person_01/smell"] = np.zeros(3)
        file["people/person_01/rig/hair"] = np.zeros(3)
    assert read_take(stored).people[0].rig.name == "tube"


class _Explodes:
    def __str__(self) -> str:
        raise ValueError("in the middle of writing")


def test_a_writer_that_fails_in_the_middle_leaves_nothing(tmp_path):
    # The provenance is written last, when everything else is in the file.
    with pytest.raises(ValueError, match="in the middle"):
        write_take(tmp_path / "take.h5", replace(small_take(), provenance={"x": _Explodes()}))
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_fails_in_the_middle_leaves_the_take_before(stored):
    with pytest.raises(ValueError, match="in the middle"):
        write_take(stored, replace(small_take(), provenance={"x": _Explodes()}))
    assert read_take(stored).frame_count == 12
    assert [path.name for path in stored.parent.iterdir()] == ["take.h5"]


def test_a_take_can_be_written_over_while_somebody_reads_it(stored):
    with open_take(stored) as opened:
        if sys.platform != "win32":
            write_take(stored, small_take(frames=3))
        assert opened.read().frame_count == 12


@pytest.mark.faults
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process' files")
def test_a_disk_that_takes_no_more_leaves_nothing_wherever_it_fills_up(tmp_path, root):
    # Where HDF5 reads back what the disk refused, it crashes the process: one limit in ten did.
    script = f"""
import random, resource, sys
sys.path.insert(0, {str(root / "tests")!r})
from pathlib import Path
from synthetic import small_take
from rigdrop.errors import WriteError
from rigdrop.motion.store import write_take
path = Path({str(tmp_path)!r}) / "take.h5"
take = small_take(frames=4000)
write_take(path, take)
whole = path.stat().st_size
path.unlink()
seeded = random.Random(1)
for limit in [500, *(seeded.randrange(whole) for _ in range(100))]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_take(path, take)
    except WriteError as error:
        print(error.exit_code, error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    said = done.stdout.splitlines()
    assert len(said) == 101 and all(line.startswith("74 ") for line in said)
    assert all("take.h5: can't be written (File too large); free space" in line for line in said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_full_disk_leaves_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a disk")
    try:
        write_take(disk / "take.h5", small_take(frames=2))
        with pytest.raises(WriteError, match=r"take\.h5: can't be written \(No space left on device\)"):
            write_take(disk / "take.h5", small_take(frames=20_000))
        assert read_take(disk / "take.h5").frame_count == 2
        assert [path.name for path in disk.iterdir()] == ["take.h5"]
        assert shutil.disk_usage(disk).free > 100_000  # nothing holds on to what was taken
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
