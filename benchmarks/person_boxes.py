"""Measures boxes about rendered people against the true ones: the radii of ingest/people/embedded_boxes.py.

    python -m benchmarks.person_boxes [--fit] [--folder DIR]

The true box is that of all the body's vertices in the picture. Figures are of the measuring seeds; --fit measures the radii
anew, on the tuning seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from rigdrop.ingest.people.box_overlap import overlap
from rigdrop.ingest.people.embedded_boxes import BoxRule, body_boxes, sighted
from rigdrop.ingest.tracks import Observations
from rigdrop.motion.take import Take
from rigdrop.render.playback import joints_by_frame
from rigdrop.render.puppet import puppet
from rigdrop.render.view import View

from .clips import cases, rendered
from .kept import add_folder, clips_folder, observed
from .table import shown, table

Array = NDArray[np.float64]

_EVERY = 4  # frames of which one is enough to measure radii by
_STEPS = 6


@dataclass(frozen=True, eq=False)
class Seen:
    """A clip of one person: the true boxes, and what the estimator read."""

    name: str
    true_xyxy: Array  # (F,4), as far as they are in the picture
    observed: Observations


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="measure the radii, and print them instead")
    add_folder(parser)
    arguments = parser.parse_args()
    made = clips_folder(arguments.folder)
    clips = [seen(case.name, *rendered(case, made), made) for case in cases(tuning=arguments.fit)]
    print(_radii(clips) if arguments.fit else _report(clips))


def seen(name: str, clip: Path, truth: Take, folder: Path) -> Seen:
    """Put a clip's true boxes beside what is read of it."""
    return Seen(name, true_boxes(truth), observed(clip, "draft", folder))


def true_boxes(truth: Take) -> Array:
    """The box (F,4) of the first person's vertices in each frame, cut off at the picture's edges, pixels."""
    view, skin = View.of_camera(truth.camera), puppet(truth.people[0].rig, np.zeros(3))
    boxes = []
    for frame in joints_by_frame(truth):
        pixels, _ = view.project(skin.posed(frame[0]).vertices_m)
        boxes.append(np.concatenate([pixels.min(axis=0), pixels.max(axis=0)]))
    return np.clip(np.array(boxes, dtype=np.float64), 0.0, [view.width, view.height] * 2)


def tremble(boxes: Array) -> float:
    """The mean second difference of boxes' (F,4) middles and sizes, thousandths of the mean height."""
    middle, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    moves = np.diff(np.concatenate([middle, size], axis=1), 2, axis=0)
    return float(1000 * np.linalg.norm(moves, axis=1).mean() / size[:, 1].mean())


def _read(clip: Seen, rule: BoxRule, every: int = 1) -> tuple[Array, Array, Array]:
    """Boxes by a rule (N,4), those about the landmarks alone (N,4), and true ones (N,4), where the person was seen."""
    track = max(clip.observed.tracks, key=lambda one: int(one.seen.sum()))
    rows = np.flatnonzero(track.seen)[::every]
    edge = [clip.observed.width, clip.observed.height] * 2
    points = track.landmarks_px[rows].astype(np.float64)
    boxes = body_boxes(points, track.landmarks_m[rows], rule)
    hull = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
    return np.clip(boxes, 0.0, edge), np.clip(hull, 0.0, edge), clip.true_xyxy[rows + track.first_frame]


def _report(clips: Sequence[Seen]) -> str:
    rows, every = [], []
    for clip in clips:
        boxes, hull, true = _read(clip, BoxRule())
        person = max(sighted(clip.observed).people, key=lambda one: len(one.frame))
        alike = overlap(person.box_xyxy, clip.true_xyxy[person.frame])
        bare = overlap(_read(clip, BoxRule(clothes=0.0))[0], true)
        every.append((overlap(hull, true), bare, alike))
        figures = (len(alike), *(100 * part for part in (overlap(hull, true).mean(), bare.mean(), alike.mean(), alike.min())))
        trembles = [shown(tremble(one)) for one in (boxes, person.box_xyxy.astype(np.float64), true)]
        rows.append([clip.name, *(shown(figure, 0 if place == 0 else 1) for place, figure in enumerate(figures)), *trembles])
    hulls, bares, alikes = (np.concatenate(parts) for parts in zip(*every, strict=True))
    means = [shown(100 * figure) for figure in (hulls.mean(), bares.mean(), alikes.mean(), alikes.min())]
    rows.append(["all", shown(len(alikes), 0), *means, "–", "–", "–"])
    names = ("frames", "landmarks alone %", "bare body %", "as used %", "worst %", "tremble, raw", "as used", "true")
    return "Overlap with the true box (intersection over union).\n\n" + table(("clip", *names), rows)


def fitted(clips: Sequence[Seen]) -> BoxRule:
    """Return the radii, without clothes, that overlap best with the true boxes."""
    start = np.array(astuple(BoxRule(clothes=0.0))[:-1])

    def cost(values: Array) -> float:
        rule = BoxRule(*values.tolist(), clothes=0.0)
        means = [overlap(boxes, true).mean() for boxes, _, true in (_read(clip, rule, _EVERY) for clip in clips)]
        # What no clip tells stays as it is.
        return float(1 - np.mean(means) + 0.02 * np.abs(values - start).mean())

    best = minimize(cost, start, method="Powell", options={"maxiter": _STEPS, "xtol": 1e-3, "ftol": 1e-4}).x
    return BoxRule(*best.tolist(), clothes=0.0)


def _radii(clips: Sequence[Seen]) -> str:
    found, used = fitted(clips), BoxRule()
    rows = [[own.name, shown(getattr(found, own.name), 3), shown(getattr(used, own.name), 3)] for own in fields(BoxRule)[:-1]]
    return table(("radius", "measured m", "in ingest/people/embedded_boxes.py"), rows)


if __name__ == "__main__":
    main()
