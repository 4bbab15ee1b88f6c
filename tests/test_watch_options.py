"""`watch.options`: what can't be is refused with the setting's name, what was found and what was expected."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest

from rigdrop.errors import SettingsError
from rigdrop.watch.options import WatchOptions


def test_the_defaults_are_allowed_and_each_setting_says_what_it_is():
    assert WatchOptions().sources == "move"
    source = __import__("inspect").getsource(WatchOptions).split("def __post_init__")[0]
    # One sentence in quotes after every field: they are what --help prints.
    assert source.count('    """') == len(fields(WatchOptions)) + 1  # and the class' own


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("jobs", 0, "jobs: found 0, expected 1 or more"),
        ("ahead", 0, "ahead: found 0, expected 1 or more"),
        ("gpus", -1, "gpus: found -1, expected 0 or more"),
        ("retries", -2, "retries: found -2, expected 0 or more"),
        ("lease_s", 0.0, "lease_s: found 0.0, expected seconds above 0"),
        ("poll_s", math.inf, "poll_s: found inf, expected seconds above 0"),
        ("hang_s", math.nan, "hang_s: found nan, expected seconds above 0"),
        ("floor_mb", -1.0, "floor_mb: found -1.0, expected 0 or more"),
        ("floor_mb", math.nan, "floor_mb: found nan, expected 0 or more"),
        ("port", 65536, "port: found 65536, expected 0 to 65535"),
        ("sources", "burn", "sources: found 'burn', expected one of move, stay"),
        ("watching", "hope", "watching: found 'hope', expected one of auto, events, poll"),
    ],
)
def test_what_cannot_be_is_refused(setting, value, said):
    with pytest.raises(SettingsError) as error:
        WatchOptions(**{setting: value})
    assert str(error.value) == said


@pytest.mark.parametrize(("setting", "value"), [("gpus", 0), ("retries", 0), ("floor_mb", 0.0), ("port", 65535), ("port", 0)])
def test_the_last_values_that_can_be_are_allowed(setting, value):
    assert getattr(WatchOptions(**{setting: value}), setting) == value
