"""What a GLB must hold to open right everywhere, beyond its vertices: each rule yields a sentence where it is broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.take import Person, Take
from .glb_document import GlbDocument
from .glb_evaluate import GlbScene

# float32 rounds sums of up to eight weights, unit vectors and matrices of a few metres by well under this.
_GRAIN = 1e-5
# Whoever writes takes less than that for standing still, and keeps two of its keys.
_STANDS_STILL = 1e-6


def document_rules(document: GlbDocument, take: Take, person: Person) -> Iterator[str]:
    """Check the asset's header, buffer views and accessors, and what the file says of its origin."""
    yield from said_rules(document, take, person)
    if document.json.get("extensionsRequired"):
        yield f"extensionsRequired: found {document.json['extensionsRequired']}, expected none: not every program reads them"
    for index, view in enumerate(document.items("bufferViews")):
        if view.get("byteOffset", 0) % 4:
            yield f"bufferViews[{index}]: starts at {view['byteOffset']}, expected a multiple of 4"


def said_rules(document: GlbDocument, take: Take, person: Person) -> Iterator[str]:
    """Check the asset's header and what the file says of its take."""
    asset = document.json.get("asset", {})
    if asset.get("version") != "2.0" or not asset.get("generator"):
        yield f"asset: found {asset.get('version')!r} by {asset.get('generator')!r}, expected version 2.0 and a generator"
    said = asset.get("extras", {})
    expected = {"person": person.id, "fps": f"{take.fps.numerator}/{take.fps.denominator}", "source_sha256": take.source_sha256}
    for key, value in expected.items():
        if said.get(key) != value:
            yield f"asset.extras.{key}: found {said.get(key)!r}, expected {value!r}"


def surface_rules(scene: GlbScene, person: Person) -> Iterator[str]:
    """Check the mesh against the rig: sizes, triangles, normals, texture coordinates, bounds, and its views' targets."""
    rig, document, primitive = person.rig, scene.document, scene.primitive
    positions, normals = scene.attribute("POSITION"), primitive["attributes"].get("NORMAL")
    if len(positions) != len(rig.vertices_m):
        yield f"POSITION: found {len(positions)} vertices, expected {len(rig.vertices_m)}"
    if not np.array_equal(_sorted(scene.faces, scene.primitive_count), _sorted(rig.faces, scene.primitive_count)):
        yield "indices: found other triangles than the rig's"
    if normals is None or (np.abs(np.linalg.norm(document.accessor(normals), axis=1) - 1) > _GRAIN).any():
        yield "NORMAL: found none, or some that are not unit vectors; viewers would shade the body flat"
    if rig.uvs is not None and not np.allclose(scene.attribute("TEXCOORD_0"), rig.uvs * [1, -1] + [0, 1], atol=1e-6):
        yield "TEXCOORD_0: found other coordinates than the rig's with v turned over"
    for accessor in [primitive["attributes"]["POSITION"], *(target["POSITION"] for target in primitive.get("targets", []))]:
        yield from _bounds(document, accessor)
    for accessor, target in [(primitive["indices"], 34963), *((index, 34962) for index in primitive["attributes"].values())]:
        view = document.items("bufferViews")[document.items("accessors")[accessor]["bufferView"]]
        if view.get("target") != target:
            yield f"accessors[{accessor}]: its view's target is {view.get('target')}, expected {target}"


def _sorted(faces: NDArray[Any], primitives: int) -> NDArray[Any]:
    """One material keeps the triangles' order; several take each its own."""
    return faces if primitives == 1 else faces[np.lexsort(faces.T)]


def _bounds(document: GlbDocument, index: int) -> Iterator[str]:
    accessor, values = document.items("accessors")[index], document.accessor(index)
    if accessor.get("min") != values.min(axis=0).tolist() or accessor.get("max") != values.max(axis=0).tolist():
        yield f"accessors[{index}]: its min and max are not those of its values"


def clock_rules(scene: GlbScene, take: Take) -> Iterator[str]:
    """Check that every channel's keys rise from 0 and that one of them has a key at each of the take's frames.

    Of somebody who never moves, the first and the last frame say it all.
    """
    times_s, moves = take.times_s - take.times_s[0], False
    longest: NDArray[Any] = np.zeros(0)
    for (node, path), sampler in scene.channels.items():
        keys_s = scene.document.accessor(sampler["input"])
        if keys_s[0] != 0 or (np.diff(keys_s) <= 0).any():
            yield f"nodes[{node}].{path}: its keys don't rise from 0"
        if sampler.get("interpolation", "LINEAR") != "LINEAR":
            yield f"nodes[{node}].{path}: found {sampler['interpolation']}, expected LINEAR"
        longest = keys_s if len(keys_s) > len(longest) else longest
        values = scene.document.accessor(sampler["output"])
        values = values.reshape(len(keys_s), -1)  # a mesh's weights lie one after the other, so many a key
        moves |= bool((np.abs(values - values[0]) > _STANDS_STILL).any())
    still = not scene.channels and take.frame_count == 1
    clocks = [times_s] if moves else [times_s, times_s[np.unique([0, len(times_s) - 1])]]
    # float32 seconds: one part in 2^23.
    if not still and not any(len(longest) == len(clock) and np.allclose(longest, clock, rtol=2e-7, atol=1e-7) for clock in clocks):
        found = f"{len(longest)} keys to {longest[-1] if len(longest) else 0:.3f} s"
        yield f"animation: found {found}, expected the take's {take.frame_count} frames to {times_s[-1]:.3f} s"


