"""A rig's morph targets in a skinned GLB, and their weights in its animation (glTF 2.0, sections 3.7.2.2 and 3.11)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from ..motion.rig import Rig
from .glb import GlbFile
from .glb_animator import SAME
from .glb_parts import Clock, add_channel


def morph_names(rig: Rig) -> list[str]:
    """Return a name for each of the rig's targets, as programs show them on their sliders."""
    return [f"morph_{number:02d}" for number in range(1, rig.morph_count + 1)]


def morphed_mesh(file: GlbFile, rig: Rig, primitives: list[pygltflib.Primitive]) -> dict[str, Any]:
    """Append the targets, all in one view, give them to each of ``primitives``, and return what their mesh says of them.

    Targets have positions alone: correctives of millimetres hardly turn a normal, and normals would double them.
    """
    if rig.morph_targets_m is None:
        return {}
    targets_m, size = rig.morph_targets_m, rig.morph_targets_m[0].nbytes
    view = file.add_view(targets_m.nbytes, lambda: targets_m, pygltflib.ARRAY_BUFFER, stride=12)
    targets = []
    for number, target_m in enumerate(targets_m):
        accessor = file.add_accessor(view, "f4", len(target_m), (3,), number * size, bounded=True)
        file.set_bounds(accessor, target_m)
        targets.append(pygltflib.Attributes(POSITION=accessor))
    for primitive in primitives:
        primitive.targets = targets
    return {"weights": [0.0] * len(targets), "extras": {"targetNames": morph_names(rig)}}


def animate_morphs(
    file: GlbFile, animation: pygltflib.Animation, clock: Clock, node: int, weights: NDArray[np.float32] | None
) -> None:
    """Let ``weights`` (F,M) drive the mesh of ``node``: every frame where they change, both ends where they don't."""
    if weights is None:
        return
    moving = bool((np.abs(weights - weights[0]) > SAME).any())
    keys = weights if moving else weights[np.unique([0, len(weights) - 1])]
    output = file.add_array(np.ascontiguousarray(keys).reshape(-1))
    add_channel(file, animation, node, "weights", clock.every_frame() if moving else clock.both_ends(), output)
