"""How somebody's own character looks, apart from the file it came in: what both glTF and USD's preview surface know."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..motion.rig import Rig

SKIN_TONE = (0.62, 0.45, 0.36)
Wrap = Literal["repeat", "mirror", "clamp"]
KINDS = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


@dataclass(frozen=True)
class Picture:
    """An image as a file holds it, and how it goes on past its edges."""

    name: str  # with .png or .jpg at its end
    content: bytes
    wrap: tuple[Wrap, Wrap] = ("repeat", "repeat")

    @property
    def mime_type(self) -> str:
        """What glTF calls its kind."""
        return KINDS[self.name[self.name.rindex("."):].lower()]


@dataclass(frozen=True)
class Look:
    """One surface: factors are multiplied by the pictures' colours, as in glTF."""

    name: str
    base_color: tuple[float, float, float, float] = (*SKIN_TONE, 1.0)
    base_picture: Picture | None = None
    metallic: float = 0.0
    roughness: float = 0.8
    rough_metal_picture: Picture | None = None  # green roughness, blue metallic
    normal_picture: Picture | None = None
    alpha: Literal["opaque", "mask", "blend"] = "opaque"
    cutoff: float = 0.5
    double_sided: bool = False

    def without_pictures(self) -> Look:
        """Return the look of a mesh without texture coordinates."""
        return replace(self, base_picture=None, rough_metal_picture=None, normal_picture=None)


@dataclass(frozen=True, eq=False)
class Looks:
    """The surfaces of a rig, and which of them each triangle has."""

    looks: tuple[Look, ...]
    face_looks: NDArray[np.intp]  # (T,)

    def parts(self) -> list[tuple[Look, NDArray[np.intp]]]:
        """Return each look that is used, with its triangles."""
        used = [(look, np.flatnonzero(self.face_looks == number)) for number, look in enumerate(self.looks)]
        return [(look, faces) for look, faces in used if len(faces)]


def looks_of(rig: Rig) -> Looks | None:
    """Return the looks of a character that came in a file; nothing where it has none. Warns of what neither format shares."""
    origin = rig.origin
    if origin is None or not origin.materials:
        return None
    if origin.format == "glb":
        from .glb_looks import read_glb_looks

        looks, left = read_glb_looks(origin)
    else:
        from .usd_looks import read_usd_looks  # USD's libraries, which a GLB does not need

        looks, left = read_usd_looks(origin)
    if rig.uvs is None:
        looks = [look.without_pictures() for look in looks]
    if left:
        warnings.warn(f"{origin.file_name}: materials: left behind {'; '.join(dict.fromkeys(left))}", stacklevel=3)
    looks.append(Look("skin"))
    return Looks(tuple(looks), np.where(origin.face_materials < 0, len(looks) - 1, origin.face_materials))
