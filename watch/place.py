"""Settings by place: what a file that is dropped says for itself, and what the folders say that it lies in.

    clip.mp4.toml  ▸  rigdrop.toml beside it  ▸  rigdrop.toml further up, to the root  ▸  folders named like presets  ▸  the service's own

The strongest comes first. A file may name a preset, which is then just weaker than itself. Paths in a file are relative to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path, PurePosixPath
from typing import Any

from ..config.layers import DEFAULT_FILE, Layer, flatten, option_name, parse_file, preset_names, read_preset
from ..config.settings import Settings, load_layers
from ..errors import SettingsError
from .names import sidecar_name
from .options import WatchOptions

# What a person types is far below; anything else is no settings file.
_MAX_BYTES = 1_000_000
PATH_KEYS = ("out", "mhr", "smpl", "hand-poses", "joint-map", "rig-map", "checkpoint", "detector", "masks")
# Names of ours, or files of the user's; a name has no dot in it.
NAME_OR_PATH_KEYS = ("rig", "bind-pose")
SERVICE_KEYS = frozenset(option_name(own.name) for own in fields(WatchOptions))


def settings_of(
    root: Path, relative: str, sidecar: Path | None, base: Sequence[tuple[str, Mapping[str, Any]]], service_file: Path | None = None
) -> Settings:
    """Return the settings for the file that lay at ``relative`` below ``root``; ``sidecar`` is where its own ones are now.

    ``base`` are the service's own layers, the strongest first, each with its name; keys that only the service knows are passed
    over there. ``service_file`` is the TOML file that they come from: where it lies in the inbox it is not read once more.
    Raises `SettingsError` that names the file, the key, and the nearest key there is.
    """
    said = [layer for path, name, above in _files(root, relative, sidecar, service_file) for layer in _of_file(path, name, above)]
    presets = [layer for folder in reversed(PurePosixPath(relative).parts[:-1]) for layer in _of_folder(folder)]
    try:
        settings = load_layers([*said, *presets, *_base(base)])
    except SettingsError as error:
        raise _named(error, [name for name, _ in said]) from error
    if any("out" in values for _, values in said):
        _check_out(settings.output.out, root, [name for name, values in said if "out" in values])
    return settings


def _files(root: Path, relative: str, sidecar: Path | None, service_file: Path | None) -> Iterator[tuple[Path, str, Path]]:
    """The files that say something, the strongest first: where each is, what errors call it, and what its paths are relative to."""
    place = PurePosixPath(relative)
    if sidecar is not None:
        yield sidecar, sidecar_name(relative), root / place.parent
    for above in place.parents:
        path = root / above / DEFAULT_FILE
        if os.path.lexists(path) and not (service_file is not None and _is_one(path, service_file)):
            _check_inside(path, root, str(above / DEFAULT_FILE))
            yield path, str(above / DEFAULT_FILE), root / above


def _of_file(path: Path, name: str, above: Path) -> Iterator[Layer]:
    values = _read(path, name)
    preset = values.pop("preset", None)
    for key in values:
        if key in SERVICE_KEYS:
            raise SettingsError(f"{name}: {key}: found a setting of the service, expected one of a clip; say it in the service's own file")
    for key in PATH_KEYS:
        if isinstance(values.get(key), str):
            values[key] = str(above / values[key])
    for key in NAME_OR_PATH_KEYS:
        if "." in str(values.get(key, "")):
            values[key] = str(above / values[key])
    yield name, values
    if preset is not None:
        try:
            yield f"preset {preset}", read_preset(str(preset))
        except SettingsError as error:
            raise SettingsError(f"{name}: {error}") from error


def _of_folder(folder: str) -> Iterator[Layer]:
    name = next((name for name in preset_names() if name == folder.casefold()), None)
    if name is not None:
        yield f"preset {name}", read_preset(name)


def _base(base: Sequence[tuple[str, Mapping[str, Any]]]) -> Iterator[Layer]:
    for name, values in base:
        yield name, {key: value for key, value in flatten(values).items() if key not in SERVICE_KEYS}


def _read(path: Path, name: str) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise SettingsError(f"{name}: found no plain file, expected a few lines of TOML")
        size = path.stat().st_size
        if size > _MAX_BYTES:
            raise SettingsError(f"{name}: found {size / 1e6:.0f} MB, expected a few lines of TOML")
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{name}: can't be read ({error.strerror}); the service's user needs to read it") from error
    return parse_file(data, name)


def _check_inside(path: Path, root: Path, name: str) -> None:
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root)):
        raise SettingsError(f"{name}: is a link out of the inbox, which is not followed; put a copy there")


def _check_out(out: Path, root: Path, names: Sequence[str]) -> None:
    if Path(os.path.realpath(out)).is_relative_to(os.path.realpath(root)):
        raise SettingsError(f"{names[0]}: out: found {out}, which lies in the inbox {root}; expected a folder outside it")


def _named(error: SettingsError, names: Sequence[str]) -> SettingsError:
    """The error with the files in which it may be, where it names none: about values that do not go together."""
    if not names or any(name in str(error) for name in names):
        return error
    return SettingsError(f"{', '.join(dict.fromkeys(names))}: {error}")


def _is_one(path: Path, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False
