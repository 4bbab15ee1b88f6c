"""Settings from every layer: the same keys, the right winner, and errors that say what to type instead."""

from __future__ import annotations

import json
import random
from dataclasses import fields, is_dataclass

import pytest

from rigdrop.config.layers import flatten, option_name, parse_file, preset_names, read_preset
from rigdrop.config.options import DEFAULT_FORMATS, OutputOptions
from rigdrop.config.settings import Settings, load_layers, load_settings
from rigdrop.errors import SettingsError, UsageError


@pytest.fixture(autouse=True)
def _alone(tmp_path, monkeypatch):
    """No rigdrop.toml and no RIGDROP_ variable of the machine."""
    import os

    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("RIGDROP_")]:
        monkeypatch.delenv(name)


def _file(tmp_path, text):
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    return ["--config", str(path)]


def test_nothing_said_gives_the_defaults():
    assert load_settings() == Settings()


@pytest.mark.parametrize(("field", "option"), [("start_s", "start"), ("focal_px", "focal"), ("max_people", "max-people")])
def test_an_option_is_its_field_without_the_unit(field, option):
    assert option_name(field) == option


def test_the_command_line_wins_over_the_environment_over_the_file_over_the_preset(tmp_path, monkeypatch):
    config = _file(tmp_path, 'glb-skeletal.influences = 8\npreset = "web"\nstart = 1\nend = 9\nmax-people = 1\n')
    monkeypatch.setenv("RIGDROP_END", "8")
    monkeypatch.setenv("RIGDROP_MAX_PEOPLE", "2")
    settings = load_settings([*config, "--max-people", "3"])
    assert settings.people.max_people == 3
    assert settings.video.end_s == 8
    assert settings.video.start_s == 1
    assert settings.format_options("glb-skeletal").influences == 8
    assert settings.output.format == ("glb-skeletal",)


def test_a_preset_on_the_command_line_wins_over_the_one_in_the_file(tmp_path):
    assert load_settings([*_file(tmp_path, 'preset = "web"\n'), "--preset", "unreal"]).output.format == ("usd-skel",)


def test_the_file_in_the_working_folder_is_read(tmp_path):
    (tmp_path / "rigdrop.toml").write_text("[body]\nage = 0.3\n")
    assert load_settings().body.age == 0.3


def test_every_setting_can_be_said_in_toml_and_in_the_environment(tmp_path, monkeypatch):
    """Each key of the table is an option: saying its default again, in either layer, changes nothing."""
    lines = []
    for key, value in Settings().as_table().items():
        if value is None:
            continue
        text = str(list(value) if isinstance(value, tuple) else value).replace("True", "true").replace("False", "false")
        text = f'"{text}"' if isinstance(value, str) else text
        lines.append(f"{key} = {text}\n")
        words = " ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
        monkeypatch.setenv("RIGDROP_" + key.upper().replace("-", "_").replace(".", "_"), words)
    assert len(lines) > 100 and load_settings() == Settings()
    monkeypatch.undo()
    assert load_settings(_file(tmp_path, "".join(lines))) == Settings()


def test_no_two_settings_share_a_key():
    def leaves(options):
        for field in fields(options):
            value = getattr(options, field.name)
            yield from leaves(value) if is_dataclass(value) else [field.name]

    assert len(Settings().as_table()) == len(list(leaves(Settings())))


