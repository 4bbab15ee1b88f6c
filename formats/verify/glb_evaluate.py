"""Evaluates a GLB's meshes at any time, by the formulas of glTF 2.0 (3.5 transforms, 3.7.2 morphs, 3.7.3 skins, 3.11 animation)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from ...errors import ReadError
from .glb_document import GlbDocument

Floats = NDArray[np.float64]

_REST: dict[str, list[float]] = {"translation": [0.0, 0, 0], "rotation": [0.0, 0, 0, 1], "scale": [1.0, 1, 1]}


@dataclass(frozen=True, eq=False)
class GlbScene:
    """What of a document moves: its nodes, its first animation, and its one mesh."""

    document: GlbDocument

    @cached_property
    def nodes(self) -> list[dict[str, Any]]:
        """The nodes as the JSON has them."""
        return self.document.items("nodes")

    @cached_property
    def parents(self) -> NDArray[np.intp]:
        """The parent of each node (N,), -1 at a root. Raises `ReadError` where a node has two."""
        parents = np.full(len(self.nodes), -1)
        for index, node in enumerate(self.nodes):
            for child in node.get("children", []):
                if parents[child] != -1 or child == index:
                    raise ReadError(f"{self.document.path}: nodes[{child}]: found two parents, expected one")
                parents[child] = index
        return parents

    @cached_property
    def mesh_node(self) -> int:
        """The node that carries the mesh. Raises `ReadError` unless there is exactly one."""
        found = [index for index, node in enumerate(self.nodes) if "mesh" in node]
        if len(found) != 1 or len(self.document.items("meshes")) != 1:
            raise ReadError(f"{self.document.path}: meshes: found {len(found)} nodes with a mesh, expected one")
        return found[0]

    @cached_property
    def primitive(self) -> dict[str, Any]:
        """The mesh's first primitive. Raises `ReadError` unless all have its vertices: they differ in triangles and material."""
        primitives = self.document.items("meshes")[0]["primitives"]
        if any(each.get(kind) != primitives[0].get(kind) for each in primitives for kind in ("attributes", "targets")):
            raise ReadError(f"{self.document.path}: meshes[0]: found primitives with vertices of their own, expected all to share them")
        return dict(primitives[0])

    @cached_property
    def faces(self) -> NDArray[Any]:
        """The triangles (T,3) of all primitives, one after the other."""
        primitives = self.document.items("meshes")[0]["primitives"]
        return np.concatenate([self.document.accessor(each["indices"]).reshape(-1, 3) for each in primitives])

    @property
    def primitive_count(self) -> int:
        """How many primitives, one for each material, the mesh has."""
        return len(self.document.items("meshes")[0]["primitives"])

    def check(self) -> None:
        """Raise `ReadError` unless the nodes form trees and there is one mesh of one primitive."""
        for part in ("parents", "mesh_node", "primitive"):
            getattr(self, part)

    @cached_property
    def channels(self) -> dict[tuple[int, str], dict[str, Any]]:
        """The samplers of the first animation by node and path."""
        animations = self.document.items("animations")
        if not animations:
            return {}
        samplers = animations[0]["samplers"]
        targets = [(channel["target"]["node"], channel["target"]["path"]) for channel in animations[0]["channels"]]
        return {target: samplers[channel["sampler"]] for target, channel in zip(targets, animations[0]["channels"], strict=True)}

    def attribute(self, name: str) -> NDArray[Any]:
        """A vertex attribute (V,…) of the mesh; integers that stand for 0 to 1 as such."""
        index = self.primitive["attributes"][name]
        values = self.document.accessor(index)
        if not self.document.items("accessors")[index].get("normalized"):
            return values
        return np.maximum(values / np.iinfo(values.dtype).max, -1.0)

    def value(self, node: int, path: str, times_s: Floats) -> Floats:
        """Return a node's translation, rotation or scale (T,3 or 4) at ``times_s``."""
        sampler = self.channels.get((node, path))
        if sampler is None:
            return np.tile(np.array(self.nodes[node].get(path, _REST[path]), dtype=np.float64), (len(times_s), 1))
        before, after, share = self._between(sampler, times_s)
        output = self.document.accessor(sampler["output"])
        start, end = output[before].astype(np.float64), output[after].astype(np.float64)
        return _slerp(start, end, share) if path == "rotation" else start + (end - start) * share[:, None]

    def _between(self, sampler: dict[str, Any], times_s: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Return the keys before and after each time, and the share of the way; times past the ends stay at them."""
        keys_s = self.document.accessor(sampler["input"]).astype(np.float64)
        after = np.clip(np.searchsorted(keys_s, times_s, side="left"), 0, len(keys_s) - 1)
        before = np.maximum(after - 1, 0)
        span = np.where(after > before, keys_s[after] - keys_s[before], 1.0)
        share = np.clip((times_s - keys_s[before]) / span, 0, 1)
        if sampler.get("interpolation", "LINEAR") == "STEP":
            return before, before, np.where(share < 1, 0.0, share)
        return before, after, share

    def worlds(self, times_s: Floats) -> Floats:
        """Return every node's global transform (T,N,4,4) at ``times_s``."""
        local = np.stack([self._local(node, times_s) for node in range(len(self.nodes))], axis=1)
        world = local.copy()
        for node in self._parents_first():
            if self.parents[node] >= 0:
                world[:, node] = world[:, self.parents[node]] @ local[:, node]
        return world

    def _parents_first(self) -> list[int]:
        order = [int(node) for node in np.flatnonzero(self.parents < 0)]
        for node in order:
            order += self.nodes[node].get("children", [])
        return order

    def _local(self, node: int, times_s: Floats) -> Floats:
        if "matrix" in self.nodes[node]:
            fixed = np.array(self.nodes[node]["matrix"], dtype=np.float64).reshape(4, 4).T
            return np.broadcast_to(fixed, (len(times_s), 4, 4))
        matrix = np.zeros((len(times_s), 4, 4))
        matrix[:, :3, :3] = _rotation(self.value(node, "rotation", times_s)) * self.value(node, "scale", times_s)[:, None, :]
        matrix[:, :3, 3] = self.value(node, "translation", times_s)
        matrix[:, 3, 3] = 1
        return matrix

    def vertices(self, times_s: Floats) -> Floats:
        """Return the mesh's vertices (T,V,3) at ``times_s`` in the scene, metres."""
        worlds, morphs = self.worlds(times_s), bool(self.primitive.get("targets"))
        if "skin" in self.nodes[self.mesh_node]:
            return self._morphed_and_skinned(times_s, worlds) if morphs else self.skinned(worlds)
        morphed = self._morphed(times_s)
        matrix = worlds[:, self.mesh_node]
        return morphed @ np.swapaxes(matrix[:, :3, :3], 1, 2) + matrix[:, None, :3, 3]

    def skinned(self, worlds: Floats) -> Floats:
        """Return the mesh's vertices (T,V,3) where its skin's joints are at ``worlds`` (T,N,4,4)."""
        joint_matrices = self._joint_matrices(worlds)
        times, joints = joint_matrices.shape[:2]
        # One product for all frames: rows of w·(x, y, z, 1) for each influence against the joints' columns.
        columns = joint_matrices[:, :, :3].transpose(1, 3, 0, 2).reshape(joints * 4, times * 3)
        return np.asarray((self._weighted_vertices @ columns).reshape(-1, times, 3).transpose(1, 0, 2), dtype=np.float64)

    def _morphed_and_skinned(self, times_s: Floats, worlds: Floats) -> Floats:
        """Vertices (T,V,3) that weights displace before joints move them: the skin of what doesn't change, and of what is added."""
        vertices, blend = self.skinned(worlds), self._weight_matrix
        added = self.weights(times_s) @ self._targets.reshape(len(self._targets), -1)
        for time, matrices in enumerate(self._joint_matrices(worlds)):
            turns = (blend @ matrices[:, :3, :3].reshape(-1, 9)).reshape(-1, 3, 3)
            vertices[time] += np.einsum("vij,vj->vi", turns, added[time].reshape(-1, 3))
        return vertices

    @cached_property
    def _targets(self) -> Floats:
        """The morph targets (M,V,3) of the first primitive."""
        return np.stack([self.document.accessor(target["POSITION"]) for target in self.primitive["targets"]]).astype(np.float64)

    @cached_property
    def _weight_matrix(self) -> csr_matrix:
        joints, weights = self.influences
        rows = np.repeat(np.arange(len(joints)), joints.shape[1])
        return csr_matrix((weights.ravel(), (rows, joints.ravel())), shape=(len(joints), self._joint_count))

    def _joint_matrices(self, worlds: Floats) -> Floats:
        """What the skin's joints do to a vertex that follows them wholly (T,J,4,4)."""
        skin = self.document.items("skins")[self.nodes[self.mesh_node]["skin"]]
        joint_matrices = worlds[:, skin["joints"]]
        if "inverseBindMatrices" in skin:
            joint_matrices = joint_matrices @ self.document.accessor(skin["inverseBindMatrices"])[:len(skin["joints"])].astype(np.float64)
        return np.asarray(joint_matrices)

    @cached_property
    def _weighted_vertices(self) -> csr_matrix:
        positions = self.attribute("POSITION").astype(np.float64)
        points = np.concatenate([positions, np.ones((len(positions), 1))], axis=1)
        joints, weights = self.influences
        values = weights[:, :, None] * points[:, None, :]
        columns = joints[:, :, None] * 4 + np.arange(4)
        rows = np.broadcast_to(np.arange(len(points))[:, None, None], columns.shape)
        return csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), shape=(len(points), self._joint_count * 4))

    @property
    def _joint_count(self) -> int:
        return len(self.document.items("skins")[self.nodes[self.mesh_node]["skin"]]["joints"])

    @cached_property
    def influences(self) -> tuple[NDArray[np.intp], Floats]:
        """The joints (V,K) and weights (V,K) of all sets."""
        sets = sorted(name[7:] for name in self.primitive["attributes"] if name.startswith("JOINTS_"))
        joints = np.concatenate([self.attribute(f"JOINTS_{index}") for index in sets], axis=1).astype(np.intp)
        return joints, np.concatenate([self.attribute(f"WEIGHTS_{index}") for index in sets], axis=1).astype(np.float64)

    def _morphed(self, times_s: Floats) -> Floats:
        base = self.attribute("POSITION").astype(np.float64)
        vertices = np.tile(base, (len(times_s), 1, 1))
        targets = self.primitive.get("targets", [])
        for time, weights in enumerate(self.weights(times_s)):
            for target in np.flatnonzero(weights):
                vertices[time] += weights[target] * self.document.accessor(targets[target]["POSITION"])
        return vertices

    def weights(self, times_s: Floats) -> Floats:
        """Return the morph weights (T,M) at ``times_s``."""
        count = len(self.primitive.get("targets", []))
        sampler = self.channels.get((self.mesh_node, "weights"))
        if sampler is None:
            return np.tile(np.array(self.document.items("meshes")[0].get("weights", [0.0] * count), dtype=np.float64), (len(times_s), 1))
        before, after, share = self._between(sampler, times_s)
        rows = self.document.accessor(sampler["output"]).reshape(-1, count)
        return np.asarray(rows[before] * (1 - share)[:, None] + rows[after] * share[:, None], dtype=np.float64)


def _slerp(start: Floats, end: Floats, share: Floats) -> Floats:
    """Interpolate unit quaternions (T,4) as the specification's appendix C.4 does."""
    cosine = np.sum(start * end, axis=1)
    end = np.where(cosine[:, None] < 0, -end, end)
    angle = np.arccos(np.clip(np.abs(cosine), -1, 1))
    sine = np.where(angle > 1e-6, np.sin(angle), 1.0)
    first = np.where(angle > 1e-6, np.sin((1 - share) * angle) / sine, 1 - share)
    second = np.where(angle > 1e-6, np.sin(share * angle) / sine, share)
    return first[:, None] * start + second[:, None] * end


def _rotation(quat_xyzw: Floats) -> Floats:
    """Rotation matrices (T,3,3): v + 2w(u × v) + 2u × (u × v), written as the cross product's own matrix."""
    unit = quat_xyzw / np.linalg.norm(quat_xyzw, axis=1, keepdims=True)
    cross = np.zeros((len(unit), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = unit[:, :3]
    cross[:, [1, 2, 0], [2, 0, 1]] = -unit[:, :3]
    return np.asarray(np.eye(3) + 2 * unit[:, 3, None, None] * cross + 2 * cross @ cross, dtype=np.float64)
