"""Motion of an SMPL body on the person's own: the mesh and the bones that the file's betas make of the user's licensed model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RigdropError
from ..ingest.recording import Actor, SmplMotion
from .embody_smpl import embody_smpl
from .performance import Performance
from .rigs.smpl import load_smpl_model, stood
from .rigs.smpl_figures import corrective_distance_mm, packing_distance_mm

Floats = NDArray[np.float64]


def embody_own(actor: Actor, times_s: Floats, folder: Path) -> tuple[Performance, dict[str, Any]]:
    """Return an actor's SMPL motion on the person's own body, and figures on it for the report.

    Joints are where the model has them, and the mesh as skinning alone has it: ``from_the_models_mesh_mm`` says how far that
    is from the model's mesh with its pose blend shapes (nothing where the file has none), ``weights_left_out_mm`` how much
    of it is for weights beyond a vertex's eight. The rig stands on y = 0. Warns where neutral stands in for a gender, or
    betas are left out. Raises `RigdropError` for other motion, `MissingPartError` where ``folder`` lacks the model, and
    `ReadError` where its file can't be read.
    """
    motion = actor.motion
    if not isinstance(motion, SmplMotion):
        raise RigdropError(f"{actor.name}: found {type(motion).__name__}, expected the motion of an SMPL body")
    model = load_smpl_model(folder, motion.model, motion.gender)
    rig = model.person_rig(motion.betas)
    # The model's own origin counts for the pelvis alone. In its place, the rig may rest where all others do.
    performance = replace(embody_smpl(actor, times_s, rig, rig.bind_world[0, :3, 3]), rig=stood(rig))
    figures = {
        "file": str(model.parts.path.relative_to(folder)), "model": motion.model, "gender": model.parts.gender,
        "weights_left_out_mm": packing_distance_mm(model, rig, performance.quat_xyzw),
        "from_the_models_mesh_mm": corrective_distance_mm(model, rig, performance.quat_xyzw),
    }
    return performance, figures
