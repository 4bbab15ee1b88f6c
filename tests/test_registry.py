"""The registry, and a package of somebody else's that adds a format to it."""

import subprocess
import sys

import pytest

import rigdrop
from rigdrop.errors import UsageError
from rigdrop.formats.options import UsdSkelOptions
from rigdrop.formats.registry import FORMATS, available_formats, format_named

_MODULE = '''
from dataclasses import dataclass

from rigdrop.formats.registry import Format
from rigdrop.formats.verify.report import VerifyReport


@dataclass(frozen=True)
class CountOptions:
    """How frames are counted."""

    word: str = "frames"
    """What to call them."""


def write(take, person, path, options):
    path.write_text(f"{person.id}: {take.frame_count} {(options or CountOptions()).word}")


def verify(take, person, path, options):
    broken = () if str(take.frame_count) in path.read_text() else ("another count",)
    return VerifyReport(str(path), person.id, 0.0, 0.0, 0.0, take.frame_count, take.frame_count, broken)


COUNT = Format("count", "the number of frames as text", "_count.txt", CountOptions, write, verify)
BROKEN = 5
'''
_PROJECT = '''
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "rigdrop-count"
version = "1.0"

[project.entry-points."rigdrop.formats"]
count = "rigdrop_count:COUNT"
broken = "rigdrop_count:BROKEN"
missing = "rigdrop_count_that_is_not_there:X"

[tool.setuptools]
py-modules = ["rigdrop_count"]
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """A package that offers a format, built and installed by pip into a folder of its own."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    (source / "rigdrop_count.py").write_text(_MODULE, encoding="utf-8")
    (source / "pyproject.toml").write_text(_PROJECT, encoding="utf-8")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "--target", str(target), str(source)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_an_installed_package_adds_a_format(plugin, monkeypatch, tmp_path):
    from .synthetic import small_take

    monkeypatch.syspath_prepend(str(plugin))
    with pytest.warns(UserWarning, match="expected a rigdrop Format|can't be loaded"):
        found = available_formats()
    assert list(found) == [*FORMATS, "count"]
    take, offered = small_take(3), found["count"]
    path = tmp_path / offered.file_name("clip", offered.options_type())
    offered.write(take, take.people[0], path, offered.options_type())
    assert path.name == "clip_count.txt" and path.read_text() == "person_01: 3 frames"
    assert offered.verify(take, take.people[0], path, None).ok


def test_what_a_package_offers_wrongly_is_named(plugin, monkeypatch):
    monkeypatch.syspath_prepend(str(plugin))
    with pytest.warns(UserWarning) as warned:
        available_formats()
    messages = sorted(str(warning.message) for warning in warned)
    assert "'broken' of rigdrop_count:BROKEN: found 5, expected a rigdrop Format" in messages[0]
    assert "'missing' of rigdrop_count_that_is_not_there:X can't be loaded" in messages[1]


def test_an_unknown_format_lists_those_there_are():
    with pytest.raises(UsageError, match="found 'fbx', expected one of glb-skeletal, glb-baked, usd-skel"):
        format_named("fbx")


def test_files_are_named_after_their_format():
    assert FORMATS["glb-baked"].file_name("a_person_01", FORMATS["glb-baked"].options_type()) == "a_person_01_baked.glb"
    assert FORMATS["usd-skel"].file_name("a_person_01", UsdSkelOptions(format="usda")) == "a_person_01_skel.usda"


def test_ours_need_no_other_package():
    assert format_named("glb-skeletal") is FORMATS["glb-skeletal"] and rigdrop.__version__
