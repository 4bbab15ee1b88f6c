"""``rigdrop verify``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..errors import RigdropError, UsageError
from ..formats.registry import Format, available_formats, format_named
from ..formats.verify.report import VerifyReport
from ..motion.store import open_take
from ..motion.take import Take
from .output import print_json


def verify(
    file: Path, /, *, take: Path, person: str | None = None, kind: Annotated[str | None, Parameter(name="as")] = None, json: bool = False
) -> int:
    """Read a written file back by a way of its own, play it, and print how far it is from the take.

    Exits with 70 where the file breaks a rule that makes it open right.

    Parameters
    ----------
    file
        The file to check.
    take
        The take.h5 that it was written from.
    person
        The person it shows, where its name does not say.
    kind
        Its format, where its name does not say; rigdrop formats lists them.
    json
        Print JSON instead of lines.
    """
    form = format_named(kind) if kind else _format_of(file)
    stored = _read(take, person, file)
    report = form.verify(stored, stored.people[0], file, form.options_type())
    if json:
        print_json(report.as_dict())
    else:
        _show(report)
    return 0 if report.ok else RigdropError.exit_code


def _format_of(file: Path) -> Format:
    """Find the format by the end of the name, whatever the file's own kind of USD is."""
    ends = {name: Path(form.suffix).stem for name, form in available_formats().items()}
    found = [name for name, end in ends.items() if file.stem.endswith(end)]
    if not found:
        raise UsageError(f"{file}: the name ends like no format's; say which with --as {'|'.join(sorted(ends))}")
    return format_named(max(found, key=lambda name: len(ends[name])))


def _read(path: Path, person: str | None, file: Path) -> Take:
    """Read the take with the one person whom ``file`` shows."""
    with open_take(path) as stored:
        named = person or next((person_id for person_id in stored.person_ids if person_id in file.name), None)
        if named is None and len(stored.person_ids) == 1:
            named = stored.person_ids[0]
        if named not in stored.person_ids:
            raise UsageError(f"{file}: found person {named!r}, expected one of {', '.join(stored.person_ids)}; say which with --person")
        return replace(stored.read(), people=[stored.person(named)])


def _show(report: VerifyReport) -> None:
    print(f"{report.file}: {report.person}, {report.frames} of {report.frame_count} frames")
    print(f"mean {report.mean_mm:.6f} mm  95th percentile {report.p95_mm:.6f} mm  largest {report.max_mm:.6f} mm")
    for rule in report.broken_rules:
        print(f"broken: {rule}")
    if report.ok:
        print("no rule is broken")
