"""A file goes out as it came in where it is of the kind that is asked for and still bound as its rig is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rigdrop.formats.keeps import keeps_file

from .bodies import humanoid
from .test_origin import origin_for


def test_only_the_same_kind_of_file_and_the_same_bind_pose_are_kept():
    rig = humanoid()
    assert not keeps_file(rig, "glb")
    own = replace(rig, origin=origin_for(rig))
    assert keeps_file(own, "glb") and not keeps_file(own, "usd")
    bind = rig.bind_world.copy()
    bind[3, 1, 3] += 0.01
    with pytest.warns(UserWarning, match=r"hero\.glb: its bind pose or its proportions were changed; wrote its mesh anew"):
        assert not keeps_file(replace(own, bind_world=bind), "glb")
