"""Made-up SMPL models in the official layouts, and SMPL's formula written out as its paper has it: loops, no rig.

No number here is of a real model: a body of small boxes around the joints of a T-pose, with random shapes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from rigdrop.motion.smpl_joints import JOINT_NAMES, joint_parents

# A T-pose's offsets from the parent, by the end of a joint's name; right sides are mirrored.
_OFFSETS_M = {
    "pelvis": (0, -0.3, 0.02), "hip": (0.09, -0.08, 0), "knee": (0.02, -0.4, 0), "ankle": (0, -0.41, -0.03), "foot": (0.02, -0.05, 0.12),
    "spine1": (0, 0.11, -0.02), "spine2": (0, 0.13, 0), "spine3": (0, 0.06, 0.02), "neck": (0, 0.2, -0.03), "head": (0, 0.1, 0.04),
    "collar": (0.07, 0.11, -0.02), "shoulder": (0.11, 0.03, 0), "elbow": (0.26, -0.02, -0.01), "wrist": (0.25, 0.01, 0),
    "hand": (0.08, 0, 0), "jaw": (0, 0.0, 0.05), "smplhf": (0.03, 0.05, 0.06), "1": (0.09, 0, 0.02), "2": (0.03, 0, 0), "3": (0.02, 0, 0),
}
_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
# Two triangles a side of a box, counter-clockwise from outside.
_BOX = np.array([[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7],
                 [1, 7, 3]])


def made_up_model(model: str, shapes: int = 16, seed: int = 0, influences: int = 4) -> dict[str, Any]:
    """Return the arrays of a model of eight vertices a joint, each vertex on up to ``influences`` joints."""
    rng = np.random.default_rng([seed, len(model)])
    names, parents = JOINT_NAMES[model], joint_parents(model)
    joints = len(names)
    places = np.zeros((joints, 3))
    for joint, (name, parent) in enumerate(zip(names, parents)):
        end = next(end for end in _OFFSETS_M if name.endswith(end))
        offset = np.array(_OFFSETS_M[end]) * ([-1, 1, 1] if name.startswith("right") else [1, 1, 1])
        places[joint] = offset + (places[parent] if parent >= 0 else 0)
    template = (places[:, None] + 0.03 * _CORNERS).reshape(-1, 3) + rng.normal(0, 0.002, (8 * joints, 3))
    regressor = np.kron(np.eye(joints), np.ones(8)) * rng.uniform(0.5, 1.5, (joints, 8 * joints))
    table = np.stack([parents, np.arange(joints)]).astype(np.int64)
    return {
        "v_template": template, "f": np.concatenate([_BOX + 8 * joint for joint in range(joints)]).astype(np.uint32),
        "shapedirs": np.repeat(rng.normal(0, 0.004, (joints, 3, shapes)), 8, axis=0) + rng.normal(0, 0.001, (8 * joints, 3, shapes)),
        "posedirs": rng.normal(0, 0.002, (8 * joints, 3, 9 * (joints - 1))),
        "J_regressor": regressor / regressor.sum(axis=1, keepdims=True), "weights": _weights(template, places, influences, rng),
        "kintree_table": table.astype(np.uint32),  # the root's parent becomes 4294967295, as in the official files
    }


def _weights(template: np.ndarray, places: np.ndarray, influences: int, rng: np.random.Generator) -> np.ndarray:
    near = np.exp(-np.linalg.norm(template[:, None] - places, axis=-1) / 0.05) * rng.uniform(0.5, 1.5, (len(template), len(places)))
    near[np.arange(len(near))[:, None], np.argsort(-near, axis=1)[:, influences:]] = 0
    return near / near.sum(axis=1, keepdims=True)


def save_model(path: Path, arrays: dict[str, Any]) -> Path:
    """Write a model's arrays as an official .npz is: compressed, with a pickled table of joints among them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    joint2num = np.array({"Pelvis": 0}, dtype=object)
    np.savez_compressed(path, joint2num=joint2num, **arrays)  # type: ignore[arg-type]
    return path


def smpl_formula(
    arrays: dict[str, Any], betas: np.ndarray, rotvec: np.ndarray, trans_m: np.ndarray, correctives: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return joints (F,J,3) and vertices (F,V,3) of SMPL posed by axis-angles (F,J,3), as its paper's equations say, one by one."""
    betas = np.concatenate([betas, np.zeros(400)])[: arrays["shapedirs"].shape[2]]
    shaped = arrays["v_template"] + np.einsum("vds,s->vd", arrays["shapedirs"], betas)
    rest = arrays["J_regressor"] @ shaped
    parents = [-1, *arrays["kintree_table"][0, 1:].astype(int)]
    joints, vertices = [], []
    for pose, trans in zip(rotvec, trans_m):
        turns = [Rotation.from_rotvec(turn).as_matrix() for turn in pose]
        world: list[np.ndarray] = []
        for joint, parent in enumerate(parents):
            local = np.eye(4)
            local[:3, :3] = turns[joint]
            local[:3, 3] = rest[joint] - (rest[parent] if parent >= 0 else 0)
            world.append(local if parent < 0 else world[parent] @ local)
        bent = np.concatenate([(turn - np.eye(3)).ravel() for turn in turns[1:]])
        still = shaped + (arrays["posedirs"] @ bent if correctives else 0)
        mesh = np.zeros_like(shaped)
        for joint, matrix in enumerate(world):
            mesh += arrays["weights"][:, joint, None] * ((still - rest[joint]) @ matrix[:3, :3].T + matrix[:3, 3])
        joints.append(np.stack([matrix[:3, 3] for matrix in world]) + trans)
        vertices.append(mesh + trans)
    return np.stack(joints), np.stack(vertices)


def moves(model: str, frames: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return axis-angles (F,J,3) and a walk's translation (F,3), Z up: every joint turns its own way, some beyond 90°."""
    rng = np.random.default_rng(seed)
    count = len(JOINT_NAMES[model])
    rotvec = rng.normal(0, 0.4, (1, count, 3)) + np.sin(np.linspace(0, 3, frames))[:, None, None] * rng.normal(0, 0.7, (1, count, 3))
    rotvec[:, 0] += [np.pi / 2, 0, 0]
    return rotvec, np.stack([np.linspace(0, 2, frames), np.sin(np.arange(frames) / 9), np.full(frames, 1.3)], axis=1)
