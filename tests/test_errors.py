from __future__ import annotations

import re

import pytest

from rigdrop import errors

# The codes that design and docs promise to scripts; they never change.
PROMISED = {
    "RigdropError": 70,
    "UsageError": 64,
    "ReadError": 66,
    "MissingPartError": 69,
    "WriteError": 74,
    "TryAgainError": 75,
    "SettingsError": 78,
    "Stopped": 143,
}


def _classes() -> dict[str, type[errors.RigdropError]]:
    return {name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}


def test_the_tree_holds_what_was_promised_and_nothing_else():
    assert {name: kind.exit_code for name, kind in _classes().items()} == PROMISED


@pytest.mark.parametrize("name", PROMISED)
def test_everything_hangs_from_one_root(name):
    assert issubclass(_classes()[name], errors.RigdropError)


def test_the_drawing_at_the_top_says_what_the_classes_say():
    drawn = dict(re.findall(r"([A-Z]\w+)\s+(\d+)\s", errors.__doc__ or ""))
    assert {name: int(code) for name, code in drawn.items()} == PROMISED


@pytest.mark.parametrize("name", PROMISED)
def test_each_class_says_when_it_is_raised(name):
    assert (_classes()[name].__doc__ or "").strip().endswith(".")


@pytest.mark.parametrize("name", PROMISED)
def test_an_error_is_made_again_of_its_exit_code(name):
    again = errors.error_with_code(PROMISED[name], "clip.mp4: found nothing")
    assert (type(again).__name__, str(again)) == (name, "clip.mp4: found nothing")


def test_a_code_that_nobody_has_is_a_fault_of_ours():
    assert type(errors.error_with_code(1, "?")) is errors.RigdropError
