"""People whose motion is told in parameters of the Momentum Human Rig, on that rig in their own shape.

The model's axes are the camera's as glTF has them: its points have y and z negated in SAM 3D Body's files, its rotations
haven't, so joints that our kinematics find from the parameters need no turn, only the camera translation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingPartError, ReadError
from ..ingest.recording import Actor, MhrMotion
from .cleaning.fill import whole_places, whole_turns
from .mhr.mhr_solve import solve_parameters
from .performance import Performance
from .rigs.mhr_parameters import BODY, MhrModel

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MhrPerson:
    """What is known of one person in MHR's terms; a frame that says nothing is NaN throughout."""

    shape_params: Floats  # (45,), the median over the frames
    model_params: Floats  # (F,204)
    solved: NDArray[np.bool_]  # (F,), found from the places of the joints
    apart_m: Floats  # (F,), how far the furthest joint is from where the file has it; NaN where it wasn't solved

    @property
    def known(self) -> NDArray[np.bool_]:
        """The frames (F,) that have parameters."""
        return np.asarray(np.isfinite(self.model_params).all(axis=1))


def embody_mhr(actor: Actor, times_s: Floats, model: MhrModel, steady: bool = True) -> Performance:
    """Return the person on MHR's rig in their own shape, in the camera's axes (glTF's), at ``times_s`` (F,), seconds.

    Frames in which the file says nothing are filled: between neighbours turns go the short way and places straight, the
    ends are held; they are not ``visible`` and nothing in them is ``known``. ``steady`` gives the person the median lengths
    and scales of the clip, so that no bone changes its length. Raises as `mhr_person` does.
    """
    person = mhr_person(actor, model, steady)
    motion = _mhr_motion(actor)
    known = person.known & np.isfinite(motion.camera_translation_m).all(axis=1)
    if not known.any():
        raise ReadError(f"{actor.name}: pred_cam_t: found no frame that has it together with a pose, expected one or more")
    quat, translation_m, scale = model.local(person.model_params)
    # The topmost joint carries it, so that every joint is where the file has it, the one above the root too.
    translation_m[:, 0] += motion.camera_translation_m
    body = np.zeros(person.model_params.shape[1])
    body[BODY] = np.median(person.model_params[known][:, BODY], axis=0)
    joints = (len(times_s), len(model.rig.joint_names))
    return Performance(
        model.person_rig(person.shape_params, body), times_s,
        whole_turns(quat, times_s, known)[0], whole_places(translation_m, times_s, known)[0],
        visible=actor.visible & known, confidence=np.where(known, actor.confidence, 0).astype(np.float32),
        known=np.broadcast_to(known[:, None], joints).copy(), scale=whole_places(scale[..., None], times_s, known)[0][..., 0],
    )


def mhr_person(actor: Actor, model: MhrModel, steady: bool = True) -> MhrPerson:
    """Return the parameters of a person, solved from the joints in frames that have places of joints alone.

    ``steady`` holds lengths and scales, parameters 130 to 203, to their medians over the clip. Raises `MissingPartError`
    where the file has nothing but meshes, and `ReadError` for motion of another body or one without a single whole frame.
    """
    motion = _mhr_motion(actor)
    if motion.model_params is None and motion.joints_m is None:
        raise MissingPartError(f"{actor.name}: found meshes alone, expected mhr_model_params or pred_joint_coords for a rig; "
                               "run SAM 3D Body again and keep its whole output, or ask for baked vertices")
    params = np.full((motion.frame_count, model.transform.shape[2]), np.nan) if motion.model_params is None else motion.model_params.copy()
    params[~(np.isfinite(params).all(axis=1) & actor.visible)] = np.nan
    solved, apart_m = np.zeros(len(params), bool), np.full(len(params), np.nan)
    lacking = np.isnan(params[:, 0]) & actor.visible
    if motion.joints_m is not None and lacking.any():
        found = solve_parameters(model, motion.joints_m[lacking], one_body=steady)
        params[lacking], apart_m[lacking] = found.model_params, found.apart_m
        solved = lacking & np.isfinite(apart_m)
    known = np.asarray(np.isfinite(params).all(axis=1))
    if not known.any():
        raise ReadError(f"{actor.name}: mhr_model_params: found no frame without NaN, expected one or more")
    if steady:
        params[np.ix_(known, np.arange(*BODY.indices(params.shape[1])))] = np.median(params[known][:, BODY], axis=0)
    return MhrPerson(_median_shape(motion, known), params, solved, apart_m)


def _mhr_motion(actor: Actor) -> MhrMotion:
    if not isinstance(actor.motion, MhrMotion):
        raise ReadError(f"{actor.name}: found {type(actor.motion).__name__}, expected motion of the Momentum Human Rig")
    return actor.motion


def _median_shape(motion: MhrMotion, known: NDArray[np.bool_]) -> Floats:
    """The shape (45,) that half of the frames are above and half below, in each number; the default one where none is known."""
    shapes = motion.shape_params[known & np.isfinite(motion.shape_params).all(axis=1)]
    return np.asarray(np.median(shapes, axis=0)) if len(shapes) else np.zeros(motion.shape_params.shape[1])
