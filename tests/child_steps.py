"""Steps that children do in tests: each goes wrong, or shows something, in its own way.

A child finds this module because the tests' folder is in its ``PYTHONPATH``.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from rigdrop.errors import ReadError, SettingsError, Stopped, WriteError
from rigdrop.files import atomic_path

_count = 0


def run_step(step, job, emit):
    return globals()[step](job, emit)


def _wait():
    """Wait for a signal, and for one that has just come too."""
    while True:
        time.sleep(0.02)


def count(job, emit):
    global _count
    _count += 1
    return {"count": _count, "pid": os.getpid()}


def echo(job, emit):
    return dict(job)


def plain(job, emit):
    import numpy as np

    emit("file", path=Path("a"), number=np.int64(3), what={1, 2})
    return {"path": Path("b"), "numbers": np.arange(3), "share": np.float32(0.5)}


def not_json(job, emit):
    return {"what": object()}


def tell(job, emit):
    for name, fields in job["events"]:
        emit(name, **fields)
    return {}


def tell_at_length(job, emit):
    emit("told", text="x" * job["length"])
    return {}


def segfault(job, emit):
    ctypes.string_at(0)


def abort(job, emit):
    os.abort()


def killed(job, emit):
    os.kill(os.getpid(), job.get("signal", signal.SIGKILL))
    time.sleep(60)


def die_once(job, emit):
    """Die the first time, that is as long as the mark is not there."""
    mark = Path(job["mark"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"done": True}


def out_of_memory_by_message(job, emit):
    raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")


def out_of_memory(job, emit):
    import resource

    import numpy as np

    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.getrlimit(resource.RLIMIT_AS)[1]))
    np.ones(1 << 32)


def end(job, emit):
    sys.exit(job["code"])


def end_hard(job, emit):
    os._exit(job["code"])


def hang(job, emit):
    emit("hanging", pid=os.getpid())
    time.sleep(600)


def hang_in_c(job, emit):
    """Hang without ever giving Python a turn: PyDLL holds its lock."""
    emit("hanging", pid=os.getpid())
    ctypes.PyDLL(None).sleep(600)


def slow_but_alive(job, emit):
    for _ in range(job["times"]):
        time.sleep(job["pause_s"])
        emit("alive")
    return {}


def close_pipes(job, emit):
    os.closerange(3, 256)
    time.sleep(600)


def close_pipes_and_return(job, emit):
    os.closerange(3, 256)
    return {}


def chatter(job, emit):
    """Print from Python, from C and from another program, to both outputs, and read what is not there."""
    line = "x" * 1023 + "\n"
    for stream in (sys.stdout, sys.stderr):
        for _ in range(job["kilobytes"]):
            stream.write(line)
    ctypes.CDLL(None).puts(b'{"result": {"from": "C"}}')
    print("half a surrogate: \udc80")
    subprocess.run([sys.executable, "-c", 'print(\'{"result": {"from": "another program"}}\')'], check=True)
    return {"input": sys.stdin.read()}


def flood(job, emit):
    start = time.perf_counter()
    for index in range(job["events"]):
        emit("progress", stage="flood", done=index + 1, total=job["events"])
    return {"seconds": time.perf_counter() - start}


def flood_of_warnings(job, emit):
    for index in range(job["events"]):
        emit("warning", number=index)
    return {}


def talk_from_threads(job, emit):
    def talk(name):
        for index in range(job["events"]):
            emit("said", by=name, number=index, text="y" * 5000)

    threads = [threading.Thread(target=talk, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {}


def leave_a_thread(job, emit):
    def talk():
        while True:
            emit("still here", job=job["name"])
            time.sleep(0.001)

    threading.Thread(target=talk, daemon=True).start()
    time.sleep(0.05)
    return {}


def fail(job, emit):
    kinds = {kind.__name__: kind for kind in (ReadError, WriteError, SettingsError)}
    error = kinds[job["kind"]](job["message"])
    if "errno" not in job:
        raise error
    raise error from OSError(job["errno"], os.strerror(job["errno"]))


def fail_while_closing(job, emit):
    """The full disk is behind something else that came of it."""
    try:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        finally:
            raise FileNotFoundError(errno.ENOENT, "No such file")
    except OSError as error:
        raise WriteError("could not clean up") from error


def full_disk(job, emit):
    raise OSError(errno.ENOSPC, "No space left on device", "/somewhere")


def fault(job, emit):
    return {}["nothing"]


def write_slowly(job, emit):
    with atomic_path(Path(job["path"])) as temporary:
        temporary.write_text("half")
        emit("writing", pid=os.getpid())
        _wait()


def work_on(job, emit):
    with atomic_path(Path(job["path"])) as temporary:
        temporary.write_text("half")
        emit("writing")
        while True:
            time.sleep(0.01)


def clean_up(job, emit):
    """Clean up although a second signal comes."""
    try:
        emit("working")
        _wait()
    except Stopped:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
    return {"cleaned": True}


def start_and_hang(job, emit):
    emit("started", pid=subprocess.Popen(["sleep", "600"]).pid)
    time.sleep(600)


def miss_a_signal(job, emit):
    """Begin to wait just when a signal has come: between the two naps Python does not look."""
    with atomic_path(Path(job["path"])) as temporary:
        temporary.write_text("half")
        emit("napping")
        list(map(ctypes.CDLL(None).sleep, [600, 600]))


def swallow(job, emit):
    """Swallow the first `Stopped`, as a library may, and go on until somebody says it again."""
    with contextlib.suppress(Stopped):
        emit("working")
        _wait()
    while True:
        emit("going on")


def refuse_to_stop(job, emit):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    emit("working")
    time.sleep(600)


def slow_to_stop(job, emit):
    """Finish what is in hand when told to stop: nothing of it is lost."""
    try:
        emit("working")
        _wait()
    except Stopped:
        return {"finished": True}


def start_another(job, emit):
    """Start a program that would outlive us, and die."""
    other = subprocess.Popen(["sleep", "600"])
    emit("started", pid=other.pid)
    if job.get("fork"):
        # It holds the pipes open, and with a session of its own nobody knows that it belongs to us.
        pid = os.fork()
        if pid == 0:
            if job["fork"] == "session":
                os.setsid()
            time.sleep(600)
            os._exit(0)
        emit("started", pid=pid)
    if job.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {}


def open_files(job, emit):
    folder = Path("/proc/self/fd")
    return {"files": {entry.name: os.readlink(entry) for entry in folder.iterdir() if entry.exists()}}


def write_rubbish(job, emit):
    """Write to every pipe that is there, as a library may that guesses at descriptors."""
    for descriptor in range(3, 20):
        with contextlib.suppress(OSError):
            os.write(descriptor, b'rubbish\n[1]\n"text"\n{"half": \n')
    return {}


def environment(job, emit):
    import resource

    return {
        "oom_score_adj": Path("/proc/self/oom_score_adj").read_text().strip(),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "path": sys.path,
        "group": os.getpgrp() == os.getpid(),
        "interrupts": signal.getsignal(signal.SIGINT) == signal.SIG_IGN,
        "modules": sorted(sys.modules),
        "executable": sys.executable,
    }
