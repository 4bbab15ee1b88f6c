"""``rigdrop convert``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ..config.settings import Settings
from ..errors import RigdropError, Stopped, UsageError
from ..pipeline import TakeReport, convert_clip
from .output import print_json, print_table, progress
from .sources import assign_folders, expand


def convert(
    *inputs: Annotated[str, Parameter(show_env_var=False)],
    settings: Annotated[Settings, Parameter(name="*")] = Settings(),  # noqa: B008
    config: Path | None = None,
    preset: str | None = None,
    json: bool = False,
) -> int:
    """Convert videos, folders of videos, or a stored take (take.h5) to characters.

    One that fails does not stop the others; the exit code is that of the first failure.

    Parameters
    ----------
    inputs
        Videos, folders, patterns, or take.h5 files.
    config
        A TOML file with settings; without it ./rigdrop.toml, where there is one.
    preset
        Settings that go together: blender, draft, high, unreal or web.
    json
        Print the reports as JSON when all is done.
    """
    if not inputs:
        raise UsageError("convert: found no input, expected a video, a folder, a pattern or a take.h5; see rigdrop convert --help")
    reports: list[TakeReport] = []
    failures: list[tuple[Path, RigdropError]] = []
    with progress() as emit:
        for source, folder in assign_folders(expand(inputs), settings.output.out):
            try:
                report = convert_clip(source, folder, settings, emit)
            except Stopped:
                raise
            except RigdropError as error:
                failures.append((source, error))
                emit("error", take=folder.name, message=str(error), exit_code=error.exit_code)
            else:
                reports.append(report)
                failures += [(source, problem) for problem in report.problems]
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
    show_reports(reports)
    if len(reports) + len(failures) > 1:
        print(f"{len(reports)} converted, {len({source for source, _ in failures})} with errors")
