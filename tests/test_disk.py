from __future__ import annotations

import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

from rigdrop.errors import Stopped
from rigdrop.motion.disk import write_hdf5

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on the size of a process' files")


def _noise(row: int, count: int) -> np.ndarray:
    return np.random.default_rng(row).random(count)


def test_what_is_written_is_what_h5py_reads(tmp_path):
    values = _noise(0, 7000).reshape(1000, 7)

    def fill(file: h5py.File) -> None:
        file.attrs["name"] = "踊り"
        file.create_dataset("plain", data=values)
        file.create_dataset("packed", data=values, chunks=(64, 7), compression="gzip", shuffle=True)
        file["more/deep"] = np.arange(5)

    write_hdf5(tmp_path / "a.h5", fill)
    with h5py.File(tmp_path / "a.h5", "r") as file:
        assert file.attrs["name"] == "踊り"
        assert np.array_equal(file["plain"][()], values)
        assert np.array_equal(file["packed"][()], values)
        assert file["more/deep"][()].tolist() == [0, 1, 2, 3, 4]


def test_an_error_of_the_filling_comes_through(tmp_path):
    def fill(file: h5py.File) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        write_hdf5(tmp_path / "a.h5", fill)


@POSIX
@pytest.mark.faults
@pytest.mark.parametrize("limit", [100, 3_000, 20_000, 100_000, 900_000])
@pytest.mark.parametrize("packed", [False, True])
def test_a_full_disk_is_told_and_the_process_ends_in_peace(tmp_path, limit, packed):
    # HDF5 by itself keeps a file open whose flush failed, and the process dies of it at its exit: so a process of its own.
    script = f"""
import resource, sys
import numpy as np
from pathlib import Path
from rigdrop.motion.disk import write_hdf5
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
def fill(file):
    for row in range(40):
        how = dict(chunks=(500,), compression="gzip", shuffle=True) if {packed} else dict()
        file.create_dataset(f"d{{row}}", data=np.random.default_rng(row).random(5000), **how)
try:
    write_hdf5(Path({str(tmp_path / "a.h5")!r}), fill)
except OSError as error:
    print(error.strerror)
    sys.exit(7)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "File too large\n", "")


@POSIX
@pytest.mark.parametrize("after_s", [0.005, 0.05, 0.1])
def test_a_signal_in_the_middle_of_a_write_stops_it(tmp_path, after_s):
    def stop(number: int, frame: object) -> None:
        raise Stopped("stopped")

    def fill(file: h5py.File) -> None:
        # Some seconds of work, were it not stopped: the signal comes in the midst of it whatever the machine.
        for row in range(40):
            file.create_dataset(f"d{row}", data=_noise(row, 100_000), chunks=(1000,), compression="gzip")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, after_s)
        with pytest.raises(Stopped):
            write_hdf5(tmp_path / "a.h5", fill)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with (tmp_path / "a.h5").open("r+b"):
        pass  # nobody holds it
