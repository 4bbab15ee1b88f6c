"""``rigdrop inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..ingest.video import open_clip
from ..motion.store import StoredTake, open_take
from .output import print_json, print_table


def inspect(*files: Path, json: bool = False) -> None:
    """Show what a video or a stored take holds; a take is never loaded whole.

    Parameters
    ----------
    files
        Videos or take.h5 files.
    json
        Print JSON instead of tables.
    """
    contents = [{"file": str(path), **_describe(path)} for path in files]
    if json:
        print_json(contents)
        return
    for content in contents:
        people = content.pop("people", None)
        print_table(("", ""), list(content.items()))
        if people:
            print_table(tuple(people[0]), [tuple(person.values()) for person in people])


def _describe(path: Path) -> dict[str, Any]:
    if path.suffix != ".h5":
        return _describe_clip(path)
    with open_take(path) as take:
        return _describe_take(take)


def _describe_take(take: StoredTake) -> dict[str, Any]:
    camera, header = take.camera(slice(0, 1)), take.attributes
    first, last = take.times_s(slice(0, 1))[0], take.times_s(slice(take.frame_count - 1, None))[0]
    return {
        "kind": f"take, schema {header['schema_version']}", "source": header["source_name"], "source sha256": header["source_sha256"],
        "made": f"{header['created_utc']} by Rigdrop {header['rigdrop_version']}", "frames": take.frame_count, "fps": str(take.fps),
        "seconds": f"{first:.3f} to {last:.3f}", "camera": f"{camera.width} x {camera.height}",
        "focal length": f"{camera.intrinsics_px[..., 0, 0].item():.1f} px ({camera.focal_source})",
        "people": [take.person_summary(person_id) for person_id in take.person_ids],
    }


def _describe_clip(path: Path) -> dict[str, Any]:
    clip = open_clip(path)
    return {
        "kind": "video", "size": f"{clip.width} x {clip.height}", "fps": str(clip.fps),
        "seconds": "not said" if clip.duration_s is None else f"{clip.duration_s:.3f}", "time code": clip.timecode or "none",
        "focal length": "not said" if clip.focal_px is None else f"{clip.focal_px:.1f} px",
    }
