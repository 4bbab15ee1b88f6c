"""The switch that any command takes is taken out in one place, for the command and for whoever parses its arguments again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rigdrop.cli import watch
from rigdrop.cli.arguments import split_debug
from rigdrop.errors import UsageError


def test_the_switch_is_found_anywhere_and_only_it_is_taken_out():
    assert split_debug(["a", "--debug", "b", "--debugger"]) == (["a", "b", "--debugger"], True)
    assert split_debug(["a", "--no-debug"]) == (["a", "--no-debug"], False)
    assert split_debug([]) == ([], False)


def test_without_arguments_it_is_the_process_own(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rigdrop", "--debug", "formats"])
    assert split_debug() == (["formats"], True)


@pytest.fixture
def _alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RIGDROP_MAX_PEOPLE", raising=False)


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize("place", [1, 2, 3, 5, None])
def test_a_service_reads_its_settings_again_with_the_switch_and_without(tmp_path, monkeypatch, place):
    arguments = ["rigdrop", "watch", "inbox", "--grace", "7"]
    if place is not None:
        arguments.insert(place, "--debug")
    monkeypatch.setattr(sys, "argv", arguments)
    Path("rigdrop.toml").write_text("max-people = 3\n")
    settings, options = watch._read_again()
    assert (settings.people.max_people, options.grace_s) == (3, 7.0)
    Path("rigdrop.toml").write_text("max-people = 2\n")
    assert watch._read_again()[0].people.max_people == 2


@pytest.mark.usefixtures("_alone")
def test_what_no_service_could_begin_with_is_refused_when_read_again(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["rigdrop", "watch", "inbox", "--bogus"])
    with pytest.raises(UsageError, match="--bogus"):
        watch._read_again()
