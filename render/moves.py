"""Moves that a score is made of; each is written for either side, with the random differences that people have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .key_pose import Arm, Pose
from .score import Score

Random = np.random.Generator
Move = Callable[[Score, Random], None]

_STEP_S = 0.54


def _with_arm(pose: Pose, side: str, arm: Arm) -> Pose:
    return replace(pose, left=arm) if side == "left" else replace(pose, right=arm)


def _sides(rng: Random) -> tuple[str, float]:
    """A side, and the sign of turning to it."""
    return ("left", 1.0) if rng.random() < 0.35 else ("right", -1.0)


def walk(score: Score, rng: Random) -> None:
    """Walk on, in a slight curve."""
    _walk(score, rng, steps=4, turn=float(rng.uniform(-0.3, 0.3)))


def walk_round(score: Score, rng: Random) -> None:
    """Walk half a circle, so that the back shows and every side is seen."""
    _walk(score, rng, steps=7, turn=float(rng.choice([-1.0, 1.0]) * rng.uniform(2.7, 3.4)))


def _walk(score: Score, rng: Random, steps: int, turn: float) -> None:
    step_s, step_m = _STEP_S * rng.uniform(0.94, 1.06), 0.60 * rng.uniform(0.9, 1.06)
    score.drive((steps - 1) * step_m, turn, step_s, steps)


def turn(score: Score, rng: Random) -> None:
    """Turn on the spot, by a sixth to a third of a circle."""
    score.drive(0.05, float(rng.choice([-1.0, 1.0]) * rng.uniform(1.1, 1.9)), 0.44 * rng.uniform(0.95, 1.08), 4)


def turn_back(score: Score, rng: Random) -> None:
    """Turn on the spot to look the other way."""
    score.drive(0.05, float(rng.choice([-1.0, 1.0]) * rng.uniform(2.7, 3.3)), 0.46 * rng.uniform(0.95, 1.08), 6)


def stand(score: Score, rng: Random) -> None:
    """Stand with the weight on one leg and look about."""
    _, sign = _sides(rng)
    rest = replace(Pose(), shift_m=0.035 * sign, side=-0.03 * sign, look=0.3 * sign)
    score.to(rest, 0.6)
    score.hold(0.25)
    score.to(Pose(), 0.5)


def wave(score: Score, rng: Random) -> None:
    """Raise one arm and wave."""
    side, sign = _sides(rng)
    high = Arm(upper=(1.0, 0.12, 0.28), fold=(-0.15, 1.0, 0.25), flexion=1.45, twist=-0.15, wrist=-0.15, curl=0.05, swing=0.0)
    base = replace(Pose(), shift_m=-0.025 * sign, side=-0.04 * sign, look=0.05 * sign)
    score.to(_with_arm(base, side, high), 0.55 * rng.uniform(0.9, 1.1))
    for beat in range(4):
        out = beat % 2 == 0
        beaten = replace(high, flexion=1.15 if out else 1.75, upper=(1.0, 0.10 if out else 0.2, 0.28), wrist=-0.05 if out else -0.25)
        score.to(_with_arm(base, side, beaten), 0.25 * rng.uniform(0.92, 1.08))
    score.to(Pose(), 0.65)


def squat(score: Score, rng: Random) -> None:
    """Sit down on the heels' height, arms to the front, and come up again."""
    deep = rng.uniform(0.36, 0.44)
    ahead = Arm(upper=(0.1, 0.62, 0.8), fold=(-0.7, 0.4, 0.1), flexion=0.3, twist=0.0, curl=0.15, swing=0.0)
    low = Pose(left=ahead, right=ahead, lean=0.38, nod=-0.25, crouch_m=deep, back_m=0.56 * deep, tip=0.45)
    score.to(low, 0.95 * rng.uniform(0.9, 1.1))
    score.hold(0.15)
    score.to(Pose(), 0.85 * rng.uniform(0.9, 1.1))


def punch(score: Score, rng: Random) -> None:
    """Guard, jab with one hand, cross with the other."""
    guard_arm = Arm(upper=(0.12, -0.95, 0.42), fold=(-0.38, 0.75, 0.6), flexion=2.15, twist=-0.5, wrist=0.0, curl=1.0, swing=0.0)
    guard = Pose(left=guard_arm, right=guard_arm, lean=0.12, crouch_m=0.06, nod=0.08)
    score.to(guard, 0.5)
    score.hold(0.12)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        reach = rng.uniform(0.9, 1.15)
        turned, away = sign * reach, 0.72 * reach
        # The chest turns with the blow, and the arm as far the other way, so that it goes straight ahead.
        ahead = (float(np.sin(away)), -0.02, float(np.cos(away)))
        strike = replace(guard_arm, upper=ahead, fold=(-0.3, 1.0, 0.2), flexion=0.16, twist=-1.0)
        hit = replace(guard, twist=-0.42 * turned, turn=-0.3 * turned, look=0.5 * turned, lean=0.2, shift_m=0.02 * sign)
        score.to(_with_arm(hit, side, strike), 0.15 * rng.uniform(0.9, 1.15))
        score.hold(0.05)
        score.to(guard, 0.26 * rng.uniform(0.9, 1.1))
        score.hold(0.1)
    score.to(Pose(), 0.55)


def reach_down(score: Score, rng: Random) -> None:
    """Bend over, pick something up from the floor, and look at it."""
    side, sign = _sides(rng)
    down = Arm(upper=(0.05, -0.22, 1.0), fold=(-0.5, 0.6, 0.2), flexion=0.15, curl=0.1, swing=0.0)
    rest = Arm(upper=(0.3, -0.62, 0.5), fold=(-0.6, 0.1, 0.8), flexion=0.9, curl=0.35, swing=0.0)
    other = "right" if side == "left" else "left"
    low = Pose(lean=0.6, nod=0.05, crouch_m=0.33, back_m=0.24, tip=0.85, twist=-0.15 * sign)
    low = _with_arm(_with_arm(low, side, down), other, rest)
    score.to(low, 0.9 * rng.uniform(0.9, 1.1))
    score.to(_with_arm(low, side, replace(down, curl=0.8)), 0.2)
    held = Arm(upper=(0.15, -0.9, 0.3), fold=(-0.45, 0.4, 1.0), flexion=1.55, twist=0.5, curl=0.7, swing=0.0)
    score.to(_with_arm(Pose(nod=0.3, look=0.1 * sign), side, held), 0.95)
    score.hold(0.25)
    score.to(Pose(), 0.6)


def reach_up(score: Score, rng: Random) -> None:
    """Reach for a high shelf with both hands, one after the other."""
    side, sign = _sides(rng)
    up = Arm(upper=(0.12, 0.92, 0.42), fold=(-0.2, 0.2, 1.0), flexion=0.3, curl=0.1, swing=0.0)
    half = replace(up, upper=(0.25, 0.2, 1.0), fold=(-0.2, 1.0, 0.0), flexion=0.9)
    stretched = Pose(nod=-0.3, lean=-0.06, side=-0.06 * sign)
    other = "right" if side == "left" else "left"
    score.to(_with_arm(stretched, side, up), 0.75 * rng.uniform(0.9, 1.1))
    score.to(_with_arm(_with_arm(stretched, side, up), other, half), 0.5)
    score.hold(0.15)
    score.to(Pose(), 0.8)


MOVES: dict[str, Move] = {
    "walk": walk, "round": walk_round, "turn": turn, "back": turn_back, "stand": stand,
    "wave": wave, "squat": squat, "punch": punch, "pick": reach_down, "shelf": reach_up,
}
"""From a move's name to what writes it into a score."""
