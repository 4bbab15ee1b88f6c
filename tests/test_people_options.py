from __future__ import annotations

import pytest

from rigdrop.errors import SettingsError
from rigdrop.ingest.people.options import PeopleOptions


@pytest.mark.parametrize("wrong", [{"max_people": -1}, {"min_visible_s": -0.1}, {"relink_s": float("nan")}])
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        PeopleOptions(**wrong)
