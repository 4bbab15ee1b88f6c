"""Looks as USD's preview surfaces: read from a character's stage, defined in one of ours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt

from ..motion.origin import Origin
from ..motion.usd_layer import Pictures, flattened, unpacked
from .looks import KINDS, Look, Looks, Picture, Wrap
from .usd import legal_names

_TYPES = Sdf.ValueTypeNames
_WRAPS: dict[str, Wrap] = {"repeat": "repeat", "mirror": "mirror", "clamp": "clamp", "black": "clamp"}
# Inputs of a preview surface that a look has no place for, and what they are where they do nothing.
_OTHERS: dict[str, Any] = {"emissiveColor": Gf.Vec3f(0), "clearcoat": 0.0, "displacement": 0.0}


def read_usd_looks(origin: Origin) -> tuple[list[Look], list[str]]:
    """Return the look of each of ``origin``'s materials, and what of them has no place in one."""
    with unpacked(origin.content) as file:
        layer, pictures = flattened(file)
    stage = Usd.Stage.Open(layer)
    meshes = [UsdGeom.Mesh(stage.GetPrimAtPath(path)) for path in origin.meshes]
    reader = _Reader(stage, pictures, any(mesh.GetDoubleSidedAttr().Get() for mesh in meshes))
    return [reader.look(path) for path in origin.materials], reader.left


class _Reader:
    """Reads materials, and notes what it leaves."""

    def __init__(self, stage: Usd.Stage, pictures: Pictures, double_sided: bool) -> None:
        self._stage, self._pictures, self._double_sided = stage, pictures, double_sided
        self.left: list[str] = []

    def look(self, path: str) -> Look:
        name = Sdf.Path(path).name
        shader = UsdShade.Material(self._stage.GetPrimAtPath(path)).ComputeSurfaceSource()[0]
        if not shader or shader.GetShaderId() != "UsdPreviewSurface":
            self.left.append(f"{name}, which is no UsdPreviewSurface")
            return Look(name)
        self.left += [f"{other} of {name}" for other, nothing in _OTHERS.items() if self._value(shader, other, nothing) != nothing]
        base, base_picture, _ = self._color(name, shader)
        opacity, cutoff = self._value(shader, "opacity", 1.0), float(self._value(shader, "opacityThreshold", 0.0) or 0.0)
        see_through = opacity is None or opacity < 1
        return Look(
            name, (*base, 1.0 if opacity is None else float(opacity)), base_picture, *self._rough_metal(name, shader),
            self._picture(name, shader, "normal")[0], ("mask" if cutoff else "blend") if see_through else "opaque", cutoff or 0.5,
            self._double_sided,
        )

    def _color(self, name: str, shader: UsdShade.Shader) -> tuple[tuple[float, float, float], Picture | None, str]:
        picture, output, scale = self._picture(name, shader, "diffuseColor")
        color = self._value(shader, "diffuseColor", Gf.Vec3f(0.18)) if picture is None else scale
        red, green, blue = (0.18, 0.18, 0.18) if color is None else tuple(color)[:3]
        return (float(red), float(green), float(blue)), picture, output

    def _rough_metal(self, name: str, shader: UsdShade.Shader) -> tuple[float, float, Picture | None]:
        """Return metallic, roughness, and their picture where one holds both as glTF wants it: roughness green, metallic blue."""
        rough, rough_output, rough_scale = self._picture(name, shader, "roughness")
        metal, metal_output, metal_scale = self._picture(name, shader, "metallic")
        plain = (float(self._value(shader, "metallic", 0.0) or 0.0), float(self._value(shader, "roughness", 0.5) or 0.0))
        if rough is None and metal is None:
            return *plain, None
        one_picture = (metal == rough and metal_output == "b") or (metal is None and plain[0] == 0)
        if rough is None or rough_output != "g" or not one_picture:
            self.left.append(f"pictures of roughness and metallic of {name}")
            return 0.0 if metal is not None else plain[0], 0.5 if rough is not None else plain[1], None
        return 0.0 if metal is None else float(metal_scale[2]), float(rough_scale[1]), rough

    def _value(self, shader: UsdShade.Shader, name: str, default: Any) -> Any:
        """Return an input's own value; nothing where a picture gives it."""
        source = shader.GetInput(name)
        attributes = source.GetValueProducingAttributes() if source else []
        if not attributes:
            return default
        return attributes[0].Get() if UsdShade.Utils.GetType(attributes[0].GetName()) == UsdShade.AttributeType.Input else None

    def _picture(self, name: str, shader: UsdShade.Shader, input_name: str) -> tuple[Picture | None, str, Any]:
        """Return the picture that an input is connected to, by which output, and its scale; nothing for one that glTF can't hold."""
        source = shader.GetInput(input_name)
        attributes = source.GetValueProducingAttributes() if source else []
        texture = UsdShade.Shader(attributes[0].GetPrim()) if attributes else None
        if not texture or texture.GetShaderId() != "UsdUVTexture":
            return None, "", None
        asset = texture.GetInput("file").Get()
        content = self._pictures.get(asset.path if asset else "")
        if content is None or PurePosixPath(asset.path).suffix.lower() not in KINDS:
            self.left.append(f"{input_name} of {name}, {asset.path if asset else 'no file'}")
            return None, "", None
        wrap = [texture.GetInput(f"wrap{axis}") for axis in "ST"]
        wraps = [_WRAPS.get(str(each.Get()) if each else "repeat", "repeat") for each in wrap]
        scale = texture.GetInput("scale")
        picture = Picture(PurePosixPath(asset.path).name, content, (wraps[0], wraps[1]))
        return picture, attributes[0].GetBaseName(), (scale.Get() if scale else None) or Gf.Vec4f(1)


