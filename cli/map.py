"""``rigdrop map init``: what the joints of a skeleton mean, to look at and to correct."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.layers import settings_app
from ..errors import ReadError, UsageError
from .output import print_table

if TYPE_CHECKING:
    from ..motion.rig import Skeleton

app = settings_app(name="map", help="Say what the joints of a skeleton mean that Rigdrop does not know.")

_SKELETAL = ("bvh", "glb", "usd")


@app.command
def init(file: Path, *, out: Path = Path("map.toml"), force: bool = False) -> None:
    """Write a best guess of what each joint of a skeleton means; correct it, and give it to convert with --joint-map.

    Parameters
    ----------
    file
        A .bvh, .glb or USD file that holds the skeleton.
    out
        The map, a TOML file of lines such as left_knee = "LeftLeg".
    force
        Write over a map that is there.
    """
    from ..motion.joint_map import write_joint_map
    from ..motion.joint_names import CORE

    if out.exists() and not force:
        raise UsageError(f"{out}: found it there already, expected a new file; choose another --out, or --force to write over it")
    skeleton = _skeleton(file)
    write_joint_map(out, skeleton.semantic, skeleton.joint_names)
    missing = [meaning for meaning in CORE if meaning not in skeleton.semantic]
    print(out)
    print_table(("", ""), [("joints", len(skeleton.joint_names)), ("with a meaning", len(skeleton.semantic)),
                           ("needed and not found", ", ".join(missing) or "none")])


def _skeleton(file: Path) -> Skeleton:
    """Return a file's first skeleton, by the reader whose file it is."""
    from ..ingest.motion_files.registry import reader_of

    reader = reader_of(file)
    if reader is None or reader.name not in _SKELETAL:
        found = "no skeleton in it" if file.exists() else "no such file"
        raise ReadError(f"{file}: found {found}, expected a .bvh, .glb or USD file that holds one")
    skeleton: Skeleton = import_module(f"..ingest.motion_files.{reader.name}", __package__).read_skeleton(file)
    return skeleton
