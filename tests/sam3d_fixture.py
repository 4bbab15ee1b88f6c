"""What most tests of SAM 3D Body begin with; a test module imports what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from .sam3d_network import Recorded, recordings


@pytest.fixture(scope="session", name="recorded")
def recorded_network(shared: Path) -> Recorded:
    """The recorded network and all that it said."""
    return recordings(shared)


@pytest.fixture(autouse=True)
def no_gradients() -> Iterator[None]:
    """Nothing in the module learns."""
    with torch.no_grad():
        yield
