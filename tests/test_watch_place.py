"""Settings by place: who wins, what the nearest file says, and errors that name file, key and what to type instead."""

from __future__ import annotations

import os
from dataclasses import fields, is_dataclass

import pytest

from rigdrop.config.layers import option_name, preset_names, read_preset
from rigdrop.config.settings import Settings, load_settings
from rigdrop.errors import SettingsError
from rigdrop.watch.options import WatchOptions
from rigdrop.watch.place import PATH_KEYS, SERVICE_KEYS, settings_of

from .watch_folders import LONG_NAME, RAW_NAME, claim_of, drop

BASE = [("the service's settings", Settings().as_table())]


def _say(root, relative, text):
    path = root / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _of(root, relative="clip.mp4", sidecar=None, base=BASE, **more):
    return settings_of(root, relative, sidecar, base, **more)


def test_nothing_said_gives_the_services_own(tmp_path):
    own = load_settings(["--preset", "high", "--start", "2", "--out", "x"])
    assert _of(tmp_path, base=[("service", own.as_table())]) == own
    assert _of(tmp_path, base=[]) == Settings()


def test_the_nearest_wins(tmp_path):
    """Each place says its own number, and all that is stronger is taken away one after the other."""
    relative = "draft/a/high/b/clip.mp4"
    places = ["draft/a/high/b/rigdrop.toml", "draft/a/high/rigdrop.toml", "draft/a/rigdrop.toml", "draft/rigdrop.toml", "rigdrop.toml"]
    sidecar = _say(tmp_path, "claim/clip.mp4.toml", 'max-people = 10\nquality = "standard"\n')
    for number, place in enumerate(places):
        _say(tmp_path, place, f"max-people = {number + 1}\n")
    base = [("first", {"max-people": 6}), ("second", {"max-people": 7, "start": 3})]
    assert _of(tmp_path, relative, sidecar, base).people.max_people == 10
    for number, place in enumerate(places):
        assert _of(tmp_path, relative, None, base).people.max_people == number + 1
        (tmp_path / place).unlink()
    settings = _of(tmp_path, relative, None, base)
    assert (settings.people.max_people, settings.video.start_s, settings.pose.quality) == (6, 3.0, "high")
    assert _of(tmp_path, relative, sidecar, base).pose.quality == "standard"


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("form", [str, str.upper, str.title])
def test_a_folder_named_like_a_preset_is_one(tmp_path, preset, form):
    expected = load_settings(["--preset", preset])
    assert _of(tmp_path, f"{form(preset)}/deep/clip.mp4", base=[]) == expected
    assert _of(tmp_path, f"{preset}s/clip.mp4", base=[]) == Settings()
    assert _of(tmp_path, f"{preset}.mp4", base=[]) == Settings()


def test_presets_that_do_not_contradict_each_other_add_up(tmp_path):
    high, unreal = read_preset("high"), read_preset("unreal")
    both = {key: tuple(value) if isinstance(value, list) else value for key, value in (high | unreal).items()}
    table = _of(tmp_path, "high/unreal/clip.mp4", base=[]).as_table()
    assert {key: table[key] for key in both} == both


def test_a_preset_that_a_file_names_is_weaker_than_the_file_and_stronger_than_what_is_further_up(tmp_path):
    _say(tmp_path, "a/rigdrop.toml", 'preset = "unreal"\nusd-skel.format = "usda"\n')
    _say(tmp_path, "rigdrop.toml", 'format = ["glb-baked"]\nmax-people = 2\n')
    settings = _of(tmp_path, "a/clip.mp4")
    assert settings.output.format == tuple(read_preset("unreal")["format"]) and settings.people.max_people == 2
    assert settings.format_options("usd-skel").format == "usda"


def test_what_the_folder_says_wins_over_its_name(tmp_path):
    _say(tmp_path, "draft/rigdrop.toml", 'quality = "high"\n')
    assert _of(tmp_path, "draft/clip.mp4").pose.quality == "high"


def test_settings_that_were_taken_with_their_file_are_read(tmp_path):
    drop(tmp_path, "sub/clip.mp4", sidecar="start = 1.5\n")
    claim = claim_of(tmp_path, "sub/clip.mp4")
    assert _of(tmp_path, claim.relative, claim.sidecar).video.start_s == 1.5


