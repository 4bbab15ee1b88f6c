"""Where a clip is set: a room with a tiled floor and a wall, an obstacle to walk behind, and a camera's small faults."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .painter import Light, Surface, paint, paint_shadow
from .view import View

Array = NDArray[np.floating]
Picture = NDArray[np.uint8]

_TILE_M = 0.6
_JOINT_M = 0.012
_SKIRTING_M = 0.12
_NOISE_FRAMES = 8


@dataclass(frozen=True)
class SceneOptions:
    """The surroundings of a rendered clip."""

    seed: int = 0
    """Of the colours of the room and the camera's noise."""
    wall_z_m: float = -3.0
    """Where the wall stands; people must stay in front of it."""
    pillar_x_m: float | None = None
    """Middle of a pillar that hides what is behind it; nothing leaves the room empty."""
    pillar_z_m: float = 1.2
    """How far in front of the origin the pillar stands; people must stay behind it."""
    pillar_width_m: float = 0.32
    """Width of the pillar."""
    noise: float = 2.5
    """Standard deviation of the camera's noise, in grey levels."""
    blur_px: float = 0.6
    """Softness of the lens, as the sigma of a Gaussian."""


def paint_room(view: View, options: SceneOptions) -> Picture:
    """A picture (height, width, 3) of the empty room."""
    rng = np.random.default_rng(options.seed)
    eye, rays = view.rays()
    down = np.where(rays[..., 1] < -1e-6, -eye[1] / np.minimum(rays[..., 1], -1e-6), np.inf)
    to_wall = np.where(rays[..., 2] < -1e-6, (options.wall_z_m - eye[2]) / np.minimum(rays[..., 2], -1e-6), np.inf)
    on_floor = down < to_wall
    distance = np.minimum(np.minimum(down, to_wall), 60.0)
    place = eye + rays * distance[..., None]
    pixel_m = distance / view.intrinsics_px[0, 0]
    room = np.where(on_floor[..., None], _floor(place, pixel_m, rng), _wall(place, pixel_m, rng))
    grain = cv2.GaussianBlur(rng.normal(0.0, 1.0, room.shape[:2]).astype(np.float32), (0, 0), 1.2) * 4.0
    return np.asarray(np.clip(room + grain[..., None], 0, 255), dtype=np.uint8)


def _floor(place: Array, pixel_m: Array, rng: np.random.Generator) -> Array:
    """Colours (H,W,3) of tiles in two shades with joints between, softened where a pixel covers much of the ground."""
    light, dark = np.array([166.0, 176.0, 186.0]), np.array([146.0, 156.0, 168.0])
    shift = rng.uniform(0.0, _TILE_M, 2)
    tile = (place[..., [0, 2]] + shift) / _TILE_M
    checker = (np.floor(tile).sum(axis=-1) % 2)[..., None]
    to_joint = np.abs(tile - np.round(tile)).min(axis=-1) * _TILE_M
    joint = np.clip(1.0 - to_joint / np.maximum(_JOINT_M, pixel_m), 0.0, 1.0) * np.clip(_JOINT_M / np.maximum(pixel_m, 1e-6), 0.0, 1.0)
    fade = np.clip(1.15 - 0.05 * np.abs(place[..., 2:3]), 0.7, 1.0)
    return np.asarray((dark + (light - dark) * checker) * fade * (1.0 - 0.35 * joint[..., None]))


def _wall(place: Array, pixel_m: Array, rng: np.random.Generator) -> Array:
    """Colours (H,W,3) of a wall that darkens toward the floor, with a skirting board and a few pictures on it."""
    paint_bgr = np.array([190.0, 198.0, 202.0]) + rng.uniform(-9.0, 9.0, 3)
    x, y = place[..., 0], place[..., 1]
    colour = paint_bgr * np.clip(0.78 + 0.09 * y, 0.7, 1.05)[..., None]
    for left in (-2.9, -0.6, 1.7):
        low, width, height = rng.uniform(1.15, 1.5), rng.uniform(0.6, 1.0), rng.uniform(0.5, 0.8)
        inside = _box(x, left, left + width, pixel_m) * _box(y, low, low + height, pixel_m)
        frame = _box(x, left - 0.04, left + width + 0.04, pixel_m) * _box(y, low - 0.04, low + height + 0.04, pixel_m)
        colour = colour + (np.array([70.0, 84.0, 96.0]) - colour) * frame[..., None]
        colour = colour + (rng.uniform(105.0, 165.0, 3) - colour) * inside[..., None]
    board = _box(y, -1.0, _SKIRTING_M, pixel_m)
    return np.asarray(colour + (np.array([214.0, 218.0, 220.0]) - colour) * board[..., None])


