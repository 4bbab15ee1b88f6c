"""``rigdrop watch``."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Group, Parameter
from platformdirs import user_state_path

from ..config.layers import DEFAULT_FILE, as_rigdrop_error, settings_app
from ..config.settings import Settings
from ..errors import UsageError
from ..watch.options import WatchOptions
from .arguments import split_debug

_FIRST = -1
_Inboxes = Annotated[Path, Parameter(show_env_var=False)]
_Options = Annotated[WatchOptions, Parameter(name="*", group=Group("Service", sort_key=_FIRST))]
_Settings = Annotated[Settings, Parameter(name="*")]


def watch(
    *inboxes: _Inboxes,
    options: _Options = WatchOptions(),  # noqa: B008
    settings: _Settings = Settings(),  # noqa: B008
    config: Path | None = None,
    preset: str | None = None,
) -> None:
    """Watch folders, and convert every clip that is dropped into them, until stopped by Ctrl-C or SIGTERM.

    What was under way then goes on at the next start. docs/service.md tells the rest.

    Parameters
    ----------
    inboxes
        Folders to watch, with everything below them.
    config
        A TOML file with settings; without it ./rigdrop.toml, where there is one.
    preset
        Settings that go together: blender, draft, high, maya, unity, unreal or web.
    """
    from ..watch.service import Service  # the database's library, which no other command needs

    if not inboxes:
        raise UsageError("watch: found no folder, expected one or more to watch; see rigdrop watch --help")
    roots = tuple(dict.fromkeys(inbox.absolute() for inbox in inboxes))
    service_file = config or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    code = Service(roots, settings, options, user_state_path("rigdrop"), _read_again, service_file).run()
    with contextlib.suppress(OSError):  # whoever read them may be gone
        sys.stdout.flush()
        sys.stderr.flush()
    # Threads of the queue may still wait for a database that is away; a plain exit would wait for them.
    os._exit(code)


def _read_again() -> tuple[Settings, WatchOptions]:
    """Return what the command line, the environment, the file and the preset say now. Raises as the command itself would."""
    app = settings_app()

    @app.command(name="watch")
    def read(
        *inboxes: _Inboxes, options: _Options = WatchOptions(), settings: _Settings = Settings(),  # noqa: B008
        config: Path | None = None, preset: str | None = None,
    ) -> tuple[Settings, WatchOptions]:
        return settings, options

    try:
        return app(split_debug()[0])  # type: ignore[no-any-return]
    except CycloptsError as error:
        raise as_rigdrop_error(error) from error
