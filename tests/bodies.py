"""A small humanoid made of numbers alone, moves for it, and what a perfect estimator would see of them.

The rig rests in an A-pose with bent elbows, every joint's axes are turned at random, a helper joint sits inside each
upper arm and a root stands on the ground: whatever a real rig may do to the code that drives it.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from rigdrop.convert.body import BODY_JOINTS, BODY_PARENTS, FINGER_JOINTS, Body
from rigdrop.convert.fitting.landmarks import REFERENCE_HEIGHT_M, landmark_table
from rigdrop.ingest.tracks import Observations, Track
from rigdrop.motion.rig import Rig, Skeleton, vertex_normals

Array = NDArray[np.float64]

HEIGHT_M = 1.7
FOCAL_PX, WIDTH, HEIGHT = 1000.0, 720, 960
IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])

_TRUNK = {
    "pelvis": (0, 0.95, 0),
    "spine_1": (0, 1.05, -0.01),
    "spine_2": (0, 1.17, -0.015),
    "spine_3": (0, 1.30, -0.02),
    "neck": (0, 1.45, -0.02),
    "head": (0, 1.53, 0),
}
_LEG = {"hip": (0.09, 0.92, 0), "knee": (0.095, 0.5, 0.015), "ankle": (0.10, 0.08, -0.02), "foot": (0.11, 0.02, 0.10)}
_ARM_PARENT = {"clavicle": "spine_3", "shoulder": "clavicle", "upper_helper": "shoulder", "elbow": "upper_helper", "wrist": "elbow"}
_LEG_PARENT = {"hip": "pelvis", "knee": "hip", "ankle": "knee", "foot": "ankle"}
_FINGERS = {
    "thumb": ("cmc", "mcp", "ip"),
    "index": ("mcp", "pip", "dip"),
    "middle": ("mcp", "pip", "dip"),
    "ring": ("mcp", "pip", "dip"),
    "pinky": ("mcp", "pip", "dip"),
}


def _left_arm(elbow_rad: float) -> dict[str, Array]:
    """Arm 40° below the horizontal, elbow bent toward the front, palm down with the thumb's side forward."""
    shoulder = np.array([0.17, 1.40, -0.01])
    upper = np.array([np.cos(0.7), -np.sin(0.7), 0.0])
    fore = np.cos(elbow_rad) * upper + np.sin(elbow_rad) * np.array([0.0, 0.0, 1.0])
    elbow = shoulder + 0.28 * upper
    wrist = elbow + 0.25 * fore
    across = np.cross(np.cross(fore, [0.0, 0.0, 1.0]), fore)
    across /= np.linalg.norm(across)
    place = {
        "clavicle": np.array([0.03, 1.42, 0.0]),
        "shoulder": shoulder,
        "upper_helper": (shoulder + elbow) / 2,
        "elbow": elbow,
        "wrist": wrist,
    }
    for finger, aside in zip(_FINGERS, (0.0, 0.03, 0.01, -0.01, -0.03), strict=True):
        start, along = wrist + 0.09 * fore + aside * across, fore
        if finger == "thumb":
            start, along = wrist + 0.02 * fore + 0.03 * across, (fore + across) / np.sqrt(2)
        place |= {f"{finger}_{name}": start + reach * along for name, reach in zip(_FINGERS[finger], (0.0, 0.035, 0.06), strict=True)}
    return place


def _joints(elbow_rad: float) -> tuple[list[str], list[int], Array]:
    """Names, parents and places (J,3), parents first; the right side is the left's mirror image."""
    place: dict[str, Array] = {"root": np.zeros(3)} | {name: np.array(value, float) for name, value in _TRUNK.items()}
    parent = {
        "root": "",
        "pelvis": "root",
        "spine_1": "pelvis",
        "spine_2": "spine_1",
        "spine_3": "spine_2",
        "neck": "spine_3",
        "head": "neck",
    }
    fingers = {
        f"{finger}_{name}": f"{finger}_{names[row - 1]}" if row else "wrist"
        for finger, names in _FINGERS.items()
        for row, name in enumerate(names)
    }
    for side, sign in (("left", 1.0), ("right", -1.0)):
        own = {**_ARM_PARENT, **fingers, **_LEG_PARENT}
        for name, spot in {**_left_arm(elbow_rad), **_LEG}.items():
            place[f"{side}_{name}"] = np.array(spot, float) * [sign, 1, 1]
            parent[f"{side}_{name}"] = f"{side}_{own[name]}" if own[name] in own else own[name]
    names = list(place)
    return names, [names.index(parent[name]) if parent[name] else -1 for name in names], np.stack(list(place.values()))


