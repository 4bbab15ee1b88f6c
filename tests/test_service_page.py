"""docs/service.md against the service: every option, default, figure, page, code and state of the one is in the other."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from rigdrop import errors
from rigdrop.config.layers import option_name
from rigdrop.watch.metrics import Metrics
from rigdrop.watch.options import WatchOptions
from rigdrop.watch.status import INBOX_STATES, STATES
from rigdrop.watch.web import Health, pages


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "service.md").read_text(encoding="utf-8")


def _section(page: str, title: str) -> str:
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _rows(text: str) -> list[list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| ")]
    return [row for row in rows if not set("".join(row)) <= set("-")]


def test_every_option_is_told_and_no_other(page):
    rows = [row for row in _rows(_section(page, "Settings")) if row[0].startswith("`--")]
    told = {row[0].strip("`").removeprefix("--"): row[1].strip("`") for row in rows}
    own = {option_name(field.name): field.default for field in fields(WatchOptions)}
    assert set(told) == set(own)
    for name, default in own.items():
        # Some have a default that depends on the machine, or that is nothing: those are told in words.
        if isinstance(default, int | float) and name != "jobs":
            assert float(told[name]) == default, name
        elif default and default is not MISSING and name != "jobs":
            assert told[name] == default, name


def test_every_metric_is_told_and_no_other(page):
    told = {row[0].strip("`"): row[1] for row in _rows(_section(page, "Health and metrics")) if "rigdrop_" in row[0]}
    metrics = Metrics()
    own = {family.name + ("_total" if family.type == "counter" else "") for family in metrics.registry.collect()}
    assert set(told) == own
    text = metrics.text().decode()
    for name in own:
        assert f"# HELP {name} " in text


def test_every_page_part_and_state_is_told(page):
    section = _section(page, "Health and metrics")
    assert {name for name in pages(Health(), lambda: b"") if f"`{name}`" not in section} == set()
    assert {name for name in ("loop", *Health().not_ready()) if f"`{name}`" not in section} == set()
    assert {name for name in INBOX_STATES if f"`{name}`" not in section} == set()
    assert {row[0].strip("`") for row in _rows(_section(page, "Jobs"))} - {"state"} == set(STATES)


def test_every_exit_code_is_told(page):
    section = _section(page, "What each failure looks like")
    codes = {kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RigdropError)}
    assert {int(row[0]) for row in _rows(section) if row[0].isdecimal()} == codes


def test_every_link_inside_the_page_leads_to_a_heading(page):
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^## (.+)$", page, flags=re.MULTILINE)}
    assert {link for link in re.findall(r"\]\(#([^)]+)\)", page) if link not in anchors} == set()
