"""People of a video on a character whose bones nobody lengthens."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rigdrop.convert.body import Body
from rigdrop.convert.character import People
from rigdrop.convert.onto_rig import onto_rig
from rigdrop.motion.kinematics import world_transforms
from rigdrop.motion.take import Person

from .bodies import humanoid, walk
from .synthetic import small_take
from .test_origin import origin_for


def test_everybody_walks_on_the_character_as_it_is():
    source, target = humanoid(), humanoid(seed=9, elbow_rad=0.1)
    target = replace(target, origin=origin_for(target))
    times_s = np.arange(30) / 30
    motion = Body.of(source).to_motion(*walk(Body.of(source), times_s), np.ones(30, bool), np.ones(30))
    people = People(small_take(2).camera, tuple(Person(f"person_0{number}", "", number, source, motion) for number in (1, 2)), {"kept": 1})
    done = onto_rig(people, times_s, target)
    assert done.details == {"kept": 1} and [person.id for person in done.people] == ["person_01", "person_02"]
    for person in done.people:
        assert person.rig is target and person.rig.origin.fits(person.rig.bind_world)
        places = [world_transforms(rig, each.local_quat_xyzw, each.local_translation_m)[:, rig.skeleton.semantic["left_ankle"], :3, 3]
                  for rig, each in ((source, motion), (target, person.motion))]
        # Both have the same legs, so the feet stand where they stood.
        np.testing.assert_allclose(places[1], places[0], atol=1e-4)
