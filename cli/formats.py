"""``rigdrop formats``."""

from __future__ import annotations

from ..formats.registry import available_formats
from .output import print_json, print_table


def formats(*, json: bool = False) -> None:
    """List the formats that can be written, those of other installed packages too.

    Parameters
    ----------
    json
        Print JSON instead of a table.
    """
    known = sorted(available_formats().items())
    rows = [{"format": name, "file": form.file_name("TAKE_PERSON", form.options_type()), "about": form.summary} for name, form in known]
    if json:
        print_json(rows)
    else:
        print_table(("format", "file", "about"), [tuple(row.values()) for row in rows])
