"""How far our SAM 3D Body is from the original, stage by stage and case by case, on the recorded network of random weights.

    python -m benchmarks sam3d_parity

Needs the recordings beside the checkout (../shared) and the tests' packages.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from rigdrop.ingest.pose.sam3d_body.passes import Bodies
from rigdrop.ingest.pose.sam3d_body.refine import look_again
from tests.sam3d_cases import CASES, run_case, truth_of
from tests.sam3d_network import Recorded, apart, recordings

from .table import shown, table

SHARED = Path(__file__).resolve().parents[2] / "shared"
STAGE_LIMIT, JOINTS_MM, KEYPOINTS_PX = 1e-5, 0.01, 0.01
_MM = 1000.0


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=SHARED, help="folder that holds sam3d/ and mhr/")
    torch.set_num_threads(1)  # the same sums everywhere
    recorded = recordings(parser.parse_args().shared)
    print(report(recorded))


def report(recorded: Recorded) -> str:
    """Return all tables as Markdown."""
    stages = [(name, f"{error:.1e}") for name, error in stage_errors(recorded).items()]
    ends = [(name, *(f"{value:.5f}" for value in case_errors(recorded, name))) for name in CASES]
    looks = [(name, *(shown(value, 2) for value in fast_errors(recorded, name))) for name in CASES if not name.startswith("body")]
    parts = (
        table(("stage, float32, largest error over largest value", "error"), stages),
        table(("case, end to end", "joints mm", "mesh mm", "keypoints mm", "keypoints px", "camera mm"), ends),
        table(("case, `fast` against `full`, no second look", "joints mm, mean", "joints mm, most", "keypoints px, mean"), looks),
    )
    return "\n\n".join(parts)


@torch.inference_mode()
def stage_errors(recorded: Recorded) -> dict[str, float]:
    """Return each stage's largest error over its largest true value; what it is given is the recording's, or an earlier stage's."""
    network, body = recorded.network(), recorded.body
    pixels, mask, score = (body[f"full_all/batch/0/{name}"][0] for name in ("img", "mask", "mask_score"))
    maps = network.features((pixels * 255).round().to(torch.uint8))
    first, hands = recorded.look(0), recorded.hands()
    both = torch.ones(2, 2, dtype=torch.bool)
    second, _ = look_again(network, recorded.sight(0), first, hands, both, torch.tensor([True, True]))
    found = {
        "backbone": apart(maps, body["full_all/backbone/0/out"]),
        "masks told": apart(network.masked(maps, mask, score), body["full_all/ray_cond_emb/0/in0"]),
        "rays, bodies": apart(recorded.sight(0).context, body["full_all/ray_cond_emb/0/out"]),
        "rays, hands": apart(recorded.sight(1).context, body["full_all/ray_cond_emb_hand/0/out"]),
        "first look": _looked(first, body, "full_all/interm_body/2"),
        "left hands": _looked(recorded.look(1), body, "full_all/interm_hand/2"),
        "right hands": _looked(recorded.look(2), body, "full_all/interm_hand/5"),
        "boxes of hands": apart(network.hand_boxes(first), body["full_all/hand_box/0/norm"]),
        "second look": _looked(second, body, "full_all/interm_body/5"),
    }
    return found | {f"MHR, {name}": error for name, error in _mhr_errors(recorded).items()}


@torch.inference_mode()
def case_errors(recorded: Recorded, name: str) -> tuple[float, ...]:
    """Return the largest error of joints, mesh and keypoints, millimetres, of keypoints, pixels, and of the camera, millimetres."""
    _, bodies = run_case(recorded, name)
    pairs: tuple[tuple[Tensor | None, str, float], ...] = (
        (bodies.joints_m, "pred_joint_coords", _MM), (bodies.vertices_m, "pred_vertices", _MM),
        (bodies.keypoints_m, "pred_keypoints_3d", _MM), (bodies.keypoints_px, "pred_keypoints_2d", 1.0),
        (bodies.translation_m, "pred_cam_t", _MM),
    )
    return tuple(unit * _farthest(mine, truth_of(recorded, name, key)) for mine, key, unit in pairs)


@torch.inference_mode()
def fast_errors(recorded: Recorded, name: str) -> tuple[float, float, float]:
    """Return how far joints are without the second look, mean and most, millimetres, and keypoints, mean, pixels."""
    full, fast = (run_case(recorded, name, mode, exact_upstream=False)[1] for mode in ("full", "fast"))
    joints = (_placed(full) - _placed(fast)).norm(dim=-1) * _MM
    return float(joints.mean()), float(joints.max()), float((full.keypoints_px - fast.keypoints_px).norm(dim=-1).mean())


def _placed(bodies: Bodies) -> Tensor:
    """Return joints (P,127,3) about the body's own origin, its first joint."""
    return bodies.joints_m - bodies.joints_m[:, :1]


def _looked(found: object, body: dict[str, Tensor], truth: str) -> float:
    of: dict[str, Callable[[], Tensor]] = {
        "pred_keypoints_3d": lambda: found.keypoints_m, "pred_keypoints_2d": lambda: found.view.pixels, "pred_cam": lambda: found.camera,
        "joint_global_rots": lambda: found.joints.rotations, "body_pose": lambda: found.params.body, "shape": lambda: found.params.shape,
    }
    return max(apart(value(), body[f"{truth}/{key}"]) for key, value in of.items())


def _mhr_errors(recorded: Recorded) -> dict[str, float]:
    mhr, units = recorded.network().mhr, recorded.units
    flip = torch.tensor([1.0, -1.0, -1.0])
    found = {}
    for name, head in (("bodies", "head_body"), ("hands", "head_hand")):
        joints = mhr.joints(units[f"{head}/mhr_model_params"])
        found[f"{name}, joints"] = apart(joints.places_cm * 0.01 * flip, units[f"{head}/pred_joint_coords"])
        found[f"{name}, mesh"] = apart(mhr.vertices_m(joints, units[f"{head}/shape"]) * flip, units[f"{head}/pred_vertices"])
    return found


def _farthest(mine: Tensor | None, truth: Tensor) -> float:
    assert mine is not None and mine.shape == truth.shape
    return float((mine - truth).abs().max())


if __name__ == "__main__":
    main()
