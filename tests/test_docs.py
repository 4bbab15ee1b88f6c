"""What the documents say to type works, and what they link to is there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rigdrop.assets import ASSETS
from rigdrop.cli.app import build_app
from rigdrop.config.layers import preset_names
from rigdrop.config.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TEST_COMMAND = "pip install '.[test]' && pytest"


def _shell_blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def _commands(text: str) -> list[list[str]]:
    """The words of every line of a shell block that calls rigdrop."""
    lines = [shlex.split(line, comments=True) for block in _shell_blocks(text) for line in block.splitlines()]
    return [words for words in lines if words and words[0] == "rigdrop"]


def test_the_first_screen_holds_exactly_two_commands():
    assert _shell_blocks(README)[0].splitlines() == ["pip install .", "rigdrop demo"]
    assert "![" in README.split("```")[2]


def test_the_test_command_is_one_and_ci_calls_it():
    assert f"{TEST_COMMAND}\n" in _shell_blocks(README)
    assert f"\n{TEST_COMMAND.replace('install', 'install --quiet')} || exit 1\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("words", [words for page in PAGES for words in _commands(page.read_text(encoding="utf-8"))], ids=" ".join)
def test_every_command_in_the_documents_is_understood(words):
    command, *_ = build_app().parse_args(words[1:])
    assert command.__module__.startswith("rigdrop.cli")


def test_every_option_in_the_readmes_table_is_one():
    table = [line for line in README.splitlines() if line.startswith("| `--")]
    named = {word for line in table for word in re.findall(r"`?--([a-z-]+)", line.split("|")[1])}
    keys = set(Settings().as_table())
    assert len(named) > 5
    assert {name for name in named if name not in keys and name.removeprefix("no-") not in keys} == set()


def test_the_presets_are_listed():
    assert "|".join(preset_names()) in README


def test_the_size_of_the_first_download_is_what_the_packages_say():
    """A standard conversion takes everything but the heavy network, which is in a package of its own."""
    packages = {asset.package for asset in ASSETS.values() if asset.package and asset.name != "pose_landmark_heavy"}
    assert f"({round(sum(package.size_bytes for package in packages) / 1e6)} MB, once)" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_the_notice_names_every_asset():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert [name for name in ASSETS if name not in notice] == []


@pytest.mark.slow
def test_the_readmes_commands_do_what_it_says(tmp_path):
    """Every rigdrop line of the README, in its order, on a clip of a second; the demo comes first and makes its own."""
    from rigdrop.render.demo import DemoOptions, render_demo

    render_demo(tmp_path / "clip.mp4", DemoOptions(seconds=1.0))
    for copy in ("shots/one.mp4", "shots/deep/two.mp4", "takes/three.mov"):
        (tmp_path / copy).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tmp_path / "clip.mp4", tmp_path / copy)
    (tmp_path / "inbox").mkdir()
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    for words in _commands(README):
        process = subprocess.Popen([sys.executable, "-m", *words], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        serves = "watch" in words
        if serves and '"started"' in process.stderr.readline():
            process.terminate()
        said = process.communicate()[1]
        assert process.returncode == (143 if serves else 0), f"{' '.join(words)}: {said[-2000:]}"
    assert {path.name for path in (tmp_path / "rigdrop-out").iterdir()} == {"demo", "demo.mp4", "clip"}
    assert {path.name for path in (tmp_path / "characters").iterdir()} == {"one", "two", "three"}
    tree = README.split("rigdrop-out/clip/\n")[1].split("```")[0]
    listed = re.findall(r"^  (\S+?)(?:  +(\S+\.png))?(?:  .*)?$", tree, flags=re.MULTILINE)
    for name in [name for pair in listed for name in pair if name]:
        assert (tmp_path / "rigdrop-out" / "clip" / name).is_file(), name
