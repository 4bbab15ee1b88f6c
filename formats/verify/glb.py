"""Verifies GLBs: reads one back, evaluates it frame by frame, and compares it with the take."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...errors import ReadError
from ...motion.take import Person, Take
from .glb_character import CharacterScene, open_character
from .glb_document import read_glb
from .glb_evaluate import GlbScene
from .glb_rules import clock_rules, document_rules, morph_rules, motion_rules, safely, skin_rules, surface_rules, target_rules
from .report import ErrorMeter, VerifyReport
from .truth import DEFAULT_FRAMES, blocks, chosen_frames, stored_vertices


def verify_glb_skeletal(take: Take, person: Person, path: Path, options: object = None, most: int | None = DEFAULT_FRAMES) -> VerifyReport:
    """Compare a skeletal GLB with the take at all frames, or at ``most`` of them; a file that can't be read is a broken rule."""
    origin = person.rig.origin
    if origin is not None and origin.format == "glb" and origin.fits(person.rig.bind_world):
        character, rules = open_character(take, person, path)
        return _compare(take, person, path, character, rules, most)
    scene, rules = _open(take, person, path)
    if scene and "skin" not in scene.nodes[scene.mesh_node]:
        scene, rules = None, ["skins: found none, expected a skinned mesh"]
    if scene:
        rules += list(safely([skin_rules(scene, person), target_rules(scene, person), motion_rules(scene)]))
    return _compare(take, person, path, scene, rules, most)


def verify_glb_baked(take: Take, person: Person, path: Path, options: object = None, most: int | None = DEFAULT_FRAMES) -> VerifyReport:
    """Compare a baked GLB with the take at all frames, or at ``most`` of them; a file that can't be read is a broken rule."""
    scene, rules = _open(take, person, path)
    if scene:
        rules += list(safely([morph_rules(scene, take)]))
    return _compare(take, person, path, scene, rules, most)


def _open(take: Take, person: Person, path: Path) -> tuple[GlbScene | None, list[str]]:
    try:
        document = read_glb(path)
        scene = GlbScene(document)
        scene.check()
    except (ReadError, KeyError, IndexError, TypeError) as error:
        return None, [str(error) if isinstance(error, ReadError) else f"{path}: JSON chunk: found no {error}, expected it as glTF says"]
    return scene, list(safely([document_rules(document, take, person), surface_rules(scene, person), clock_rules(scene, take)]))


def _compare(
    take: Take, person: Person, path: Path, scene: GlbScene | CharacterScene | None, rules: list[str], most: int | None,
) -> VerifyReport:
    frames = chosen_frames(take, most)
    meter = ErrorMeter(len(frames) * len(person.rig.vertices_m))
    # A reader plays the file's own float32 seconds.
    clock_s = (take.times_s - take.times_s[0]).astype(np.float32).astype(np.float64)
    evaluated = 0
    try:
        for part in blocks(frames) if scene else ():
            meter.add(scene.vertices(clock_s[part]), stored_vertices(person, part))  # type: ignore[union-attr]
            evaluated += len(part)
    except (ReadError, KeyError, IndexError, ValueError) as error:
        rules.append(f"can't be evaluated: {error}")
    return meter.report(path, person.id, evaluated, take.frame_count, rules)
