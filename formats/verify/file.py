"""Verifies any file of ours: finds out which person and which format it is, then lets that format verify it."""

from __future__ import annotations

from pathlib import Path

from ...errors import ReadError, UsageError
from ...motion.take import Person, Take
from ..registry import Format, available_formats
from .glb_document import read_glb
from .report import VerifyReport


def verify_file(path: Path, take: Take, person_id: str | None = None) -> VerifyReport:
    """Read ``path`` back and compare it with ``take``.

    The person is the one named, else the one that the file names, else the take's only one. Raises `ReadError` for a
    file of no format that we know and `UsageError` where the person is not in the take.
    """
    path = Path(path)
    if not path.is_file():
        raise ReadError(f"{path}: found no such file, expected one that Rigdrop wrote")
    return _format_of(path).verify(take, _person(take, path, person_id or _named_person(path)), path, None)


def _format_of(path: Path) -> Format:
    formats = available_formats()
    for offered in formats.values():
        if path.name.endswith(offered.suffix):
            return offered
    if path.suffix == ".glb":
        return formats["glb-skeletal" if read_glb(path).items("skins") else "glb-baked"]
    if path.suffix in (".usd", ".usda", ".usdc", ".usdz"):
        return formats["usd-skel"]
    raise ReadError(f"{path}: found the suffix {path.suffix!r}, expected a file of one of the formats {', '.join(formats)}")


def _named_person(path: Path) -> str | None:
    if path.suffix == ".glb":
        named = read_glb(path).json.get("asset", {}).get("extras", {}).get("person")
        return str(named) if named else None
    if path.suffix.startswith(".usd"):
        from .usd import named_person

        return named_person(path)
    return None


def _person(take: Take, path: Path, person_id: str | None) -> Person:
    people = {person.id: person for person in take.people}
    if person_id is None and len(people) == 1:
        return next(iter(people.values()))
    if person_id not in people:
        raise UsageError(f"{path}: found person {person_id!r}, expected one of the take's, {', '.join(people)}; name one with --person")
    return people[person_id]
