"""When points of soles stand, on motions whose contacts are planted."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from rigdrop.convert.stance.contacts import FeetOptions, contacts_of, ground_of, runs_of
from rigdrop.errors import SettingsError

Array = NDArray[np.float64]


def _stepper(times_s: Array, ground_m: float = 0.0) -> tuple[Array, NDArray[np.bool_]]:
    """One point (F,1,3) that stands for 0.6 s and swings 1 m in 0.4 s, 6 cm high; and when it stands."""
    cycle = times_s % 1.0
    share = np.clip((cycle - 0.6) / 0.4, 0, 1)
    smooth = share**3 * (10 - 15 * share + 6 * share**2)
    place = np.stack([0 * share, ground_m + 0.06 * np.sin(np.pi * share) ** 2, np.floor(times_s) + smooth], -1)
    return place[:, None], share == 0


@pytest.mark.parametrize("rate", [24, 30, 59.94, 120, 240])
def test_planted_contacts_are_found_at_any_rate(rate: float) -> None:
    times_s = np.arange(0, 6, 1 / rate)
    place, stands = _stepper(times_s)
    found = contacts_of(place, times_s, 0.0, FeetOptions())[:, 0]
    # Within 0.05 s of either end a minimum-jerk swing is slower than 0.3 m/s, but it rises faster than a sole that stands.
    # The noise filter of 0.03 s sees that before and after: a frame at each of eleven ends at 24 and 30 a second.
    assert (stands.sum() - (found & stands).sum()) / rate <= 11 * 0.042
    assert (found & stands).sum() / found.sum() > 0.9
    assert len(runs_of(found)) == len(runs_of(stands))


def test_noise_does_not_break_contacts() -> None:
    """3 mm of white noise at 60 frames a second is 0.25 m/s from frame to frame, and no step."""
    times_s = np.arange(0, 6, 1 / 60)
    place, stands = _stepper(times_s)
    noisy = place + np.random.default_rng(0).normal(scale=0.003, size=place.shape)
    found = contacts_of(noisy, times_s, 0.0, FeetOptions())[:, 0]
    assert len(runs_of(found)) == len(runs_of(stands))
    assert (found & stands).sum() / stands.sum() > 0.9


def test_hysteresis_holds_between_the_thresholds() -> None:
    """A speed that rises from 0 through both limits, and falls again: on below the lower one, off above the higher one."""
    times_s = np.arange(0, 4, 1 / 100)
    speed = np.interp(times_s, [0, 2, 4], [0.0, 0.5, 0.0])
    place = np.zeros((400, 1, 3))
    place[:, 0, 2] = np.cumsum(speed) / 100
    found = contacts_of(place, times_s, 0.0, FeetOptions(contact_speed=0.1, contact_speed_leave=0.3))[:, 0]
    (begin, end), (again, last) = runs_of(found)
    # Times at which the line is at 0.3 (up) and 0.1 (down); three frames for the smoothing.
    assert (begin, last) == (0, 400)
    assert times_s[end] == pytest.approx(1.2, abs=0.03) and times_s[again] == pytest.approx(3.6, abs=0.03)


def test_slow_low_steps_are_steps() -> None:
    """Somebody turns on the spot: a heel that moves 5 cm in 0.35 s, 2.5 cm high, at less than 0.27 m/s, every second."""
    times_s = np.arange(0, 6, 1 / 30)
    share = np.clip((times_s % 1.0 - 0.65) / 0.35, 0, 1)
    smooth = share**3 * (10 - 15 * share + 6 * share**2)
    place = np.stack([0 * share, 0.025 * np.sin(np.pi * share) ** 2, 0.05 * (np.floor(times_s) + smooth)], -1)[:, None]
    stands = share == 0
    found = contacts_of(place, times_s, 0.0, FeetOptions())[:, 0]
    assert len(runs_of(found)) == len(runs_of(stands)) == 6
    # The top of a swing is level, but shorter than any contact; a frame at each end of a swing of ten looks level too.
    assert (found & stands).sum() / found.sum() > 0.85 and (found & stands).sum() / stands.sum() > 0.9


def test_a_body_that_bobs_stands() -> None:
    """A whole body that bobs by 8 mm at 1.6 Hz, at up to 0.08 m/s, still stands: the clip says what is level in it."""
    times_s = np.arange(0, 4, 1 / 60)
    place = np.zeros((240, 2, 3))
    place[..., 1] = 0.008 * np.sin(2 * np.pi * 1.6 * times_s)[:, None]
    assert contacts_of(place, times_s, 0.0, FeetOptions()).all()


def _jumping(lifted_m: float, other_stands: bool) -> NDArray[np.bool_]:
    """Contacts (60,) of a foot whose place jumps by 30 cm within five frames at 30 a second, beside a foot that stands or swings."""
    frames = np.arange(60)
    place = np.zeros((60, 2, 3))
    place[:, 0, 2] = np.interp(frames, [28, 33], [0.0, 0.3])
    place[:, 0, 1] = lifted_m * np.exp(-0.5 * ((frames - 30.5) / 1.5) ** 2)
    place[:, 1, 1] = 0.0 if other_stands else 0.1
    return contacts_of(place, frames / 30, 0.0, FeetOptions())[:, 0]


def test_a_foot_whose_place_jumps_stands_where_nothing_else_does() -> None:
    assert _jumping(0.0, other_stands=False).all()
    assert not _jumping(0.0, other_stands=True).all()
    assert not _jumping(0.1, other_stands=False).all()


def test_short_contacts_and_gaps_do_not_count() -> None:
    times_s = np.arange(120) / 60
    place = np.zeros((120, 1, 3))
    place[:, 0, 1] = np.where((np.arange(120) > 60) & (np.arange(120) < 64), 0.2, 0.0)  # 50 ms in the air
    # The noise filter sees 20 cm rise for some 80 ms before and fall for as long after.
    assert contacts_of(place, times_s, 0.0, FeetOptions(contact_least_s=0.3)).all()
    assert not contacts_of(place, times_s, 0.0, FeetOptions(contact_least_s=0.0))[61:63].any()


@pytest.mark.parametrize("ground_m", [0.0, -0.4, 1.3])
def test_ground_is_where_soles_stand(ground_m: float) -> None:
    """With 4 mm of noise and three frames that sink by 20 cm the ground is found within the noise of its median."""
    times_s = np.arange(0, 6, 1 / 30)
    place, _ = _stepper(times_s, ground_m)
    rng = np.random.default_rng(2)
    noisy = place + rng.normal(scale=[0.001, 0.004, 0.001], size=place.shape)
    noisy[[5, 50, 100], 0, 1] -= 0.2
    assert ground_of(noisy, times_s) == pytest.approx(ground_m, abs=0.002)
    assert ground_of(noisy, times_s, FeetOptions(ground=0.7)) == 0.7


@pytest.mark.parametrize("frames", [1, 2])
def test_few_frames(frames: int) -> None:
    assert contacts_of(np.zeros((frames, 4, 3)), np.arange(frames) / 30, 0.0, FeetOptions()).all()


@pytest.mark.parametrize("wrong", [{"contact_speed": 0.0}, {"contact_speed_leave": 0.1}, {"contact_height": -1.0}, {"foot_blend_s": 0.0},
                                   {"contact_height_leave": 0.01}, {"contact_least_s": -0.1}, {"contact_drift": 0.0}])
def test_wrong_options(wrong: dict[str, float]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong)).replace("_", "-").removesuffix("-leave")):
        FeetOptions(**wrong)  # type: ignore[arg-type]
