"""The feet benchmark's own arithmetic, on a walk whose skating is planted."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from rigdrop.convert.body import Body
from rigdrop.convert.performance import Performance

from .bodies import humanoid, walk

sys.path.append(str(Path(__file__).resolve().parent.parent))  # benchmarks are no part of what is installed

from benchmarks import feet


def test_slide_is_measured_in_the_planted_contacts():
    """A walker who skates by 60 mm a second slides by 2 mm a thirtieth of a second, whatever is found; held, by far less."""
    rig, times_s = humanoid(), np.arange(90) / 30
    body = Body.of(rig)
    quat, root_m = walk(body, times_s, 0.8)
    root_m = root_m + np.outer(times_s, [0.06, 0.0, 0.0])
    skating = Performance.of_motion(rig, times_s, body.to_motion(quat, root_m, np.ones(90, bool), np.ones(90)))
    planted = np.stack([(times_s + phase * 0.5) % 1.0 <= 0.5 for phase in (0, 0, 1, 1)], axis=1)
    found = feet._measure(skating, planted, 30.0, as_planted=True)
    assert found.slide[0] == pytest.approx(2.0, rel=1e-3)
    assert found.slide[1] < 0.5
    assert (found.planted, found.correct <= found.found) == (planted.sum(), True)


def test_rendered_clips_are_not_those_that_were_tuned_on():
    assert {case.options.seed for case in feet.RENDERED}.isdisjoint(range(3000, 3100))
    assert [case.options.moves for case in feet.RENDERED] == [feet.MOVES[name] for name in ("walk", "walk round", "turn")]
