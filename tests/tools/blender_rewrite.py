"""Run by a Python that has ``bpy``: open a GLB in Blender and export it again, as .glb or USD, at 30 frames a second.

Takes the file to open and the files to write.
"""

import sys

import bpy

source, *targets = sys.argv[1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
scene.render.fps = 30
bpy.ops.import_scene.gltf(filepath=source)
for item in [item for item in bpy.data.objects if item.name.startswith("Icosphere")]:  # the importer's shape for bones
    bpy.data.objects.remove(item)
scene.frame_start, scene.frame_end = 0, round(max(action.frame_range[1] for action in bpy.data.actions))
for target in targets:
    if target.endswith(".glb"):
        bpy.ops.export_scene.gltf(filepath=target, export_influence_nb=8, export_all_influences=True)
    else:
        bpy.ops.wm.usd_export(filepath=target, export_animation=True, export_armatures=True)
