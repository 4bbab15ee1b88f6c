"""``rigdrop map init`` as a user runs it."""

import tomllib

import pytest

from rigdrop.cli import map as map_command
from rigdrop.errors import ReadError, UsageError
from rigdrop.ingest.motion_files import bvh
from rigdrop.ingest.motion_files.options import MotionFileOptions

_ODD = """HIERARCHY
ROOT Bone
{
OFFSET 0 0 0
CHANNELS 3 Xposition Yposition Zposition
JOINT Bone.001
{
OFFSET 0 100 0
CHANNELS 3 Zrotation Xrotation Yrotation
End Site
{
OFFSET 0 50 0
}
}
}
MOTION
Frames: 1
Frame Time: 0.04
0 0 0 0 0 0
"""


def _run(*tokens: object) -> object:
    return map_command.app([str(token) for token in tokens])


def test_a_map_is_written_that_can_be_filled_in_and_is_then_used(tmp_path, capsys):
    file, out = tmp_path / "odd.bvh", tmp_path / "map.toml"
    file.write_text(_ODD)
    _run("init", file, "--out", out)
    text = out.read_text()
    assert tomllib.loads(text) == {} and '#   "Bone.001"' in text and '# pelvis = ""  # needed' in text
    assert "needed and not found" in capsys.readouterr().out
    out.write_text(text.replace('# pelvis = ""', 'pelvis = "Bone.001"'))
    recording = bvh.read(file, MotionFileOptions(joint_map=out))
    assert recording.actors[0].motion.skeleton.semantic == {"pelvis": 1}


def test_a_map_that_is_there_is_kept_unless_forced(tmp_path):
    file, out = tmp_path / "odd.bvh", tmp_path / "map.toml"
    file.write_text(_ODD)
    out.write_text("mine")
    with pytest.raises(UsageError, match="found it there already"):
        _run("init", file, "--out", out)
    assert out.read_text() == "mine"
    _run("init", file, "--out", out, "--force")
    assert out.read_text() != "mine"


@pytest.mark.parametrize(("name", "found"), [("clip.mp4", "no skeleton in it"), ("motion.bvh", "no skeleton in it"), ("", "no such file")])
def test_a_file_without_a_skeleton_is_an_error(tmp_path, name, found):
    if name:
        (tmp_path / name).write_text("nothing")
    file = tmp_path / (name or "nowhere.glb")
    with pytest.raises(ReadError, match=f"{file.name}: found {found}"):
        _run("init", file, "--out", tmp_path / "map.toml")
    assert not (tmp_path / "map.toml").exists()
