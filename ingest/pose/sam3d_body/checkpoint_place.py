"""Where a checkpoint lies, and whether this machine can read it: all that can be said before torch is loaded.

Nothing is fetched: the weights are given out by their makers alone, to those who accept their licence.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ....assets import ASSETS, asset_path, where
from ....errors import MissingPartError
from .options import Sam3dOptions

ASSET = "sam3d-body"
STATE_FILE = "model.ckpt"
SETTINGS_FILE = "model_config.yaml"
MHR_FILE = Path("assets", "mhr_model.pt")
# What the package's extra of this name brings.
_PACKAGES = {"torch": "torch", "yaml": "pyyaml"}


@dataclass(frozen=True)
class CheckpointFiles:
    """Where a checkpoint's parts are."""

    state: Path
    settings: Path  # may be absent
    mhr: Path


def expect_checkpoint(options: Sam3dOptions) -> Path:
    """Return the checkpoint that ``options`` or RIGDROP_CHECKPOINT names, once all is there that reading it takes.

    Raises `MissingPartError` where the weights or a package is missing; it says how to get them.
    """
    path = named_checkpoint(options) or asset_path(ASSET)
    checkpoint_files(path)
    expect_packages()
    return path


def named_checkpoint(options: Sam3dOptions) -> Path | None:
    """Return the checkpoint that ``options`` or RIGDROP_CHECKPOINT names, whatever is there; nothing where nobody named one."""
    return options.checkpoint or where(ASSET)


def mhr_folder_of(checkpoint: Path) -> Path:
    """Return where the body model lies that comes with a checkpoint."""
    return (checkpoint.parent if checkpoint.is_file() else checkpoint) / MHR_FILE.parent


def expect_packages() -> None:
    """Make sure that the packages are there without which no checkpoint is read. Raises `MissingPartError`."""
    missing = [name for module, name in _PACKAGES.items() if find_spec(module) is None]
    if missing:
        raise MissingPartError(f"SAM 3D Body needs {' and '.join(missing)}, which this Python has not got; pip install 'rigdrop[sam3d]'")


def checkpoint_files(path: Path) -> CheckpointFiles:
    """Return the parts of a checkpoint: a folder, or a ``.safetensors`` or ``.ckpt`` file in one.

    Raises `MissingPartError` where there is none; it says where the weights are to be had.
    """
    folder, states = path, [path / STATE_FILE, *sorted(path.glob("*.safetensors"))]
    if path.is_file():
        folder, states = path.parent, [path]
    state = next((state for state in states if state.is_file()), None)
    how_to_get = ASSETS[ASSET].how_to_get
    if state is None:
        found = "a folder without model.ckpt" if path.is_dir() else "nothing"
        raise MissingPartError(f"{path}: found {found}, expected SAM 3D Body's weights; {how_to_get}")
    if not (folder / MHR_FILE).is_file():
        raise MissingPartError(f"{folder / MHR_FILE}: found nothing, expected the MHR model that comes with the weights; {how_to_get}")
    return CheckpointFiles(state, folder / SETTINGS_FILE, folder / MHR_FILE)
