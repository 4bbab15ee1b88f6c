"""People of MHR's files on MHR's own rig, with all that is to be said of it; as bare meshes where nobody has the rig."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingPartError
from ...ingest.recording import Actor, MhrMotion
from ..embody_mhr import embody_mhr
from ..performance import Performance
from ..rigs.mhr import HOW_TO_GET
from ..rigs.mhr_correctives import sample_frames, skinning_distance_mm
from ..rigs.mhr_parameters import MhrModel
from .bare_mesh import bare_mesh, bare_note
from .stale_rotations import stale_rotations

Floats = NDArray[np.float64]

OWN_RIGS = ("auto", "mhr")
"""The names of rigs that leave MHR's motion on its own."""


def native_mhr(
    actor: Actor, times_s: Floats, rig_name: str, mhr_folder: Path | None, load_mhr: Callable[[], MhrModel]
) -> tuple[Performance, dict[str, Any], tuple[str, ...]]:
    """Return the person in the file's axes, figures for the report, and what to warn of.

    Somebody of whom there is no more than a mesh, or whose rig nobody has, becomes a bare mesh if ``rig_name`` asks for no
    other rig. Raises as `embody_mhr` and `bare_mesh` do, and `MissingPartError` where there is neither rig nor mesh.
    """
    motion = actor.motion
    assert isinstance(motion, MhrMotion)
    bare = motion.vertices_m is not None and rig_name in OWN_RIGS
    try:
        model = load_mhr()
    except MissingPartError as error:
        if not bare:
            found, _, _ = str(error).partition("; ")  # what follows says how to name a folder, of one who may not have it
            raise MissingPartError(f"{found}; {HOW_TO_GET} or RIGDROP_MHR") from error
        performance, _ = bare_mesh(actor, times_s, mhr_folder)
        return performance, {}, (bare_note(actor),)
    if bare and motion.model_params is None and motion.joints_m is None:
        performance, _ = bare_mesh(_with_faces(actor, motion, model), times_s, mhr_folder)
        alone = f"{actor.name}: found neither mhr_model_params nor pred_joint_coords, kept the meshes of the file, for glb-baked alone"
        return performance, {}, (alone,)
    performance, figures = embody_mhr(actor, times_s, model), {}
    if rig_name in OWN_RIGS:
        apart_mm = skinning_distance_mm(model, performance, performance.rig, sample_frames(performance.frame_count))
        figures = {"skin_from_model_mm": "unknown: MHR's folder holds no pose correctives" if apart_mm is None else apart_mm}
    stale = stale_rotations(actor, model)
    return performance, figures, (stale,) if stale else ()


def _with_faces(actor: Actor, motion: MhrMotion, model: MhrModel) -> Actor:
    """The same person with the model's faces, where the file has none and its meshes are the model's, vertex for vertex."""
    assert motion.vertices_m is not None
    if motion.faces is not None or motion.vertices_m.shape[1] != len(model.rig.vertices_m):
        return actor
    return replace(actor, motion=replace(motion, faces=model.rig.faces))
