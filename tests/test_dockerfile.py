"""The container's recipe: no engine runs here, so it is read, and every part of it that can run without one does."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from http import HTTPStatus

import pytest

from rigdrop.cli.app import build_app
from rigdrop.watch.web import Health, Page, Web, pages

KNOWN = {"FROM", "RUN", "WORKDIR", "COPY", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


@pytest.fixture(scope="module")
def recipe(root) -> list[tuple[str, str]]:
    """Every instruction with what follows it, lines that go on joined."""
    lines = [line for line in (root / "Dockerfile").read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1].strip()) for line in joined.splitlines() if line]


def _all(recipe, name: str) -> list[str]:
    return [rest for instruction, rest in recipe if instruction == name]


@pytest.fixture
def environment(recipe) -> dict[str, str]:
    return dict(word.split("=", 1) for rest in _all(recipe, "ENV") for word in shlex.split(rest))


def test_it_is_a_recipe(recipe):
    assert {name for name, _ in recipe} == KNOWN
    assert _all(recipe, "FROM") == ["python:3.12-slim"]
    assert [len(_all(recipe, name)) for name in ("HEALTHCHECK", "ENTRYPOINT", "CMD", "USER")] == [1, 1, 1, 1]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no sh")
def test_what_it_runs_is_understood_by_a_shell(recipe):
    for command in _all(recipe, "RUN"):
        assert subprocess.run(["sh", "-n", "-c", command], check=False).returncode == 0, command
    assert "pip install --no-cache-dir ." in _all(recipe, "RUN")


def test_the_service_has_no_rights(recipe):
    user, group = _all(recipe, "USER")[0].split(":")
    assert int(user) > 1000 and int(group) > 1000  # numbers: Kubernetes must see that it is not root
    assert f"useradd --uid {user} " in " ".join(_all(recipe, "RUN"))
    names = [name for name, _ in recipe]
    assert "RUN" not in names[names.index("USER"):]


def test_every_place_that_must_outlive_the_container_is_a_volume(recipe, environment):
    volumes = json.loads(_all(recipe, "VOLUME")[0])
    assert volumes == [f"/data/{name}" for name in ("inbox", "out", "state", "assets")]
    assert all(f" {volume}" in " ".join(_all(recipe, "RUN")) for volume in volumes)  # made, and given to the account
    places = [value for name, value in environment.items() if value.startswith("/")]
    assert [place for place in places if not place.startswith(tuple(volumes))] == []


def test_what_starts_is_a_command_of_ours_with_settings_that_there_are(recipe, environment, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    words = [*json.loads(_all(recipe, "ENTRYPOINT")[0]), *json.loads(_all(recipe, "CMD")[0])]
    assert words[0] == "rigdrop"
    _, bound, *_ = build_app().parse_args(words[1:])
    bound.apply_defaults()
    options, settings = bound.arguments["options"], bound.arguments["settings"]
    assert (options.database, str(options.status), options.port) == ("/data/state/jobs.db", "/data/state/status.json", 8947)
    assert str(settings.output.out) == "/data/out"
    assert _all(recipe, "EXPOSE") == [str(options.port)]
    assert [str(inbox) for inbox in bound.arguments["inboxes"]] == ["/data/inbox"]


@pytest.mark.parametrize("status", [HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE])
def test_the_health_check_tells_a_service_that_lives_from_one_that_does_not(recipe, status):
    health = Health()
    answers = {**pages(health, lambda: b""), "/healthz": lambda: Page(status, "text/plain", b"")}
    web = Web("127.0.0.1", 0, answers)
    web.start()
    try:
        assert _check(recipe, web.port) == (0 if status == HTTPStatus.OK else 1)
    finally:
        web.stop()
    assert _check(recipe, web.port) == 1


def _check(recipe, port: int) -> int:
    """The exit code of the container's own check."""
    options, _, command = _all(recipe, "HEALTHCHECK")[0].partition(" CMD ")
    assert all(re.fullmatch(r"--[a-z-]+=\d+s?", option) for option in options.split())
    words = json.loads(command)
    assert words[0] == "python"
    environment = {"RIGDROP_PORT": str(port), "PATH": "", "SYSTEMROOT": "C:\\Windows"}
    return subprocess.run([sys.executable, *words[1:]], env=environment, capture_output=True, check=False).returncode


def test_only_what_pip_needs_goes_in(root):
    """Everything is left out but what is named; and what pyproject installs is named."""
    lines = [line for line in (root / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = {package.split(".")[1] for package in project["tool"]["setuptools"]["packages"] if "." in package}
    rooms |= {path.parent.name for path in root.glob("*/__init__.py") if path.parent.name not in ("tests", "benchmarks")}
    files = {"pyproject.toml", "*.py", *project["project"]["license-files"], project["project"]["readme"]}
    assert {name for name in rooms | files if name not in let_in} == set()
    assert {name for name in let_in if not list(root.glob(name))} == set()
