"""Where a setting comes from, strongest first: command line, environment, TOML file, preset, default.

One key means the same in all of them: ``--max-people 2``, ``RIGDROP_MAX_PEOPLE=2``, ``max-people = 2``.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from cyclopts import App, CycloptsError, Parameter
from cyclopts.argument import Argument, ArgumentCollection
from cyclopts.config import Dict, Env

from ..errors import RigdropError, SettingsError, UsageError

DEFAULT_FILE = Path("rigdrop.toml")
ENVIRONMENT_PREFIX = "RIGDROP_"
# Where keys come from, as errors name it, and what they say; keys are flat.
Layer = tuple[str, Mapping[str, Any]]
# What a field's name ends in when it has a unit; the option goes without: ``start_s`` is ``--start``.
_UNITS = ("_s", "_m", "_px", "_deg")


def option_name(field_name: str) -> str:
    """Return the option of a field: kebab-case, without the unit that the field's name ends in."""
    for unit in _UNITS:
        field_name = field_name.removesuffix(unit)
    return field_name.replace("_", "-").lower()


def settings_app(**options: Any) -> App:
    """Return an app whose commands fill a parameter of type `Settings` from every layer; it raises and never exits."""
    return _app((Env(ENVIRONMENT_PREFIX, command=False), _file_layers), **options)


def layers_app(layers: Sequence[Layer]) -> App:
    """Return an app that fills a parameter of type `Settings` from ``layers``, the strongest first, and from nothing else."""
    return _app((partial(_fill, layers),))


def _app(config: Sequence[Callable[..., None]], **options: Any) -> App:
    return App(
        default_parameter=Parameter(name_transform=option_name, negative_iterable=()),
        config=config,
        help_format="plaintext",
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
        **options,
    )


def _file_layers(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill what the command line and the environment left open from the TOML file, then from the preset.

    A layer of cyclopts: called with the arguments of the command that runs. A command without ``--preset`` takes no
    settings and is left alone. Raises `SettingsError` that names the key, the file and the nearest key there is.
    """
    if _find(arguments, "preset") is None:
        return
    path = _config_path(arguments)
    table = {} if path is None else read_file(path)
    in_file = table.pop("preset", None)
    preset = _given(arguments, "preset") or in_file
    layers = [(str(path), table)] if preset is None else [(str(path), table), (f"preset {preset}", read_preset(str(preset)))]
    _fill(layers, app, commands, arguments)


def _fill(layers: Sequence[Layer], app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill what is still open from each layer in turn. Raises `SettingsError` for a key that there is not."""
    for source, values in layers:
        _check_keys(values, source, arguments)
        said = {key: value for key, value in values.items() if value is not None}
        Dict(said, source=source, use_commands_as_keys=False)(app, commands, arguments)


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with Rigdrop."""
    return tuple(sorted(path.name.removesuffix(".toml") for path in _preset_folder().iterdir() if path.name.endswith(".toml")))


def read_preset(name: str) -> dict[str, Any]:
    """Return a preset's keys. Raises `SettingsError` for a name that there is not."""
    if name not in preset_names():
        raise SettingsError(f"preset: found {name!r}; {_listed(preset_names(), name)}")
    return flatten(tomllib.loads((_preset_folder() / f"{name}.toml").read_text(encoding="utf-8")))


def read_file(path: Path) -> dict[str, Any]:
    """Return the keys of a TOML file, tables flattened to dotted keys. Raises `SettingsError` where it can't be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror}); name another file with --config") from error
    return parse_file(data, str(path))


def parse_file(data: bytes, name: str) -> dict[str, Any]:
    """Return the keys of a TOML file with this content, as `read_file` does. Raises `SettingsError` that calls it ``name``."""
    try:
        return flatten(tomllib.loads(data.decode("utf-8-sig")))  # Notepad begins its files with a mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{name}: is not TOML ({error}); correct that line") from error
    except RecursionError as error:
        raise SettingsError(f"{name}: is nested too deeply to be settings; write one key a line") from error


def flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested table as dotted keys: ``{"usd-skel": {"axes": "unreal"}}`` becomes ``{"usd-skel.axes": "unreal"}``."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update(flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat


def as_rigdrop_error(error: CycloptsError) -> RigdropError:
    """Return cyclopts' complaint as ours: about the command line a `UsageError`, about any other layer a `SettingsError`."""
    token = getattr(error, "token", None)
    sentence = " ".join(str(error).split())
    if token is None and error.argument is not None and error.argument.tokens:
        # A wrong number of values is no single value's fault, so cyclopts names neither the key nor who said it.
        token = error.argument.tokens[0]
        sentence = f"{token.source}: {error.argument.name.removeprefix('--')}: {sentence}"
    if token is None or token.source in ("", "cli"):
        return UsageError(f"{' '.join(str(error).split())} See rigdrop --help.")
    return SettingsError(sentence)


def _config_path(arguments: ArgumentCollection) -> Path | None:
    given = _given(arguments, "config")
    if given is not None:
        return Path(given)
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _preset_folder() -> Traversable:
    return resources.files(__package__) / "presets"


def _find(arguments: ArgumentCollection, key: str) -> Argument | None:
    return next((argument for argument in arguments if f"--{key}" in argument.names), None)


def _given(arguments: ArgumentCollection, key: str) -> str | None:
    argument = _find(arguments, key)
    return argument.tokens[-1].value if argument is not None and argument.tokens else None


def _check_keys(values: Mapping[str, Any], source: str, arguments: ArgumentCollection) -> None:
    """Raise where a key is not that of a setting; ``keys`` tells fields of Settings from a command's own switches."""
    known = {argument.name.removeprefix("--") for argument in arguments if argument.keys and argument.name.startswith("--")}
    for key in values:
        if key not in known:
            raise SettingsError(f"{source}: {key}: found an unknown key; {_listed(known, key)}")


def _listed(names: Collection[str], wrong: str) -> str:
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.0)
    rest = ", ".join(sorted(names)) if len(names) <= 8 else "rigdrop convert --help lists all"
    return f"the nearest is {near[0]!r} ({rest})"
