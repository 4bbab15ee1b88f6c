from __future__ import annotations

import platform
import subprocess
import sys

import pytest

# What the C library itself says of its heaps, after eight threads have each taken memory at the same time.
HEAPS = """
import ctypes, sys, threading
from rigdrop.ingest.heap import one_heap
if sys.argv[1] == "one":
    one_heap()
together = threading.Barrier(8)
def work():
    kept = [bytearray(100_000) for _ in range(20)]
    together.wait()
    del kept
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def heaps(how, path):
    subprocess.run([sys.executable, "-c", HEAPS, how, str(path)], check=True)
    return path.read_text().count("<heap nr=")


# What the system says of 60 MB in pieces that were freed below one that stays, before and after they are given back.
HELD = """
from pathlib import Path
from rigdrop.ingest.heap import give_back
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
pieces = [bytearray(60_000) for _ in range(1000)]
last = bytearray(60_000)
del pieces
before = resident()
give_back()
print(before - resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to give memory back")
def test_what_is_free_is_given_back():
    done = subprocess.run([sys.executable, "-c", HELD], check=True, capture_output=True, text=True)
    assert int(done.stdout) > 50_000_000


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives threads heaps of their own")
def test_threads_share_one_heap(tmp_path):
    assert heaps("own", tmp_path / "own.xml") > 1
    assert heaps("one", tmp_path / "one.xml") == 1
