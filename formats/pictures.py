"""Where the pictures of a stage lie, which no .usdc or .usda can hold itself."""

from __future__ import annotations

from pathlib import Path


def pictures_folder(path: Path) -> Path:
    """Return the folder beside the stage at ``path`` that its pictures lie in; a usdz holds its own."""
    return path.with_name(f"{path.stem}_pictures")


def companions(path: Path) -> list[Path]:
    """Return the files that belong to the one at ``path`` and must go wherever it goes, in order of name."""
    folder = pictures_folder(path)
    return sorted(file for file in folder.iterdir() if file.is_file()) if folder.is_dir() else []
