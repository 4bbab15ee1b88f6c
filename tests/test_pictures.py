"""The files that go wherever a stage goes."""

from __future__ import annotations

from rigdrop.formats.pictures import companions, keep_only, pictures_folder


def test_a_stages_pictures_lie_beside_it_and_nobody_elses_count(tmp_path):
    path = tmp_path / "clip_person_01_skel.usdc"
    assert companions(path) == []
    for name in ("clip_person_01_skel_pictures", "clip_person_02_skel_pictures"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "b.png").touch()
        (tmp_path / name / "a.png").touch()
    assert companions(path) == [pictures_folder(path) / "a.png", pictures_folder(path) / "b.png"]


def test_a_package_has_none_beside_it_whatever_a_stage_of_its_name_left(tmp_path):
    path = tmp_path / "clip_skel.usdz"
    pictures_folder(path).mkdir()
    (pictures_folder(path) / "a.png").touch()
    assert companions(path) == [] and len(companions(path.with_suffix(".usdc"))) == 1


def test_pictures_of_an_older_stage_go_and_so_does_a_folder_without_any(tmp_path):
    path = tmp_path / "clip_skel.usdc"
    keep_only(path, ())
    pictures_folder(path).mkdir()
    for name in ("a.png", "b.png", "c.png"):
        (pictures_folder(path) / name).touch()
    keep_only(path, {"b.png"})
    assert [file.name for file in companions(path)] == ["b.png"]
    keep_only(path, ())
    assert not pictures_folder(path).exists()
