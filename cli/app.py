"""The ``rigdrop`` command: its sub-commands, and how errors and stops become messages and exit codes."""

from __future__ import annotations

import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from cyclopts import App, CycloptsError

from .. import __version__
from ..config.layers import as_rigdrop_error, settings_app
from ..errors import RigdropError, Stopped
from .output import print_error

_DEBUG = "--debug"
_COMMANDS = {
    "convert": "Convert videos, motion files, folders of them, or a stored take.",
    "watch": "Watch folders, and convert every clip that is dropped into them.",
    "demo": "Render a clip of a moving body and convert it.",
    "inspect": "Show what a video or a take holds.",
    "verify": "Read a written file back and measure it against its take.",
    "formats": "List the formats that can be written.",
}


def build_app() -> App:
    """Return the app; a command's module is imported when the command runs."""
    app = settings_app(
        name="rigdrop", version=__version__, help="Video of people in, animated rigged characters out.",
        help_epilogue=f"Any command takes {_DEBUG} to show where an unexpected error came from.",
    )
    for name, text in _COMMANDS.items():
        app.command(f"{__package__}.{name}:{name}", name=name, help=text)
    app.command(f"{__package__}.jobs:app", name="jobs", help="Show the jobs of rigdrop watch, and cancel or retry them.")
    app.command(f"{__package__}.service:app", name="service", help="Let systemd run rigdrop watch.")
    app.command(f"{__package__}.apose:app", name="apose", help="Write a rig's bind pose as a file that other tools read.")
    app.command(f"{__package__}.map:app", name="map", help="Say what the joints of an unknown skeleton mean.")
    app.command(f"{__package__}.assets:app", name="assets", help="List, install, verify and locate bodies and network weights.")
    return app


def main(tokens: Sequence[str] | None = None) -> int:
    """Run the command that ``tokens``, or the process' own arguments, name; returns the exit code of `errors`."""
    tokens = list(sys.argv[1:] if tokens is None else tokens)
    debug = _DEBUG in tokens
    try:
        with _stoppable():
            result = build_app()([token for token in tokens if token != _DEBUG])
        return result if isinstance(result, int) else 0
    except (RigdropError, CycloptsError) as error:
        if debug:
            traceback.print_exc()
        explained = as_rigdrop_error(error) if isinstance(error, CycloptsError) else error
        print_error(str(explained), explained.exit_code)
        return explained.exit_code
    except Exception:
        return _unexpected(debug)


def _unexpected(debug: bool) -> int:
    """Keep the traceback out of the user's sight, but not out of reach."""
    if debug:
        traceback.print_exc()
        return RigdropError.exit_code
    with tempfile.NamedTemporaryFile("w", prefix="rigdrop-", suffix=".log", delete=False, encoding="utf-8") as log:
        traceback.print_exc(file=log)
    kind, error, _ = sys.exc_info()
    name = kind.__name__ if kind else "error"
    print_error(f"a fault of ours ({name}: {error}); please report it with {Path(log.name)}", RigdropError.exit_code)
    return RigdropError.exit_code


@contextmanager
def _stoppable() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into `Stopped`, so that every ``finally`` on the way out runs and no half-written file is left."""

    def stop(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)  # a second one must not interrupt the cleaning
        raise Stopped(f"stopped by {signal.Signals(number).name}; nothing half-written is left")

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
