"""`plugins`: what other packages offer joins ours, and what they offer wrongly is named and left out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest

from rigdrop.plugins import with_plugins

from .offering import offer


@dataclass(frozen=True)
class Thing:
    name: str


@pytest.fixture
def offered(tmp_path, monkeypatch):
    """Return a function that installs a package whose entry points are these lines."""

    return partial(offer, tmp_path, monkeypatch, "rigdrop.things")


def test_without_packages_ours_are_all_there_is():
    ours = {"a": Thing("a")}
    assert with_plugins("thing", "rigdrop.things", ours, Thing) == ours


def test_a_package_adds_its_own_after_ours(offered):
    offered("from tests.test_plugins import Thing\nB = Thing('b')\n".replace("tests.", __name__.rpartition(".")[0] + "."), "b = offering:B")
    assert list(with_plugins("thing", "rigdrop.things", {"c": Thing("c")}, Thing)) == ["c", "b"]


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("B = 5\n", "thing 'b' of offering:B: found 5, expected a rigdrop Thing with a name of its own"),
        ("raise RuntimeError('no licence')\n", r"thing 'b' of offering:B can't be loaded \(no licence\); repair or remove that package"),
    ],
)
def test_what_is_offered_wrongly_is_named_and_left_out(offered, module, said):
    offered(module, "b = offering:B")
    with pytest.warns(UserWarning, match=said):
        assert with_plugins("thing", "rigdrop.things", {"a": Thing("a")}, Thing) == {"a": Thing("a")}
