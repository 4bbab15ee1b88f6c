"""Takes made of numbers alone: a small one that a test reads in an eye-blink, and one as large as a real body.

The mesh is a closed tube of rings with a pole at each end, so it is manifold; joints have turned bind axes, names that
no format takes as they are, a branch, a joint that moves against its parent and one whose offset differs from the bind's.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rigdrop.motion.kinematics import world_to_local
from rigdrop.motion.rig import Rig, Skeleton, vertex_normals
from rigdrop.motion.rotations import matrix_to_quat, quat_continuous, quat_multiply, quat_to_matrix, rotvec_to_quat
from rigdrop.motion.take import Camera, Motion, Person, Take

Scale = Literal["none", "constant", "varying"]
SHA256 = "0123456789abcdef" * 4

SMALL_NAMES = ("root", "spine:01", "chest", "arm-L", "hand.L", "finger L", "leg-R")
SMALL_PARENTS = (-1, 0, 1, 2, 3, 4, 0)
SMALL_POSITIONS_M = ((0, 0.4, 0), (0, 0.7, 0), (0, 1.0, 0.02), (0.02, 1.3, 0), (0, 1.6, 0), (0, 1.7, 0.02), (0, 0.2, 0))


def small_take(
    frames: int = 12, fps: Fraction = Fraction(30), scale: Scale = "none", people: int = 1, influences: int = 4, camera_moves: bool = False,
) -> Take:
    """Return a take of seven joints and 122 vertices a person; people stand a metre and a half apart."""
    rig = _rig("tube", SMALL_NAMES, SMALL_PARENTS, np.array(SMALL_POSITIONS_M, float), rings=12, segments=10, influences=influences)
    return _take(rig, frames, fps, scale, people, camera_moves)


def big_take(frames: int, scale: Scale = "none", influences: int = 4, vertices: bool = False) -> Take:
    """Return a take of one person with 127 joints, 18,439 vertices and 36,874 faces, as the largest body that we drive."""
    rng = np.random.default_rng(7)
    parents = [-1] + [max(0, joint - 1 - int(rng.integers(0, 4))) for joint in range(1, 127)]
    positions = np.stack([rng.uniform(-0.2, 0.2, 127), np.linspace(0.05, 1.75, 127), rng.uniform(-0.1, 0.1, 127)], axis=1)
    names = [f"joint_{index:03d}" for index in range(127)]
    rig = _rig("big", names, parents, positions, rings=103, segments=179, influences=influences)
    take = _take(rig, frames, Fraction(30), scale, 1, camera_moves=False)
    return _with_vertices(take) if vertices else take


def rig_take(rig: Rig, frames: int, fps: Fraction = Fraction(30), scale: Scale = "none") -> Take:
    """Return a take in which a given rig swings every joint, its wrists scaled on request as some bodies' are."""
    return _take(rig, frames, fps, scale, 1, camera_moves=False)


def _rig(name: str, names: object, parents: object, positions_m: NDArray[np.float64], rings: int, segments: int, influences: int) -> Rig:
    joints = len(positions_m)
    bind_world = np.tile(np.eye(4), (joints, 1, 1))
    turns = np.random.default_rng(3).normal(0, 0.6, (joints, 3))
    bind_world[:, :3, :3] = quat_to_matrix(rotvec_to_quat(turns))
    bind_world[:, :3, 3] = positions_m
    parents = np.array(parents, np.int32)
    skeleton = Skeleton(tuple(names), parents, world_to_local(parents, bind_world), {"pelvis": 0})  # type: ignore[arg-type]
    vertices, faces, uvs = _tube(rings, segments)
    skin_joints, skin_weights = _skin(vertices, positions_m, influences)
    return Rig(name, skeleton, bind_world, vertices, faces, vertex_normals(vertices, faces), skin_joints, skin_weights, uvs)


