"""Names of rigs, and the traits of the body."""

import pytest

from rigdrop.convert.rigs import RIGS, BodyOptions, load_rig
from rigdrop.errors import MissingPartError, SettingsError, UsageError


def test_the_rigs_that_users_ask_for_are_there():
    assert list(RIGS) == ["unreal", "mixamo", "anny", "mhr", "smplx", "smplh", "vrm", "ue5"]


def test_an_unknown_rig_is_a_usage_error_that_lists_the_known():
    with pytest.raises(UsageError, match="found 'biped', expected one of unreal, mixamo, anny, mhr, smplx, smplh, vrm, ue5"):
        load_rig("biped")


def test_without_a_folder_mhr_says_how_to_name_it(monkeypatch):
    monkeypatch.delenv("RIGDROP_MHR", raising=False)
    with pytest.raises(MissingPartError, match="--mhr DIR or RIGDROP_MHR"):
        load_rig("mhr")


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_trait_out_of_range_is_a_settings_error(value):
    with pytest.raises(SettingsError, match=r"body: muscle: found .*, expected a number from 0 to 1"):
        BodyOptions(muscle=value)


@pytest.mark.parametrize("name", ["unreal", "mixamo", "anny", "smplx", "smplh", "vrm", "ue5"])
def test_a_rig_is_named_after_its_key(name, anny_folder):
    assert load_rig(name).name == name
