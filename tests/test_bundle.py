"""Bundles: what is in them, and that they are the same each time."""

import os
import zipfile

import pytest

from rigdrop.errors import UsageError
from rigdrop.formats.bundle import write_bundle


@pytest.fixture
def folder(tmp_path):
    take = tmp_path / "take"
    (take / "person_01").mkdir(parents=True)
    (take / "person_01" / "a_skel.usdc").write_bytes(os.urandom(500))
    (take / "report.json").write_text("{}" * 200)
    (take / ".hidden.part").write_text("no")
    return take


def test_everything_visible_is_in_it_under_its_own_name(folder):
    write_bundle(folder, folder / "bundle.zip")
    with zipfile.ZipFile(folder / "bundle.zip") as bundle:
        assert bundle.testzip() is None
        assert bundle.namelist() == ["person_01/a_skel.usdc", "report.json"]
        assert bundle.read("person_01/a_skel.usdc") == (folder / "person_01" / "a_skel.usdc").read_bytes()


def test_the_same_files_make_the_same_bytes(folder):
    write_bundle(folder, folder / "bundle.zip")
    first = (folder / "bundle.zip").read_bytes()
    os.utime(folder / "report.json", (1, 1))
    write_bundle(folder, folder / "bundle.zip")
    assert (folder / "bundle.zip").read_bytes() == first


def test_files_can_be_chosen(folder):
    write_bundle(folder, folder / "bundle.zip", [folder / "report.json"])
    assert zipfile.ZipFile(folder / "bundle.zip").namelist() == ["report.json"]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match="found no files, expected a converted take"):
        write_bundle(tmp_path, tmp_path / "bundle.zip")
    assert list(tmp_path.iterdir()) == []
