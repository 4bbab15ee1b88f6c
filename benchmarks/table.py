"""Figures as Markdown tables that read as well in a terminal, and figures beside the limits they must keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose first column is text, flush left, and whose others are figures, flush right."""
    widths = [max(len(row[place]) for row in (columns, *rows)) for place in range(len(columns))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(zip(cells, widths, strict=True))]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * (width - 1) + ":" if place else "-" * width for place, width in enumerate(widths)]
    return "\n".join(line(cells) for cells in (columns, rule, *rows))


def shown(value: float | None, digits: int = 1) -> str:
    """Return a figure as the tables show it, a dash where there is none."""
    return "–" if value is None or not isfinite(value) else f"{value:,.{digits}f}"


@dataclass(frozen=True)
class Figure:
    """A figure, and the limit that it must keep: at most ``limit``, or at least where ``at_least``."""

    name: str
    value: float | None
    limit: float | None = None
    unit: str = ""
    digits: int = 1
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure, as it is shown, keeps its limit; one that was not measured does not."""
        if self.limit is None:
            return True
        if self.value is None or not isfinite(self.value):
            return False
        return round(self.value, self.digits) >= self.limit if self.at_least else round(self.value, self.digits) <= self.limit

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Name, figure, limit, and whether it is kept."""
        unit = f" {self.unit}" if self.unit else ""
        limit = "–" if self.limit is None else f"{'≥' if self.at_least else '≤'} {self.limit:g}{unit}"
        return self.name, f"{shown(self.value, self.digits)}{unit}", limit, "" if self.limit is None else "yes" if self.met else "NO"


def limits_table(figures: Sequence[Figure]) -> str:
    """Return the figures beside their limits."""
    return table(("figure", "measured", "limit", "kept"), [figure.row for figure in figures])
