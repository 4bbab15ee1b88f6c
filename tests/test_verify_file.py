"""Which person and which format a file is of."""

import pytest

from rigdrop.errors import ReadError, UsageError
from rigdrop.formats.registry import FORMATS
from rigdrop.formats.verify.file import verify_file

from .synthetic import small_take


@pytest.fixture(params=[*FORMATS])
def written(request, tmp_path):
    take, offered = small_take(people=2), FORMATS[request.param]
    path = tmp_path / f"a{offered.suffix}"
    offered.write(take, take.people[1], path, None)
    return take, path


def test_a_file_knows_its_person_and_its_format(written):
    report = verify_file(written[1], written[0])
    assert report.ok and report.person == "person_02"


def test_a_file_may_be_renamed(written):
    renamed = written[1].rename(written[1].with_name("x" + written[1].suffix))
    assert verify_file(renamed, written[0]).ok


def test_another_person_can_be_named(written):
    assert verify_file(written[1], written[0], "person_01").mean_mm > 1000


def test_a_person_that_is_not_there_is_refused(written):
    expected = "found person 'person_09', expected one of the take's, person_01, person_02; name one with --person"
    with pytest.raises(UsageError, match=expected):
        verify_file(written[1], written[0], "person_09")


def test_a_file_that_is_not_there_or_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ReadError, match="found no such file"):
        verify_file(tmp_path / "a.glb", small_take())
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(ReadError, match=r"found the suffix '\.txt', expected a file of one of the formats glb-skeletal"):
        verify_file(tmp_path / "a.txt", small_take())
