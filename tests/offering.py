"""A package of somebody else's that offers something by entry points, installed for one test."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch, group: str, module: str, *points: str) -> None:
    """Install a package ``offering`` of one module with these entry points of ``group``, lines such as ``b = offering:B``."""
    monkeypatch.delitem(sys.modules, "offering", raising=False)
    (folder / "offering.py").write_text(module, encoding="utf-8")
    about = folder / "offering-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: offering\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("\n".join([f"[{group}]", *points]) + "\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
