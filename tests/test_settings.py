"""Settings from every layer: the same keys, the right winner, and errors that say what to type instead."""

from __future__ import annotations

from dataclasses import fields, is_dataclass

import pytest

from rigdrop.config.layers import flatten, option_name, preset_names, read_preset
from rigdrop.config.options import DEFAULT_FORMATS, OutputOptions
from rigdrop.config.settings import Settings, load_settings
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
    for key, value in Settings().as_table().items():
        if value is None:
            continue
        text = str(list(value) if isinstance(value, tuple) else value).replace("True", "true").replace("False", "false")
        text = f'"{text}"' if isinstance(value, str) else text
        assert load_settings(_file(tmp_path, f"{key} = {text}\n")) == Settings(), key
        words = " ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
        monkeypatch.setenv("RIGDROP_" + key.upper().replace("-", "_").replace(".", "_"), words)
    assert load_settings() == Settings()


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
    for tokens in (["--format", "usd-skel"], ["--no-preview"], ["--glb-skeletal.influences", "4"], ["--scene"]):
        assert load_settings(tokens).files_fingerprint("a") != base, tokens
    for tokens in (["--out", "x"], ["--force"]):
        assert load_settings(tokens).files_fingerprint("a") == base, tokens


def test_tables_become_dotted_keys():
    assert flatten({"a": 1, "b": {"c": {"d": 2}, "e": [3]}}) == {"a": 1, "b.c.d": 2, "b.e": [3]}


def test_the_default_formats_are_the_three():
    assert DEFAULT_FORMATS == ("glb-skeletal", "glb-baked", "usd-skel")
