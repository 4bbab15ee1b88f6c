"""The Momentum Human Rig for a batch of bodies: joints, keypoints without a mesh, and the mesh (section 7).

Axes are MHR's own: +Y up, +X the body's left, +Z the way it faces. The network's outputs have y and z negated; `flip_yz`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .constants import constant
from .conversions import quat_to_matrix, xyz_to_matrix
from .mhr_correctives import Bends
from .mhr_file import MhrArrays

METRES_PER_CM = 0.01


@dataclass(frozen=True)
class Joints:
    """Where J joints of B bodies are, in MHR's axes."""

    places_cm: Tensor  # (B,J,3)
    rotations: Tensor  # (B,J,3,3), the joint's axes in columns
    scales: Tensor  # (B,J,1)
    bends: Tensor | None = None  # (B,H), what pose correctives answer to; None in models without them


class Mhr(nn.Module):
    """MHR's linear maps on one device; nothing of it belongs to a checkpoint's keys."""

    parameter_transform: Tensor
    offsets: Tensor
    pre_rotation: Tensor
    ancestors: Tensor
    by_level: Tensor
    as_numbered: Tensor
    bind_offset: Tensor
    bind_rotation: Tensor
    weights: Tensor
    base: Tensor
    shape_vectors: Tensor
    expression_vectors: Tensor
    corrective_basis: Tensor

    def __init__(self, arrays: MhrArrays) -> None:
        super().__init__()
        self.arrays = arrays
        self.joint_count, self.vertex_count = len(arrays.parents), len(arrays.base_cm)
        self._levels = _levels(arrays.parents)
        by_level = np.concatenate([joints for joints, _ in self._levels])
        self.bends = None if arrays.correctives is None else Bends(arrays.correctives)
        skin = np.zeros((self.vertex_count, self.joint_count), np.float32)
        np.add.at(skin, (arrays.skin_vertices, arrays.skin_joints), arrays.skin_weights)
        tables = {
            "parameter_transform": arrays.parameter_transform, "offsets": arrays.offsets_cm, "ancestors": _ancestors(arrays.parents),
            "by_level": by_level, "as_numbered": np.argsort(by_level),
            "bind_offset": arrays.bind_offset_cm, "weights": skin, "base": arrays.base_cm,
            "shape_vectors": arrays.shape_vectors_cm.reshape(len(arrays.shape_vectors_cm), -1),
            "expression_vectors": arrays.expression_vectors_cm.reshape(len(arrays.expression_vectors_cm), -1),
        }
        if arrays.correctives is not None:
            tables["corrective_basis"] = arrays.correctives.basis_cm
        for name, values in tables.items():
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        for name, quat_xyzw in (("pre_rotation", arrays.pre_quat_xyzw), ("bind_rotation", arrays.bind_quat_xyzw)):
            self.register_buffer(name, quat_to_matrix(torch.from_numpy(quat_xyzw)), persistent=False)
        for number, (_, parents) in enumerate(self._levels):
            self.register_buffer(f"parents_{number}", torch.from_numpy(parents), persistent=False)

    def joints(self, model_params: Tensor) -> Joints:
        """Return the joints of bodies with MHR's parameters (B,204): decimetres, radians, log2 of scale."""
        values = torch.unflatten(model_params @ self.parameter_transform.T, -1, (self.joint_count, 7))
        turns, log_scale = xyz_to_matrix(values[..., 3:6]), values[..., 6:]
        linear = torch.exp2(log_scale)[..., None] * (self.pre_rotation @ turns)
        local = torch.cat([linear, (values[..., :3] + self.offsets)[..., None]], dim=-1)
        above: Tensor | None = None
        placed = []
        # A joint's parent is always in the level above: 16 steps instead of 127, of one product each.
        for number, part in enumerate(torch.split(local[:, self.by_level], [len(joints) for joints, _ in self._levels], dim=1)):
            if above is not None:
                above = above[:, self.get_buffer(f"parents_{number}")]
                part = above[..., :3] @ part + functional.pad(above[..., 3:], (3, 0))
            above = part
            placed.append(part)
        whole = torch.cat(placed, dim=1)[:, self.as_numbered]
        scales = torch.exp2(self.ancestors @ log_scale)
        bends = None if self.bends is None else self.bends(turns)
        return Joints(whole[..., 3], whole[..., :3] / scales[..., None], scales, bends)

    def vertices_m(self, joints: Joints, shape: Tensor, expression: Tensor | None = None) -> Tensor:
        """Return the mesh (B,V,3), metres, of bodies of shape (B,45) and face (B,72); no face is a face at rest."""
        rest = self.base + torch.unflatten(shape @ self.shape_vectors, -1, (-1, 3))
        if expression is not None:
            rest = rest + torch.unflatten(expression @ self.expression_vectors, -1, (-1, 3))
        if joints.bends is not None:
            rest = rest + torch.unflatten(joints.bends @ self.corrective_basis.T, -1, (-1, 3))
        grown = joints.scales[..., None] * joints.rotations
        linear = grown @ self.bind_rotation
        move = joints.places_cm + apply(grown, self.bind_offset)
        blended = self.weights @ torch.cat([linear.flatten(-2), move], dim=-1)
        turned = apply(torch.unflatten(blended[..., :9], -1, (3, 3)), rest)
        return (turned + blended[..., 9:]) * METRES_PER_CM


