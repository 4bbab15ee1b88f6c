"""The files that go wherever a stage goes."""

from __future__ import annotations

from rigdrop.formats.pictures import companions, pictures_folder


def test_a_stages_pictures_lie_beside_it_and_nobody_elses_count(tmp_path):
    path = tmp_path / "clip_person_01_skel.usdc"
    assert companions(path) == []
    for name in ("clip_person_01_skel_pictures", "clip_person_02_skel_pictures"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "b.png").touch()
        (tmp_path / name / "a.png").touch()
    assert companions(path) == [pictures_folder(path) / "a.png", pictures_folder(path) / "b.png"]