@pytest.mark.parametrize(
    ("place", "text", "said"),
    [
        ("sub/rigdrop.toml", "max-peple = 2\n", r"^sub/rigdrop\.toml: max-peple: .*'max-people'"),
        ("rigdrop.toml", "[body]\nhight = 0.5\n", r"^rigdrop\.toml: body\.hight: .*'body\.height'"),
        ("sub/rigdrop.toml", 'preset = "unrael"\n', r"^sub/rigdrop\.toml: preset: .*'unrael'.*'unreal'"),
        ("sub/rigdrop.toml", "preset = 3\n", r"^sub/rigdrop\.toml: preset: "),
        ("sub/rigdrop.toml", 'start = "soon"\n', r"start.*sub/rigdrop\.toml"),
        ("sub/rigdrop.toml", "start = 9\nend = 2\n", r"^sub/rigdrop\.toml: .*end"),
        ("sub/rigdrop.toml", 'format = ["fbx2"]\n', r"^sub/rigdrop\.toml: format: .*fbx2"),
        ("sub/rigdrop.toml", "sigmas.landmark = [1, 2]\n", r"sub/rigdrop\.toml: sigmas\.landmark: .*3"),
        ("sub/rigdrop.toml", "start = \n", r"^sub/rigdrop\.toml: is not TOML .*line 1"),
        ("sub/rigdrop.toml", "settle = 5\n", r"^sub/rigdrop\.toml: settle: found a setting of the service"),
        ("sub/rigdrop.toml", 'config = "x.toml"\n', r"^sub/rigdrop\.toml: config: found an unknown key"),
        ("sub/rigdrop.toml", "a = " + "[" * 5000, r"^sub/rigdrop\.toml: is nested too deeply"),
        ("sub/rigdrop.toml", "#" * 1_100_000, r"^sub/rigdrop\.toml: found 1 MB"),
    ],
)
@pytest.mark.parametrize("as_sidecar", [False, True])
def test_what_is_wrong_names_the_file_and_what_to_do(tmp_path, place, text, said, as_sidecar):
    if as_sidecar:
        sidecar = _say(tmp_path, ".rigdrop/claims/host-1/new-1/clip.mp4.toml", text)
        said = said.replace("sub/rigdrop", "sub/clip.mp4").replace("^rigdrop", "^sub/clip.mp4").replace(r"mp4\.toml", r"mp4\.toml")
    else:
        _say(tmp_path, place, text)
        sidecar = None
    with pytest.raises(SettingsError, match=said) as caught:
        _of(tmp_path, "sub/clip.mp4", sidecar)
    assert ".rigdrop/claims" not in str(caught.value)


def test_a_wrong_value_of_the_services_own_names_no_file_of_the_inbox(tmp_path):
    _say(tmp_path, "rigdrop.toml", "max-people = 1\n")
    with pytest.raises(SettingsError, match="service: max-peple"):
        _of(tmp_path, base=[("service", {"max-peple": 1})])


def test_values_that_do_not_go_together_name_every_file_that_says_something(tmp_path):
    _say(tmp_path, "rigdrop.toml", "start = 9\n")
    _say(tmp_path, "a/rigdrop.toml", "end = 2\n")
    with pytest.raises(SettingsError, match=r"^a/rigdrop\.toml, rigdrop\.toml: .*9"):
        _of(tmp_path, "a/clip.mp4")


def test_bytes_that_are_no_text_are_an_error_and_notepads_mark_is_none(tmp_path):
    (tmp_path / "rigdrop.toml").write_bytes(b"start = \xff\n")
    with pytest.raises(SettingsError, match=r"rigdrop\.toml: is not TOML"):
        _of(tmp_path)
    (tmp_path / "rigdrop.toml").write_bytes(b"\xef\xbb\xbfstart = 2\r\n")
    assert _of(tmp_path).video.start_s == 2


def test_the_services_own_keys_are_no_error_in_its_own_layers(tmp_path):
    base = [("service.toml", {"settle": 5, "lease": 60, "start": 2, "body": {"height": 0.5}})]
    settings = _of(tmp_path, base=base)
    assert (settings.video.start_s, settings.body.height) == (2, 0.5)


def test_no_setting_of_the_service_has_the_name_of_one_of_a_clip():
    assert SERVICE_KEYS & set(Settings().as_table()) == set() and len(SERVICE_KEYS) == len(fields(WatchOptions))


def test_the_file_that_the_services_settings_come_from_is_not_read_twice(tmp_path):
    own = _say(tmp_path, "rigdrop.toml", "max-people = 2\nsettle = 5\n")
    base = [("command line", {"max-people": 1}), (str(own), {"max-people": 2, "settle": 5})]
    assert _of(tmp_path, base=base, service_file=own).people.max_people == 1
    assert _of(tmp_path / "sub", base=base, service_file=tmp_path / "gone.toml").people.max_people == 1
    with pytest.raises(SettingsError, match="settle"):
        _of(tmp_path, base=base)


