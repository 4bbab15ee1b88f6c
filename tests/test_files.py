from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from rigdrop.errors import Stopped, WriteError
from rigdrop.files import atomic_path, sha256_of, why_refused, write_bytes, write_text

from .privileges import without_privileges


def test_a_file_appears_with_its_content(tmp_path):
    write_bytes(tmp_path / "a.bin", b"\x00\xff")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff"


def test_text_is_utf8_and_its_line_ends_stay(tmp_path):
    write_text(tmp_path / "a.txt", "踊り\r\nü\n")
    assert (tmp_path / "a.txt").read_bytes() == "踊り\r\nü\n".encode()


def test_folders_are_made(tmp_path):
    write_bytes(tmp_path / "one" / "two" / "a", b"x")
    assert (tmp_path / "one" / "two" / "a").read_bytes() == b"x"


def test_nothing_has_the_final_name_until_the_block_ends(tmp_path):
    target = tmp_path / "a.h5"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
        assert temporary.parent == target.parent  # a rename between folders may be a copy
        assert temporary.suffix == ".h5"  # writers look at it
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


@pytest.mark.parametrize("error", [ValueError("fault"), KeyboardInterrupt(), Stopped("stopped")])
def test_a_block_that_fails_leaves_what_was_there(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(type(error)), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_is_replaced_whole(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "a long first text")
    write_text(target, "new")
    assert target.read_text() == "new"


def test_a_draft_that_was_left_is_written_over(tmp_path):
    draft = tmp_path / ".draft.part"
    draft.write_bytes(b"longer than what comes now")
    write_bytes(tmp_path / "a.txt", b"new", draft)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a.txt": b"new"}


@pytest.mark.parametrize("name", ["x" * 252 + ".h5", "踊" * 84 + ".h5"])
def test_a_name_of_255_bytes_is_written(tmp_path, name):
    assert len(name.encode()) == 255  # the most that ext4, NTFS and APFS take
    write_bytes(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"


def test_a_folder_in_the_way_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(WriteError, match=r"a\.txt: can't be written"):
        write_text(tmp_path / "a.txt", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_file_where_a_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(WriteError, match="can't be written"):
        write_text(tmp_path / "a" / "b.txt", "x")


@pytest.mark.faults
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process' files")
def test_a_disk_that_takes_no_more_is_an_error_that_says_so(tmp_path):
    # In a process of its own: the limit can't be raised again.
    script = f"""
import resource, signal, sys
from pathlib import Path
from rigdrop.errors import WriteError
from rigdrop.files import write_bytes
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(Path({str(tmp_path)!r}) / "big.bin", b"x" * 5000)
except WriteError as error:
    print(error)
    sys.exit(error.exit_code)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 74, done.stderr
    assert "big.bin: can't be written (File too large); free space or choose another --out" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_may_not_be_written_is_an_error(tmp_path):
    tmp_path.chmod(0o555)
    try:
        with without_privileges(tmp_path), pytest.raises(WriteError, match="Permission denied"):
            write_text(tmp_path / "a.txt", "x")
    finally:
        tmp_path.chmod(0o700)


def test_a_disk_that_refuses_nothing_has_no_reason_and_keeps_nothing(tmp_path):
    assert why_refused(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_says_why(tmp_path):
    tmp_path.chmod(0o555)
    try:
        with without_privileges(tmp_path):
            assert isinstance(why_refused(tmp_path), PermissionError)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1])
def test_sha256_is_that_of_the_whole_file(tmp_path: Path, size: int):
    data = bytes(range(256)) * (size // 256 + 1)
    (tmp_path / "a").write_bytes(data[:size])
    assert sha256_of(tmp_path / "a") == hashlib.sha256(data[:size]).hexdigest()
