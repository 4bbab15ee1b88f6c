"""Verifies somebody's own GLB with our motion: nothing of theirs has changed, and their meshes show the take's vertices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.origin import Origin
from ...motion.take import Person, Take
from .glb_document import GlbDocument, parse_glb, read_glb
from .glb_evaluate import GlbScene
from .glb_rules import clock_rules, motion_rules, safely, said_rules

Floats = NDArray[np.float64]

_KEPT = ("meshes", "materials", "textures", "images", "samplers", "skins", "extensions", "extensionsUsed", "extensionsRequired", "scene")
_LONGER = ("accessors", "bufferViews", "cameras")


@dataclass(frozen=True, eq=False)
class CharacterScene:
    """A document with several skinned meshes, of which the take's vertices are made up."""

    document: GlbDocument
    meshes: tuple[str, ...]  # node/primitive

    @cached_property
    def parts(self) -> list[GlbScene]:
        """A scene for each mesh, as if it had no other."""
        scenes = []
        for mesh in self.meshes:
            node, primitive = (int(number) for number in mesh.split("/"))
            scene = GlbScene(self.document)
            scene.__dict__["mesh_node"] = node
            scene.__dict__["primitive"] = self.document.items("meshes")[scene.nodes[node]["mesh"]]["primitives"][primitive]
            scenes.append(scene)
        return scenes

    def vertices(self, times_s: Floats) -> Floats:
        """Return the vertices (T,V,3) of all meshes, one after the other."""
        worlds = self.parts[0].worlds(times_s)
        return np.concatenate([part.skinned(worlds) for part in self.parts], axis=1)


def open_character(take: Take, person: Person, path: Path) -> tuple[CharacterScene | None, list[str]]:
    """Return the scene of a file, or nothing where it can't be read, and what rules it breaks."""
    origin = person.rig.origin
    assert origin is not None, "only a character that came in a file is verified against it"
    try:
        document, own = read_glb(path), parse_glb(Path(origin.file_name), np.frombuffer(origin.content, np.uint8))
        scene = CharacterScene(document, origin.meshes)
        first = scene.parts[0]
        parents = first.parents
    except (ReadError, KeyError, IndexError, TypeError, ValueError) as error:
        return None, [str(error) if isinstance(error, ReadError) else f"{path}: JSON chunk: found no {error}, expected the character's"]
    line = {int(joint) for joint in origin.joints}
    for joint in list(line):
        while (joint := int(parents[joint])) >= 0:
            line.add(joint)
    return scene, list(safely([
        said_rules(document, take, person), _kept_rules(document, own, origin), _animation_rules(document, line),
        clock_rules(first, take), motion_rules(first),
    ]))


def _kept_rules(document: GlbDocument, own: GlbDocument, origin: Origin) -> Iterator[str]:
    """Check that what the character's file holds is there as it was."""
    if not np.array_equal(document.binary[:len(own.binary)], own.binary):
        yield "the binary chunk doesn't begin with the character's own"
    for kind in _KEPT:
        if document.json.get(kind) != own.json.get(kind):
            yield f"{kind}: not the character's own"
    for kind in _LONGER:
        mine = own.items(kind)
        if document.items(kind)[:len(mine)] != mine:
            yield f"{kind}: don't begin with the character's own"
    joints = {int(joint) for joint in origin.joints}
    for number, node in enumerate(own.items("nodes")):
        found = document.items("nodes")[number]
        if number in joints and "matrix" in node:
            found, node = _without_place(found), _without_place(node)
        if found != node:
            yield f"nodes[{number}]: not the character's own"
            return


def _without_place(node: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in node.items() if key not in ("matrix", "translation", "rotation", "scale")}


def _animation_rules(document: GlbDocument, line: set[int]) -> Iterator[str]:
    for number, animation in enumerate(document.items("animations")[1:], start=1):
        if any(channel["target"].get("node") in line for channel in animation["channels"]):
            yield f"animations[{number}]: moves the skeleton too, expected only ours to"
