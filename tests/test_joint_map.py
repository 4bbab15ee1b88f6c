"""Joint maps: written, read back, and refused with the line that is wrong."""

import pytest

from rigdrop.errors import ReadError
from rigdrop.motion.joint_map import read_joint_map, write_joint_map

NAMES = ["Hips", "Left Leg", 'odd"name\\', "腰", "tab\there", "Right Leg"]


def test_what_is_written_is_read_back_whatever_names_hold(tmp_path):
    semantic = {"left_knee": 1, "pelvis": 0, "head": 2, "neck": 3, "spine_1": 4}
    path = tmp_path / "map.toml"
    write_joint_map(path, semantic, NAMES)
    assert read_joint_map(path, NAMES) == semantic
    text = path.read_text(encoding="utf-8")
    assert '#   "Right Leg"' in text and '# right_knee = ""  # needed' in text and "# left_foot = \"\"\n" in text


@pytest.mark.parametrize(("text", "message"), [
    ('left_kne = "Hips"', "left_kne: found an unknown meaning, expected one such as 'left_knee'"),
    ('pelvis = "Hip"', "pelvis: found no joint 'Hip', expected one of the file's such as 'Hips'"),
    ("pelvis = 3", "pelvis: found 3, expected a joint's name in quotes"),
    ('pelvis = "Hips"\nhead = "Hips"', "head: found joint 'Hips', which pelvis has already"),
    ("pelvis = Hips", "is not TOML"),
    ("[pelvis]", "pelvis: found {}"),
])
def test_a_wrong_line_is_an_error_that_says_which_and_what_is_near(tmp_path, text, message):
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(ReadError) as caught:
        read_joint_map(path, NAMES)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_a_map_that_is_not_there_says_how_to_make_one(tmp_path):
    with pytest.raises(ReadError, match="rigdrop map init writes one"):
        read_joint_map(tmp_path / "none.toml", NAMES)