def test_every_path_among_the_settings_is_known():
    stages = [getattr(Settings(), own.name) for own in fields(Settings)]
    found = {option_name(own.name) for stage in stages if is_dataclass(stage) for own in fields(stage) if "Path" in str(own.type)}
    assert found == set(PATH_KEYS)


def test_a_character_of_ones_own_lies_beside_the_settings_that_name_it(tmp_path):
    """`rig` and `bind-pose` take a name of ours or a file; only files are looked for beside the settings."""
    (tmp_path / "shots").mkdir()
    (tmp_path / "shots" / "rigdrop.toml").write_text('rig = "cast/hero.glb"\nbind-pose = "pose.npz"\n')
    settings = settings_of(tmp_path, "shots/clip.mp4", None, [])
    assert settings.rig.rig == str(tmp_path / "shots" / "cast" / "hero.glb")
    assert settings.bind.bind_pose == str(tmp_path / "shots" / "pose.npz")
    (tmp_path / "shots" / "rigdrop.toml").write_text('rig = "mixamo"\nbind-pose = "T"\n')
    settings = settings_of(tmp_path, "shots/clip.mp4", None, [])
    assert (settings.rig.rig, settings.bind.bind_pose) == ("mixamo", "T")


def test_paths_are_relative_to_the_file_that_says_them(tmp_path):
    root = tmp_path / "root"
    _say(root, "a/rigdrop.toml", 'out = "../../characters"\nmhr = "/models/mhr"\n')
    settings = _of(root, "a/b/clip.mp4")
    assert os.path.normpath(settings.output.out) == str(tmp_path / "characters") and str(settings.rig.mhr) == "/models/mhr"
    sidecar = _say(root, ".rigdrop/claims/host-1/new-1/clip.mp4.toml", 'out = "../../../elsewhere"\n')
    assert os.path.normpath(_of(root, "a/b/clip.mp4", sidecar).output.out) == str(tmp_path / "elsewhere")


@pytest.mark.parametrize("out", ["here", ".", "../inbox/x"])
def test_takes_do_not_go_into_the_inbox(tmp_path, out):
    root = tmp_path / "inbox"
    _say(root, "rigdrop.toml", f'out = "{out}"\n')
    with pytest.raises(SettingsError, match=r"^rigdrop\.toml: out: .*inbox"):
        _of(root)


def test_a_link_out_of_the_inbox_is_not_read_and_one_inside_is(tmp_path):
    root = tmp_path / "root"
    secret = _say(tmp_path, "secret.toml", "max-people = 1\n")
    common = _say(root, "common/rigdrop.toml", "max-people = 2\n")
    (root / "sub").mkdir()
    (root / "sub" / "rigdrop.toml").symlink_to(common)
    assert _of(root, "sub/clip.mp4").people.max_people == 2
    (root / "sub" / "rigdrop.toml").unlink()
    (root / "sub" / "rigdrop.toml").symlink_to(secret)
    with pytest.raises(SettingsError, match=r"sub/rigdrop\.toml: is a link out of the inbox"):
        _of(root, "sub/clip.mp4")


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_plain_file_is_not_read(tmp_path, kind):
    if kind == "pipe" and not hasattr(os, "mkfifo"):
        pytest.skip("there are no pipes here")
    (tmp_path / "rigdrop.toml").mkdir() if kind == "folder" else os.mkfifo(tmp_path / "rigdrop.toml")
    with pytest.raises(SettingsError, match="no plain file"):
        _of(tmp_path)


def test_settings_that_are_gone_are_an_error(tmp_path):
    with pytest.raises(SettingsError, match=r"clip\.mp4\.toml"):
        _of(tmp_path, sidecar=tmp_path / "clip.mp4.toml")


@pytest.mark.parametrize("name", [RAW_NAME, LONG_NAME, "unreal"])
def test_places_of_any_name(tmp_path, name):
    try:
        _say(tmp_path, f"{name}/rigdrop.toml", "start = 4\n")
    except OSError:
        pytest.skip("this file system does not know such names")
    assert _of(tmp_path, f"{name}/{name}.mp4").video.start_s == 4


def test_folders_that_are_gone_say_nothing(tmp_path):
    assert _of(tmp_path, "gone/high/clip.mp4").pose.quality == "high"
