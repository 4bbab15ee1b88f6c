"""What each joint of the rigs that can be driven means: their tables are those of `motion.joint_names`."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import RigdropError
from ...motion.joint_names import PRESETS

JOINT_NAMES: dict[str, dict[str, str]] = {rig: PRESETS[rig] for rig in ("unreal", "mixamo", "anny", "mhr")}
"""For each rig, from what a joint means to its name there."""


def semantic_indices(rig: str, joint_names: Sequence[str]) -> dict[str, int]:
    """Return from what a joint means to its index among ``joint_names``. Raises `RigdropError` for a joint that is not there."""
    index = {name: number for number, name in enumerate(joint_names)}
    missing = sorted(name for name in JOINT_NAMES[rig].values() if name not in index)
    if missing:
        raise RigdropError(f"rig {rig}: found no joint {missing[0]!r} among {len(joint_names)}, expected it for its semantic names")
    return {key: index[name] for key, name in JOINT_NAMES[rig].items()}
