"""Files that say what the joints of a skeleton mean: TOML, one ``meaning = "joint name"`` a line."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import ReadError
from ..files import write_text
from .joint_names import CORE, MEANINGS

_HEAD = """\
# What joints mean: meaning = "joint name". Names are the file's own.
# Correct what is wrong, fill in what is missing, and give the file to --joint-map.
"""


def read_joint_map(path: Path, joint_names: Sequence[str]) -> dict[str, int]:
    """Return from what joints mean to their indices among ``joint_names``, as a map file says.

    Raises `ReadError` that names the file, the key, and the nearest that there is, for a meaning or a joint that there is not.
    """
    table = _read_table(path)
    index = {name: number for number, name in enumerate(joint_names)}
    for meaning, name in table.items():
        if meaning not in MEANINGS:
            raise ReadError(f"{path}: {meaning}: found an unknown meaning, expected one such as {_nearest(meaning, MEANINGS)}")
        if not isinstance(name, str):
            raise ReadError(f"{path}: {meaning}: found {name!r}, expected a joint's name in quotes")
        if name not in index:
            raise ReadError(f"{path}: {meaning}: found no joint {name!r}, expected one of the file's such as {_nearest(name, joint_names)}")
    semantic = {meaning: index[str(name)] for meaning, name in table.items()}
    for meaning, joint in semantic.items():
        twin = next(other for other, same in semantic.items() if same == joint)
        if twin != meaning:
            raise ReadError(f"{path}: {meaning}: found joint {joint_names[joint]!r}, which {twin} has already, expected another")
    return semantic


def _read_table(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ReadError(f"{path}: can't be read ({error.strerror}), expected a joint map; rigdrop map init writes one") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReadError(f'{path}: is not TOML ({error}), expected lines such as pelvis = "Hips"') from error


def _nearest(wrong: str, names: Sequence[str]) -> str:
    return repr(difflib.get_close_matches(wrong, names, n=1, cutoff=0.0)[0])


def write_joint_map(path: Path, semantic: Mapping[str, int], joint_names: Sequence[str]) -> None:
    """Write a map that `read_joint_map` reads: what is known, then as comments what is missing and which joints are left."""
    known = [f"{meaning} = {_quoted(joint_names[semantic[meaning]])}" for meaning in MEANINGS if meaning in semantic]
    missing = [f"# {meaning} = \"\"{'  # needed' if meaning in CORE else ''}" for meaning in MEANINGS if meaning not in semantic]
    used = set(semantic.values())
    left = [f"#   {_quoted(name)}" for joint, name in enumerate(joint_names) if joint not in used]
    parts = [[_HEAD, *known], ["", "# Not found:", *missing] if missing else [], ["", "# Joints that are left:", *left] if left else []]
    write_text(path, "\n".join(line for part in parts for line in part) + "\n")


def _quoted(name: str) -> str:
    """Return a TOML basic string."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in escaped) + '"'
