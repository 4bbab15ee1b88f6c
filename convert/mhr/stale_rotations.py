"""What a file's ``pred_global_rots`` say against its own parameters: the refinement of the hands leaves them behind.

They move nobody (facebookresearch/sam-3d-body, issue 139). Whoever knows them from elsewhere should hear that they differ.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...ingest.recording import Actor, MhrMotion
from ...motion.rotations import quat_multiply, quat_to_matrix
from ..rigs.mhr_parameters import MhrModel

Floats = NDArray[np.float64]

APART_DEG = 1.0
"""What rounding and another order of factors may explain: 0.05° seen in joints that aren't stale."""
_BLOCK_FRAMES = 256


def stale_rotations(actor: Actor, model: MhrModel) -> str:
    """Return one sentence on joints whose ``pred_global_rots`` differ from ``mhr_model_params``; nothing where none does.

    Both are turns in the model's own axes: unlike points, they aren't negated in the files. Frames in which either is not
    finite say nothing.
    """
    motion = actor.motion
    if not isinstance(motion, MhrMotion) or motion.model_params is None or motion.global_rotations is None:
        return ""
    worst_deg, stale = 0.0, np.zeros(actor.visible.shape, np.intp)
    for frames in _told(actor.visible, motion.model_params, motion.global_rotations):
        apart_deg = _apart_deg(model, motion.model_params[frames], motion.global_rotations[frames].astype(np.float64))
        stale[frames] = (apart_deg > APART_DEG).sum(axis=1)
        worst_deg = max(worst_deg, float(apart_deg.max()))
    if not stale.any():
        return ""
    return (f"{actor.name}: pred_global_rots: found up to {stale.max()} of {len(model.rig.joint_names)} joints more than {APART_DEG:g}° "
            f"off what mhr_model_params say, in {np.count_nonzero(stale)} of {np.count_nonzero(actor.visible)} frames, "
            f"{worst_deg:.1f}° at most; took mhr_model_params")


def _told(visible: NDArray[np.bool_], params: Floats, rotations: NDArray[np.float32]) -> Iterator[NDArray[np.intp]]:
    """Yield frames in which both are known, a few hundred at a time."""
    told = np.flatnonzero(visible & np.isfinite(params).all(axis=1) & np.isfinite(rotations).all(axis=(1, 2, 3)))
    for start in range(0, len(told), _BLOCK_FRAMES):
        yield told[start:start + _BLOCK_FRAMES]


def _apart_deg(model: MhrModel, params: Floats, rotations: Floats) -> Floats:
    """The angles (F,J) between the turns of the joints in the world that parameters (F,204) give, and others (F,J,3,3)."""
    quat = model.local(params)[0]
    for joint, parent in enumerate(model.rig.joint_parents):
        if parent >= 0:
            quat[:, joint] = quat_multiply(quat[:, parent], quat[:, joint])
    between = np.swapaxes(quat_to_matrix(quat), -1, -2) @ rotations
    trace = np.trace(between, axis1=-2, axis2=-1)
    # Half the length of the skew part is the sine: an arc cosine alone loses small angles to rounding.
    skew = np.stack([between[..., 2, 1] - between[..., 1, 2], between[..., 0, 2] - between[..., 2, 0],
                     between[..., 1, 0] - between[..., 0, 1]], axis=-1)
    return np.asarray(np.degrees(np.arctan2(np.linalg.norm(skew, axis=-1), trace - 1)))