def _tube(rings: int, segments: int) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]:
    """Vertices (R·S+2,3), outward triangles (2·R·S,3) and uvs of a closed tube, 1.8 m high."""
    height = np.linspace(0.02, 1.78, rings)
    angle = np.arange(segments) * 2 * np.pi / segments
    radius = 0.12 + 0.05 * np.sin(height * 5)
    ring = np.stack([np.sin(angle), np.zeros(segments), np.cos(angle)], axis=-1)
    body = (radius[:, None, None] * ring + height[:, None, None] * [0, 1, 0]).reshape(-1, 3)
    vertices = np.concatenate([body, [[0, 0, 0], [0, 1.8, 0]]])
    around = np.stack([np.arange(segments), np.roll(np.arange(segments), -1)], axis=1)
    sides = []
    for row in range(rings - 1):
        low, high = around + row * segments, around + (row + 1) * segments
        sides += [np.stack([low[:, 0], low[:, 1], high[:, 1]], 1), np.stack([low[:, 0], high[:, 1], high[:, 0]], 1)]
    bottom, top, last = rings * segments, rings * segments + 1, around + (rings - 1) * segments
    caps = [np.stack([around[:, 1], around[:, 0], np.full(segments, bottom)], 1)]
    caps += [np.stack([last[:, 0], last[:, 1], np.full(segments, top)], 1)]
    uvs = np.concatenate([np.stack(np.meshgrid(np.arange(segments) / segments, height / 1.8), -1).reshape(-1, 2), [[0.5, 0], [0.5, 1]]])
    return vertices.astype(np.float32), np.concatenate(sides + caps).astype(np.int32), uvs.astype(np.float32)


def _skin(
    vertices: NDArray[np.float32], positions_m: NDArray[np.float64], influences: int,
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    distance = np.linalg.norm(vertices[:, None] - positions_m[None], axis=-1)
    count = min(influences, len(positions_m))
    nearest = np.argsort(distance, axis=1)[:, :count]
    weights = (np.take_along_axis(distance, nearest, axis=1) + 0.02) ** -6.0
    return nearest.astype(np.uint16), (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _take(rig: Rig, frames: int, fps: Fraction, scale: Scale, people: int, camera_moves: bool) -> Take:
    times_s = 5.0 + np.arange(frames) / float(fps)
    motions = [_motion(rig, times_s, scale, 1.5 * number) for number in range(people)]
    persons = [Person(f"person_{number:02d}", f"Person {number}", number, rig, motion) for number, motion in enumerate(motions, 1)]
    return Take(times_s=times_s, fps=fps, camera=_camera(frames if camera_moves else 0), people=persons, source_name="a clip.mp4",
                source_sha256=SHA256, created_utc="2025-01-01T00:00:00Z", rigdrop_version="0.1.0")


def _camera(frames: int) -> Camera:
    intrinsics = np.array([[900.0, 0, 320], [0, 900.0, 240], [0, 0, 1]])
    pose = np.eye(4)
    pose[:3, 3] = [0, 1.2, 4]
    poses = np.tile(pose, (frames, 1, 1)) if frames else pose
    if frames:
        poses[:, 0, 3] = np.linspace(0, 0.5, frames)
    return Camera(640, 480, intrinsics, poses, "default")


def _motion(rig: Rig, times_s: NDArray[np.float64], scale: Scale, aside_m: float) -> Motion:
    frames, joints = len(times_s), len(rig.joint_names)
    bind_local = world_to_local(rig.joint_parents, rig.bind_world)
    phase = np.linspace(0, 2, joints)
    axes = np.random.default_rng(5).normal(0, 2.0 / np.sqrt(joints), (joints, 3))
    swing = np.sin(4 * (times_s - times_s[0])[:, None] + phase)[..., None] * axes
    swing[:, 1] = 0  # a joint that keeps its bind rotation
    quat = quat_multiply(matrix_to_quat(bind_local[:, :3, :3])[None], rotvec_to_quat(swing))
    translation = np.tile(bind_local[:, :3, 3], (frames, 1, 1))
    translation[:, 0] += np.stack([aside_m + 0.3 * np.sin(times_s), 0.02 * np.cos(5 * times_s), 0.2 * times_s - 1], axis=-1)
    translation[:, joints - 2] *= 1.1
    translation[:, joints - 1, 1] += 0.02 * np.sin(times_s)
    scales = None if scale == "none" else _scales(rig, times_s, scale)
    return Motion(quat_continuous(quat), translation, np.ones(frames, bool), np.ones(frames, np.float32), scales)


def _scales(rig: Rig, times_s: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    joints, semantic = len(rig.joint_names), rig.skeleton.semantic
    scales = np.ones((len(times_s), joints))
    chosen = [semantic["left_wrist"], semantic["right_wrist"]] if "left_wrist" in semantic else [joints // 2, joints - 3]
    scales[:, chosen] = [0.93, 0.89]
    if scale == "varying":
        scales[:, chosen] *= 1 + 0.1 * np.sin(3 * times_s)[:, None]
    return scales


def _with_vertices(take: Take) -> Take:
    """The same take with each person's vertices stored, as where skinning can't reproduce a mesh."""
    from dataclasses import replace

    from rigdrop.motion.kinematics import skin_chunks

    people = []
    for person in take.people:
        motion = person.motion
        blocks = list(skin_chunks(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale))
        people.append(replace(person, vertices_m=np.concatenate(blocks)))
    return replace(take, people=people)
