"""Motion files as their programs write them, with a plain walk in them: AMASS's .npz and a .bvh."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from rigdrop.motion.smpl_joints import JOINT_NAMES

from .skeletons import MAN, man_motion

Array = NDArray[np.float64]
SPEED_M_S = 0.7


def walking_poses(times_s: Array) -> tuple[Array, Array]:
    """SMPL-H's axis-angles (F,52,3) and translation (F,3), Z up, of somebody who walks along -Y, where SMPL's face points then."""
    rotvec = np.zeros((len(times_s), 52, 3))
    swing = 0.4 * np.sin(2 * np.pi * times_s)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        joint = {name: JOINT_NAMES["smplh"].index(f"{side}_{name}") for name in ("hip", "knee", "shoulder", "elbow", "index1")}
        rotvec[:, joint["hip"], 0] = -sign * swing
        rotvec[:, joint["knee"], 0] = 0.35 * (1 - np.cos(2 * np.pi * times_s + sign))
        rotvec[:, joint["shoulder"], 2] = -sign * 1.1
        rotvec[:, joint["elbow"], 1] = -sign * 0.4
        rotvec[:, joint["index1"], 2] = -sign * 0.3
    rotvec[:, 0] = Rotation.from_euler("x", 90, degrees=True).as_rotvec()
    places = np.stack([np.zeros_like(times_s), -SPEED_M_S * times_s, 0.92 + 0.02 * np.cos(4 * np.pi * times_s)], axis=-1)
    return rotvec, places


def write_amass(path: Path, frames: int = 30, fps: float = 30.0, phase_s: float = 0.0) -> Path:
    """Write AMASS's own layout: joined poses, trans, betas, gender and a rate."""
    rotvec, places = walking_poses(phase_s + np.arange(frames) / fps)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, poses=rotvec.reshape(frames, 156), trans=places, betas=np.zeros(16), gender="neutral", mocap_framerate=fps)
    return path


def write_bvh(path: Path, frames: int = 30, fps: float = 30.0) -> Path:
    """Write a .bvh in centimetres of a man with the names of MotionBuilder, who walks and turns."""
    angles, places = man_motion(MAN, frames)
    children = {joint: [child for child, parent in enumerate(MAN.parents) if parent == joint] for joint in range(len(MAN.names))}

    def lines(joint: int, indent: str) -> list[str]:
        kind = "ROOT" if MAN.parents[joint] < 0 else "JOINT"
        offset = " ".join(f"{100 * value:.6f}" for value in MAN.offset_m[joint])
        moves = "6 Xposition Yposition Zposition" if kind == "ROOT" else "3"
        below = [line for child in children[joint] for line in lines(child, indent + "\t")]
        end = [] if below else [f"{indent}\tEnd Site", f"{indent}\t{{", f"{indent}\t\tOFFSET 0 5 0", f"{indent}\t}}"]
        return [f"{indent}{kind} {MAN.names[joint]}", f"{indent}{{", f"{indent}\tOFFSET {offset}",
                f"{indent}\tCHANNELS {moves} Zrotation Xrotation Yrotation", *below, *end, f"{indent}}}"]

    order: list[int] = []

    def walk(joint: int) -> None:
        order.append(joint)
        for child in children[joint]:
            walk(child)

    walk(0)
    rows = np.concatenate([100 * places[:, 0], angles[:, order][..., [2, 0, 1]].reshape(frames, -1)], axis=1)
    motion = [" ".join(f"{value:.6f}" for value in row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ["HIERARCHY", *lines(0, ""), "MOTION", f"Frames: {frames}", f"Frame Time: {1 / fps:.8f}", *motion]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return path
