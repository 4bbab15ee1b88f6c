"""Parameters of the Momentum Human Rig from where its joints are: for files that keep exact joints and no parameters.

Three stages. Lengths and scales follow from distances that no pose changes. A first guess of the pose goes down the tree:
each bone takes the smallest turn that brings what it carries into place (Kabsch 1976). Then Levenberg–Marquardt settles
the body, and after it the fingers, which hang on it. What no joint tells of (toes, the share of neck and head in a twist)
stays as near to zero as it can.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ingest.recording import MHR_PARAMETERS
from ..rigs.mhr_parameters import MhrModel
from .mhr_lengths import KNEE_KNOCK, solve_lengths
from .mhr_tree import POSE, ROOT, MhrTree

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

EXACT_M = 1e-5
"""How far the furthest joint of a frame may be for the frame to count as solved."""
_TURNS = np.arange(3, POSE.stop, dtype=np.intp)
_TURNS_AND_KNOCK = np.append(_TURNS, KNEE_KNOCK)
_FINGERS = ("thumb", "index", "middle", "ring", "pinky")
_TWISTS = "_proc"  # joints on the axis about which they twist: their places say nothing that their bone's ends don't
# How hard turns are drawn to zero, metres a radian: first enough to keep elbows from folding backward, then not at all.
_PULLS_M = (3e-2, 1e-3, 1e-4, 0.0)
_STEPS = 100
# Files keep single precision, 1e-7 m; closer than this a solve would follow the rounding.
_CLOSE_M = 3e-7
_LONGEST_STEP_RAD = 1.0
_LEAST_DAMPING = 1e-12
_USUAL_BEND_RAD = 0.8
_BLOCK_FRAMES = 64
_ATTEMPTS = 2
# A joint that turns so far from one frame to the next is looked at again; a real one stays.
_LEAP_RAD = 0.5
# Of the identity in Kabsch's matrix: where one direction is all there is, the smallest turn wins.
_SMALLEST_TURN = 1e-3


@dataclass(frozen=True, eq=False)
class Solved:
    """What was found, and how far its joints are from those that were given."""

    model_params: Floats  # (F,204), NaN where a joint was
    apart_m: Floats  # (F,), of the joint that is furthest off; NaN where a joint was


def solve_parameters(model: MhrModel, joints_m: Floats, one_body: bool = True) -> Solved:
    """Find MHR's parameters for places (F,127,3) of its joints in the model's own axes; frames with NaN give NaN.

    ``one_body`` holds lengths and scales to the clip's median; without it every frame has its own, as files of networks
    that look at one frame at a time do.
    """
    tree = MhrTree(model)
    places = np.asarray(joints_m, dtype=np.float64)
    known = np.flatnonzero(np.isfinite(places).all(axis=(1, 2)))
    params, apart = np.full((len(places), MHR_PARAMETERS), np.nan), np.full(len(places), np.nan)
    if len(known):
        params[known], apart[known] = _solved(tree, places[known], one_body)
    return Solved(params, apart)


def _solved(tree: MhrTree, places_m: Floats, one_body: bool) -> tuple[Floats, Floats]:
    params, apart = np.empty((len(places_m), MHR_PARAMETERS)), np.empty(len(places_m))
    if one_body:
        params[:] = solve_lengths(tree, places_m)
    blocks = [slice(start, start + _BLOCK_FRAMES) for start in range(0, len(places_m), _BLOCK_FRAMES)]
    for block in blocks:
        lengths = params[block] if one_body else solve_lengths(tree, places_m[block], one_body=False)
        params[block], apart[block] = _posed(tree, lengths, places_m[block])
    params, apart = _helped_by_neighbours(tree, params, apart, places_m)
    params, apart = _without_flips(tree, params, apart, places_m)
    if one_body and len(params) > 1:
        weights = np.concatenate([_told_of_knock(tree, params[block]) for block in blocks])
        # A frame that ends in a flat valley, micrometres off, tells less than one that ends at the bottom.
        params[:, KNEE_KNOCK] = _weighted_median(params[:, KNEE_KNOCK], np.where(_stuck(apart), 0, weights / (apart**2 + _CLOSE_M**2)))
        for block in blocks:
            params[block], apart[block] = _settled_in_stages(tree, params[block], places_m[block], _TURNS, (0.0,))
    return params, apart


def _without_flips(tree: MhrTree, params: Floats, apart: Floats, places_m: Floats) -> tuple[Floats, Floats]:
    """Solve frames whose joints leap against the frame beside them anew from there: a limb's two ways to bend look alike.

    It goes out from the frame whose turns are least, both ways in time.
    """
    params, apart = params.copy(), apart.copy()
    first = int(np.argmin((params[:, POSE] ** 2).sum(axis=1) + 1e3 * _stuck(apart)))
    pairs = [(frame - 1, frame) for frame in range(first + 1, len(params))] + [(frame + 1, frame) for frame in range(first - 1, -1, -1)]
    for beside, frame in pairs:
        leap = _leap(tree, params[[beside, frame]])
        if leap < _LEAP_RAD:
            continue
        start, here = params[[frame]], places_m[[frame]]
        start[:, _TURNS] = params[[beside]][:, _TURNS]
        again, missed = _settled_in_stages(tree, start, here, _TURNS_AND_KNOCK, (1e-3, 1e-4, 0.0), toward=start)
        if missed[0] < max(EXACT_M, 2 * apart[frame]) and _leap(tree, np.concatenate([params[[beside]], again])) < leap / 2:
            params[frame], apart[frame] = again[0], missed[0]
    return params, apart


def _leap(tree: MhrTree, pair: Floats) -> float:
    """The largest turn of a joint between two frames (2,204)."""
    quat = tree.model.local(pair)[0]
    return float(2 * np.arccos(np.clip(np.abs(np.sum(quat[0] * quat[1], axis=-1)), 0, 1)).max())


def _told_of_knock(tree: MhrTree, params: Floats) -> Floats:
    """How much the joints of frames (B,204) tell of knee knock when all turns are free: the inverse of its variance."""
    targets = _stages(tree)[0][1]
    moving = np.append(tree.moving(targets, _TURNS), KNEE_KNOCK)
    jacobian = tree.gradient(params, tree.world(params), targets, moving)
    hessian = np.swapaxes(jacobian, 1, 2) @ jacobian + _LEAST_DAMPING * np.eye(len(moving))
    return np.asarray(1 / np.linalg.inv(hessian)[:, -1, -1])


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _helped_by_neighbours(tree: MhrTree, params: Floats, apart: Floats, places_m: Floats) -> tuple[Floats, Floats]:
    """Begin frames that got stuck anew from the pose of the nearest one that didn't."""
    is_stuck = _stuck(apart)
    stuck, found = np.flatnonzero(is_stuck), np.flatnonzero(~is_stuck)
    if not len(stuck) or not len(found):
        return params, apart
    nearest = found[np.abs(stuck[:, None] - found).argmin(axis=1)]
    start = params[stuck]
    start[:, POSE] = params[nearest][:, POSE]
    again, missed = _settled_in_stages(tree, start, places_m[stuck], _TURNS_AND_KNOCK, _PULLS_M[1:])
    params, apart, closer = params.copy(), apart.copy(), missed < apart[stuck]
    params[stuck[closer]], apart[stuck[closer]] = again[closer], missed[closer]
    return params, apart


