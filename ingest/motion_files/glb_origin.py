"""Where the parts of a rig that was read from a GLB lie in that GLB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.origin import Origin
from ...motion.rig import Rig
from .glb_file import GlbContent
from .glb_mesh import first_with_vertices
from .glb_nodes import Nodes

Floats = NDArray[np.float64]


def origin_of(nodes: Nodes, rig: Rig, joints: Sequence[int], skins: Sequence[int], T_world_joint_bind: Floats) -> Origin:
    """Return the origin of ``rig``, whose joints are the nodes ``joints`` and whose mesh hangs on ``skins``.

    Raises `ReadError` for a file whose buffers or images are in other files: a take holds all that it needs.
    """
    content = nodes.content
    _check_self_contained(content)
    primitives = list(skinned_primitives(nodes, skins))
    # A mesh's primitives that share their vertices have them once in the rig, where the first of them stands.
    parts = [(f"{node}/{number}", primitive) for node, number, first, primitive in primitives if number == first]
    vertex_counts = [int(content.gltf.accessors[primitive.attributes.POSITION].count) for _, primitive in parts]
    materials = [-1 if primitive.material is None else int(primitive.material) for *_, primitive in primitives]
    faces = [_corners(content, primitive) // 3 for *_, primitive in primitives]
    return Origin(
        format="glb", file_name=content.path.name, content=content.path.read_bytes(), skeleton="", joints=tuple(map(str, joints)),
        T_world_joint_bind=T_world_joint_bind, meshes=tuple(name for name, _ in parts), vertex_counts=np.array(vertex_counts, np.int32),
        points=np.concatenate([np.arange(count, dtype=np.int32) for count in vertex_counts]),
        materials=tuple(map(str, range(len(content.gltf.materials or [])))), face_materials=np.repeat(materials, faces).astype(np.int32),
    )


def skinned_primitives(nodes: Nodes, skins: Sequence[int]) -> Iterator[tuple[int, int, int, Any]]:
    """Yield node, number, the first number with the same vertices, and primitive of all on ``skins``, in the order of a rig."""
    for skin in skins:
        for number, node in enumerate(nodes.all):
            if node.skin == skin and node.mesh is not None:
                primitives = nodes.content.gltf.meshes[node.mesh].primitives
                for place, (first, primitive) in enumerate(zip(first_with_vertices(primitives), primitives, strict=True)):
                    yield number, place, first, primitive


def _corners(content: GlbContent, primitive: Any) -> int:
    accessor = primitive.attributes.POSITION if primitive.indices is None else primitive.indices
    return int(content.gltf.accessors[accessor].count)


def _check_self_contained(content: GlbContent) -> None:
    for kind in ("buffers", "images"):
        for number, item in enumerate(getattr(content.gltf, kind) or []):
            if item.uri and not item.uri.startswith("data:"):
                raise ReadError(f"{content.path}: {kind}[{number}]: found {item.uri!r} outside the file, expected it packed; "
                                "export the character as one .glb")
