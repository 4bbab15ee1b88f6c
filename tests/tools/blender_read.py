"""Run by a Python that has ``bpy``: open files in Blender and write down what it sees.

Takes one JSON file: ``[{"file": …, "out": "….npz", "fps": [30, 1], "frames": 12}, …]``. Each file is imported into an
empty scene whose rate is set first. Written: ``vertices`` (F,V,3) float32 in Blender's world (+Z up, metres), evaluated
at each scene frame 0 to F - 1; ``bones`` and ``parents``; ``first`` and ``last`` key of the animation, in frames.
"""

import json
import math
import sys

import bpy
import numpy as np


def open_file(path, fps):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    render, rate = bpy.context.scene.render, fps[0] / fps[1]
    # The rate is fps / fps_base, but Blender 5.0's glTF importer puts a key at seconds · fps · fps_base.
    render.fps = math.ceil(rate)
    render.fps_base = rate / render.fps if path.endswith(".glb") else render.fps / rate
    if path.endswith(".glb"):
        bpy.ops.import_scene.gltf(filepath=path)
    else:
        bpy.ops.wm.usd_import(filepath=path, set_frame_range=True)


def read_vertices(objects, frames):
    scene, rows = bpy.context.scene, []
    for frame in frames:
        scene.frame_set(int(np.floor(frame)), subframe=float(frame - np.floor(frame)))
        graph = bpy.context.evaluated_depsgraph_get()
        rows.append(np.concatenate([world_vertices(item.evaluated_get(graph)) for item in objects]))
    return np.stack(rows)


def world_vertices(item):
    mesh = item.to_mesh()
    flat = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", flat)
    item.to_mesh_clear()
    matrix = np.array(item.matrix_world)
    return (flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)


def key_range():
    frames = []
    for action in bpy.data.actions:
        frames += list(action.frame_range)
    return (min(frames), max(frames)) if frames else (0.0, 0.0)


def read(job):
    open_file(job["file"], job["fps"])
    # The glTF importer adds a ball as the bones' shape.
    shown = [item for item in bpy.data.objects if item.type == "MESH" and not item.name.startswith("Icosphere")]
    meshes = sorted(shown, key=lambda item: item.name)
    armatures = [item for item in bpy.data.objects if item.type == "ARMATURE"]
    bones = [bone for armature in armatures for bone in armature.data.bones]
    first, last = key_range()
    np.savez(
        job["out"], vertices=read_vertices(meshes, job.get("at", range(job["frames"]))), bones=np.array([bone.name for bone in bones], str),
        parents=np.array([bone.parent.name if bone.parent else "" for bone in bones], str), first=first, last=last,
        meshes=np.array([mesh.name for mesh in meshes], str), cameras=sum(item.type == "CAMERA" for item in bpy.data.objects),
    )


if __name__ == "__main__":
    with open(sys.argv[-1], encoding="utf-8") as stream:
        for job in json.load(stream):
            read(job)