def define_looks(stage: Usd.Stage, root: Sdf.Path, mesh: UsdGeom.Mesh, looks: Looks) -> Pictures:
    """Define a material for each look below ``root``, bind them to the mesh's faces, and return the pictures that they name."""
    scope = UsdGeom.Scope.Define(stage, root.AppendChild("looks")).GetPath()
    api, parts = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()), looks.parts()
    pictures = _named([look for look, _ in parts])
    for name, (look, faces) in zip(legal_names(look.name for look, _ in parts), parts, strict=True):
        material = _define_material(stage, scope.AppendChild(name), look, pictures)
        if len(parts) == 1:
            api.Bind(material)
        else:
            subset = api.CreateMaterialBindSubset(name, Vt.IntArray.FromNumpy(faces.astype(np.int32)))
            UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(material)
    if len(parts) > 1:
        api.SetMaterialBindSubsetsFamilyType(UsdGeom.Tokens.partition)
    if any(look.double_sided for look, _ in parts):
        mesh.CreateDoubleSidedAttr(True)
    return {name: picture.content for picture, name in pictures.items()}


def _named(looks: Sequence[Look]) -> dict[Picture, str]:
    """Return a file name of its own for each picture; the same bytes that go on differently past their edges share one."""
    names: dict[Picture, str] = {}
    by_content: dict[bytes, str] = {}
    for look in looks:
        for picture in (look.base_picture, look.rough_metal_picture, look.normal_picture):
            if picture is not None:
                plain = PurePosixPath(picture.name)
                if picture.content not in by_content:
                    stems = [*(PurePosixPath(name).stem for name in by_content.values()), plain.stem]
                    by_content[picture.content] = f"pictures/{legal_names(stems)[-1]}{plain.suffix.lower()}"
                names[picture] = by_content[picture.content]
    return names


def _define_material(stage: Usd.Stage, path: Sdf.Path, look: Look, pictures: dict[Picture, str]) -> UsdShade.Material:
    material = UsdShade.Material.Define(stage, path)
    surface = UsdShade.Shader.Define(stage, path.AppendChild("surface"))
    surface.CreateIdAttr("UsdPreviewSurface")
    color = surface.CreateInput("diffuseColor", _TYPES.Color3f)
    opacity = None if look.alpha == "opaque" else surface.CreateInput("opacity", _TYPES.Float)
    if look.base_picture is not None:
        base = _texture(stage, path, "base", look.base_picture, pictures, "sRGB")
        base.CreateInput("scale", _TYPES.Float4).Set(Gf.Vec4f(*look.base_color))
        color.ConnectToSource(base.CreateOutput("rgb", _TYPES.Float3))
        if opacity is not None:
            opacity.ConnectToSource(base.CreateOutput("a", _TYPES.Float))
    else:
        color.Set(Gf.Vec3f(*look.base_color[:3]))
        if opacity is not None:
            opacity.Set(look.base_color[3])
    if look.alpha == "mask":
        surface.CreateInput("opacityThreshold", _TYPES.Float).Set(look.cutoff)
    rough, metal = (surface.CreateInput(name, _TYPES.Float) for name in ("roughness", "metallic"))
    if look.rough_metal_picture is not None:
        both = _texture(stage, path, "roughness_metallic", look.rough_metal_picture, pictures, "raw")
        both.CreateInput("scale", _TYPES.Float4).Set(Gf.Vec4f(1, look.roughness, look.metallic, 1))
        rough.ConnectToSource(both.CreateOutput("g", _TYPES.Float))
        metal.ConnectToSource(both.CreateOutput("b", _TYPES.Float))
    else:
        rough.Set(look.roughness)
        metal.Set(look.metallic)
    if look.normal_picture is not None:
        normal = _texture(stage, path, "normal", look.normal_picture, pictures, "raw")
        normal.CreateInput("scale", _TYPES.Float4).Set(Gf.Vec4f(2, 2, 2, 1))
        normal.CreateInput("bias", _TYPES.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
        surface.CreateInput("normal", _TYPES.Normal3f).ConnectToSource(normal.CreateOutput("rgb", _TYPES.Float3))
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", _TYPES.Token))
    return material


def _texture(
    stage: Usd.Stage, path: Sdf.Path, name: str, picture: Picture, pictures: dict[Picture, str], space: str,
) -> UsdShade.Shader:
    """Define a texture that reads the mesh's ``st``; a material's textures share one reader of it."""
    reader = UsdShade.Shader.Define(stage, path.AppendChild("st"))
    reader.CreateIdAttr("UsdPrimvarReader_float2")
    reader.CreateInput("varname", _TYPES.String).Set("st")
    texture = UsdShade.Shader.Define(stage, path.AppendChild(name))
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", _TYPES.Asset).Set(Sdf.AssetPath(pictures[picture]))
    texture.CreateInput("sourceColorSpace", _TYPES.Token).Set(space)
    texture.CreateInput("st", _TYPES.Float2).ConnectToSource(reader.CreateOutput("result", _TYPES.Float2))
    for axis, wrap in zip("ST", picture.wrap, strict=True):
        texture.CreateInput(f"wrap{axis}", _TYPES.Token).Set(wrap)
    return texture
