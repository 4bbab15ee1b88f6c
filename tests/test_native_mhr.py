"""People of MHR's files on its rig with what is to be said of them, and what becomes of them without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rigdrop.convert.embody_mhr import embody_mhr
from rigdrop.convert.mhr.bare_mesh import bare_note, is_bare
from rigdrop.convert.mhr.native_mhr import native_mhr
from rigdrop.convert.rigs.mhr_correctives import skinning_distance_mm
from rigdrop.convert.rigs.mhr_parameters import MhrModel, load_mhr_model
from rigdrop.errors import MissingPartError
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.sam3d_body import read
from rigdrop.ingest.recording import Actor

ZERO = np.zeros(1)


@pytest.fixture(scope="module")
def model(shared) -> MhrModel:
    return load_mhr_model(shared / "mhr" / "lod3")


@pytest.fixture(scope="module")
def actor(shared) -> Actor:
    """A real person, with meshes of LOD 1 and stale rotations."""
    path = shared / "samples" / "sam3d_body_subj00.npz"
    return read(path, MotionFileOptions(source_fps="30", keep_vertices=True)).actors[0]


def _nobody_has_it() -> MhrModel:
    raise MissingPartError("mhr: nobody said where it is; name its folder with --mhr DIR or RIGDROP_MHR")


def test_with_the_rig_the_person_is_on_it_and_stale_rotations_are_said(model, actor):
    performance, figures, warnings = native_mhr(actor, ZERO, "auto", None, lambda: model)
    np.testing.assert_array_equal(performance.T_world_joint, embody_mhr(actor, ZERO, model).T_world_joint)
    assert figures == {"skin_from_model_mm": "unknown: MHR's folder holds no pose correctives"}
    (warning,) = warnings
    assert "pred_global_rots: found up to 28 of 127 joints more than 1° off" in warning and "129.9° at most" in warning


def test_the_distance_to_the_models_mesh_is_told_where_it_is_known(corrected_mhr, actor):
    model = load_mhr_model(corrected_mhr)
    performance, figures, _ = native_mhr(actor, ZERO, "mhr", None, lambda: model)
    assert figures["skin_from_model_mm"] == skinning_distance_mm(model, performance, performance.rig, [0])
    assert figures["skin_from_model_mm"]["mean"] > 0.5
    # On another rig MHR's skin is nobody's.
    assert native_mhr(actor, ZERO, "unreal", None, lambda: model)[1] == {}


def test_without_the_rig_the_meshes_are_kept_and_the_way_to_it_is_said(shared, actor, tmp_path):
    np.save(tmp_path / "faces.npy", np.load(shared / "mhr" / "mhr_faces_lod1.npy"))
    performance, figures, warnings = native_mhr(actor, ZERO, "auto", tmp_path, _nobody_has_it)
    assert is_bare(performance) and figures == {} and warnings == (bare_note(actor),)
    assert len(performance.rig.vertices_m) == 18439


@pytest.mark.parametrize("rig", ["auto", "unreal"])
def test_without_rig_and_mesh_or_for_another_rig_the_way_to_it_is_the_error(actor, rig):
    lacking = replace(actor, motion=replace(actor.motion, vertices_m=None)) if rig == "auto" else actor
    with pytest.raises(MissingPartError) as caught:
        native_mhr(lacking, ZERO, rig, None, _nobody_has_it)
    assert str(caught.value) == ("mhr: nobody said where it is; get assets.zip of facebookresearch/MHR's release v1.0 and name its folder "
                                 "with --mhr DIR or RIGDROP_MHR")


def test_meshes_alone_take_the_models_faces(model, actor):
    skin = np.asarray(embody_mhr(actor, ZERO, model).rig.vertices_m)[None]
    alone = replace(actor, motion=replace(actor.motion, model_params=None, joints_m=None, vertices_m=skin))
    performance, figures, warnings = native_mhr(alone, ZERO, "auto", None, lambda: model)
    assert is_bare(performance) and figures == {}
    np.testing.assert_array_equal(performance.rig.faces, model.rig.faces)
    assert warnings == ("Person 0: found neither mhr_model_params nor pred_joint_coords, kept the meshes of the file, for glb-baked alone",)
    # Meshes of another level of detail aren't the model's: no faces are made up for them.
    with pytest.raises(MissingPartError, match="faces for pred_vertices' 18439 vertices"):
        native_mhr(replace(alone, motion=replace(alone.motion, vertices_m=actor.motion.vertices_m)), ZERO, "auto", None, lambda: model)
    with pytest.raises(MissingPartError, match="found meshes alone"):
        native_mhr(alone, ZERO, "unreal", None, lambda: model)
