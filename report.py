"""``report.json``: what a conversion made, how good it is, and what it cost; the last file to appear in a take's folder."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from .files import write_text
from .formats.pictures import pictures_folder
from .formats.verify.report import VerifyReport
from .motion.kinematics import world_transforms
from .motion.metrics import bone_drift, foot_slide_mm_f, jitter_10m_s3, likely_contact
from .motion.take import Person, Take

REPORT_NAME = "report.json"
_UNSETTLED_NAME = ".unsettled.json"
SCHEMA, SCHEMA_VERSION = "rigdrop.report", 1

_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_FEET = ("left_ankle", "left_foot", "right_ankle", "right_foot")
# World transforms of this many frames at a time: 60 MB for 127 joints, however long the take is.
_CHUNK_FRAMES = 4096


def read_report(folder: Path) -> dict[str, Any]:
    """Return what the report in ``folder`` says; nothing where there is none, or where it is not ours or not whole."""
    try:
        content = json.loads((folder / REPORT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) and content.get("schema") == SCHEMA else {}


def write_report(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the report; from then on the folder counts as done."""
    write_text(folder / REPORT_NAME, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def up_to_date(folder: Path, report: Mapping[str, Any], fingerprint: str) -> bool:
    """Tell whether the report is of the same source, options and version, and every file it names is there in its size."""
    if report.get("fingerprint") != fingerprint or report.get("problems"):
        return False
    return all(_size(folder / entry["file"]) == entry["bytes"] for entry in report["files"])


def report_header(take: Take, name: str) -> dict[str, Any]:
    """Return what the report says about the take as a whole."""
    camera = take.camera
    return {
        "schema": SCHEMA, "schema_version": SCHEMA_VERSION, "rigdrop_version": take.rigdrop_version, "created_utc": take.created_utc,
        "take": name, "source_name": take.source_name, "source_sha256": take.source_sha256,
        "frames": take.frame_count, "fps": str(take.fps), "start_s": float(take.times_s[0]), "end_s": float(take.times_s[-1]),
        "camera": {
            "width": camera.width, "height": camera.height, "focal_source": camera.focal_source,
            "focal_px": round(float(camera.intrinsics_px[..., 0, 0].mean()), 2),
        },
    }


def describe_person(take: Take, person: Person) -> dict[str, Any]:
    """Return who somebody is and how their motion measures up; the figures are those of `motion.metrics`."""
    fps = float(take.fps)
    positions = _joint_positions(person)
    feet = [person.rig.skeleton.semantic[name] for name in _FEET if name in person.rig.skeleton.semantic]
    # Fingers are left out, as in the figures that others publish: they would outnumber the body.
    named = {index for name, index in person.rig.skeleton.semantic.items() if not any(finger in name for finger in _FINGERS)}
    body = sorted(named) or list(range(positions.shape[1]))
    standing = positions[:, feet] - [0.0, 1.0, 0.0] * _rest_heights(person)[feet, None]
    slide = foot_slide_mm_f(standing, likely_contact(standing, fps))
    return {
        "id": person.id, "name": person.name, "source_track": person.source_track, "rig": person.rig.name,
        "visible_share": round(float(person.motion.visible.mean()), 4),
        "confidence": round(float(person.motion.confidence.mean()), 4),
        "jitter_10m_s3": round(jitter_10m_s3(positions[:, body], fps), 3),
        "foot_slide_mm_per_frame": None if slide is None else round(slide, 3),
        "bone_drift": bone_drift(positions, _bones_of_the_body(person)),
        **_worked_on(take, person),
        "files": [],
    }


def _worked_on(take: Take, person: Person) -> dict[str, Any]:
    """What clean-up, and the body that a motion file speaks of, did to somebody: figures that the take keeps for each of its people."""
    kept = take.provenance.get("fit", {}).get("clean", ())
    number = [other.id for other in take.people].index(person.id)
    return dict(kept[number]) if number < len(kept) else {}


def describe_file(folder: Path, path: Path) -> dict[str, Any]:
    """Return a file's place in its take's folder, and its size."""
    return {"file": path.relative_to(folder).as_posix(), "bytes": path.stat().st_size}


def describe_verification(report: VerifyReport) -> dict[str, Any]:
    """Return what reading a file back showed, millimetres against the store; an error that can't be measured is null."""
    figures = {name: getattr(report, name) for name in ("mean_mm", "p95_mm", "max_mm")}
    rounded = {name: float(f"{value:.4g}") if isfinite(value) else None for name, value in figures.items()}
    return {**rounded, "frames": report.frames, "broken_rules": list(report.broken_rules)}


def carry_over(folder: Path, old: Mapping[str, Any], people: Sequence[dict[str, Any]]) -> list[Path]:
    """Add to ``people`` the formats that an earlier conversion of the same motion wrote and this one did not; return their files.

    Pictures that lie beside a stage stay with it; a stage that has lost one is not carried over.
    """
    carried = []
    before = {person["id"]: person["files"] for person in old.get("people", ())}
    sizes = {entry["file"]: entry["bytes"] for entry in old.get("files", ())}
    for person in people:
        written = {entry["format"] for entry in person["files"]}
        others = [entry for entry in before.get(person["id"], ()) if entry["format"] not in written]
        for entry in others:
            files = [entry["file"], *_pictures_of(entry["file"], sizes)]
            if all(_size(folder / file) == sizes.get(file, entry["bytes"]) for file in files):
                person["files"].append(entry)
                carried += [folder / file for file in files]
    return carried


def _pictures_of(stage: str, files: Iterable[str]) -> list[str]:
    """Those of a report's files that are the pictures of one of them."""
    folder = pictures_folder(Path(stage)).as_posix()
    return [file for file in files if Path(file).parent.as_posix() == folder]


def unsettled_files(folder: Path, old: Mapping[str, Any]) -> list[str]:
    """Return the files that lie in a take's folder from before: those of its report, and of conversions that never came to theirs."""
    try:
        noted = json.loads((folder / _UNSETTLED_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        noted = []
    found = [entry["file"] for entry in old.get("files", ())] + [file for file in noted if isinstance(file, str)]
    return list(dict.fromkeys(found))


def note_unsettled(folder: Path, files: Sequence[str]) -> None:
    """Note which files a conversion without a report may leave behind, for the next one to settle."""
    write_text(folder / _UNSETTLED_NAME, json.dumps(files))


def settle_old_files(folder: Path, old: Iterable[str], current: Iterable[Path]) -> None:
    """Remove the files of earlier conversions that are not ``current``: they show another motion, or were written anew."""
    keep = set(current)
    for path in [folder / file for file in old]:
        if path not in keep and path.is_file() and path.resolve().is_relative_to(folder.resolve()):
            path.unlink()
            if not any(path.parent.iterdir()):
                path.parent.rmdir()


def all_settled(folder: Path) -> None:
    """Forget what was noted: the report stands."""
    (folder / _UNSETTLED_NAME).unlink(missing_ok=True)


def forget_peak_memory() -> None:
    """Begin to count `peak_memory_mb` anew, where the system can (Linux: proc(5), clear_refs); elsewhere it never falls."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_mb() -> float | None:
    """Return the most memory that this process has held, in MB; nothing where the system doesn't say (Windows)."""
    with contextlib.suppress(OSError, StopIteration):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="ignore")
        line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
        return round(int(line.split()[1]) * 1024 / 1e6, 1)
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def _joint_positions(person: Person) -> np.ndarray[Any, np.dtype[np.float64]]:
    """World places (F,J,3) of a person's joints, metres."""
    motion = person.motion
    places = []
    for start in range(0, motion.frame_count, _CHUNK_FRAMES):
        part = slice(start, start + _CHUNK_FRAMES)
        scale = None if motion.local_scale is None else motion.local_scale[part]
        places.append(world_transforms(person.rig, motion.local_quat_xyzw[part], motion.local_translation_m[part], scale)[..., :3, 3])
    return np.concatenate(places)


def _bones_of_the_body(person: Person) -> list[int]:
    """Parents of the joints, -1 for those that are not below the pelvis: what carries the body through the world has no length."""
    parents = person.rig.joint_parents.tolist()
    pelvis = person.rig.skeleton.semantic.get("pelvis", 0)
    inside = [False] * len(parents)
    for joint, parent in enumerate(parents):
        inside[joint] = joint == pelvis or (parent >= 0 and inside[parent])
    return [parent if inside[joint] and joint != pelvis else -1 for joint, parent in enumerate(parents)]


def _rest_heights(person: Person) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Heights (J,) of the joints over the ground while the rig rests on it."""
    rig = person.rig
    return np.asarray(rig.bind_world[:, 1, 3] - rig.vertices_m[:, 1].min())


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