def _boxes(names: list[str], parents: list[int], place: Array) -> tuple[Array, NDArray[np.int32], NDArray[np.uint16], Array]:
    """A box around the middle of each bone, shared 3 : 1 with the joint above; feet and head reach the ground and the crown."""
    corner = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    quads = [triangle for a, b, c, d in sides for triangle in ((a, b, c), (a, c, d))]
    vertices, faces, joints, weights = [], [], [], []
    for joint, name in enumerate(names):
        middle, size = place[joint], np.array([0.02, 0.02, 0.02])
        if name == "head":
            middle, size = np.array([0, 1.6, 0.02]), np.array([0.07, 0.1, 0.09])
        elif name.endswith("ankle"):
            middle, size = place[joint] * [1, 0, 0] + [0, 0.04, 0.0], np.array([0.04, 0.04, 0.09])
        elif name.endswith("foot"):
            middle, size = place[joint] * [1, 0, 0] + [0, 0.02, 0.135], np.array([0.04, 0.02, 0.045])
        elif name == "root":
            middle, size = place[joint] + [0, 0.5, 0], np.array([0.01, 0.01, 0.01])
        faces += [[corner_ + 8 * joint for corner_ in triangle] for triangle in quads]
        vertices.append(middle + corner * size)
        joints += [[joint, max(parents[joint], 0)]] * 8
        weights += [[1.0, 0.0] if name.endswith(("ankle", "foot", "root", "head")) else [0.75, 0.25]] * 8
    return np.concatenate(vertices), np.array(faces, np.int32), np.array(joints, np.uint16), np.array(weights)


def humanoid(seed: int = 4, fingers: bool = True, elbow_rad: float = 0.5) -> Rig:
    """A rig with every semantic joint; ``seed`` turns the axes of its joints, ``elbow_rad`` is the elbows' bend at rest."""
    names, parents, place = _joints(elbow_rad)
    bind_world = np.tile(np.eye(4), (len(names), 1, 1))
    bind_world[:, :3, :3] = Rotation.random(len(names), random_state=seed).as_matrix()
    bind_world[:, :3, 3] = place
    local = np.stack(
        [matrix if parent < 0 else np.linalg.inv(bind_world[parent]) @ matrix for matrix, parent in zip(bind_world, parents, strict=True)]
    )
    known = set(BODY_JOINTS) | (set(FINGER_JOINTS) if fingers else set())
    semantic = {name: index for index, name in enumerate(names) if name in known}
    vertices, faces, skin_joints, weights = _boxes(names, parents, place)
    skeleton = Skeleton(tuple(f"bone_{name}" for name in names), np.array(parents, np.int32), local, semantic)
    return Rig(
        "humanoid",
        skeleton,
        bind_world,
        vertices.astype(np.float32),
        faces,
        vertex_normals(vertices, faces),
        skin_joints,
        weights.astype(np.float32),
    )


def turns(rotvec_by_joint: dict[str, Array], frames: int) -> Array:
    """Local turns (frames,22,4) from rotation vectors, (3,) or (frames,3), of some joints; the others stay as in the T-pose."""
    quat = np.tile(IDENTITY, (frames, len(BODY_JOINTS), 1))
    for name, rotvec in rotvec_by_joint.items():
        quat[:, BODY_JOINTS.index(name)] = Rotation.from_rotvec(np.broadcast_to(rotvec, (frames, 3)).copy()).as_quat()
    return quat


