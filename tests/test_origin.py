"""A rig's origin checks itself, follows the rig, and knows when the rig has left it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.errors import ReadError
from rigdrop.motion.origin import Origin
from rigdrop.motion.rig import Rig

from .bodies import humanoid


def origin_for(rig: Rig, **changes: object) -> Origin:
    """An origin for a rig whose joints the file has at a hundredth of their size."""
    bind = rig.bind_world.copy()
    bind[:, :3, :3] *= 0.01
    vertices = len(rig.vertices_m)
    parts = {
        "format": "glb", "file_name": "hero.glb", "content": b"hero", "skeleton": "", "joints": tuple(map(str, range(len(bind)))),
        "T_world_joint_bind": bind, "meshes": ("0/0",), "vertex_counts": [vertices], "points": np.arange(vertices), "materials": ("0",),
        "face_materials": np.zeros(len(rig.faces)),
    }
    return Origin(**(parts | changes))


def test_it_knows_its_contents_digest():
    rig = humanoid()
    assert origin_for(rig).sha256 == hashlib.sha256(b"hero").hexdigest()
    assert origin_for(rig, sha256=hashlib.sha256(b"hero").hexdigest()).content == b"hero"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sha256": "00"}, "origin: sha256: found .*, expected 00, as was noted"),
        ({"format": "fbx"}, "format: found 'fbx', expected glb or usd"),
        ({"joints": ("0",)}, r"T_world_joint_bind: found \(55, 4, 4\), expected \(1, 4, 4\)"),
        ({"T_world_joint_bind": np.full((55, 4, 4), np.nan)}, "T_world_joint_bind: found NaN or infinity"),
        ({"meshes": ("0/0", "1/0")}, r"vertex_counts: found \(1,\), expected \(2,\)"),
        ({"points": [0]}, r"points: found \(1,\), expected \(440,\)"),
        ({"face_materials": np.ones(660)}, "face_materials: found a material that is not there, expected -1 to 0"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, match):
    with pytest.raises(ReadError, match=match):
        origin_for(humanoid(), **changes)


def test_a_rig_takes_no_origin_of_another_size():
    rig = humanoid()
    with pytest.raises(ReadError, match=r"rig: origin: found \(55, 440, 1\), expected \(55, 440, 660\)"):
        replace(rig, origin=origin_for(rig, face_materials=[0]))


def test_the_files_joints_follow_the_rigs():
    rig, rng = humanoid(), np.random.default_rng(3)
    origin = origin_for(rig)
    T_world = np.tile(np.eye(4), (55, 1, 1))
    T_world[:, :3, :3], T_world[:, :3, 3] = Rotation.random(55, random_state=3).as_matrix(), rng.normal(0, 1, (55, 3))
    found = origin.file_transforms(T_world[None], rig.bind_world)[0]
    points = rng.normal(0, 1, (55, 4))
    points[:, 3] = 1
    # A point fixed to a joint goes where the rig takes it, whichever of the two bind poses it is told in.
    by_rig = np.einsum("jab,jb->ja", T_world @ np.linalg.inv(rig.bind_world), points)
    by_file = np.einsum("jab,jb->ja", found @ np.linalg.inv(origin.T_world_joint_bind), points)
    np.testing.assert_allclose(by_file, by_rig, atol=1e-9)


def test_it_fits_the_bind_pose_it_has_and_no_other():
    rig = humanoid()
    origin = origin_for(rig)
    assert origin.fits(rig.bind_world)
    moved = np.eye(4)
    moved[:3, :3], moved[:3, 3] = Rotation.from_euler("y", 90, degrees=True).as_matrix(), [0, 0.5, 0]
    assert origin.moved(moved).fits(moved @ rig.bind_world) and not origin.moved(moved).fits(rig.bind_world)
    turned, shifted = rig.bind_world.copy(), rig.bind_world.copy()
    turned[7, :3, :3] = turned[7, :3, :3] @ Rotation.from_euler("x", 1, degrees=True).as_matrix()
    shifted[7, 0, 3] += 1e-4
    assert not origin.fits(turned) and not origin.fits(shifted) and not origin.fits(rig.bind_world[1:])
