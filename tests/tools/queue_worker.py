"""A worker of the queue in a process of its own, for tests to stop, freeze and kill: URL NAME FOLDER CPU GPU LEASE_S.

Its jobs have three steps, each of which says in FOLDER/journal when it begins and ends, and waits while FOLDER/hold-<step> is there.
On its input it takes ``stop`` (hand jobs back), ``leave`` (keep them) and ``die`` (no farewell at all).
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from rigdrop.watch import lease as leases
from rigdrop.watch import queue as queues
from rigdrop.watch.database import Database

queues._LOOK_S = queues._POLL_S = queues._MESSAGES_S = 0.05
url, name, folder, cpu, gpu, lease_s = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6])


def note(*words: object) -> None:
    with (folder / "journal").open("a", encoding="utf-8") as journal:
        journal.write(" ".join(map(str, words)) + "\n")


def lost() -> None:
    note(name, "-", "lost", "end")
    os._exit(75)


def work(spec, step):
    def do(which: str) -> dict:
        note(name, spec.job, which, "begin")
        while (folder / f"hold-{which}").exists():
            if queue._stopping.is_set():
                raise queues.Interrupted
            if lease is not None:
                lease.check()
            time.sleep(0.01)
        note(name, spec.job, which, "end")
        return {"by": name, "step": which}

    done = [step(which, lambda which=which: do(which)) for which in ("one", "two", "three")]
    return {"by": [step["by"] for step in done]}


database = Database.parse(url)
queue = queues.Queue(database, name, {"cpu": cpu, "gpu": gpu}, work)
lease = leases.Lease(database, name, lease_s, queue.recover, lost) if lease_s else None
if lease is not None:
    lease.start()
queue.start()
print("ready", flush=True)
asked = sys.stdin.readline().strip()
if asked in ("stop", "leave"):
    left = queue.stop(release=asked == "stop")
    if lease is not None:
        lease.stop()
    queue.close()
    print("stopped", left, flush=True)
else:
    os._exit(9)
