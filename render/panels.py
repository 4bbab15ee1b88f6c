"""The two sides of a preview: the fitted bodies over the source picture, and the same bodies seen from a fixed place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from ..motion.take import Camera
from .painter import Light, Surface, join, paint, paint_shadow
from .view import View, look_from, pinhole

Array = NDArray[np.floating]
Picture = NDArray[np.uint8]
Colour = tuple[float, float, float]

COLOURS_BGR: tuple[Colour, ...] = (
    (70.0, 150.0, 245.0), (205.0, 165.0, 40.0), (120.0, 200.0, 90.0), (210.0, 110.0, 190.0), (80.0, 205.0, 235.0), (150.0, 120.0, 240.0),
)
_GHOST_BGR = np.array([185.0, 185.0, 185.0])
_INK, _PAPER = (245, 245, 245), (30, 30, 30)
_GRID_BGR, _AXIS_BGR, _BACKGROUND_BGR = (112, 108, 104), (140, 136, 132), (78, 74, 70)
_LIGHT = Light(to_sun=(-0.4, 0.9, 0.6), sun=0.5, sky=0.62)
_OPACITY, _GHOST_OPACITY = 0.62, 0.28


def colour_of(index: int) -> Colour:
    """The colour that a person has in every picture."""
    return COLOURS_BGR[index % len(COLOURS_BGR)]


def write_label(picture_bgr: Picture, text: str, x: int, y: int, size: float = 0.5, colour: tuple[float, ...] = _INK) -> None:
    """Write text with a dark edge into a picture, its lower left corner at (x, y) pixels."""
    for ink, width in ((_PAPER, 3), (colour, 1)):
        cv2.putText(picture_bgr, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, ink, width, cv2.LINE_AA)


class OverlayPanel:
    """The source picture with bodies over it: half transparent, and only a pale ghost where a person was filled in."""

    def __init__(self, camera: Camera, width: int, height: int) -> None:
        self._camera, self._width, self._height = camera, width, height

    def picture(self, image_bgr: Picture, people: Sequence[Surface], visible: Sequence[bool], names: Sequence[str], frame: int) -> Picture:
        """Draw everybody in one frame over the source's picture of it."""
        # Averaging over areas is slow, and only shows where a pixel stands for many.
        method = cv2.INTER_AREA if image_bgr.shape[0] > 1.6 * self._height else cv2.INTER_LINEAR
        picture = np.asarray(cv2.resize(image_bgr, (self._width, self._height), interpolation=method), dtype=np.uint8)
        if people:
            view = View.of_camera(self._camera, frame).resized(self._width, self._height)
            everybody, opacity = _seen_or_ghostly(people, visible, _OPACITY)
            paint(picture, view, everybody, _LIGHT, opacity)
            for index, (surface, name) in enumerate(zip(people, names, strict=True)):
                self._name(picture, view, surface, name, colour_of(index))
        return picture

    def _name(self, picture: Picture, view: View, surface: Surface, name: str, colour: Colour) -> None:
        middle, top = surface.vertices_m.mean(axis=0), surface.vertices_m[:, 1].max()
        (x, y), depth = view.project(np.array([middle[0], top, middle[2]]))
        if depth > 0 and 0 <= x < self._width and -20 <= y < self._height:
            write_label(picture, name, int(np.clip(x - 4 * len(name), 2, self._width - 9 * len(name))), int(max(y - 8, 14)), 0.45, colour)


def _seen_or_ghostly(people: Sequence[Surface], visible: Sequence[bool], opacity: float) -> tuple[Surface, Array]:
    """Everybody as one surface, and how opaque each vertex (V,) is; whoever was not seen is grey and faint."""
    joined = join(people)
    seen = np.repeat(np.asarray(visible, dtype=bool), [len(surface.vertices_m) for surface in people])
    return replace(joined, colours_bgr=np.where(seen[:, None], joined.colours_bgr, _GHOST_BGR)), np.where(seen, opacity, _GHOST_OPACITY)


class OrbitPanel:
    """The bodies on a ground grid from three quarters, the camera still for the whole take so that paths can be judged."""

    def __init__(self, places_m: Array, paths_m: Sequence[Array], side: int) -> None:
        """Look at all places (N,3), and draw each person's path (F,3) on the ground."""
        intrinsics = pinhole(side, side, 1.5 * side)
        world = look_from((0.75, 0.42, 1.0), places_m, side, side, intrinsics, 0.08, 1.5)
        self._view = View(side, side, intrinsics, world)
        low, high = places_m.min(axis=0), places_m.max(axis=0)
        self._room = self._paint_ground(low, high, paths_m)

    def picture(self, people: Sequence[Surface], visible: Sequence[bool]) -> Picture:
        """Draw everybody in one frame."""
        picture = self._room.copy()
        if people:
            everybody, opacity = _seen_or_ghostly(people, visible, 1.0)
            paint_shadow(picture, self._view, everybody, _LIGHT, strength=0.5, softness_px=2.5)
            paint(picture, self._view, everybody, _LIGHT, opacity)
        return picture

    def _paint_ground(self, low_m: Array, high_m: Array, paths_m: Sequence[Array]) -> Picture:
        side = self._view.height
        fade = np.linspace(0.8, 1.15, side)[:, None, None]
        room: Picture = np.clip(np.array(_BACKGROUND_BGR) * np.broadcast_to(fade, (side, side, 1)), 0, 255).astype(np.uint8)
        x0, z0 = np.floor(low_m[[0, 2]] - 1.5).astype(int)
        x1, z1 = np.ceil(high_m[[0, 2]] + 1.5).astype(int)
        for x in range(x0, x1 + 1):
            self._line(room, (x, z0), (x, z1), _AXIS_BGR if x == 0 else _GRID_BGR, 2 if x == 0 else 1)
        for z in range(z0, z1 + 1):
            self._line(room, (x0, z), (x1, z), _AXIS_BGR if z == 0 else _GRID_BGR, 2 if z == 0 else 1)
        for index, path in enumerate(paths_m):
            faint = tuple(0.55 * np.array(colour_of(index)) + 0.45 * np.array(_BACKGROUND_BGR))
            for start, end in zip(path[:-1, [0, 2]], path[1:, [0, 2]], strict=True):
                self._line(room, start, end, faint, 2)
        return room

    def _line(self, picture: Picture, start_xz: Sequence[float], end_xz: Sequence[float], colour: Colour, width: int) -> None:
        """A line on the ground; the part behind the camera is left out."""
        share = np.linspace(0.0, 1.0, 33)[:, None]
        ground = np.asarray(start_xz) * (1.0 - share) + np.asarray(end_xz) * share
        pixels, depth = self._view.project(np.insert(ground, 1, 0.0, axis=1))
        kept = pixels[(depth > 0.2) & (np.abs(pixels) < 1e4).all(axis=1)]
        if len(kept) > 1:
            cv2.polylines(picture, [np.round(kept * 16).astype(np.int32)], False, colour, width, cv2.LINE_AA, 4)
