"""Judge fitted people against the truth of a rendered clip, in the camera's axes: the figures of docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from rigdrop.convert.body import BODY_JOINTS, BODY_PARENTS, Body, body_joint
from rigdrop.convert.fit import rig_height_m
from rigdrop.convert.fitting.landmarks import REFERENCE_HEIGHT_M, landmark_table
from rigdrop.motion.kinematics import world_transforms
from rigdrop.motion.metrics import acceleration_error_mm_f2, bone_drift, foot_slide_mm_f, jitter_10m_s3, mpjpe_mm, pa_mpjpe_mm, true_contact
from rigdrop.motion.take import Person, Take

Array = NDArray[np.float64]

LIMBS = tuple(body_joint(f"{side}_{name}") for side in ("left", "right") for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"))
HIPS = (body_joint("left_hip"), body_joint("right_hip"))
WRISTS = (body_joint("left_wrist"), body_joint("right_wrist"))
ALL_JOINTS = tuple(range(len(BODY_JOINTS)))

# A wrist that is faster than this against the pelvis strikes; pulling back and all other moves stay below.
PUNCH_M_S = 6.0
# A blow that comes this much early or late is still that blow.
_PUNCH_WINDOW_S = 0.1


def joints_in_camera(take: Take, person: Person) -> tuple[Array, Array]:
    """Places (F,22,3) of the body's joints and (F,4,3) of its soles, in the camera's axes, by the rig's own kinematics."""
    body = Body.of(person.rig)
    sole_joint, sole_offset = body.sole_points
    joints = _carried(take, person, np.array(ALL_JOINTS), np.array(ALL_JOINTS), np.zeros((len(ALL_JOINTS), 3)))
    return joints, _carried(take, person, sole_joint, sole_joint, sole_offset)


def landmarks_in_camera(take: Take, person: Person) -> Array:
    """Places (F,33,3) where the fit believes BlazePose's landmarks to lie, in the camera's axes; NaN for those that it does not use."""
    table, height = landmark_table(), rig_height_m(Body.of(person.rig))
    places = np.full((take.frame_count, 33, 3), np.nan)
    places[:, table.landmark] = _carried(take, person, table.carrier, table.origin, table.offset_m * height / REFERENCE_HEIGHT_M)
    return places


def _carried(take: Take, person: Person, carrier: NDArray[np.intp], origin: NDArray[np.intp], offset_m: Array) -> Array:
    """Places (F,N,3), in the camera's axes, of points at ``offset_m`` (N,3; T-pose axes) from joints, turned by their carriers."""
    motion, body = person.motion, Body.of(person.rig)
    T_world = world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale)
    # With R_rig = G · A · R_rest, an offset that is told in T-pose axes is (A · R_rest)ᵀ · offset in the rig's own.
    joint = body.joint_index[carrier]
    own = np.einsum("nba,nb->na", body.R_canonical_rest[carrier] @ body.T_world_rest[joint, :3, :3], offset_m)
    world = np.einsum("fnab,nb->fna", T_world[:, joint, :3, :3], own) + T_world[:, body.joint_index[origin]][..., :3, 3]
    return in_camera(world, take.camera.world_from_camera)


def in_camera(points_world_m: Array, T_world_camera: Array) -> Array:
    """World points (…,3) in the camera's axes."""
    T_camera_world = np.linalg.inv(T_world_camera)
    return np.asarray(points_world_m @ T_camera_world[:3, :3].T + T_camera_world[:3, 3])


def judge(
    found: Array, found_soles: Array | None, truth: Array, truth_soles: Array, fps: float, joints: Sequence[int], R_world_camera: Array
) -> dict[str, float]:
    """Figures of one person: places (F,22,3) found and true, soles (F,4,3), over the ``joints`` that were found.

    ``R_world_camera`` (3,3) is the true camera's turn: sliding is measured along the true ground.
    """
    rows = list(joints)
    hips = [rows.index(hip) for hip in HIPS]
    ours, theirs = found[:, rows], truth[:, rows]
    offset = found[:, HIPS].mean(1) - truth[:, HIPS].mean(1)
    figures = {
        "mpjpe_mm": mpjpe_mm(ours, theirs, hips),
        "limbs_mm": mpjpe_mm(found[:, LIMBS], truth[:, LIMBS], [LIMBS.index(hip) for hip in HIPS]),
        "pa_mm": pa_mpjpe_mm(ours, theirs),
        "accel_mm_f2": acceleration_error_mm_f2(ours, theirs),
        "jitter": jitter_10m_s3(ours, fps),
        "true_jitter": jitter_10m_s3(theirs, fps),
        "root_mm": float(1000 * np.linalg.norm(offset, axis=-1).mean()),
        "punch": punch_kept(found, truth, fps),
    }
    if found_soles is not None:
        slide = foot_slide_mm_f(found_soles @ R_world_camera.T, true_contact(truth_soles, fps))
        figures["slide_mm_f"] = float("nan") if slide is None else slide
        figures["bone_drift"] = bone_drift(found, BODY_PARENTS)
    return figures


def punch_kept(found: Array, truth: Array, fps: float) -> float:
    """Mean share of the wrist's peak speed that is left of each blow of the truth, at the time of the blow; NaN without any."""
    shares = []
    for wrist in WRISTS:
        ours, theirs = _speed(found, wrist, fps), _speed(truth, wrist, fps)
        # The clip's first and last step can be peaks too.
        peaks = find_peaks(np.concatenate([[0.0], theirs, [0.0]]), height=PUNCH_M_S, distance=max(1, round(0.2 * fps)))[0] - 1
        reach = round(_PUNCH_WINDOW_S * fps)
        shares += [ours[max(peak - reach, 0):peak + reach + 1].max() / theirs[peak] for peak in peaks]
    return float(np.mean(shares)) if shares else float("nan")


def _speed(joints: Array, wrist: int, fps: float) -> Array:
    """Speed (F-1,) of a wrist against the pelvis, m/s."""
    return np.asarray(np.linalg.norm(np.diff(joints[:, wrist] - joints[:, 0], axis=0), axis=-1) * fps)


def mean_figures(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean of each figure over clips, those that a clip does not have left out."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    values = {name: [row[name] for row in rows if np.isfinite(row.get(name, np.nan))] for name in names}
    return {name: float(np.mean(known)) if known else float("nan") for name, known in values.items()}
