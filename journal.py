"""What the stages of one conversion have left so far; on the disk too, where another process may have to go on with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .files import write_text


@dataclass
class Journal:
    """Figures, warnings and files, in the order in which they came."""

    stages: list[dict[str, Any]] = field(default_factory=list)  # each with seconds and peak_memory_mb
    warnings: list[str] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)  # formats that were asked for and could not be: message, exit_code
    files: list[str] = field(default_factory=list)  # whole ones, relative to the take's folder
    people: list[dict[str, Any]] = field(default_factory=list)  # what the report says about each

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Return the journal at ``path``; an empty one where there is none."""
        return cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else cls()

    def write(self, path: Path) -> None:
        """Put the journal at ``path``, whole or not at all."""
        write_text(path, json.dumps(asdict(self), ensure_ascii=False, allow_nan=False))

    def spent(self, stage: str, seconds: float, peak_memory_mb: float) -> None:
        """Note what a stage cost; a stage that ran again cost what it did the last time."""
        self.stages = [entry for entry in self.stages if entry["stage"] != stage]
        self.stages.append({"stage": stage, "seconds": round(seconds, 3), "peak_memory_mb": peak_memory_mb})

    def wrote(self, file: str) -> None:
        """Note a file, once."""
        if file not in self.files:
            self.files.append(file)
