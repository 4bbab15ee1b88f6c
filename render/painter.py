"""A small renderer without a graphics card: triangles painted back to front, then shaded pixel by pixel.

The painter writes only the number of each triangle into a picture; colours, normals and depths are interpolated over
the covered pixels afterwards, so that even a coarse mesh looks smooth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .view import View

Array = NDArray[np.floating]
Picture = NDArray[np.uint8]

_NEAR_M = 0.05
_SHIFT = 4  # fractional bits of OpenCV's fixed-point polygon corners
_FAR_OUTSIDE_PX = 1 << 14  # corners beyond this would overflow OpenCV's fixed point


@dataclass(frozen=True, eq=False)
class Surface:
    """A coloured mesh at one moment, in the world."""

    vertices_m: Array  # (V,3)
    normals: Array  # (V,3), unit
    faces: NDArray[np.integer]  # (T,3), counter-clockwise from outside
    colours_bgr: Array  # (V,3), 0…255


@dataclass(frozen=True, eq=False)
class Light:
    """A sun and a sky."""

    to_sun: tuple[float, float, float] = (-0.45, 0.75, 0.5)
    sun: float = 0.55
    sky: float = 0.52
    """Light from all around; what faces the ground gets less of it."""


@dataclass(frozen=True, eq=False)
class Fragments:
    """The N pixels that a mesh covers: where they are, and which part of which triangle is seen there."""

    pixels: NDArray[np.intp]  # (N,), counted row by row from the upper left
    corners: NDArray[np.integer]  # (N,3), vertices of the triangle that is seen
    shares: NDArray[np.float32]  # (N,3), share of each corner, sums to 1

    def blend(self, per_vertex: ArrayLike) -> NDArray[np.float32]:
        """Interpolate values (V,C) over the pixels: (N,C)."""
        values = np.asarray(per_vertex, dtype=np.float32)
        blended = values[self.corners[:, 0]] * self.shares[:, :1]
        for corner in (1, 2):
            blended += values[self.corners[:, corner]] * self.shares[:, corner : corner + 1]
        return np.asarray(blended)


def join(surfaces: Sequence[Surface]) -> Surface:
    """Put several meshes into one, so that they cover each other by depth."""
    starts = np.cumsum([0, *(len(surface.vertices_m) for surface in surfaces)])
    faces = [surface.faces + start for surface, start in zip(surfaces, starts, strict=False)]
    return Surface(
        np.concatenate([surface.vertices_m for surface in surfaces]), np.concatenate([surface.normals for surface in surfaces]),
        np.concatenate(faces), np.concatenate([surface.colours_bgr for surface in surfaces]),
    )


def rasterize(view: View, vertices_m: Array, faces: NDArray[np.integer]) -> Fragments:
    """Find what of a mesh (V,3), metres, world, is seen in a view: triangles that face it, painted from far to near.

    Triangles that reach behind the camera are left out. Depth is sorted by triangle, which is exact for small ones.
    """
    pixels, depth = (values.astype(np.float32) for values in view.project(vertices_m))
    faces = faces[_faces_in_view(view, pixels, depth, faces)]
    nearness = depth[faces[:, 0]] + depth[faces[:, 1]] + depth[faces[:, 2]]
    faces = faces[np.argsort(-nearness)]
    numbers = _paint_numbers(view, pixels, faces).ravel()
    covered = np.flatnonzero(numbers)
    corners = faces[numbers[covered] - 1]
    rows, columns = np.divmod(covered, view.width)
    return Fragments(covered, corners, _shares(columns + np.float32(0.5), rows + np.float32(0.5), pixels, depth, corners))


def _faces_in_view(view: View, pixels: Array, depth: Array, faces: NDArray[np.integer]) -> NDArray[np.bool_]:
    x, y = pixels[:, 0], pixels[:, 1]
    usable = (depth > _NEAR_M) & (np.abs(x) < _FAR_OUTSIDE_PX) & (np.abs(y) < _FAR_OUTSIDE_PX)
    first, second, third = faces[:, 0], faces[:, 1], faces[:, 2]
    # Pixels count downward, so that a triangle that is counter-clockwise from outside turns clockwise here.
    turns = (x[second] - x[first]) * (y[third] - y[first]) - (y[second] - y[first]) * (x[third] - x[first])
    # A corner beyond an edge; a triangle with all three beyond the same edge is not in the picture.
    beyond = (x < 0) * 1 + (x > view.width) * 2 + (y < 0) * 4 + (y > view.height) * 8
    outside = beyond[first] & beyond[second] & beyond[third]
    return np.asarray((turns < 0) & (outside == 0) & usable[first] & usable[second] & usable[third])


def _paint_numbers(view: View, pixels: Array, faces: NDArray[np.integer]) -> NDArray[np.int32]:
    """A picture (height, width) of each pixel's triangle, counted from 1 in painting order; 0 where there is none."""
    numbers = np.zeros((view.height, view.width), dtype=np.int32)
    fill = cv2.fillConvexPoly
    for number, corners in enumerate(_fixed_point(pixels)[faces], start=1):
        fill(numbers, corners, number, cv2.LINE_8, _SHIFT)
    return numbers