def hanging_arms() -> dict[str, Array]:
    """Arms beside the body, elbows a little bent."""
    rotvec = {}
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rotvec[f"{side}_shoulder"] = np.array([0.0, 0.0, -sign * 1.2])
        rotvec[f"{side}_elbow"] = np.array([0.0, -sign * 0.4, 0.0])
    return rotvec


def exercise(times_s: Array, seed: int = 0) -> tuple[Array, Array]:
    """Somebody who moves every joint a little and elbows and knees a lot, 3.5 m before the camera: (F,22,4), (F,3), camera axes."""
    rng = np.random.default_rng(seed)
    rotvec = {
        name: np.stack([0.12 * np.sin(2 * np.pi * (rng.uniform(0.2, 0.8) * times_s + rng.uniform())) for _ in range(3)], -1)
        for name in BODY_JOINTS
    }
    zero = np.zeros_like(times_s)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rotvec[f"{side}_shoulder"] = rotvec[f"{side}_shoulder"] + [0.0, 0.0, -sign * 0.9]
        rotvec[f"{side}_elbow"] = np.stack([zero, -sign * (0.9 + 0.5 * np.sin(4.4 * times_s + sign)), zero], -1)
        rotvec[f"{side}_knee"] = np.stack([0.5 + 0.4 * np.sin(3.8 * times_s + sign), zero, zero], -1)
    root_m = np.stack([0.3 * np.sin(times_s), 0.05 * np.sin(2 * times_s), -3.5 - 0.3 * np.cos(times_s)], -1)
    return turns(rotvec, len(times_s)), root_m


def walk(body: Body, times_s: Array, speed_m_s: float = 0.8, step_s: float = 0.5, heading_rad: float = 0.0) -> tuple[Array, Array]:
    """Somebody who walks on y = 0 from the origin, feet planted half of the time: (F,22,4), (F,3), world. Speed 0 stands."""
    hip, knee, ankle = (body.offset_m[BODY_JOINTS.index(f"left_{name}")] for name in ("hip", "knee", "ankle"))
    thigh, shank = float(np.linalg.norm(knee)), float(np.linalg.norm(ankle))
    sole = -float(body.sole_points[1][0, 1])  # of the ankle above the ground
    height = 0.96 * (thigh + shank) + sole - hip[1]
    ahead = speed_m_s * times_s
    rotvec = hanging_arms()
    for side, phase in (("left", 0.0), ("right", 1.0)):
        stride = 2 * step_s
        cycle = (times_s + phase * step_s) / stride
        swing = np.clip((cycle % 1.0) * 2 - 1, 0.0, 1.0)
        smooth = swing * swing * (3 - 2 * swing)
        planted_at = speed_m_s * stride * (np.floor(cycle) - phase / 2 + 0.25)
        foot_z = planted_at + smooth * speed_m_s * stride - ahead
        foot_y = (0.06 * np.sin(np.pi * swing) if speed_m_s else 0.0 * swing) + sole - (height + hip[1])
        reach = np.hypot(foot_y, foot_z - hip[2])
        bend = np.pi - np.arccos(np.clip((thigh**2 + shank**2 - reach**2) / (2 * thigh * shank), -1, 1))
        lift = np.arctan2(-(foot_z - hip[2]), -foot_y) - np.arccos(np.clip((thigh**2 + reach**2 - shank**2) / (2 * thigh * reach), -1, 1))
        zero = np.zeros_like(bend)
        rotvec |= {
            f"{side}_hip": np.stack([lift, zero, zero], -1),
            f"{side}_knee": np.stack([bend, zero, zero], -1),
            f"{side}_ankle": np.stack([-lift - bend, zero, zero], -1),
        }
    heading = Rotation.from_rotvec([0, heading_rad, 0])
    rotvec["pelvis"] = heading.as_rotvec()
    root_m = heading.apply(np.stack([np.zeros_like(ahead), np.full_like(ahead, height), ahead], -1))
    return turns(rotvec, len(times_s)), root_m


