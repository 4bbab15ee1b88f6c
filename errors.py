"""Everything that Rigdrop raises on purpose, as one tree; the command line exits with ``exit_code``.

    RigdropError          70  a fault of ours
    ├── UsageError        64  the command line asks for something that does not exist or does not go together
    ├── ReadError         66  an input can't be read, or says something that it must not say
    ├── MissingPartError  69  a device, a program, an asset or a package is missing
    ├── WriteError        74  the disk is full, read-only or gone
    ├── TryAgainError     75  the same call may work later
    ├── SettingsError     78  a setting has a wrong name or value
    └── Stopped          143  somebody asked us to stop
"""

from __future__ import annotations


class RigdropError(Exception):
    """A fault of ours, and the root of the tree; messages are one sentence and say what to do next."""

    exit_code = 70


class UsageError(RigdropError):
    """Raised when the command line asks for something that does not exist or does not go together."""

    exit_code = 64


class ReadError(RigdropError):
    """Raised when an input can't be read: ``file: field: what was found, what was expected``."""

    exit_code = 66


class MissingPartError(RigdropError):
    """Raised when a device, a program, an asset or an optional package is missing; says how to get it."""

    exit_code = 69


class WriteError(RigdropError):
    """Raised when a result can't be written: disk full, no permission, the share is gone."""

    exit_code = 74


class TryAgainError(RigdropError):
    """Raised when the same call may work later: a file that is still growing, a lock held by another."""

    exit_code = 75


class SettingsError(RigdropError):
    """Raised when a setting has an unknown name or a value that it can't have."""

    exit_code = 78


class Stopped(RigdropError):
    """Raised where work is stopped by Ctrl-C or SIGTERM, so that every half-written file is removed on the way out."""

    exit_code = 143


def error_with_code(exit_code: int, message: str) -> RigdropError:
    """Return the error that ends with ``exit_code``: how one that another process raised is raised here again."""
    kinds: list[type[RigdropError]] = [RigdropError, *RigdropError.__subclasses__()]
    return {kind.exit_code: kind for kind in kinds}.get(exit_code, RigdropError)(message)
