"""People of whom there is nothing but their meshes, since nobody named the folder of the rig that would move them.

Such a person has one joint, the point on the ground under the mesh, and goes into baked files alone. The files' meshes are
MHR's own and come without triangles; these are the file's or the folder's, never made up.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingPartError, ReadError
from ...ingest.recording import Actor, MhrMotion
from ...motion.kinematics import local_matrices
from ...motion.rig import Rig, Skeleton, vertex_normals
from ..performance import Performance
from ..rigs.mhr import HOW_TO_GET
from .kept_vertices import Meshes, kept_vertices, seen_meshes

Floats = NDArray[np.float64]
Faces = NDArray[np.int32]

BARE_MESH = "bare-mesh"
"""The name of a rig that only holds a mesh."""
FACES_FILE = "faces.npy"


def bare_mesh(actor: Actor, times_s: Floats, mhr_folder: Path | None = None) -> tuple[Performance, Meshes]:
    """Return the person on a rig of one joint, and the meshes (F,V,3) at ``times_s`` (F,), metres, in the file's axes.

    The rig's mesh is the first that was seen, standing on the origin. Triangles are the file's, else those of
    ``mhr_folder``. Raises `ReadError` where the file holds no mesh, and `MissingPartError` where there are no triangles.
    """
    vertices_m, seen = kept_vertices(actor, times_s), seen_meshes(actor)
    place = np.stack([_under(mesh) for mesh in vertices_m])
    first = int(np.argmax(seen))
    rig = _rig(vertices_m[first] - place[first].astype(np.float32), _faces(actor, vertices_m.shape[1], mhr_folder))
    quat = np.broadcast_to([0.0, 0.0, 0.0, 1.0], (len(place), 1, 4)).copy()
    confidence = np.where(seen, actor.confidence, 0).astype(np.float32)
    return Performance(rig, times_s, quat, place[:, None], seen, confidence, seen[:, None]), vertices_m


def is_bare(performance: Performance) -> bool:
    """Tell whether there is nothing but a mesh, which can be moved as a whole and no more."""
    return performance.rig.name == BARE_MESH


def bare_note(actor: Actor) -> str:
    """Return the sentence that says what became of somebody without a rig."""
    return f"{actor.name}: found no Momentum Human Rig, kept the meshes of the file, for glb-baked alone; for a skeleton, {HOW_TO_GET}"


def _under(mesh_m: Meshes) -> Floats:
    """The point (3,) under the middle of a mesh, as low as its lowest vertex: where it stands, or would."""
    middle = mesh_m.mean(axis=0, dtype=np.float64)
    return np.array([middle[0], mesh_m[:, 1].min(), middle[2]])


def _rig(vertices_m: Meshes, faces: Faces) -> Rig:
    here = local_matrices(np.array([[0.0, 0.0, 0.0, 1.0]]), np.zeros((1, 3)))
    skeleton = Skeleton(("body",), np.array([-1], np.int32), here)
    joints, weights = np.zeros((len(vertices_m), 1), np.uint16), np.ones((len(vertices_m), 1), np.float32)
    return Rig(BARE_MESH, skeleton, here, vertices_m, faces, vertex_normals(vertices_m, faces), joints, weights)


def _faces(actor: Actor, vertices: int, mhr_folder: Path | None) -> Faces:
    assert isinstance(actor.motion, MhrMotion)
    if actor.motion.faces is not None:
        return actor.motion.faces
    found = None if mhr_folder is None or not mhr_folder.is_dir() else _faces_in(mhr_folder, vertices)
    if found is None:
        raise MissingPartError(f"{actor.name}: found neither the Momentum Human Rig nor faces for pred_vertices' {vertices} vertices, "
                               f"expected either; {HOW_TO_GET}, or put SAM 3D Body's estimator.faces into the file as faces")
    return found


def _faces_in(folder: Path, vertices: int) -> Faces | None:
    """Return the triangles of a folder's mesh of so many vertices: body-models' mhr_lod*.npz, or a faces.npy."""
    for path in sorted(folder.iterdir()):
        if path.name != FACES_FILE and not re.fullmatch(r"mhr_lod\d+\.npz", path.name):
            continue
        try:
            faces, count = _read(path)
        except (OSError, EOFError, ValueError, KeyError, IndexError, zlib.error, zipfile.BadZipFile) as error:
            raise ReadError(f"{path}: faces: found none ({error}), expected triangles (T,3)") from error
        if faces.ndim != 2 or faces.shape[1] != 3 or faces.dtype.kind not in "iu" or not len(faces) or faces.min() < 0:
            raise ReadError(f"{path}: faces: found {faces.dtype} {faces.shape}, expected indices (T,3)")
        # Every vertex of MHR's meshes is a corner.
        if (int(faces.max()) + 1 if count is None else count) == vertices:
            return faces.astype(np.int32)
    return None


def _read(path: Path) -> tuple[NDArray[np.integer], int | None]:
    """Return a file's triangles, and how many vertices it has where it says so."""
    with path.open("rb") as file:  # ours to close: where a file is no zip, np.load leaves its own open
        if path.suffix == ".npy":
            return np.asarray(np.load(file, allow_pickle=False)), None
        archive = np.load(file, allow_pickle=False)
        return np.asarray(archive["faces"]), len(archive["base_vertices"])