def _posed(tree: MhrTree, lengths: Floats, places_m: Floats) -> tuple[Floats, Floats]:
    """Find the pose of some frames (B,127,3) for known lengths (B,204); returns parameters and what they miss by (B,).

    A frame that got stuck, as ankles may, is begun anew from a stirred pose.
    """
    rng = np.random.default_rng(0)
    params, apart = _from_guess(tree, lengths, places_m, rng, 0.0)
    for _ in range(_ATTEMPTS):
        stuck = np.flatnonzero(_stuck(apart))
        if not len(stuck):
            break
        again, missed = _from_guess(tree, lengths[stuck], places_m[stuck], rng, 1.0)
        closer = missed < apart[stuck]
        params[stuck[closer]], apart[stuck[closer]] = again[closer], missed[closer]
    return params, apart


def _stuck(apart: Floats) -> NDArray[np.bool_]:
    """The frames (B,) that were not found; where bones change their length under a body held steady, none can be exact."""
    usual = np.median(apart) if len(apart) > 1 else 0.0
    return np.asarray(apart > max(EXACT_M, 3 * usual))


def _from_guess(tree: MhrTree, lengths: Floats, places_m: Floats, rng: np.random.Generator, stir: float) -> tuple[Floats, Floats]:
    params = lengths.copy()
    params[:, :3] = (places_m[:, ROOT] - tree.model.offsets_m[ROOT]) / tree.model.transform[ROOT, 0, 0]
    free = _TURNS_AND_KNOCK
    for bones, targets in _stages(tree):
        moving = tree.moving(targets, free)
        params = _first_guess(tree, params, places_m, bones)
        params[:, moving] *= rng.uniform(1 - stir, 1, (len(params), len(moving)))
        for pull in _PULLS_M:
            params = _settled(tree, params, places_m, targets, moving, pull)
        free = np.setdiff1d(free, moving)
    return params, _apart(tree, params, places_m)


