"""What may be asked of MHR's pose correctives."""

from __future__ import annotations

import pytest

from rigdrop.convert.mhr.corrective_options import CorrectiveOptions
from rigdrop.errors import SettingsError


def test_nothing_is_added_unless_asked_for():
    assert CorrectiveOptions() == CorrectiveOptions("none", 32)


@pytest.mark.parametrize(("wrong", "says"), [
    ({"correctives": "baked"}, "correctives: found 'baked', expected none or morphs"),
    ({"morph_count": 1}, "morph-count: found 1, expected 2 to 256"),
    ({"morph_count": 257}, "morph-count: found 257, expected 2 to 256"),
])
def test_what_can_not_be_is_refused(wrong, says):
    with pytest.raises(SettingsError, match=says):
        CorrectiveOptions(**wrong)
