"""People with MHR's pose correctives as morph targets, against body-models' own mesh."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from rigdrop.convert.character import People
from rigdrop.convert.embody_mhr import embody_mhr
from rigdrop.convert.finish import BindOptions, finish
from rigdrop.convert.mhr.corrective_options import CorrectiveOptions
from rigdrop.convert.mhr.morphed import bound, with_morphs
from rigdrop.convert.performance import Performance
from rigdrop.convert.place import PlaceOptions
from rigdrop.convert.rigs.mhr_correctives import load_correctives, model_vertices, skinning_distance_mm
from rigdrop.convert.rigs.mhr_parameters import load_mhr_model
from rigdrop.errors import MissingPartError
from rigdrop.ingest.recording import Actor
from rigdrop.motion.kinematics import skin_vertices, world_transforms
from rigdrop.motion.take import Person

from .format_contract import largest_mm, truth_m
from .mhr_folder import by_body_models, person_in_poses
from .synthetic import small_take

TIMES_S = np.arange(4) / 30
MORPHS = CorrectiveOptions("morphs")


@pytest.fixture(scope="module")
def model(corrected_mhr):
    return load_mhr_model(corrected_mhr)


@pytest.fixture(scope="module")
def actor(shared) -> Actor:
    return person_in_poses(shared / "samples" / "sam3d_body_subj00.npz", poses=4, seed=6)


@pytest.fixture(scope="module")
def people(actor, model) -> People:
    body = embody_mhr(actor, TIMES_S, model)
    person = Person("person_01", "a", 1, body.rig, body.to_motion())
    return People(small_take(4).camera, (person,), {"clean": [{"frames_filled": 2}]})


def _without(person: Person) -> np.ndarray:
    motion = person.motion
    return skin_vertices(person.rig, world_transforms(person.rig, motion.local_quat_xyzw, motion.local_translation_m, motion.local_scale))


def test_as_many_targets_as_poses_show_body_models_own_mesh(corrected_mhr, model, actor, people, tmp_path):
    truth = by_body_models(corrected_mhr, actor, [0, 1, 2, 3], tmp_path)
    (person,) = with_morphs(people, TIMES_S, MORPHS, lambda: model).people
    assert largest_mm(_without(person), truth) > 20
    # The motion is in single precision: 1e-6 of three metres; body-models is in places too.
    assert largest_mm(truth_m(person), truth) < 0.02
    assert person.rig.morph_count <= 5 and person.motion.morph_weights.shape == (4, person.rig.morph_count)


def test_the_report_has_the_distances_and_what_the_targets_weigh(model, people):
    done = with_morphs(people, TIMES_S, CorrectiveOptions("morphs", 3), lambda: model)
    (figures,) = done.details["clean"]
    assert figures["frames_filled"] == 2 and figures["correctives"]["targets"] == 3
    assert figures["correctives"]["bytes"] == 3 * (4899 * 12 + 4 * 4)
    (before,), (after,) = people.people, done.people
    skin_mm, morphed_mm = figures["correctives"]["skin_mm"], figures["correctives"]["morphed_mm"]
    body = Performance.of_motion(before.rig, TIMES_S, before.motion)
    assert skin_mm == pytest.approx(skinning_distance_mm(model, body, before.rig, [0, 1, 2, 3]), rel=1e-4)
    exact = with_morphs(people, TIMES_S, MORPHS, lambda: model).people[0]
    apart_mm = 1000 * np.linalg.norm(truth_m(after).astype(float) - truth_m(exact), axis=-1)
    assert morphed_mm["mean"] == pytest.approx(apart_mm.mean(), rel=1e-2) and morphed_mm["max"] == pytest.approx(apart_mm.max(), rel=1e-2)
    assert morphed_mm["mean"] < skin_mm["mean"]


def test_another_bind_pose_turns_the_targets_and_leaves_the_world_as_it_was(model, people):
    (own,) = with_morphs(people, TIMES_S, MORPHS, lambda: model).people
    finished, times_s = finish(people, TIMES_S, BindOptions("T"), PlaceOptions())
    (tpose,) = with_morphs(finished, times_s, MORPHS, lambda: model).people
    assert np.abs(tpose.rig.vertices_m - own.rig.vertices_m).max() > 0.3  # arms that hung
    added, added_tpose = truth_m(own).astype(float) - _without(own), truth_m(tpose).astype(float) - _without(tpose)
    one_joint = own.rig.skin_weights[:, 0] > 0.9999
    assert one_joint.sum() > 500
    np.testing.assert_allclose(added_tpose[:, one_joint], added[:, one_joint], atol=2e-6)
    # Between joints a skin that is bound anew bends a little otherwise, and so do its displacements.
    assert np.linalg.norm(added_tpose - added, axis=-1).mean() < 0.1 * np.linalg.norm(added, axis=-1).mean()


def test_the_same_bind_needs_no_turn(model):
    correctives = load_correctives(model)
    assert bound(correctives, model.rig, model.rig) is correctives


def test_weights_are_of_the_motion_as_it_ends_up(model, people):
    """A lead-in begins in the person's rest pose, in which correctives do next to nothing."""
    finished, times_s = finish(people, TIMES_S, BindOptions(lead_in=6), PlaceOptions())
    (led,) = with_morphs(finished, times_s, MORPHS, lambda: model).people
    added_m = np.linalg.norm(truth_m(led).astype(float) - _without(led), axis=-1).max(axis=1)
    assert added_m[0] < 1e-4 and added_m[6:].min() > 0.05
    performance = Performance.of_motion(led.rig, times_s, led.motion)
    # Ten poses need eleven targets at most; the motion and the targets are in single precision.
    assert largest_mm(truth_m(led), np.stack(list(model_vertices(load_correctives(model), performance, range(10))))) < 0.01


def test_nobody_asks_for_the_model_where_nothing_is_wanted(people):
    def nobody_has_it():
        raise MissingPartError("mhr: nobody said where it is")

    assert with_morphs(people, TIMES_S, CorrectiveOptions(), nobody_has_it) is people
    nobody = replace(people, people=(), details={})
    assert with_morphs(nobody, TIMES_S, MORPHS, nobody_has_it) is nobody


def test_people_on_another_rig_go_without_and_it_is_said(people):
    take = small_take(4)
    other = replace(people, people=tuple(take.people))
    with pytest.warns(UserWarning, match="person_01: correctives: found rig tube, expected mhr, whose they are; wrote none"):
        done = with_morphs(other, TIMES_S, MORPHS, lambda: None)
    assert done.people == other.people and done.details["clean"] == [{"frames_filled": 2}]


def test_a_folder_without_correctives_is_named(shared, people):
    standin = load_mhr_model(shared / "mhr" / "lod3")
    with pytest.warns(UserWarning, match=r"lod3: found no pose correctives that fit its mesh, expected corrective_activation\.npz"):
        done = with_morphs(people, TIMES_S, MORPHS, lambda: standin)
    assert done.people == people.people


def test_somebody_at_rest_needs_no_targets(model, people):
    (person,) = people.people
    rest = np.broadcast_to(model.pre_quat_xyzw, person.motion.local_quat_xyzw.shape)
    still = replace(people, people=(replace(person, motion=replace(person.motion, local_quat_xyzw=rest)),))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done = with_morphs(still, TIMES_S, MORPHS, lambda: model)
    assert done.people[0].rig.morph_targets_m is None and done.details["clean"][0]["correctives"]["targets"] == 0