def _settled_in_stages(
    tree: MhrTree, params: Floats, places_m: Floats, free: Indices, pulls_m: tuple[float, ...], toward: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Settle some frames from where they are, with the parameters ``free``, drawn to those of ``toward``, or to zero."""
    for _, targets in _stages(tree):
        moving = tree.moving(targets, free)
        for pull in pulls_m:
            params = _settled(tree, params, places_m, targets, moving, pull, toward)
        free = np.setdiff1d(free, moving)
    return params, _apart(tree, params, places_m)


def _apart(tree: MhrTree, params: Floats, places_m: Floats) -> Floats:
    return np.asarray(np.linalg.norm(tree.world(params)[..., :3, 3] - places_m, axis=-1).max(axis=1))


def _stages(tree: MhrTree) -> tuple[tuple[Indices, Indices], ...]:
    """Return the bones that each stage turns and the joints that tell how: first the body with its palms, then fingers."""
    names = tree.model.rig.joint_names
    finger = np.array([any(part in name for part in _FINGERS) for name in names])
    bone = tree.turns & np.isin(np.arange(len(names)), tree.carrier)
    carried_by_finger = finger[tree.carrier] & (tree.carrier >= 0)
    tells = np.array([_TWISTS not in name for name in names]) & (tree.carrier >= 0)
    return ((np.flatnonzero(bone & ~finger), np.flatnonzero(tells & ~carried_by_finger)),
            (np.flatnonzero(bone & finger), np.flatnonzero(tells & carried_by_finger)))


def _first_guess(tree: MhrTree, params: Floats, places_m: Floats, bones: Indices) -> Floats:
    """Turn each of ``bones``, from the root on, so that the joints that it carries come to where they are seen."""
    params = params.copy()
    for bone in bones:
        axes = [axis for axis in range(3) if (bone, axis) in tree.own_parameter]
        above = int(tree.carrier[bone])
        if axes == [2] and (above, 0) in tree.own_parameter:
            start, end = _carried(tree, params, places_m, bone)
            params[:, tree.own_parameter[above, 0]] += _swivel(start, end, tree.R_pre[bone])
        turn = _smallest_turn(*_carried(tree, params, places_m, bone))
        # Of R = Rz·Ry·Rx.
        about_x, about_z = np.arctan2(turn[:, 2, 1], turn[:, 2, 2]), np.arctan2(turn[:, 1, 0], turn[:, 0, 0])
        angles = (about_x, -np.arcsin(np.clip(turn[:, 2, 0], -1, 1)), about_z)
        for axis in axes:
            # Feet and wrists, of two axes, turn less than a right angle about either; a larger guess has them turned over.
            believable = (len(axes) != 2) | (np.abs(angles[axis]) < np.pi / 2)
            params[:, tree.own_parameter[bone, axis]] = np.where(believable, angles[axis], 0.0)
    return params


def _carried(tree: MhrTree, params: Floats, places_m: Floats, bone: np.intp) -> tuple[Floats, Floats]:
    """The joints (B,N,3) that a bone carries, in the frame in which it turns: where they are unturned, and where they are seen."""
    T_world_joint = tree.world(params)
    carried = np.flatnonzero(tree.carrier == bone)
    R_world_base = tree.base(T_world_joint, np.array([bone]))[0][:, 0]
    places = T_world_joint[..., :3, 3]
    return (places[:, carried] - places[:, [bone]]) @ R_world_base, (places_m[:, carried] - places_m[:, [bone]]) @ R_world_base


def _swivel(start: Floats, end: Floats, R_pre: Floats) -> Floats:
    """Return the twists (B,) of the bone above a hinge, about its x, that bring what the hinge carries into its plane.

    Two twists do, half a turn apart; the one that bends the hinge as people do is taken, and of twists that do the same the
    smaller one. By MHR's released limits knees bend from 0 to 2.8 rad, elbows from -0.5 to 2, fingers from -0.3 to 1.6.
    """
    twist = np.linspace(-np.pi, np.pi, 48, endpoint=False)
    none, one = np.zeros_like(twist), np.ones_like(twist)
    rows = [[one, none, none], [none, np.cos(twist), np.sin(twist)], [none, -np.sin(twist), np.cos(twist)]]  # back by the twist
    back = R_pre.T @ np.moveaxis(np.array(rows), 2, 0) @ R_pre  # (W,3,3), in the hinge's frame
    size = np.maximum(np.linalg.norm(start[:, 0], axis=-1, keepdims=True), 1e-9)
    unbent, seen = start[:, 0] / size, np.einsum("wij,bj->bwi", back, end[:, 0] / size)
    bend = np.arctan2(unbent[:, None, 0] * seen[..., 1] - unbent[:, None, 1] * seen[..., 0],
                      unbent[:, None, 0] * seen[..., 0] + unbent[:, None, 1] * seen[..., 1])
    cost = (seen[..., 2] - unbent[:, None, 2]) ** 2 + 1e-3 * twist**2 + 0.05 * (bend - _USUAL_BEND_RAD) ** 2
    return np.asarray(twist[np.argmin(cost, axis=1)])


def _smallest_turn(start: Floats, end: Floats) -> Floats:
    """Return rotations (B,3,3) that best bring vectors (B,N,3) onto others; the smallest where many do."""
    spread = np.swapaxes(end, 1, 2) @ start
    size = np.linalg.norm(spread, axis=(1, 2))[:, None, None]
    left, _, right = np.linalg.svd(spread + _SMALLEST_TURN * size * np.eye(3))
    left[..., 2] *= np.linalg.det(left @ right)[:, None]
    return np.asarray(left @ right)


def _settled(
    tree: MhrTree, params: Floats, places_m: Floats, targets: Indices, moving: Indices, pull_m: float, toward: Floats | None = None,
) -> Floats:
    """Levenberg–Marquardt on the parameters ``moving``, each frame with its own damping, until no frame gains."""
    params, damping = params.copy(), np.full(len(params), 1e-6)
    active, T_world_joint = np.arange(len(params)), tree.world(params)
    rest = (np.zeros_like(params) if toward is None else toward)[:, moving]
    for _ in range(_STEPS):
        residual, now = _residual(T_world_joint[active], places_m[active], targets), params[active]
        away, jacobian = now[:, moving] - rest[active], tree.gradient(now, T_world_joint[active], targets, moving)
        step = _step(jacobian, residual, away, pull_m, damping[active])
        tried = now.copy()
        tried[:, moving] += step
        T_tried = tree.world(tried)
        before = _cost(residual, away, pull_m)
        after = _cost(_residual(T_tried, places_m[active], targets), away + step, pull_m)
        better = after < before
        params[active[better]], T_world_joint[active[better]] = tried[better], T_tried[better]
        damping[active] = np.where(better, np.maximum(damping[active] / 8, _LEAST_DAMPING), damping[active] * 4)
        close = np.abs(residual).max(axis=1) < _CLOSE_M if pull_m == 0 else False
        settled = better & (before - after < (1e-3 if pull_m else 1e-6) * before) | (np.abs(step).max(axis=1) < 1e-7)
        active = active[~(close | settled)]
        if not len(active):
            break
    return params


def _residual(T_world_joint: Floats, places_m: Floats, targets: Indices) -> Floats:
    return np.asarray((places_m[:, targets] - T_world_joint[..., :3, 3][:, targets]).reshape(len(places_m), -1))


def _cost(residual_m: Floats, turns_rad: Floats, pull_m: float) -> Floats:
    return np.asarray((residual_m**2).sum(axis=1) + pull_m**2 * (turns_rad**2).sum(axis=1))


def _step(jacobian: Floats, residual_m: Floats, turns_rad: Floats, pull_m: float, damping: Floats) -> Floats:
    """One damped Gauss–Newton step (B,P), no angle further than a radian."""
    back = np.swapaxes(jacobian, 1, 2)
    hessian = back @ jacobian + (pull_m**2 + damping)[:, None, None] * np.eye(jacobian.shape[2])
    downhill = back @ residual_m[..., None] - pull_m**2 * turns_rad[..., None]
    step = np.linalg.solve(hessian, downhill)[..., 0]
    return np.asarray(step * np.minimum(1.0, _LONGEST_STEP_RAD / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12)))
