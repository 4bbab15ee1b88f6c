"""What other packages add to ours, by entry points."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Protocol, TypeVar


class Named(Protocol):
    """Anything that is known by a name."""

    @property
    def name(self) -> str:
        """What it is asked for by."""
        ...


T = TypeVar("T", bound=Named)


def with_plugins(kind: str, group: str, ours: Mapping[str, T], offered_type: type[T]) -> dict[str, T]:
    """Return ``ours`` and what installed packages offer under the entry point ``group``, by name, ours first.

    One that fails to load, is no ``offered_type``, or takes a name that is there already, is left out with a warning that
    calls it a ``kind``.
    """
    found = dict(ours)
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            offered = point.load()
        except Exception as error:
            # Another package's fault, whatever it is, must not stop ours.
            warnings.warn(f"{kind} {point.name!r} of {point.value} can't be loaded ({error}); repair or remove that package", stacklevel=3)
            continue
        if not isinstance(offered, offered_type) or offered.name in found:
            expected = f"expected a rigdrop {offered_type.__name__} with a name of its own"
            warnings.warn(f"{kind} {point.name!r} of {point.value}: found {offered!r}, {expected}", stacklevel=3)
            continue
        found[offered.name] = offered
    return found
