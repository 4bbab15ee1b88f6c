"""Characters as artists' files have them, made by Blender or by hand: skinned bodies with Mixamo's names and several materials."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, UsdSkel, Vt
from scipy.spatial.transform import Rotation

from rigdrop.motion.joint_names import PRESETS
from rigdrop.motion.kinematics import world_to_local
from rigdrop.motion.rig import Rig

from .bodies import humanoid
from .format_contract import TOOLS
from .tiny_glb import TinyGlb

_CUBE = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


@dataclass(frozen=True)
class CharacterFiles:
    """One character, exported twice."""

    glb: Path
    usd: Path
    names: tuple[str, ...]


def blender_character(folder: Path, blender_python: Path, scale: float = 1.0, preset: str = "mixamo") -> CharacterFiles:
    """Let Blender make the stick figure of `bodies` into a character whose armature has ``scale``, and export it as GLB and USD.

    Its bones have the names of ``preset``.
    """
    rig = humanoid()
    meaning_of = {joint: meaning for meaning, joint in rig.skeleton.semantic.items()}
    names = tuple(PRESETS[preset].get(meaning_of.get(joint, ""), name) for joint, name in enumerate(rig.joint_names))
    heads = rig.bind_world[:, :3, 3][:, [0, 2, 1]] * [1, -1, 1]  # Blender's Z up, -Y ahead
    children = [np.flatnonzero(rig.joint_parents == joint) for joint in range(len(names))]
    tails = [heads[child[0]] if len(child) else heads[joint] + [0, 0, 0.03] for joint, child in enumerate(children)]
    tails = [tail if np.linalg.norm(tail - head) > 1e-3 else head + [0, 0, 0.03] for tail, head in zip(tails, heads, strict=True)]
    quads = np.concatenate([np.array(_CUBE) + 8 * joint for joint in range(len(names))])
    head = names.index(PRESETS[preset]["head"])
    kinds = np.where(np.arange(len(quads)) // 6 == head, 2, np.arange(len(quads)) // 20 % 2)
    job = {
        "bones": [[name, int(parent), at.tolist(), tail.tolist()] for name, parent, at, tail in
                  zip(names, rig.joint_parents, heads, tails, strict=True)],
        "vertices": (rig.vertices_m.astype(float)[:, [0, 2, 1]] * [1, -1, 1]).tolist(), "quads": quads.tolist(),
        "joints": rig.skin_joints.tolist(), "weights": rig.skin_weights.tolist(), "materials": kinds.tolist(), "scale": scale,
        "action": [names[3], names[5]], "glb": str(folder / "hero.glb"), "usd": str(folder / "hero.usdc"),
    }
    (folder / "character.json").write_text(json.dumps(job), encoding="utf-8")
    command = [str(blender_python), str(TOOLS / "blender_character.py"), str(folder / "character.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    made = CharacterFiles(folder / "hero.glb", folder / "hero.usdc", names)
    assert done.returncode == 0 and made.glb.exists() and made.usd.exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return made


def glb_parts(path: Path) -> tuple[dict, bytes]:
    """The JSON and the binary chunk of a GLB, as they lie in it."""
    data = path.read_bytes()
    size = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20:20 + size]), data[28 + size:28 + size + struct.unpack_from("<I", data, 20 + size)[0]]


def tiny_character(edit: Callable[[TinyGlb], None] | None = None) -> TinyGlb:
    """The stick figure as a GLB written by hand: under a turned root of scale 0.01 with nodes that are matrices, two skins, weights
    in bytes, pictures, an extension, a thing in its hand, an animation of its skeleton and one of the thing."""
    rig, file = humanoid(), TinyGlb()
    above = np.eye(4)
    above[:3, :3] = Rotation.from_euler("x", 90, degrees=True).as_matrix() * 0.01
    bind = np.linalg.inv(above) @ rig.bind_world
    bind[:, :3, :3] *= 0.01  # unscaled below the root
    local = world_to_local(rig.joint_parents, bind)
    count, names = len(rig.joint_names), [f"bone {joint}" for joint in range(len(rig.joint_names))]
    meaning_of = {joint: PRESETS["mixamo"].get(meaning, "") for meaning, joint in rig.skeleton.semantic.items()}
    nodes = [{"name": meaning_of.get(joint) or names[joint], "children": np.flatnonzero(rig.joint_parents == joint).tolist(),
              "matrix": local[joint].T.ravel().tolist()} for joint in range(count)]
    for node in nodes[3:]:
        matrix = np.array(node.pop("matrix")).reshape(4, 4).T
        node |= {"rotation": Rotation.from_matrix(matrix[:3, :3]).as_quat().tolist(), "translation": matrix[:3, 3].tolist()}
    nodes = [{key: value for key, value in node.items() if value != []} for node in nodes]
    inverse = np.linalg.inv(bind)
    turned = {"scale": [0.01] * 3, "rotation": [np.sqrt(0.5), 0, 0, np.sqrt(0.5)]}
    nodes += [{"name": "Armature", "children": [0, count + 1, count + 2], **turned},
              {"name": "body", "mesh": 0, "skin": 0}, {"name": "feet", "mesh": 1, "skin": 1}, {"name": "hammer", "mesh": 2}]
    hand = rig.skeleton.semantic["right_wrist"]
    nodes[hand]["children"] = [*nodes[hand].get("children", []), count + 3]
    places = (rig.vertices_m - above[:3, 3]) @ np.linalg.inv(above[:3, :3]).T
    file.json |= {"nodes": nodes, "scene": 0, "scenes": [{"nodes": [count]}], "extras": {"mine": 1}, "extensionsUsed": ["MY_thing"],
                  "extensions": {"MY_thing": {"kept": [1, 2, 3.5]}},
                  "materials": [{"name": "paint", "emissiveFactor": [0, 1, 0]}, {"name": "ink"}]}
    half = len(rig.vertices_m) // 16 * 8
    weights = np.round(rig.skin_weights * 255).astype(int)
    weights[:, 0] += 255 - weights.sum(axis=1)
    for number, part in enumerate((slice(None, half), slice(half, None))):
        faces = rig.faces[(rig.faces[:, 0] < half) == (number == 0)] - (part.start or 0)
        points = places[part].astype(np.float32)
        attributes = {
            "POSITION": file.add(points, min=points.min(axis=0).tolist(), max=points.max(axis=0).tolist()),
            "JOINTS_0": file.add(np.pad(rig.skin_joints[part], ((0, 0), (0, 2))), "uint8"),
            "WEIGHTS_0": file.add(np.pad(weights[part], ((0, 0), (0, 2))), "uint8", normalized=True),
        }
        primitive = {"attributes": attributes, "indices": file.add(faces.ravel(), "uint16"), "material": number}
        file.json.setdefault("meshes", []).append({"name": f"mesh {number}", "primitives": [primitive]})
        file.json.setdefault("skins", []).append({"joints": list(range(count)), "inverseBindMatrices": file.add(inverse)})
    first = file.json["meshes"][0]["primitives"][0]["attributes"]
    file.json["meshes"].append({"primitives": [{"attributes": {"POSITION": first["POSITION"]}}]})
    file.animate(hand, "rotation", [0, 1], [[0, 0, 0, 1], [0, 0, 1, 0]])
    file.animate(count, "translation", [0, 1], [[0, 0, 0], [0, 0, 9]], animation=1)
    file.animate(count + 3, "translation", [0, 1], [[0, 0, 0], [0, 0, 1]], animation=2)
    for animation in file.json["animations"]:
        for sampler in animation["samplers"]:
            file.json["accessors"][sampler["input"]] |= {"min": [0.0], "max": [1.0]}
    if edit is not None:
        edit(file)
    return file


def tiny_stage(
    path: Path, skeletons: int = 1, bound: bool = True, skinned: bool = True, up: str = "Y", unit_m: float = 1.0, roots: int = 1,
    picture: bool = False,
) -> Path:
    """The stick figure as a stage whose mesh has quads, coordinates for each corner, an order of joints of its own and two
    materials by face. ``roots`` of 2 adds a joint beside the root; ``picture`` a file beside the stage that a material names.
    """
    rig = humanoid()
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, unit_m)
    placed = np.eye(4)
    placed[:3, :3] = (np.eye(3) if up == "Y" else np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]])) / unit_m
    extra = np.eye(4)[None][:roots - 1]
    for number in range(skeletons):
        root = UsdSkel.Root.Define(stage, f"/hero{number or ''}")
        root.AddTransformOp().Set(Gf.Matrix4d(placed.T.tolist()), 3.0)  # a sample alone, as Blender writes what may move
        skeleton = UsdSkel.Skeleton.Define(stage, root.GetPath().AppendChild("bones"))
        aside = np.eye(4)
        aside[0, 3] = 0.25 * (roots - 1)
        UsdGeom.Xformable(skeleton).AddTransformOp().Set(Gf.Matrix4d(aside.T.tolist()))
        tokens: list[str] = []
        for name, parent in zip(rig.joint_names, rig.joint_parents, strict=True):
            tokens.append(name if parent < 0 else f"{tokens[parent]}/{name}")
        skeleton.CreateJointsAttr([*tokens, *["beside"] * (roots - 1)])
        rest, bind = (np.concatenate([matrices, extra]) for matrices in (rig.skeleton.rest_local, rig.bind_world))
        skeleton.CreateRestTransformsAttr([Gf.Matrix4d(matrix.T.tolist()) for matrix in rest])
        if bound:
            skeleton.CreateBindTransformsAttr([Gf.Matrix4d(matrix.T.tolist()) for matrix in bind])
        if skinned:
            _tiny_body(stage, root, skeleton, rig, tokens)
    if picture:
        _, content = cv2.imencode(".png", np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
        (path.parent / "skin.png").write_bytes(content.tobytes())
        _paint(stage, "/hero/paint")
    stage.Save()
    return path


def _tiny_body(stage: Usd.Stage, root: UsdSkel.Root, skeleton: UsdSkel.Skeleton, rig: Rig, tokens: list[str]) -> None:
    mesh = UsdGeom.Mesh.Define(stage, root.GetPath().AppendChild("body"))
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(rig.vertices_m))
    quads = np.column_stack([rig.faces[0::2], rig.faces[1::2, 2]])
    mesh.CreateFaceVertexCountsAttr([4] * len(quads))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(quads.ravel().astype(np.int32)))
    st = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("UVMap", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying)
    st.Set(Vt.Vec2fArray.FromNumpy(np.tile([[0, 0], [1, 0], [1, 1], [0, 1]], (len(quads), 1)).astype(np.float32)))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    binding.CreateJointsAttr(tokens[::-1])
    joints = len(tokens) - 1 - rig.skin_joints.astype(np.int32)
    binding.CreateJointIndicesPrimvar(False, 2).Set(Vt.IntArray.FromNumpy(joints.ravel()))
    binding.CreateJointWeightsPrimvar(False, 2).Set(Vt.FloatArray.FromNumpy(rig.skin_weights.ravel()))
    api = UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim())
    api.Bind(UsdShade.Material.Define(stage, root.GetPath().AppendChild("paint")))
    subset = api.CreateMaterialBindSubset("top", Vt.IntArray(range(6)))
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(UsdShade.Material.Define(stage, root.GetPath().AppendChild("ink")))


def _paint(stage: Usd.Stage, path: str) -> None:
    """A surface whose colour is a picture, mirrored past its edge, with the picture's own see-through parts cut out."""
    surface, texture = (UsdShade.Shader.Define(stage, f"{path}/{name}") for name in ("surface", "picture"))
    surface.CreateIdAttr("UsdPreviewSurface")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set("./skin.png")
    texture.CreateInput("wrapS", Sdf.ValueTypeNames.Token).Set("mirror")
    texture.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(0.5, 0.25, 1, 1))
    color = texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3)
    surface.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).ConnectToSource(color)
    surface.CreateInput("opacity", Sdf.ValueTypeNames.Float).ConnectToSource(texture.CreateOutput("a", Sdf.ValueTypeNames.Float))
    surface.CreateInput("opacityThreshold", Sdf.ValueTypeNames.Float).Set(0.25)
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.5)
    surface.CreateInput("emissiveColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(0, 1, 0))
    material = UsdShade.Material(stage.GetPrimAtPath(path))
    material.CreateSurfaceOutput().ConnectToSource(surface.CreateOutput("surface", Sdf.ValueTypeNames.Token))
