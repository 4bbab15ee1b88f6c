"""Archives built in the test, real pip on a folder of wheels, and a real HTTP server on this machine."""

import hashlib
import http.server
import io
import os
import tarfile
import threading
import zipfile
from functools import partial
from pathlib import Path

import pytest

from rigdrop.assets.fetch import download_package, download_url, find_package, read_members
from rigdrop.assets.manifest import Package
from rigdrop.errors import MissingPartError, ReadError

PART = Package("wheel", "rigdrop-test-part", "1.0", 1000)


def write_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / "rigdrop_test_part-1.0-py3-none-any.whl"
    info = "rigdrop_test_part-1.0.dist-info"
    texts = {f"{info}/METADATA": b"Metadata-Version: 2.1\nName: rigdrop-test-part\nVersion: 1.0\n",
             f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n", f"{info}/RECORD": b""}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in {**members, **texts}.items():
            wheel.writestr(name, content)
    return path


def write_tarball(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tarball:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tarball.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def local_index(tmp_path, monkeypatch):
    """A folder of wheels that pip uses instead of any index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


def test_members_are_taken_by_name_and_by_beginning(tmp_path):
    content = {"a/one.bin": b"1", "a/two.bin": b"22", "a/deep/three.bin": b"333", "b.bin": b"4"}
    for archive in (write_wheel(tmp_path, content), write_tarball(tmp_path / "part.tgz", content)):
        assert dict(read_members(archive, ("a/*", "b.bin"))) == content
        assert dict(read_members(archive, ("a/two.bin",))) == {"a/two.bin": b"22"}


def test_a_missing_member_is_named(tmp_path):
    with pytest.raises(ReadError, match=r"found no member a/nine\.bin"):
        dict(read_members(write_wheel(tmp_path, {"a/one.bin": b"1"}), ("a/one.bin", "a/nine.bin")))


def test_a_member_may_not_leave_the_archive(tmp_path):
    archive = write_tarball(tmp_path / "part.tgz", {"a/../../evil.bin": b"1"})
    with pytest.raises(ReadError, match="expected paths inside the archive"):
        dict(read_members(archive, ("a/*",)))


@pytest.mark.parametrize("suffix", [".whl", ".tgz"])
def test_a_truncated_archive_is_said_to_be_one(tmp_path, suffix):
    noise = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(4000))
    whole = write_wheel(tmp_path, {"a": noise}) if suffix == ".whl" else write_tarball(tmp_path / "whole.tgz", {"a": noise})
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[:60_000])
    with pytest.raises(ReadError, match="found no whole archive"):
        dict(read_members(cut, ("a",)))


def test_pip_brings_the_wheel_and_progress_ends_at_its_size(local_index, tmp_path):
    write_wheel(local_index, {"a/one.bin": b"1"})
    seen = []
    target = tmp_path / "target"
    target.mkdir()
    package = Package("wheel", "rigdrop_test_part", "1.0", 1000)
    found = download_package(package, target, lambda done, total: seen.append((done, total)))
    assert dict(read_members(found, ("a/one.bin",))) == {"a/one.bin": b"1"}
    assert found == find_package(package, target)
    assert seen[-1] == (1000, 1000)
    assert all(0 <= done <= total for done, total in seen)


def test_what_pip_says_reaches_the_user(local_index, tmp_path):
    with pytest.raises(MissingPartError, match=r"rigdrop-test-part==1\.0: .*No matching distribution"):
        download_package(PART, tmp_path)


def test_without_npm_the_message_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPartError, match="npm is not on the PATH"):
        download_package(Package("npm", "@rigdrop/none", "1.0.0", 10), tmp_path)


@pytest.fixture
def web(tmp_path):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    root = tmp_path / "web"
    root.mkdir()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield root, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_is_fetched_with_progress(web, tmp_path):
    root, address = web
    content = bytes(range(256)) * 10_000
    (root / "part.bin").write_bytes(content)
    seen = []
    download_url(f"{address}/part.bin", tmp_path / "part.bin", len(content), lambda done, total: seen.append((done, total)))
    assert (tmp_path / "part.bin").read_bytes() == content
    assert seen[-1] == (len(content), len(content))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # urllib leaves an HTTPError's socket to the collector
def test_a_url_that_is_not_there_says_which(web, tmp_path):
    _, address = web
    with pytest.raises(MissingPartError, match=r"none\.bin: HTTP Error 404"):
        download_url(f"{address}/none.bin", tmp_path / "none.bin", 1)
