"""Who was seen where in a clip: one sighting at a time as it comes, packed as it is kept, and as chains that are one person's."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..pose.body_pose import TORSO, BodyPose, torso_length, torso_middle
from ..rows import Rows
from .appearance import COLOURS, colours_of_counts, counts_of_colours

_LAYOUT = np.dtype([
    ("frame", np.int32), ("strand", np.int32), ("score", np.float32), ("points_px", np.float32, (33, 2)),
    ("points_m", np.float32, (33, 3)), ("visibility", np.float32, (33,)), ("colour_counts", np.uint8, (COLOURS,)),
])


@dataclass(frozen=True, eq=False)
class Sighting:
    """One person in one picture, on one strand."""

    frame: int
    strand: int
    pose: BodyPose
    colours: NDArray[np.float32]  # (68,), see `torso_colours`


@dataclass(frozen=True, eq=False)
class Chain:
    """Sightings of one person in order of time: what tells people apart, and the rows of `Sightings` where the rest is."""

    row: NDArray[np.intp]  # (N,)
    frame: NDArray[np.int32]  # (N,), rising
    strand: NDArray[np.int32]  # (N,)
    score: NDArray[np.float32]  # (N,)
    torso_px: NDArray[np.float32]  # (N,4,2)
    colour_counts: NDArray[np.uint8]  # (N,68)

    def __len__(self) -> int:
        return len(self.row)

    def part(self, which: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Chain:
        """Return some of the sightings."""
        return Chain(*(getattr(self, own.name)[which] for own in fields(self)))

    def with_others(self, other: Chain) -> Chain:
        """Return the sightings of both, of one person in different frames, in order of time."""
        both = Chain(*(np.concatenate([getattr(self, own.name), getattr(other, own.name)]) for own in fields(self)))
        return both.part(np.argsort(both.frame, kind="stable"))

    @property
    def first_frame(self) -> int:
        """The frame of the first sighting."""
        return int(self.frame[0])

    @property
    def last_frame(self) -> int:
        """The frame of the last sighting."""
        return int(self.frame[-1])

    @property
    def centre_px(self) -> NDArray[np.float64]:
        """The middle (N,2) of the torso."""
        return torso_middle(self.torso_px.astype(np.float64))

    @property
    def length_px(self) -> NDArray[np.float64]:
        """The torso's length (N,)."""
        return torso_length(self.torso_px.astype(np.float64))

    @property
    def clothes(self) -> NDArray[np.float32]:
        """The mean histogram (68,) of the torso's colours."""
        return np.asarray(colours_of_counts(self.colour_counts).mean(axis=0), dtype=np.float32)


class Sightings:
    """All sightings of a clip, packed: a row each, in no order of their own."""

    def __init__(self) -> None:
        self._rows = Rows(_LAYOUT)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, sighting: Sighting) -> int:
        """Keep a sighting, and return its row."""
        pose, counts = sighting.pose, counts_of_colours(sighting.colours)
        return self._rows.add(sighting.frame, sighting.strand, pose.score, pose.points_px, pose.points_m, pose.visibility, counts)

    def column(self, name: str, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return ``points_px``, ``points_m``, ``visibility`` or ``score`` of rows (N,) as (N,…)."""
        return self._rows.column(name, rows)

    def chains(self, strands: Collection[int]) -> list[Chain]:
        """Return what was seen of each of ``strands`` that was seen at all, in order of their numbers."""
        frame, strand = self._rows.column("frame"), self._rows.column("strand")
        order = np.lexsort((frame, strand))
        order = order[np.isin(strand[order], list(strands))]
        return [self._chain(rows) for rows in np.split(order, np.flatnonzero(np.diff(strand[order])) + 1) if len(rows)]

    def _chain(self, rows: NDArray[np.intp]) -> Chain:
        frame, strand, score, points_px, counts = (
            self._rows.column(name, rows) for name in ("frame", "strand", "score", "points_px", "colour_counts")
        )
        return Chain(rows, frame, strand, score, points_px[:, list(TORSO)], counts)
