"""The ``rigdrop`` command: its sub-commands, and how errors and stops become messages and exit codes."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App, CycloptsError

from .. import __version__
from ..config.layers import as_rigdrop_error, settings_app
from ..errors import RigdropError, WriteError
from .arguments import DEBUG, split_debug
from .output import print_error
from .stopping import stoppable

# What a shell sees of a program that SIGPIPE has ended. Not 0: nobody has read how the command ended.
_NO_READER = 141
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
        help_epilogue=f"Any command takes {DEBUG} to show where an unexpected error came from.",
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
    commands, debug = split_debug(tokens)
    _prepare_outputs()
    try:
        code = _run(commands, debug)
        _flush_outputs()  # here, and not when Python ends, which would complain in its own words
        return code
    except BrokenPipeError:
        _drop_outputs()
        return _NO_READER
    except SystemExit as ended:
        if isinstance(ended.__context__, BrokenPipeError):  # as the library that prints the help takes it
            _drop_outputs()
            return _NO_READER
        raise
    except WriteError as error:
        print_error(str(error), error.exit_code)
        _drop_outputs()
        return error.exit_code


def _run(tokens: Sequence[str], debug: bool) -> int:
    """Run a command and say what went wrong with it; raises where there is nobody to say it to."""
    try:
        with stoppable():
            result = build_app()(tokens)
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        raise
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


def _prepare_outputs() -> None:
    """Let a file name that is not Unicode be printed: the bytes that are none become escapes."""
    for stream in _outputs():
        stream.reconfigure(errors="backslashreplace")


def _outputs() -> list[io.TextIOWrapper]:
    return [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, io.TextIOWrapper)]


def _flush_outputs() -> None:
    try:
        for stream in _outputs():
            stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WriteError(f"the output can't be written ({error.strerror}); free space, or send it elsewhere") from error


def _drop_outputs() -> None:
    """Send what is left of our output nowhere, quietly: nobody reads it any more, as with ``| head``, or its disk is full."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in _outputs():
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
