"""What every pose estimator is: something that reads a whole clip and hands over tracks.

Estimators of other packages register a factory under the entry point group ``rigdrop.estimators``; a factory takes
`PoseOptions` and `PeopleOptions`. Ours stand in `ESTIMATORS`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Protocol

from ...errors import MissingPartError, SettingsError
from ..people.options import PeopleOptions
from ..tracks import Observations, Progress
from ..video import Clip
from .options import PoseOptions

_GROUP = "rigdrop.estimators"


class Estimator(Protocol):
    """Reads a clip, streaming: what it keeps grows only by the landmarks themselves."""

    name: str

    def estimate(self, clip: Clip, on_progress: Progress | None = None) -> Observations:
        """Return everybody seen in the clip; nobody is an empty list of tracks, not an error.

        Raises `ReadError` when the clip can't be decoded and `MissingPartError` when a net is not to be had.
        """
        ...


Factory = Callable[[PoseOptions, PeopleOptions], Estimator]


def _blazepose(pose: PoseOptions, people: PeopleOptions) -> Estimator:
    # The nets' runtime is heavy; it is loaded only when it is used.
    from .blazepose.estimator import BlazePose

    return BlazePose(pose, people)


ESTIMATORS: dict[str, Factory] = {"blazepose": _blazepose}
"""Our own estimators, by the name that `PoseOptions.estimator` takes."""


def estimator_names() -> list[str]:
    """Return the names of all estimators that are installed, ours first."""
    return [*ESTIMATORS, *sorted(entry.name for entry in entry_points(group=_GROUP) if entry.name not in ESTIMATORS)]


def load_estimator(pose: PoseOptions, people: PeopleOptions) -> Estimator:
    """Return the estimator that the options name.

    Raises `SettingsError` for an unknown name and `MissingPartError` for one whose package can't be imported.
    """
    factory = ESTIMATORS.get(pose.estimator)
    if factory is None:
        found = [entry for entry in entry_points(group=_GROUP) if entry.name == pose.estimator]
        if not found:
            raise SettingsError(f"estimator: found {pose.estimator!r}, expected one of {', '.join(estimator_names())}")
        try:
            factory = found[0].load()
        except ImportError as error:
            raise MissingPartError(f"estimator {pose.estimator!r}: can't be imported ({error}); install its package again") from error
    return factory(pose, people)
