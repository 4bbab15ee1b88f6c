"""Takes whose rigs carry morph targets, made of numbers alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rigdrop.motion.take import Person, Take


def with_morphs(take: Take, count: int = 3, held: bool = False) -> Take:
    """Return ``take`` with ``count`` targets of a centimetre or so on everybody, whose weights swing from 0 to 1, or are ``held``."""
    return replace(take, people=[_morphed(person, count, held) for person in take.people])


def _morphed(person: Person, count: int, held: bool) -> Person:
    rng, frames = np.random.default_rng(11), person.motion.frame_count
    targets_m = rng.normal(0, 0.01, (count, len(person.rig.vertices_m), 3))
    weights = 0.5 + 0.5 * np.sin(np.arange(1 if held else frames)[:, None] * 0.7 + np.arange(count) + 1)
    weights = np.broadcast_to(weights, (frames, count))
    return replace(person, rig=replace(person.rig, morph_targets_m=targets_m), motion=replace(person.motion, morph_weights=weights))
