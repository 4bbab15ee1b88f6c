"""Looks as glTF's metallic-roughness materials (glTF 2.0, section 3.9): read from a character's file, added to one of ours."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import pygltflib
from numpy.typing import NDArray

from ..motion.origin import Origin
from .glb import GlbFile
from .glb_chunks import glb_chunks
from .looks import KINDS, Look, Picture, Wrap

_WRAPS: dict[int, Wrap] = {10497: "repeat", 33648: "mirror", 33071: "clamp"}
_SHARED = ("name", "pbrMetallicRoughness", "normalTexture", "alphaMode", "alphaCutoff", "doubleSided", "extras")


def read_glb_looks(origin: Origin) -> tuple[list[Look], list[str]]:
    """Return the look of each of ``origin``'s materials, and what of them has no place in one."""
    document, binary = glb_chunks(origin.content)
    reader = _Reader(document, binary)
    return [reader.look(int(number)) for number in origin.materials], reader.left


class _Reader:
    """Reads materials, and notes what it leaves."""

    def __init__(self, document: dict[str, Any], binary: NDArray[np.uint8]) -> None:
        self._document, self._binary = document, binary
        self.left: list[str] = []

    def look(self, number: int) -> Look:
        material = self._document["materials"][number]
        surface = material.get("pbrMetallicRoughness", {})
        name = str(material.get("name", f"material_{number}"))
        for key, value in material.items():
            if key not in _SHARED and value not in ([0, 0, 0], {}):
                self.left.append(f"{key} of {name}" if key != "extensions" else f"{', '.join(value)} of {name}")
        red, green, blue, alpha = map(float, surface.get("baseColorFactor", [1, 1, 1, 1]))
        return Look(
            name, (red, green, blue, alpha), self._picture(name, "baseColorTexture", surface),
            float(surface.get("metallicFactor", 1.0)), float(surface.get("roughnessFactor", 1.0)),
            self._picture(name, "metallicRoughnessTexture", surface), self._picture(name, "normalTexture", material),
            material.get("alphaMode", "OPAQUE").lower(), float(material.get("alphaCutoff", 0.5)), bool(material.get("doubleSided", False)),
        )

    def _picture(self, name: str, kind: str, holder: dict[str, Any]) -> Picture | None:
        info = holder.get(kind)
        if info is None:
            return None
        texture = self._document["textures"][info["index"]]
        found = None if info.get("texCoord", 0) or "source" not in texture else self._image(int(texture["source"]))
        if found is None:
            self.left.append(f"{kind} of {name}")
            return None
        if "KHR_texture_transform" in info.get("extensions", {}):
            self.left.append(f"KHR_texture_transform of {name}")
        sampler = self._document["samplers"][texture["sampler"]] if "sampler" in texture else {}
        wrap = (_WRAPS[sampler.get("wrapS", 10497)], _WRAPS[sampler.get("wrapT", 10497)])
        return Picture(*found, wrap)

    def _image(self, number: int) -> tuple[str, bytes] | None:
        """Return the name and the bytes of an image; nothing for one that is neither PNG nor JPEG."""
        image = self._document["images"][number]
        if "bufferView" in image:
            view = self._document["bufferViews"][image["bufferView"]]
            start = view.get("byteOffset", 0)
            content = self._binary[start:start + view["byteLength"]].tobytes()
        else:
            content = base64.b64decode(image.get("uri", "").partition(",")[2])
        suffix = ".png" if content.startswith(b"\x89PNG") else ".jpg" if content.startswith(b"\xff\xd8") else None
        stem = str(image.get("name") or f"image_{number}")
        for known in KINDS:
            stem = stem.removesuffix(known)
        return None if suffix is None else (stem + suffix, content)


def add_looks(file: GlbFile, looks: Sequence[Look]) -> list[int]:
    """Append a material for each look, and each picture once; return the materials' indices."""
    textures: dict[Picture, int] = {}
    for look in looks:
        surface = pygltflib.PbrMetallicRoughness(
            baseColorFactor=list(look.base_color), baseColorTexture=_texture(file, look.base_picture, textures),
            metallicFactor=look.metallic, roughnessFactor=look.roughness,
            metallicRoughnessTexture=_texture(file, look.rough_metal_picture, textures),
        )
        normal = _texture(file, look.normal_picture, textures)
        # None leaves out what is glTF's default.
        file.gltf.materials.append(pygltflib.Material(
            name=look.name, pbrMetallicRoughness=surface, alphaMode=None if look.alpha == "opaque" else look.alpha.upper(),
            normalTexture=None if normal is None else pygltflib.NormalMaterialTexture(index=normal.index, texCoord=None, scale=None),
            alphaCutoff=look.cutoff if look.alpha == "mask" else None, doubleSided=look.double_sided or None,
        ))
    return list(range(len(file.gltf.materials) - len(looks), len(file.gltf.materials)))


def _texture(file: GlbFile, picture: Picture | None, known: dict[Picture, int]) -> pygltflib.TextureInfo | None:
    if picture is None:
        return None
    if picture not in known:
        content = np.frombuffer(picture.content, np.uint8)
        view = file.add_view(len(content), lambda: [content])
        numbers = {wrap: number for number, wrap in _WRAPS.items()}
        file.gltf.images.append(pygltflib.Image(name=picture.name, mimeType=picture.mime_type, bufferView=view))
        file.gltf.samplers.append(pygltflib.Sampler(wrapS=numbers[picture.wrap[0]], wrapT=numbers[picture.wrap[1]]))
        file.gltf.textures.append(pygltflib.Texture(source=len(file.gltf.images) - 1, sampler=len(file.gltf.samplers) - 1))
        known[picture] = len(file.gltf.textures) - 1
    return pygltflib.TextureInfo(index=known[picture], texCoord=None)