def _box(value: Array, low: float, high: float, width: Array) -> Array:
    """1 between two bounds, 0 outside, with edges that are one pixel wide."""
    return np.asarray(np.clip((value - low) / width + 0.5, 0.0, 1.0) * np.clip((high - value) / width + 0.5, 0.0, 1.0))


def box_surface(low_m: Array, high_m: Array, colour_bgr: Array, cells: int = 12) -> Surface:
    """An upright box between two corners (3,), each side cut into cells so that it sorts well by depth."""
    steps = np.linspace(0.0, 1.0, cells + 1)
    u, v = (grid.ravel() for grid in np.meshgrid(steps, steps, indexing="ij"))
    corner = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).ravel()
    quads = np.concatenate([corner[:, None] + [0, cells + 1, cells + 2], corner[:, None] + [0, cells + 2, 1]])
    vertices: list[Array] = []
    normals: list[Array] = []
    faces: list[NDArray[np.integer]] = []
    for axis in range(3):
        for end in (0.0, 1.0):
            unit = np.zeros((len(u), 3))
            unit[:, axis], unit[:, (axis + 1) % 3], unit[:, (axis + 2) % 3] = end, u, v
            faces.append((quads if end else quads[:, ::-1]) + len(vertices) * len(u))
            vertices.append(low_m + unit * (np.asarray(high_m) - low_m))
            normals.append(np.tile(np.eye(3)[axis] * (1.0 if end else -1.0), (len(u), 1)))
    colours = np.tile(np.asarray(colour_bgr, dtype=np.float64), (len(u) * 6, 1))
    return Surface(np.concatenate(vertices), np.concatenate(normals), np.concatenate(faces), colours)


def pillar(options: SceneOptions) -> Surface | None:
    """The obstacle, from the floor to above every picture's edge."""
    if options.pillar_x_m is None:
        return None
    half = options.pillar_width_m / 2
    middle = np.array([options.pillar_x_m, 0.0, options.pillar_z_m])
    return box_surface(middle - [half, 0.0, half], middle + [half, 4.0, half], np.array([150.0, 168.0, 182.0]), cells=24)


class Stage:
    """A room that is painted once, and people that are painted into it frame by frame."""

    def __init__(self, view: View, options: SceneOptions) -> None:
        self._view, self._options, self._light = view, options, Light()
        self._room = paint_room(view, options)
        obstacle = pillar(options)
        self._front: tuple[NDArray[np.intp], Picture] | None = None
        if obstacle is not None:
            paint_shadow(self._room, view, obstacle, self._light)
            seen = paint(self._room, view, obstacle, self._light)
            self._front = seen.pixels, self._room.reshape(-1, 3)[seen.pixels]
        rng = np.random.default_rng(options.seed)
        shape = (_NOISE_FRAMES, view.height, view.width, 3)
        self._noise = np.clip(np.round(rng.normal(0.0, 1.0, shape) * options.noise), -127, 127).astype(np.int8)

    def picture(self, people: Surface, casters: Surface, frame: int) -> Picture:
        """The room with people in it (height, width, 3); ``casters`` are the same people, coarse, for their shadows."""
        picture = self._room.copy()
        paint_shadow(picture, self._view, casters, self._light)
        paint(picture, self._view, people, self._light)
        if self._front is not None:
            pixels, colours = self._front
            picture.reshape(-1, 3)[pixels] = colours
        if self._options.blur_px > 0:
            picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), self._options.blur_px), dtype=np.uint8)
        return np.asarray(cv2.add(picture, self._noise[frame % _NOISE_FRAMES], dtype=cv2.CV_8U), dtype=np.uint8)
