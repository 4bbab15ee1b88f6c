"""What every pose estimator is: something that reads a whole clip and hands over everybody's landmarks, or motion itself.

Estimators of other packages register a factory under the entry point group ``rigdrop.estimators``; a factory takes
`EstimatorOptions`. Ours stand in `ESTIMATORS`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from ...errors import MissingPartError, SettingsError
from ..recording import Recording
from ..tracks import Observations, Progress
from ..video import Clip
from .options import EstimatorOptions

_GROUP = "rigdrop.estimators"


class Estimator(Protocol):
    """Reads a clip, streaming: what it keeps grows only by what it hands over."""

    name: str

    def estimate(self, clip: Clip, on_progress: Progress | None = None, scratch: Path | None = None) -> Observations | Recording:
        """Return everybody seen in the clip: landmarks that a body is then fitted to, or motion of a body; nobody is not an error.

        ``scratch`` is a folder of this clip and these options alone, which need not be there yet. What an estimator leaves in
        it is there again when a conversion that was stopped goes on, and gone when the take is stored. Raises `ReadError`
        when the clip can't be decoded and `MissingPartError` when a net is not to be had.
        """
        ...


Factory = Callable[[EstimatorOptions], Estimator]


def _blazepose(options: EstimatorOptions) -> Estimator:
    # The nets' runtime is heavy; it is loaded only when it is used.
    from .blazepose.estimator import BlazePose

    return BlazePose(options.pose, options.people)


def _sam3d_body(options: EstimatorOptions) -> Estimator:
    from .sam3d_body.estimator import Sam3dBody

    return Sam3dBody(options.sam3d, options.people, options.focal_px)


ESTIMATORS: dict[str, Factory] = {"blazepose": _blazepose, "sam3d-body": _sam3d_body}
"""Our own estimators, by the name that `PoseOptions.estimator` takes."""


def estimator_names() -> list[str]:
    """Return the names of all estimators that are installed, ours first."""
    return [*ESTIMATORS, *sorted(entry.name for entry in entry_points(group=_GROUP) if entry.name not in ESTIMATORS)]


def load_estimator(options: EstimatorOptions) -> Estimator:
    """Return the estimator that the options name.

    Raises `SettingsError` for an unknown name and `MissingPartError` for one whose package can't be imported.
    """
    name = options.pose.estimator
    factory = ESTIMATORS.get(name)
    if factory is None:
        found = [entry for entry in entry_points(group=_GROUP) if entry.name == name]
        if not found:
            raise SettingsError(f"estimator: found {name!r}, expected one of {', '.join(estimator_names())}")
        try:
            factory = found[0].load()
        except ImportError as error:
            raise MissingPartError(f"estimator {name!r}: can't be imported ({error}); install its package again") from error
    return factory(options)