def mirrored(quat_xyzw: Array, root_m: Array) -> tuple[Array, Array]:
    """The motion's mirror image across x = 0: sides swapped, rotations (x, y, z, w) → (x, -y, -z, w)."""
    swap = [BODY_JOINTS.index(_other_side(name)) for name in BODY_JOINTS]
    return quat_xyzw[:, swap] * [1, -1, -1, 1], root_m * [-1, 1, 1]


def _other_side(name: str) -> str:
    return name.replace("left", "L").replace("right", "left").replace("L", "right")


def loop_places(body: Body, quat_xyzw: Array, root_m: Array) -> tuple[Array, list[list[Rotation]]]:
    """Joints' places (F,22,3) and world rotations, one frame and one joint at a time."""
    place, world = np.zeros((len(quat_xyzw), len(BODY_JOINTS), 3)), []
    for frame, quats in enumerate(quat_xyzw):
        rotations: list[Rotation] = []
        for joint, parent in enumerate(BODY_PARENTS):
            own = Rotation.from_quat(quats[joint])
            rotations.append(own if parent < 0 else rotations[parent] * own)
            place[frame, joint] = root_m[frame] if parent < 0 else place[frame, parent] + rotations[parent].apply(body.offset_m[joint])
        world.append(rotations)
    return place, world


def landmark_places(body: Body, quat_xyzw: Array, root_m: Array, height_m: float = HEIGHT_M) -> Array:
    """Where BlazePose's 33 landmarks are (F,33,3) on a body that moves so, frame of ``root_m``."""
    table = landmark_table()
    place, world = loop_places(body, quat_xyzw, root_m)
    points = np.zeros((len(place), 33, 3))
    for landmark, carrier, origin, offset in zip(table.landmark, table.carrier, table.origin, table.offset_m, strict=True):
        for frame in range(len(place)):
            points[frame, landmark] = place[frame, origin] + world[frame][carrier].apply(offset * height_m / REFERENCE_HEIGHT_M)
    # Corners of eyes and mouth: no term uses them, but an estimator gives them.
    points[:, [1, 3]], points[:, [4, 6]], points[:, [9, 10]] = points[:, [2]], points[:, [5]], points[:, [0]]
    return points


def seen_track(
    points_m: Array, first_frame: int = 0, short: float = 1.0, noise_px: float = 0.0, noise_m: float = 0.0, seed: int = 1
) -> Track:
    """What an estimator sees of landmarks (F,33,3), glTF camera axes: exact but for noise, and 3D points ``short`` as large."""
    rng, frames = np.random.default_rng(seed), len(points_m)
    pixels = np.stack(
        [WIDTH / 2 + FOCAL_PX * points_m[..., 0] / -points_m[..., 2], HEIGHT / 2 + FOCAL_PX * points_m[..., 1] / points_m[..., 2]], -1
    )
    hips = points_m[:, [23, 24]].mean(1, keepdims=True)
    metric = (points_m - hips) * [1, -1, -1] * short
    return Track(
        id=first_frame + 1,
        first_frame=first_frame,
        landmarks_px=pixels + rng.normal(0, 1, pixels.shape) * noise_px,
        landmarks_m=metric + rng.normal(0, 1, metric.shape) * noise_m,
        visibility=np.ones((frames, 33)),
        seen=np.ones(frames, bool),
        score=np.ones(frames),
        box_px=np.concatenate([pixels.min(1), pixels.max(1)], -1),
        hands_px=np.full((frames, 2, 21, 2), np.nan),
        hands_m=np.full((frames, 2, 21, 3), np.nan),
        hand_score=np.zeros((frames, 2)),
    )


def observed(tracks: list[Track], times_s: Array) -> Observations:
    """A clip in which an estimator saw ``tracks``; its focal length is known."""
    return Observations(times_s, Fraction(30), WIDTH, HEIGHT, tracks, focal_px=FOCAL_PX)


def world_from_camera(pitch_rad: float, height_m: float, distance_m: float) -> Array:
    """(4,4): a camera that looks down by ``pitch_rad`` from ``height_m``, ``distance_m`` before the world's origin."""
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec([-pitch_rad, 0, 0]).as_matrix()
    matrix[:3, 3] = (0.0, height_m, distance_m)
    return matrix