def test_every_option_has_a_sentence_in_the_help():
    import ast
    import inspect

    def undocumented(options):
        body = ast.parse(inspect.getsource(type(options))).body[0].body  # type: ignore[attr-defined]
        for statement, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(statement, ast.AnnAssign) and not (isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
                name = statement.target.id  # type: ignore[union-attr]
                if not is_dataclass(getattr(options, name)):
                    yield f"{type(options).__name__}.{name}"

    formats = Settings().formats
    options = [getattr(Settings(), field.name) for field in fields(Settings) if field.name != "formats"]
    options += [getattr(formats, field.name) for field in fields(formats)]
    assert [name for option in options for name in undocumented(option)] == []


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_holds_known_keys_and_good_values(preset):
    settings = load_settings(["--preset", preset])
    table = settings.as_table()
    for key, value in read_preset(preset).items():
        assert table[key] == (tuple(value) if isinstance(value, list) else value)


def test_an_unknown_key_names_the_key_the_file_and_the_nearest_one(tmp_path):
    with pytest.raises(SettingsError, match=r"my\.toml: max-peple: .*'max-people'"):
        load_settings(_file(tmp_path, "max-peple = 2\n"))


def test_an_unknown_key_in_a_table_names_the_nearest_one(tmp_path):
    with pytest.raises(SettingsError, match=r"body\.hight: .*'body\.height'"):
        load_settings(_file(tmp_path, "[body]\nhight = 0.5\n"))


def test_a_switch_of_the_command_is_no_setting(tmp_path):
    with pytest.raises(SettingsError, match="config: found an unknown key"):
        load_settings(_file(tmp_path, 'config = "other.toml"\n'))


def test_an_unknown_preset_names_the_nearest_one():
    with pytest.raises(SettingsError, match="'unreal'"):
        load_settings(["--preset", "unrael"])


@pytest.mark.parametrize(("text", "said"), [('start = "x"\n', "start"), ("start = [1, 2]\n", "start"), ("start = \n", "TOML")])
def test_a_wrong_value_in_a_file_is_an_error_of_that_file(tmp_path, text, said):
    with pytest.raises(SettingsError, match=said) as caught:
        load_settings(_file(tmp_path, text))
    assert "my.toml" in str(caught.value)


def test_a_wrong_value_in_the_environment_names_the_variable(monkeypatch):
    monkeypatch.setenv("RIGDROP_START", "soon")
    with pytest.raises(SettingsError, match="RIGDROP_START"):
        load_settings()


def test_a_wrong_value_on_the_command_line_is_a_wrong_use():
    with pytest.raises(UsageError, match="--start"):
        load_settings(["--start", "soon"])


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load_settings(["--config", str(tmp_path / "none.toml")])


def test_formats_come_one_at_a_time_or_with_commas():
    both = load_settings(["--format", "glb-baked", "--format", "usd-skel"])
    assert both == load_settings(["--format", "glb-baked,usd-skel"])
    assert both.output.format_was_chosen and not OutputOptions().format_was_chosen


@pytest.mark.parametrize("formats", ["fbx2", "glb-baked,glb-baked"])
def test_formats_that_cannot_be_are_refused(formats):
    with pytest.raises((UsageError, SettingsError), match="format"):
        load_settings(["--format", formats])


def test_the_fingerprint_of_the_motion_sees_its_own_options_and_no_others():
    base = load_settings()
    assert base.motion_fingerprint("a") != base.motion_fingerprint("b")
    for tokens in (["--height", "1.8"], ["--rig", "mixamo"], ["--start", "1"], ["--quality", "high"], ["--no-level"]):
        assert load_settings(tokens).motion_fingerprint("a") != base.motion_fingerprint("a"), tokens
    for tokens in (["--format", "usd-skel"], ["--out", "x"], ["--force"], ["--no-preview"], ["--glb-skeletal.influences", "4"]):
        assert load_settings(tokens).motion_fingerprint("a") == base.motion_fingerprint("a"), tokens


def test_the_fingerprint_of_the_files_sees_what_is_written_and_not_where():
    base = load_settings().files_fingerprint("a")
    for tokens in (["--format", "usd-skel"], ["--no-preview"], ["--glb-skeletal.influences", "4"], ["--scene"], ["--up", "z"],
                   ["--units", "cm"]):
        assert load_settings(tokens).files_fingerprint("a") != base, tokens
    for tokens in (["--out", "x"], ["--force"]):
        assert load_settings(tokens).files_fingerprint("a") == base, tokens


@pytest.mark.parametrize("value", ["3", "false", "1.5", '["web"]', '""', "2026-11-21"])
def test_a_preset_that_is_no_name_is_an_error_of_settings(tmp_path, value):
    with pytest.raises(SettingsError, match=r"preset: found ['\"].*the nearest is"):
        load_settings(_file(tmp_path, f"preset = {value}\n"))


def test_tables_become_dotted_keys():
    assert flatten({"a": 1, "b": {"c": {"d": 2}, "e": [3]}}) == {"a": 1, "b.c.d": 2, "b.e": [3]}


def _other(key, value):
    """Another value that this setting can have."""
    chosen = {
        "format": ["usd-skel", "glb-baked"], "rig": "mixamo", "estimator": "other one", "quality": "high", "usd-skel.preset": "unreal",
        "up": "z", "units": "cm", "usd-skel.up": "y", "usd-skel.units": "m",
        "usd-skel.format": "usda", "glb-skeletal.influences": 4,
        "source-fps": "30000/1001", "world": "camera", "hand-poses": "hands.npz", "joint-map": "map.toml", "rig-map": "hero.toml",
        "smoothing": "gaussian", "checkpoint": "weights", "passes": "fast", "device": "cuda:1", "precision": "float16",
        "detector": "d-fine", "masks": "sam3", "correctives": "morphs",
        "hand-motion": "static", "retarget.hands-from": "hips", "ground": -0.1,
        "bind-pose": "T", "root": "hips", "facing": "+x", "at": [1.5, -2.0],
        "end": 9.25, "fps": 29.97, "focal": 1450.1, "height": 1.1 + 0.1, "mhr": "/a b/-ü/\udcff", "smpl": "bodies", "out": "--x y,z",
    }
    if key in chosen:
        return chosen[key]
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    return [part * 0.9 for part in value] if isinstance(value, tuple) else value * 0.9 or 0.1


@pytest.mark.parametrize("seed", range(12))
def test_a_table_gives_the_settings_that_it_was_made_of(seed, monkeypatch):
    """Also as JSON has it, whatever the environment says and whatever lies in the working folder."""
    monkeypatch.setenv("RIGDROP_MAX_PEOPLE", "7")
    chance = random.Random(seed)
    table = {key: _other(key, value) if chance.random() < seed / 11 else value for key, value in Settings().as_table().items()}
    settings = Settings.of_table(table)
    assert json.loads(json.dumps(settings.as_table())) == json.loads(json.dumps(table))
    assert Settings.of_table(json.loads(json.dumps(settings.as_table()))) == settings
    assert (settings == Settings()) == (seed == 0)


def test_a_table_may_leave_things_out():
    assert Settings.of_table({}) == Settings()
    assert Settings.of_table({"end": None, "max-people": 2}) == load_settings(["--max-people", "2"])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"max-peple": 2}, "'max-people'"), ({"start": "soon"}, "start"), ({"format": ["fbx2"]}, "fbx2"), ({"format": []}, "format"),
        ({"sigmas.landmark": [1, 2]}, r"settings: sigmas\.landmark"), ({"sigmas": 3}, "settings: sigmas"), ({"start": 3, "end": 2}, "end"),
        ({"config": "x"}, "unknown"), ({"": 1}, "unknown"), ({"out": {"a": 1}}, "out"),
    ],
)
def test_a_wrong_table_is_an_error_of_settings(table, said):
    with pytest.raises(SettingsError, match=said):
        Settings.of_table(table)


