"""Steps of a job for tests of what is around them: one of them goes wrong as the job's settings say, as often as they say."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

from rigdrop.errors import ReadError, WriteError


def run_step(step, job, emit):
    settings = job["settings"]
    emit("progress", stage=step, done=1, total=1)
    if step == "probe":
        return {"take": "clip", "kept_at": "", "steps": ["act", "report"]}
    if step == "report":
        folder = Path(job["out"]) / ".rigdrop" / job["job"] / "clip"
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps({"schema": "rigdrop.report", "job": job["job"]}))
        return {"people": 1, "frames": 2, "stages": [], "warnings": [], "problems": []}
    times = Path(settings["tries"])
    count = len(times.read_text()) + 1 if times.exists() else 1
    times.write_text("x" * count)
    if count <= settings["times"]:
        _go_wrong(settings["how"], job)
    return {}


def _go_wrong(how, job):
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "full":
        raise WriteError("take.h5: can't be written") from OSError(errno.ENOSPC, "No space left on device")
    if how == "full parts":
        raise WriteError(f"{os.environ['RIGDROP_ASSETS']}/net.tflite: No space left on device") from OSError(errno.ENOSPC, "")
    if how == "bad":
        source = next(Path(job["root"]).glob(f".rigdrop/claims/*/{job['job']}/clip.mp4"))
        raise ReadError(f"{source}: found a film of cats, expected people")
    if how == "grows":
        source = next(Path(job["root"]).glob(f".rigdrop/claims/*/{job['job']}/clip.mp4"))
        with source.open("ab") as stream:
            stream.write(b"more")
        os.kill(os.getpid(), signal.SIGKILL)
