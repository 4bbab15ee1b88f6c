"""Where the pictures of a stage lie, which no .usdc or .usda can hold itself."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path


def pictures_folder(path: Path) -> Path:
    """Return the folder beside the stage at ``path`` that its pictures lie in; a usdz holds its own."""
    return path.with_name(f"{path.stem}_pictures")


def companions(path: Path) -> list[Path]:
    """Return the files that belong to the one at ``path`` and must go wherever it goes, in order of name.

    A usdz has none: a folder that is called like its own was left by a stage of another suffix.
    """
    folder = pictures_folder(path)
    if path.suffix == ".usdz" or not folder.is_dir():
        return []
    return sorted(file for file in folder.iterdir() if file.is_file())


def keep_only(path: Path, names: Collection[str]) -> None:
    """Remove from the folder of pictures of the stage at ``path`` all but ``names``: they were an older stage's of that name."""
    for file in companions(path):
        if file.name not in names:
            file.unlink(missing_ok=True)
    folder = pictures_folder(path)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