def _fixed_point(pixels: Array) -> NDArray[np.int32]:
    """Pixels (V,2) as OpenCV's polygons want them; it counts from the middle of the first pixel, we from its corner."""
    far = np.clip(np.nan_to_num(pixels), -_FAR_OUTSIDE_PX, _FAR_OUTSIDE_PX)
    return np.asarray(np.rint((far - 0.5) * (1 << _SHIFT)), dtype=np.int32)


def _shares(x: Array, y: Array, pixels: Array, depth: Array, corners: NDArray[np.integer]) -> NDArray[np.float32]:
    """Perspective-correct barycentric coordinates (N,3) of points (N,) in triangles (N,3) of corners with pixels and depths."""
    first, second, third = corners[:, 0], corners[:, 1], corners[:, 2]
    corner_x, corner_y = np.ascontiguousarray(pixels[:, 0]), np.ascontiguousarray(pixels[:, 1])
    x0, y0 = corner_x[first], corner_y[first]
    x1, y1, x2, y2 = corner_x[second] - x0, corner_y[second] - y0, corner_x[third] - x0, corner_y[third] - y0
    x, y = x - x0, y - y0
    area = x1 * y2 - y1 * x2
    u, v = (x * y2 - y * x2) / area, (x1 * y - y1 * x) / area
    # The painter also fills pixels that a triangle only touches; those go on in its plane, but not far, for the sake of slivers.
    shares = np.empty((len(corners), 3), dtype=np.float32)
    for column, (share, corner) in enumerate(((1.0 - u - v, first), (u, second), (v, third))):
        shares[:, column] = np.clip(share, -0.5, 1.5) / depth[corner]
    total = shares[:, 0] + shares[:, 1] + shares[:, 2]
    return np.asarray(shares / np.maximum(total, np.float32(1e-12))[:, None])


def shade(colours_bgr: Array, normals: Array, light: Light) -> NDArray[np.float32]:
    """Light colours (N,3), 0…255, by their normals (N,3): a sun with soft edges and a sky, as floats 0…255."""
    length = np.maximum(np.sqrt((normals**2) @ np.ones(3, dtype=normals.dtype)), 1e-9)
    to_sun = np.asarray(light.to_sun, dtype=np.float32) / np.float32(np.linalg.norm(light.to_sun))
    wrapped = np.clip((normals @ to_sun / length + 0.25) / 1.25, 0.0, 1.0)
    sky = light.sky * (0.75 + 0.25 * normals[:, 1] / length)
    return np.clip(colours_bgr * (sky + light.sun * wrapped)[:, None], 0.0, 255.0).astype(np.float32)


def paint(picture_bgr: Picture, view: View, surface: Surface, light: Light, opacity: Array | None = None) -> Fragments:
    """Paint a mesh into a picture (height, width, 3) in place, and return what of it is seen where.

    ``opacity`` (V,) from 0 to 1 lets the picture shine through.
    """
    seen = rasterize(view, surface.vertices_m, surface.faces)
    columns = [surface.colours_bgr, surface.normals] + ([] if opacity is None else [opacity[:, None]])
    values = seen.blend(np.concatenate(columns, axis=1, dtype=np.float32))
    colours = shade(values[:, :3], values[:, 3:6], light)
    flat = picture_bgr.reshape(-1, 3)
    if opacity is not None:
        behind = flat[seen.pixels].astype(np.float32)
        colours = behind + values[:, 6:] * (colours - behind)
    flat[seen.pixels] = np.rint(colours).astype(np.uint8)
    return seen


def paint_shadow(
    picture_bgr: Picture, view: View, surface: Surface, light: Light, strength: float = 0.45, softness_px: float = 4.0
) -> None:
    """Darken the ground (y = 0) where a mesh stands in the sun's way, in place."""
    to_sun = np.array(light.to_sun)
    height = surface.vertices_m[:, 1:2]
    pixels, depth = view.project(surface.vertices_m - height * (to_sun / to_sun[1]))
    usable = (depth > _NEAR_M) & (np.abs(pixels[:, 0]) < _FAR_OUTSIDE_PX) & (np.abs(pixels[:, 1]) < _FAR_OUTSIDE_PX)
    faces = surface.faces[_faces_toward(surface, to_sun)]
    faces = faces[usable[faces[:, 0]] & usable[faces[:, 1]] & usable[faces[:, 2]]]
    mask = np.zeros((view.height, view.width), dtype=np.uint8)
    for corners in _fixed_point(pixels)[faces]:
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_8, _SHIFT)
    _darken(picture_bgr, mask, strength, softness_px)


def _faces_toward(surface: Surface, direction: Array) -> NDArray[np.bool_]:
    corners = surface.vertices_m[surface.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return np.asarray(normals @ direction > 0)


def _darken(picture_bgr: Picture, mask: Picture, strength: float, softness_px: float) -> None:
    """Darken a picture in place under a mask with soft edges; only the part around the mask is touched."""
    x, y, width, height = cv2.boundingRect(mask)
    if width == 0:
        return
    margin = int(3 * softness_px) + 1
    area = np.s_[max(y - margin, 0) : y + height + margin, max(x - margin, 0) : x + width + margin]
    soft = cv2.GaussianBlur(mask[area], (0, 0), softness_px).astype(np.float32) * (strength / 255)
    picture_bgr[area] = (picture_bgr[area] * (1.0 - soft[..., None]) + 0.5).astype(np.uint8)