def skin_rules(scene: GlbScene, person: Person) -> Iterator[str]:
    """Check the skeleton against the rig: names, tree, one root, order, bind pose, and the weights."""
    rig, document = person.rig, scene.document
    skin = document.items("skins")[scene.nodes[scene.mesh_node]["skin"]]
    joints = skin["joints"]
    names = [scene.nodes[joint].get("name") for joint in joints]
    if names != list(rig.joint_names):
        yield f"joints: found {names[:3]} …, expected the rig's names in its order, {list(rig.joint_names[:3])} …"
        return
    place = {joint: index for index, joint in enumerate(joints)}
    parents = [place.get(int(scene.parents[joint]), -1) for joint in joints]
    if parents != rig.joint_parents.tolist():
        yield "joints: found another tree than the rig's"
    if scene.parents[scene.mesh_node] != -1 or scene.mesh_node not in document.items("scenes")[0]["nodes"]:
        yield "the skinned mesh's node is not at the scene's root, where its parents' transforms can't be misread"
    yield from _bind_rules(scene, skin)
    yield from _weight_rules(scene, len(joints))


def _bind_rules(scene: GlbScene, skin: dict[str, Any]) -> Iterator[str]:
    inverse_bind = scene.document.accessor(skin["inverseBindMatrices"])
    if len(inverse_bind) != len(skin["joints"]) or not (inverse_bind[:, 3] == [0, 0, 0, 1]).all():
        yield "inverseBindMatrices: expected one for each joint, with a last row of exactly 0 0 0 1"
        return
    at_rest = GlbScene(scene.document)
    at_rest.__dict__["channels"] = {}
    product = at_rest.worlds(np.zeros(1))[0, skin["joints"]] @ inverse_bind
    if np.abs(product - np.eye(4)).max() > _GRAIN:
        yield "the joints' static transforms are not the bind pose"


def _weight_rules(scene: GlbScene, joint_count: int) -> Iterator[str]:
    joints, weights = scene.influences
    if (joints >= joint_count).any() or (weights < 0).any() or np.abs(weights.sum(axis=1) - 1).max() > _GRAIN:
        yield "JOINTS and WEIGHTS: expected joints of the skin, and weights from 0 that sum to 1"
    if (np.diff(weights, axis=1) > _GRAIN).any():
        yield "WEIGHTS: expected each vertex's largest first, since many programs read four"


def motion_rules(scene: GlbScene) -> Iterator[str]:
    """Check the animated values: unit quaternions that never jump to the other side, and scales that are uniform."""
    for (node, path), sampler in scene.channels.items():
        values = scene.document.accessor(sampler["output"])
        if not np.isfinite(values).all():
            yield f"nodes[{node}].{path}: found NaN or infinity"
        if path == "rotation" and (np.abs(np.linalg.norm(values, axis=1) - 1) > 1e-4).any():
            yield f"nodes[{node}].rotation: found a quaternion that is not unit"
        if path == "rotation" and (np.sum(values[1:] * values[:-1], axis=1) < 0).any():
            yield f"nodes[{node}].rotation: a quaternion changes its sign between two frames, so the joint turns the long way"
        if path == "scale" and np.ptp(values, axis=1).max() > _GRAIN:
            yield f"nodes[{node}].scale: found a scale that is not uniform"


def target_rules(scene: GlbScene, person: Person) -> Iterator[str]:
    """Check that a skinned mesh has the rig's morph targets, each with a name, and weights from 0 to 1 at each key."""
    count, mesh = person.rig.morph_count, scene.document.items("meshes")[0]
    targets = len(scene.primitive.get("targets", []))
    if targets != count:
        yield f"targets: found {targets}, expected the rig's {count}"
        return
    if not count:
        return
    if len(mesh.get("weights", [])) != count or len(mesh.get("extras", {}).get("targetNames", [])) != count:
        yield f"meshes[0]: expected weights and extras.targetNames of {count} targets"
    sampler = scene.channels[(scene.mesh_node, "weights")]
    weights, keys = scene.document.accessor(sampler["output"]), scene.document.accessor(sampler["input"])
    if len(weights) != len(keys) * count or not ((weights >= 0) & (weights <= 1)).all():
        yield f"weights: found {len(weights)} numbers at {len(keys)} keys, expected {count} from 0 to 1 at each"


def morph_rules(scene: GlbScene, take: Take) -> Iterator[str]:
    """Check that there is one target for each frame after the first, and that a frame shows exactly its own."""
    targets = len(scene.primitive.get("targets", []))
    if targets != take.frame_count - 1:
        yield f"targets: found {targets}, expected one for each of the {take.frame_count - 1} frames after the first"
    elif targets:
        rows = scene.document.accessor(scene.channels[(scene.mesh_node, "weights")]["output"]).reshape(-1, targets)
        wrong = [frame for frame, row in enumerate(rows) if row.sum() != (frame > 0) or (frame > 0 and row[frame - 1] != 1)]
        if wrong:
            yield f"weights: frame {wrong[0]} doesn't show its own target alone"


def safely(groups: Iterable[Iterator[str]]) -> Iterator[str]:
    """Yield what rules find; a rule that can't even be checked, since the file lacks what it looks at, is broken."""
    for group in groups:
        try:
            yield from group
        except (ReadError, KeyError, IndexError, ValueError, TypeError) as error:
            yield f"can't be checked: {error!r}"
