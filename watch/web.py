"""``/healthz``, ``/readyz`` and ``/metrics`` over HTTP, for supervisors and Prometheus; on this machine alone unless told otherwise.

Nothing here asks the database or a disk: the main loop says how things stand, and a page repeats it. So a page comes at
once however bad things are, and nobody who asks can slow the service down.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from ..errors import SettingsError

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
_JSON_LINES = "application/jsonl"
_METHODS = ("GET", "HEAD")
_PARTS = ("database", "lease", "inbox", "disk")
_REQUEST_S = 5.0
_MOST_REQUESTS = 32
_MOST_BODY_BYTES = 1 << 16
_SHUTDOWN_POLL_S = 0.05
_JOIN_S = 2.0


@dataclass(frozen=True)
class Page:
    """What is answered."""

    status: HTTPStatus
    content_type: str
    body: bytes


class Health:
    """What `/healthz` and `/readyz` say. The main loop calls `turned` at each turn, and `say` for each part; any thread may ask."""

    def __init__(self, turn_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        """``turn_s``: a main loop that has not turned for this many seconds stands still."""
        self._turn_s = turn_s
        self._clock = clock
        self._turned_s = clock()
        # A part that nobody has spoken of is not ready: the service is still starting.
        self._why: dict[str, str | None] = dict.fromkeys(_PARTS, "was not looked at yet; the service starts")

    def turned(self) -> None:
        """Say that the main loop goes round."""
        self._turned_s = self._clock()

    def say(self, part: str, why: str | None) -> None:
        """Say that a part is ready, or ``why`` it is not."""
        self._why[part] = why

    def not_ready(self) -> dict[str, str]:
        """Return the parts that are not ready, each with its reason."""
        return {part: why for part, why in self._parts().items() if why is not None}

    def alive_page(self) -> Page:
        """Tell whether the process lives and its main loop turns; 503 where it does not."""
        ago_s = self._clock() - self._turned_s
        alive = ago_s < self._turn_s
        status = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
        return Page(status, _JSON, _line({"alive": alive, "turned_s_ago": round(ago_s, 1)}))

    def ready_page(self) -> Page:
        """Tell for each part, a JSON line each, whether it is ready; 503 where one is not."""
        parts = self._parts()
        lines = [_line({"part": part, "ready": why is None, "why": why}) for part, why in parts.items()]
        ready = all(why is None for why in parts.values())
        return Page(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, _JSON_LINES, b"".join(lines))

    def _parts(self) -> dict[str, str | None]:
        ago_s = self._clock() - self._turned_s
        loop = None if ago_s < self._turn_s else f"has not turned for {ago_s:.0f} s; see the log, or restart the service"
        return {"loop": loop, **self._why}


class Web:
    """The server: `start`, and `stop` at the end. It has threads of its own, none of which outlives `stop`."""

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Page]]) -> None:
        """``port`` 0 takes any that is free; see `port`. Nothing listens before `start`."""
        self._host, self._asked_port, self._pages = host, port, pages
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen. Raises `SettingsError` where the address can't be had."""
        try:
            self._server = _Server(self._host, self._asked_port, self._pages)
        except OSError as error:
            place = f"{self._host}:{self._asked_port}"
            raise SettingsError(f"port: can't listen on {place} ({error.strerror or error}); choose another --port or --host") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_SHUTDOWN_POLL_S,), name="rigdrop-web", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._asked_port if self._server is None else int(self._server.server_address[1])

    def stop(self) -> None:
        """Close every socket, of those who are just being answered too. May be called twice, or without `start`."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        server.shutdown()
        self._thread.join(_JOIN_S)
        server.close()


def pages(health: Health, metrics: Callable[[], bytes], content_type: str = _TEXT) -> dict[str, Callable[[], Page]]:
    """Return the service's pages; ``metrics`` gives the figures as Prometheus reads them."""
    return {
        "/healthz": health.alive_page,
        "/readyz": health.ready_page,
        "/metrics": lambda: Page(HTTPStatus.OK, content_type, metrics()),
    }


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    """Answers each request in a thread; knows who is connected, so that it can let go of them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 2 * _MOST_REQUESTS

    def __init__(self, host: str, port: int, pages: Mapping[str, Callable[[], Page]]) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.pages = pages
        self._open: dict[socket.socket, None] = {}
        self._answering: list[threading.Thread] = []
        self._lock = threading.Lock()
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's own: that one asks the name service what this machine is called, which can take half a minute.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "rigdrop", int(self.server_address[1])

    def verify_request(self, request: Any, client_address: Any) -> bool:
        with self._lock:
            return len(self._open) < _MOST_REQUESTS

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open[request] = None
            self._answering = [thread for thread in self._answering if thread.is_alive()]
            thread = threading.Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
            self._answering.append(thread)
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: somebody who hung up is nobody's fault."""

    def close(self) -> None:
        self.server_close()
        with self._lock:
            for request in self._open:
                with contextlib.suppress(OSError):
                    request.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads from it
            threads = list(self._answering)
        for thread in threads:
            thread.join(_JOIN_S)


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_S
    server: _Server
    server_version, sys_version = "rigdrop", ""

    def __getattr__(self, name: str) -> Callable[[], None]:
        """The base class looks for ``do_`` and the request's method: one way for all of them."""
        if not name.startswith("do_"):
            raise AttributeError(name)
        return self._answer

    def _answer(self) -> None:
        if self.command not in _METHODS:
            self._refuse()
            return
        make = self.server.pages.get(self.path.partition("?")[0])
        if make is None:
            self._send(_text(HTTPStatus.NOT_FOUND, f"there is nothing here; try {', '.join(self.server.pages)}"))
            return
        try:
            page = make()
        except Exception as error:
            page = _text(HTTPStatus.INTERNAL_SERVER_ERROR, f"a fault of ours ({error})")
        self._send(page)

    def _refuse(self) -> None:
        length = self.headers.get("Content-Length", "")
        if length.isdecimal():
            self.rfile.read(min(int(length), _MOST_BODY_BYTES))  # what is left unread would cut the answer off
        self._send(_text(HTTPStatus.METHOD_NOT_ALLOWED, f"only {' and '.join(_METHODS)} are answered"), {"Allow": ", ".join(_METHODS)})

    def _send(self, page: Page, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(page.status)
        self.send_header("Content-Type", page.content_type)
        self.send_header("Content-Length", str(len(page.body)))
        self.send_header("Cache-Control", "no-store")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(page.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: who asks every few seconds would fill the log."""


def _text(status: HTTPStatus, sentence: str) -> Page:
    return Page(status, _TEXT, f"{sentence}\n".encode("utf-8", errors="backslashreplace"))


def _line(content: Mapping[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", errors="backslashreplace") + b"\n"
