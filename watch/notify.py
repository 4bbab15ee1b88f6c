"""Telling others how a job ended: a URL that gets it by POST, a program that gets it on its input.

Either may be told twice where the service dies between telling and noting it; ``job`` tells the same from another.
Everything that goes wrong is raised, so that a durable step can try again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .. import __version__
from ..errors import MissingPartError, SettingsError, TryAgainError
from .options import WatchOptions

Receiver = Callable[[Mapping[str, Any]], None]

WEBHOOK_S = 10.0
PROGRAM_S = 60.0
_LAST_BYTES = 200
# "Later may do": the request took too long, came too early, or there were too many.
_WORTH_ANOTHER_TRY = (408, 425, 429)


def receivers(options: WatchOptions) -> list[Receiver]:
    """Return whom to tell how a job ended, as ``send(outcome)``. Raises `SettingsError` for an address that can't be one."""
    found: list[Receiver] = []
    if options.webhook:
        check_webhook(options.webhook)
        found.append(partial(call_webhook, options.webhook))
    if options.on_finish:
        found.append(partial(run_program, options.on_finish))
    return found


def check_webhook(url: str) -> None:
    """Raise `SettingsError` unless ``url`` is one that a POST can go to."""
    try:
        parts = urllib.parse.urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or not url.isascii() or any(character.isspace() or not character.isprintable() for character in url):
        raise SettingsError("webhook: found no http:// or https:// address; say where to send to, as https://host/path")
    if "@" in parts.netloc:
        raise SettingsError(f"webhook: found a name or password before {parts.hostname}; put a token into the path or the query")


def call_webhook(url: str, outcome: Mapping[str, Any], timeout_s: float = WEBHOOK_S) -> None:
    """Send ``outcome`` as JSON to ``url`` by POST; any answer of 200 to 299 is good.

    Raises `TryAgainError` where another try may do, `SettingsError` where it will not: a redirect, which is never followed
    because it would lose what is sent, or an answer that says that the request is wrong.
    """
    check_webhook(url)
    headers = {"Content-Type": "application/json", "User-Agent": f"rigdrop/{__version__}"}
    request = urllib.request.Request(url, _bytes(outcome), headers, method="POST")
    place = _shown(url)
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout_s):
            return
    except urllib.error.HTTPError as error:
        with error:
            raise _refusal(place, error) from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error
        raise TryAgainError(f"webhook: {place} can't be reached ({why}); it is tried again") from error


def run_program(command: str, outcome: Mapping[str, Any], timeout_s: float = PROGRAM_S) -> None:
    """Run ``command`` with ``outcome`` as JSON on its input; no shell is asked. Exit code 0 is good.

    Raises `MissingPartError` where there is no such program, `TryAgainError` where it fails or takes longer than
    ``timeout_s``; it is killed then, with what it has started.
    """
    words = _words(command)
    # A file, not a pipe: what the program leaves running in the background must not hold us up.
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", error)
            raise MissingPartError(f"on-finish: {words[0]}: can't be run ({why}); correct --on-finish") from error
        _feed(process, words[0], outcome, timeout_s)
        if process.returncode:
            said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST_BYTES))
            last = (said.read().decode(errors="replace").strip().splitlines() or ["nothing"])[-1]
            raise TryAgainError(f"on-finish: {words[0]}: exited with {process.returncode}, and said: {last}")


def _feed(process: subprocess.Popen[bytes], program: str, outcome: Mapping[str, Any], timeout_s: float) -> None:
    """Give the program its input and wait for its end."""
    with process:
        try:
            process.communicate(_bytes(outcome), timeout=timeout_s)
        except BaseException as error:
            _kill(process)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise TryAgainError(f"on-finish: {program}: took longer than {timeout_s:g} s and was killed; it is tried again") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow none: the answer then comes out as the error that it is."""


def _refusal(place: str, error: urllib.error.HTTPError) -> TryAgainError | SettingsError:
    if 300 <= error.code < 400:
        target = _shown(error.headers.get("Location", "nowhere"))
        return SettingsError(f"webhook: {place} sends us on to {target} ({error.code}), which we don't follow; name that address itself")
    if error.code >= 500 or error.code in _WORTH_ANOTHER_TRY:
        return TryAgainError(f"webhook: {place} answered {error.code} {error.reason}; it is tried again")
    return SettingsError(f"webhook: {place} answered {error.code} {error.reason}; correct --webhook")


def _shown(url: str) -> str:
    """An address without its path and query, which may hold a token that is in no log's business."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else parts.scheme or "another path"


def _words(command: str) -> list[str]:
    """A program with its arguments; a path with spaces in it need not be quoted."""
    if shutil.which(command):
        return [command]
    try:
        words = shlex.split(command, posix=os.name != "nt")
    except ValueError as error:
        raise SettingsError(f"on-finish: {command}: {error}; quote it as in a shell") from error
    if not words:
        raise SettingsError("on-finish: found nothing but spaces, expected a program")
    return words


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the program, and whatever it has started."""
    if not hasattr(os, "killpg"):
        process.kill()
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _bytes(outcome: Mapping[str, Any]) -> bytes:
    # A file name need not be Unicode; what is left of it as a surrogate becomes an escape, which JSON knows too.
    return json.dumps(outcome, ensure_ascii=False, default=str).encode("utf-8", errors="backslashreplace")
