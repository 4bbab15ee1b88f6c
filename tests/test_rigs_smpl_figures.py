"""How far skinning stands from the model's own mesh, against SMPL's formula and against the `body-models` package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rigdrop.convert.rigs.smpl import SmplModel, load_smpl_model, stood
from rigdrop.convert.rigs.smpl_figures import corrective_distance_mm, packing_distance_mm
from rigdrop.errors import RigdropError
from rigdrop.motion.smpl_joints import JOINT_NAMES

from .smpl_files import made_up_model, moves, save_model, smpl_formula

FRAMES = 12  # fewer than are measured at most, so that all are
BETAS = np.random.default_rng(2).normal(0, 1.0, 16)


def _model(tmp_path: Path, arrays: dict, name: str = "smplh") -> SmplModel:
    save_model(tmp_path / f"{name.upper()}_MALE.npz", arrays)
    return load_smpl_model(tmp_path, name, "male")  # type: ignore[arg-type]


def _quat(rotvec: np.ndarray) -> np.ndarray:
    return Rotation.from_rotvec(rotvec.reshape(-1, 3)).as_quat().reshape(*rotvec.shape[:2], 4)


def _apart(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float]:
    apart_mm = 1000 * np.linalg.norm(first - second, axis=-1)
    return apart_mm.mean(), float(np.percentile(apart_mm, 95)), apart_mm.max()


@pytest.mark.parametrize("name", ["smpl", "smplh", "smplx"])
def test_the_distance_is_that_of_smpls_formula_with_and_without_its_pose_shapes(tmp_path, name):
    arrays = made_up_model(name)
    model = _model(tmp_path, arrays, name)
    rotvec, trans_m = moves(name, FRAMES)
    bare, own = (smpl_formula(arrays, BETAS, rotvec, trans_m, correctives)[1] for correctives in (False, True))
    figures = corrective_distance_mm(model, model.person_rig(BETAS), _quat(rotvec))
    assert figures is not None and list(figures) == ["mean", "p95", "max"]
    # The rig's mesh is single precision: 1e-7 of two metres.
    np.testing.assert_allclose(list(figures.values()), _apart(bare, own), atol=5e-4)
    assert figures["mean"] > 1
    np.testing.assert_allclose(list(corrective_distance_mm(model, stood(model.person_rig(BETAS)), _quat(rotvec)).values()),
                               list(figures.values()), atol=1e-3)


def test_the_models_own_mesh_is_that_of_body_models(tmp_path):
    """Another program's SMPL on the same file: its mesh minus ours, skinned, has the size that we tell."""
    from body_models.smpl.numpy import SMPL

    arrays = made_up_model("smpl", shapes=10)
    model = _model(tmp_path, arrays, "smpl")
    rotvec, trans_m = moves("smpl", FRAMES)
    theirs = SMPL(model_path=tmp_path / "SMPL_MALE.npz")
    own = theirs.forward_vertices(
        shape=np.tile(BETAS[:10], (FRAMES, 1)), body_pose=rotvec[:, 1:], pelvis_rotation=rotvec[:, 0],
    )
    bare, formula = (smpl_formula(arrays, BETAS[:10], rotvec, 0 * trans_m, correctives)[1] for correctives in (False, True))
    np.testing.assert_allclose(own, formula, atol=1e-5)  # theirs is single precision throughout
    figures = corrective_distance_mm(model, model.person_rig(BETAS[:10]), _quat(rotvec))
    np.testing.assert_allclose(list(figures.values()), _apart(own, bare), atol=0.01)


def test_without_pose_shapes_there_is_nothing_to_tell(tmp_path):
    arrays = made_up_model("smplh")
    del arrays["posedirs"]
    model = _model(tmp_path, arrays)
    assert corrective_distance_mm(model, model.person_rig(None), _quat(moves("smplh", FRAMES)[0])) is None


@pytest.mark.parametrize("influences", [4, 8, 12])
def test_what_eight_joints_a_vertex_leave_out(tmp_path, influences):
    arrays = made_up_model("smplx", influences=influences)
    model = _model(tmp_path, arrays, "smplx")
    rotvec, trans_m = moves("smplx", FRAMES)
    weights = arrays["weights"]
    kept = np.where(weights >= np.sort(weights, axis=1)[:, -8, None], weights, 0)
    full, packed = (smpl_formula(arrays | {"weights": each / each.sum(axis=1, keepdims=True)}, BETAS, rotvec, trans_m)[1]
                    for each in (weights, kept))
    figures = packing_distance_mm(model, model.person_rig(BETAS), _quat(rotvec))
    np.testing.assert_allclose(list(figures.values()), _apart(full, packed), atol=5e-4)
    assert (figures["max"] > 0.1) == (influences > 8)


def test_long_clips_are_measured_on_some_frames_from_first_to_last(tmp_path):
    model = _model(tmp_path, made_up_model("smplh"))
    still = np.zeros((500, len(JOINT_NAMES["smplh"]), 3))
    rig = model.person_rig(None)
    assert corrective_distance_mm(model, rig, _quat(still))["max"] < 1e-3
    for frame in (0, 499):
        bent = still.copy()
        bent[frame, 18] = [0, 1.2, 0]
        assert corrective_distance_mm(model, rig, _quat(bent))["max"] > 1


def test_another_rig_is_an_error(tmp_path):
    model = _model(tmp_path, made_up_model("smplh"))
    other = _model(tmp_path, made_up_model("smplx"), "smplx").person_rig(None)
    with pytest.raises(RigdropError, match="expected its own rig of a person"):
        packing_distance_mm(model, other, _quat(moves("smplx", FRAMES)[0]))
