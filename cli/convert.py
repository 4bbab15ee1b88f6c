"""``rigdrop convert``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..config.settings import Settings
from ..errors import RigdropError, UsageError
from ..pipeline import TakeReport
from .output import print_json, print_table, progress
from .parallel import convert_all, default_jobs
from .sources import assign_folders, expand

# Of more takes than this, a table says what became of them, and not each of their files.
_FEW = 8


def convert(
    *inputs: Annotated[str, Parameter(show_env_var=False)],
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008
    config: Path | None = None,
    preset: str | None = None,
    limit: int = 0,
    jobs: int = 0,
    json: bool = False,
) -> int:
    """Convert videos, motion files, folders of them, or a stored take (take.h5) to characters.

    One that fails does not stop the others; the exit code is that of the first failure.

    Parameters
    ----------
    inputs
        Videos, motion files, folders, patterns, or take.h5 files; what conversions have written is no clip of a folder.
    config
        A TOML file with settings; without it ./rigdrop.toml, where there is one.
    preset
        Settings that go together: blender, draft, high, maya, unity, unreal or web.
    limit
        Convert no more than this many of the files that were found; 0 converts all.
    jobs
        Convert this many at a time; 0 takes a core for each motion file or take, and one video after the other.
    json
        Print the reports as JSON when all is done.
    """
    if not inputs:
        raise UsageError("convert: found no input, expected videos, motion files, folders, patterns or takes; see rigdrop convert --help")
    for name, value in (("limit", limit), ("jobs", jobs)):
        if value < 0:
            raise UsageError(f"{name}: found {value}, expected 0 or more")
    pairs = assign_folders(expand(inputs, settings.output.out)[: limit or None], settings.output.out)
    with progress() as emit, closing(convert_all(pairs, settings, emit, jobs or default_jobs(pairs))) as endings:
        found = {ended.folder: ended for ended in endings}
    all_ended = [found[folder] for _, folder in pairs]  # in the order given, whichever was done first
    reports = [ended.report for ended in all_ended if ended.report is not None]
    failures: list[tuple[Path, RigdropError]] = []
    for ended in all_ended:
        problems = () if ended.report is None else ended.report.problems
        failures += [(ended.source, problem) for problem in (*problems, *([ended.error] if ended.error else []))]
    _show(reports, failures, json)
    return failures[0][1].exit_code if failures else 0


def show_reports(reports: list[TakeReport]) -> None:
    """Print where the files are, and how far each is from the store."""
    for report in reports:
        written = {entry["file"]: entry["verify"] for person in report.content["people"] for entry in person["files"]}
        rows = [_file_row(entry, written.get(entry["file"])) for entry in report.content["files"]]
        print(report.folder)
        print_table(("  file", "size", "largest error", ""), [*rows, ("  report.json", "", "", "")])


def _file_row(entry: Mapping[str, Any], verify: Mapping[str, Any] | None) -> tuple[str, str, str, str]:
    size = f"{entry['bytes'] / 1e6:.1f} MB"
    if verify is None:
        return f"  {entry['file']}", size, "", ""
    error = "not measured" if verify["max_mm"] is None else f"{verify['max_mm']:.4f} mm"
    return f"  {entry['file']}", size, error, "; ".join(verify["broken_rules"])


def _show(reports: list[TakeReport], failures: list[tuple[Path, RigdropError]], json: bool) -> None:
    if json:
        takes: list[dict[str, Any]] = [{"folder": str(report.folder), "skipped": report.skipped, **report.content} for report in reports]
        errors = [{"source": str(source), "message": str(error), "exit_code": error.exit_code} for source, error in failures]
        print_json({"takes": takes, "errors": errors})
        return
    if len(reports) + len(failures) <= _FEW:
        show_reports(reports)
    if len(reports) + len(failures) > 1:
        _show_summary(reports)
        print(f"{len(reports)} converted, {len({source for source, _ in failures})} with errors")


def _show_summary(reports: list[TakeReport]) -> None:
    """Print a line for each take: how long it is, who is in it, and the largest error of its files."""
    if not reports:
        return
    rows = []
    for report in reports:
        content = report.content
        written = [file["verify"]["max_mm"] for person in content["people"] for file in person["files"]]
        measured = [error for error in written if error is not None]
        largest = f"{max(measured):.4f} mm" if measured else ""
        spent = f"{sum(stage['seconds'] for stage in content['stages']):.1f} s"
        rows.append((report.folder.name, content["frames"], f"{float(Fraction(content['fps'])):g}", len(content["people"]), largest,
                     spent, len(content["warnings"]) or ""))
    print_table(("take", "frames", "fps", "people", "largest error", "spent", "warnings"), rows)
