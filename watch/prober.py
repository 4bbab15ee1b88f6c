"""Whether a file opens, found out in a process of its own: a file that crashes a decoder, or hangs it, costs nothing.

That process imports what opening needs and nothing else, and ends when nobody has asked for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ReadError, RigdropError, Stopped
from ..ingest.motion_files.options import HandMergeOptions, MotionFileOptions
from .child import Child, ChildDied

if TYPE_CHECKING:
    from ..events import Emit

_IDLE_S = 30.0
_GRACE_S = 2.0


class Prober:
    """Looks into files, one at a time; its process ends after ``idle_s`` seconds without a question."""

    def __init__(self, idle_s: float = _IDLE_S, environment: Mapping[str, str] | None = None) -> None:
        self._child = Child("prober", 0.0, __name__, grace_s=_GRACE_S, idle_s=idle_s, environment=environment)

    def probe(self, path: Path, timeout_s: float, reading: MotionFileOptions | None = None) -> str | None:
        """Return why ``path`` does not open as a video, a motion file or a stored take; nothing where it does.

        ``reading`` is how a motion file will be read: what is trusted, and which files come with it. A look that takes
        ``timeout_s`` seconds, or ends the process, is such a reason. Raises `Stopped` after `stop`.
        """
        try:
            self._child.run("open", {"path": str(path), "reading": _as_json(reading or MotionFileOptions())}, _ignore, hang_s=timeout_s)
        except Stopped:
            raise
        except RigdropError as error:
            return str(error)
        except ChildDied as died:
            return f"{path}: the process that looked into it {died.reason}; export it again"
        return None

    def stop(self) -> None:
        """End the process, for good."""
        self._child.stop(_GRACE_S)

    @property
    def pid(self) -> int | None:
        """The process' number, while there is one."""
        return self._child.pid

    @property
    def memory_mb(self) -> float | None:
        """The memory that the process holds, in MB, where there is one and the system says it."""
        return self._child.memory_mb


def run_step(step: str, job: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Look into the file ``path`` of ``job``: its first picture, a take's header, a motion file's first frame. Raises `ReadError`."""
    path = Path(job["path"])
    if path.suffix == ".h5":
        from ..motion.store import open_take

        emit("imported")  # the time for that is not the file's
        with open_take(path):
            return {}
    from ..ingest.motion_files.registry import is_motion_file, read_recording

    if is_motion_file(path):
        emit("imported")
        reading = _of_json(job["reading"])
        try:
            read_recording(path, reading)
        except ReadError:
            # There may be nothing but meshes in it, which are taken where nobody has the rig.
            read_recording(path, replace(reading, keep_vertices=True))
        return {}
    from ..ingest.video import open_clip

    emit("imported")
    open_clip(path)
    return {}


def _as_json(reading: MotionFileOptions) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(reading).items()}


def _of_json(table: Mapping[str, Any]) -> MotionFileOptions:
    """The options that `_as_json` described, for a first frame alone."""
    paths = {name: Path(table[name]) for name in ("hand_poses", "joint_map") if table[name] is not None}
    return MotionFileOptions(**{**table, **paths, "hand_merge": HandMergeOptions(**table["hand_merge"]), "frame_limit": 1})


def _ignore(event: str, /, **fields: object) -> None:
    """Take events and do nothing with them."""
