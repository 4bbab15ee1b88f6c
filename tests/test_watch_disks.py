"""Room on disks, measured on real ones."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess

import pytest
from pxr import Sdf

from rigdrop.errors import WriteError
from rigdrop.files import write_bytes
from rigdrop.formats.usd import save_layer
from rigdrop.watch.disks import free_mb, is_full, too_full


def test_the_room_of_a_folder_that_is_not_there_yet_is_that_of_its_disk(tmp_path):
    assert free_mb(tmp_path / "a" / "b") == pytest.approx(shutil.disk_usage(tmp_path).free / 1e6, rel=0.05)


def test_enough_says_nothing_and_too_little_says_where(tmp_path):
    assert too_full([tmp_path], 0.0) is None
    assert str(tmp_path) in (too_full([tmp_path], 1e12) or "")


@pytest.mark.parametrize(("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EACCES, False), (errno.EROFS, False)])
def test_a_full_disk_is_told_from_other_refusals(number, full):
    try:
        try:
            raise OSError(number, os.strerror(number))
        except OSError as error:
            raise WriteError("take.h5") from error
    except WriteError as error:
        assert is_full(error) is full


@pytest.mark.faults
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_really_full_disk_is_seen(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True, check=False).returncode:
        pytest.skip("this container may not mount a disk")
    try:
        assert 0.9 < free_mb(disk / "new") < 1.1
        with pytest.raises(WriteError) as caught:
            write_bytes(disk / "big", bytes(2_000_000))
        assert is_full(caught.value)
        layer = Sdf.Layer.CreateAnonymous(".usda")
        layer.customLayerData = {"text": "x" * 2_000_000}
        # USD says only that it could not; a job must wait for room all the same.
        with pytest.raises(WriteError, match="USD can't write") as caught:
            save_layer(layer, disk / "big.usda")
        assert is_full(caught.value) and list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