def test_the_first_layer_that_says_something_wins():
    third = {"start": 1, "end": 7, "glb-skeletal.influences": 4}
    settings = load_layers([("a", {"max-people": 1, "end": None}), ("b", {"max-people": 2, "end": 5}), ("c", third)])
    assert (settings.people.max_people, settings.video.start_s, settings.video.end_s) == (1, 1, 5)
    assert settings.format_options("glb-skeletal").influences == 4
    assert load_layers([]) == Settings()


def test_a_wrong_layer_is_named():
    for values in ({"max-peple": 1}, {"start": "soon"}, {"sigmas.landmark": [1]}):
        with pytest.raises(SettingsError, match="b of mine"):
            load_layers([("a", {"start": None}), ("b of mine", values), ("c", {})])


def test_a_file_may_begin_with_a_mark_and_may_not_be_endlessly_deep():
    assert parse_file(b"\xef\xbb\xbfbody.age = 0.3\r\n", "x") == {"body.age": 0.3}
    for text in (b"a = " + b"[" * 5000, b".".join([b"a"] * 5000) + b" = 1"):
        with pytest.raises(SettingsError, match=r"x\.toml: is nested too deeply"):
            parse_file(text, "x.toml")


def test_the_default_formats_are_the_three():
    assert DEFAULT_FORMATS == ("glb-skeletal", "glb-baked", "usd-skel")
