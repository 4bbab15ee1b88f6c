"""The pages over real sockets: what they say, who may ask, and that nobody who asks holds the service up."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import urllib.error
import urllib.request

import pytest

from rigdrop.errors import SettingsError
from rigdrop.watch.metrics import CONTENT_TYPE, Metrics
from rigdrop.watch.web import Health, Page, Web, pages

PARTS = ("database", "lease", "inbox", "disk")


@pytest.fixture
def health(clock) -> Health:
    return Health(turn_s=60.0, clock=clock)


@pytest.fixture
def web(health):
    server = Web("127.0.0.1", 0, pages(health, Metrics().text, CONTENT_TYPE))
    server.start()
    yield server
    server.stop()


def _ask(web, path, method="GET", body=None) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, dict(answer.headers), answer.read()
    finally:
        connection.close()


def test_a_loop_that_turns_is_healthy_and_one_that_stands_still_is_not(web, health, clock):
    clock.now_s += 59
    assert _ask(web, "/healthz")[0] == 200
    clock.now_s += 2
    status, headers, body = _ask(web, "/healthz")
    assert (status, headers["Content-Type"]) == (503, "application/json")
    assert json.loads(body) == {"alive": False, "turned_s_ago": 61.0}
    health.turned()
    assert _ask(web, "/healthz")[0] == 200


def _parts(body: bytes) -> dict[str, tuple[bool, str | None]]:
    lines = [json.loads(line) for line in body.splitlines()]
    return {line["part"]: (line["ready"], line["why"]) for line in lines}


def test_ready_is_who_has_said_so_for_every_part(web, health, clock):
    status, _, body = _ask(web, "/readyz")
    assert status == 503
    assert {part: ready for part, (ready, _) in _parts(body).items()} == {"loop": True, **dict.fromkeys(PARTS, False)}
    for part in PARTS:
        health.say(part, None)
    assert health.not_ready() == {}
    status, _, body = _ask(web, "/readyz")
    assert (status, set(_parts(body).values())) == (200, {(True, None)})
    health.say("disk", "/srv/踊り: 10 MB are free")
    status, _, body = _ask(web, "/readyz")
    assert (status, _parts(body)["disk"], _parts(body)["lease"]) == (503, (False, "/srv/踊り: 10 MB are free"), (True, None))
    assert list(health.not_ready()) == ["disk"]
    clock.now_s += 100
    assert _parts(_ask(web, "/readyz")[2])["loop"][0] is False


def test_metrics_are_what_prometheus_reads(web):
    status, headers, body = _ask(web, "/metrics?name=x")
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"\nrigdrop_paused 0.0\n" in body
    assert int(headers["Content-Length"]) == len(body)


@pytest.mark.parametrize("path", ["/", "/healthz/", "/metrics/../etc/passwd", "/%68ealthz"])
def test_anything_else_is_not_there(web, path):
    assert _ask(web, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "NONSENSE"])
def test_nothing_but_reading_is_allowed(web, method):
    status, headers, _ = _ask(web, "/healthz", method, b"x" * 30_000)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


def test_head_is_a_page_without_its_body(web):
    status, headers, body = _ask(web, "/healthz", "HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["Content-Length"]) > 0


def test_a_page_that_fails_is_an_answer_too(health):
    web = Web("127.0.0.1", 0, {"/bad": lambda: 1 / 0, "/good": health.alive_page})
    web.start()
    try:
        assert _ask(web, "/bad")[0] == 500
        assert _ask(web, "/good")[0] == 200
    finally:
        web.stop()


def test_nothing_is_printed(web, capfd):
    _ask(web, "/healthz")
    _ask(web, "/none")
    with socket.create_connection(("127.0.0.1", web.port)) as rude:
        rude.sendall(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        rude.recv(4096)
    assert capfd.readouterr() == ("", "")


def test_it_listens_where_it_was_told_to_and_nowhere_else(web):
    assert web._server.server_address[0] == "127.0.0.1"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", web.port), timeout=5).close()


def test_the_newer_loopback_will_do():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    web = Web("::1", 0, {"/": lambda: Page(200, "text/plain", b"hello")})
    web.start()
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://[::1]:{web.port}/", timeout=10) as answer:
            assert answer.read() == b"hello"
    finally:
        web.stop()


def test_a_port_that_is_taken_is_an_error_that_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(SettingsError, match="choose another --port"):
        Web("127.0.0.1", other.getsockname()[1], {}).start()


def test_stopping_lets_go_of_those_who_hang_on_and_the_port_is_free(web):
    port, before = web.port, threading.active_count()
    with socket.create_connection(("127.0.0.1", port)) as idle, socket.create_connection(("127.0.0.1", port)) as half:
        half.sendall(b"GET /healthz HTT")
        _ask(web, "/healthz")  # both are being waited for by now, or wait to be accepted
        web.stop()
        # Let go of, and not timed out: no answer, and the end at once.
        for hanging in (idle, half):
            hanging.settimeout(4.0)
            assert _rest(hanging) == b""
    assert threading.active_count() <= before
    with socket.create_server(("127.0.0.1", port)):
        pass
    web.stop()  # twice does no harm


def _rest(connection: socket.socket) -> bytes:
    try:
        return connection.recv(100)
    except ConnectionResetError:
        return b""


def test_more_than_can_be_served_are_turned_away_and_the_rest_is_served(web):
    hanging = [socket.create_connection(("127.0.0.1", web.port)) for _ in range(40)]
    try:
        for each in hanging[32:]:
            each.settimeout(10)
            assert _rest(each) == b""
    finally:
        for each in hanging:
            each.close()
    for _ in range(200):
        try:
            assert _ask(web, "/healthz")[0] == 200
            break
        except (ConnectionError, http.client.HTTPException):  # those who left are not yet seen to have left
            threading.Event().wait(0.02)
    else:
        pytest.fail("nobody is served any more")


def test_many_who_ask_at_once_are_all_answered(web):
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(_ask(web, "/metrics")[0])) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 16


def test_stopping_what_never_started_does_nothing():
    web = Web("127.0.0.1", 8, {})
    web.stop()
    assert web.port == 8
