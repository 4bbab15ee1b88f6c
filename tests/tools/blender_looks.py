"""Run by a Python that has ``bpy``: open files and write down, as JSON, what Blender makes of their materials and pictures.

Arguments: a JSON file ``{"files": […], "out": "….json"}``. For each file: materials by name, with colour, roughness, metallic, and
the sha256 of the pictures' bytes that are connected to each; and the names of the meshes' materials.
"""

import hashlib
import json
import sys
from pathlib import Path

import bpy


def digest(image):
    packed = image.packed_file
    data = packed.data if packed else Path(bpy.path.abspath(image.filepath)).read_bytes()
    return hashlib.sha256(data).hexdigest()


def pictures(socket):
    found, waiting = set(), [link.from_node for link in socket.links]
    while waiting:
        node = waiting.pop()
        if node.type == "TEX_IMAGE" and node.image:
            found.add(digest(node.image))
        waiting += [link.from_node for each in node.inputs for link in each.links if each.name != "Vector"]
    return sorted(found)


def described(material):
    surface = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    wanted = {"base": "Base Color", "rough": "Roughness", "metal": "Metallic", "normal": "Normal"}
    about = {name: pictures(surface.inputs[title]) for name, title in wanted.items()}
    return {**about, "color": list(surface.inputs["Base Color"].default_value)[:3], "roughness": surface.inputs["Roughness"].default_value,
            "metallic": surface.inputs["Metallic"].default_value}


def main(job):
    seen = {}
    for file in job["files"]:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        if file.endswith(".glb"):
            bpy.ops.import_scene.gltf(filepath=file)
        else:
            bpy.ops.wm.usd_import(filepath=file)
        meshes = [item for item in bpy.data.objects if item.type == "MESH" and not item.name.startswith("Icosphere")]
        used = {slot.material for item in meshes for slot in item.material_slots if slot.material}
        seen[file] = {material.name: described(material) for material in used}
    Path(job["out"]).write_text(json.dumps(seen), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[-1]).read_text(encoding="utf-8")))