class Keypoints(nn.Module):
    """The keypoint regressor carried through skinning once, so that no mesh is made to find a body's keypoints.

    A keypoint is a sum over vertices, a vertex a sum over joints of what each joint makes of its rest place, and that is
    linear in the shape: so a keypoint is a sum over the few joints near it, exactly. Weights are summed in float64.
    """

    share: Tensor
    rest: Tensor
    rest_of_shape: Tensor
    rest_of_bends: Tensor
    joint: Tensor
    gather: Tensor

    def __init__(self, arrays: MhrArrays, mapping: Tensor) -> None:
        """Take ``mapping`` (K,V+J), the weights of vertices and joints in each keypoint."""
        super().__init__()
        weights = mapping.detach().cpu().double().numpy()
        count, vertices = len(weights), len(arrays.base_cm)
        pairs, share, rest = _projected(arrays, weights[:, :vertices], weights[:, vertices:])
        rest, of_shape, of_bends = np.split(rest, [1, 1 + len(arrays.shape_vectors_cm)])
        gather = np.zeros((count, len(pairs)))
        gather[pairs[:, 0], np.arange(len(pairs))] = 1
        tables = {"share": share[:, None], "rest": rest[0], "rest_of_shape": of_shape, "rest_of_bends": of_bends, "gather": gather}
        for name, values in tables.items():
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)
        self.register_buffer("joint", torch.from_numpy(pairs[:, 1].copy()), persistent=False)

    def forward(self, joints: Joints, shape: Tensor) -> Tensor:
        """Return the keypoints (B,K,3), metres, MHR's axes, of bodies of shape (B,45)."""
        local = self.rest + torch.unflatten(shape @ self.rest_of_shape.flatten(1), -1, (-1, 3))
        if joints.bends is not None:
            local = local + torch.unflatten(joints.bends @ self.rest_of_bends.flatten(1), -1, (-1, 3))
        turned = apply(joints.rotations[:, self.joint], local)
        parts = self.share * joints.places_cm[:, self.joint] + joints.scales[:, self.joint] * turned
        keypoints: Tensor = (self.gather @ parts) * METRES_PER_CM
        return keypoints


def flip_yz(points: Tensor) -> Tensor:
    """Return points (…,3) with y and z negated: from MHR's axes to the camera's, or back."""
    return points * constant((1.0, -1.0, -1.0), points.device)


def apply(matrices: Tensor, vectors: Tensor) -> Tensor:
    """Return vectors (…,3) under matrices (…,3,3), without a call to a matrix library for each."""
    return (matrices * vectors[..., None, :]).sum(-1)


def _levels(parents: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return per level of the tree its joints, and where in the level above each one's parent is."""
    depth = np.zeros(len(parents), np.int64)
    for joint, parent in enumerate(parents):
        depth[joint] = 0 if parent < 0 else depth[parent] + 1
    levels = [np.flatnonzero(depth == number) for number in range(depth.max() + 1)]
    above = [np.zeros(0, np.int64), *levels[:-1]]
    return [(level, np.searchsorted(upper, parents[level]) if len(upper) else np.zeros(0, np.int64)) for level, upper in zip(levels, above)]


def _ancestors(parents: np.ndarray) -> np.ndarray:
    """Return which joints (J,J) each joint hangs from, itself among them: 1 or 0."""
    found = np.eye(len(parents), dtype=np.float32)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            found[joint] += found[parent]
    return found


def _projected(arrays: MhrArrays, of_vertices: np.ndarray, of_joints: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs of keypoint and joint (N,2), the joint's share (N,), and what rest places come to in it (1+45+H,N,3).

    The first of these is the base mesh's, then come the directions of the shape and those of the bends.
    """
    joints = of_joints.shape[1]
    directions = 1 + len(arrays.shape_vectors_cm) + (0 if arrays.correctives is None else arrays.correctives.hidden.shape[0])
    pairs, shares, rests = [], [], []
    bind = quat_to_matrix(torch.from_numpy(arrays.bind_quat_xyzw.astype(np.float64))).numpy()
    for keypoint, vertices in enumerate(of_vertices):
        entries = np.flatnonzero(vertices[arrays.skin_vertices])
        vertex, joint = arrays.skin_vertices[entries], arrays.skin_joints[entries]
        weight = vertices[vertex] * arrays.skin_weights[entries]
        share = of_joints[keypoint].copy()
        np.add.at(share, joint, weight)
        used = np.flatnonzero((share != 0) | np.isin(np.arange(joints), joint))
        rest = np.zeros((len(used), directions, 3))
        # Joint by joint: a dense regressor has every vertex in it.
        for row, number in enumerate(used):
            mine = joint == number
            summed = np.einsum("n,dnc->dc", weight[mine], _rest_places(arrays, vertex[mine]))
            rest[row] = summed @ bind[number].T
            rest[row, 0] += weight[mine].sum() * arrays.bind_offset_cm[number]
        pairs.append(np.stack([np.full(len(used), keypoint), used], axis=1))
        shares.append(share[used])
        rests.append(rest)
    return np.concatenate(pairs), np.concatenate(shares), np.concatenate(rests).swapaxes(0, 1)


def _rest_places(arrays: MhrArrays, vertices: np.ndarray) -> np.ndarray:
    """Return the places of some vertices (n,) at rest, and what a unit of each shape and each bend adds (1+45+H,n,3)."""
    parts = [arrays.base_cm[None, vertices], arrays.shape_vectors_cm[:, vertices]]
    if arrays.correctives is not None:
        parts.append(np.moveaxis(arrays.correctives.basis_cm.reshape(len(arrays.base_cm), 3, -1)[vertices], 2, 0))
    return np.concatenate(parts).astype(np.float64)
