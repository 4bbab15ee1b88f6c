"""Run by a Python that has ``bpy``: make a character as an artist's file has one, and export it as GLB and as USD.

Takes one JSON file: bones (name, parent, head, tail), vertices, quads, a bone and its share for each vertex, a material for
each quad, the scale of the armature, and where to write. The character has two meshes, three materials, pictures that are
packed, coordinates with seams, and an action of its own.
"""

import json
import sys

import bpy
import numpy as np


def picture(name, seed, colour=True):
    image = bpy.data.images.new(name, 16, 16)
    if not colour:
        image.colorspace_settings.name = "Non-Color"
    image.pixels = np.concatenate([np.random.default_rng(seed).random((256, 3)), np.ones((256, 1))], axis=1).ravel().tolist()
    image.pack()
    return image


def material(name, textures):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    nodes, links = made.node_tree.nodes, made.node_tree.links
    surface = nodes["Principled BSDF"]
    surface.inputs["Base Color"].default_value = (0.8, 0.3, 0.1, 1.0)
    surface.inputs["Roughness"].default_value = 0.625
    surface.inputs["Metallic"].default_value = 0.25
    if "base" in textures:
        base = nodes.new("ShaderNodeTexImage")
        base.image = picture(f"{name}_base", 10 * len(name))
        links.new(base.outputs["Color"], surface.inputs["Base Color"])
    if "normal" in textures:
        image, bend = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeNormalMap")
        image.image = picture(f"{name}_normal", 10 * len(name) + 1, False)
        links.new(image.outputs["Color"], bend.inputs["Color"])
        links.new(bend.outputs["Normal"], surface.inputs["Normal"])
    if "rough" in textures:
        image, split = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeSeparateColor")
        image.image = picture(f"{name}_rough", 10 * len(name) + 2, False)
        links.new(image.outputs["Color"], split.inputs["Color"])
        links.new(split.outputs["Green"], surface.inputs["Roughness"])
        links.new(split.outputs["Blue"], surface.inputs["Metallic"])
    return made


def armature(job):
    data = bpy.data.armatures.new("Armature")
    made = bpy.data.objects.new("Hero", data)
    bpy.context.collection.objects.link(made)
    bpy.context.view_layer.objects.active = made
    bpy.ops.object.mode_set(mode="EDIT")
    bones = [data.edit_bones.new(name) for name, *_ in job["bones"]]
    for bone, (_, parent, head, tail) in zip(bones, job["bones"], strict=True):
        bone.head, bone.tail = np.array(head) / job["scale"], np.array(tail) / job["scale"]
        if parent >= 0:
            bone.parent = bones[parent]
    bpy.ops.object.mode_set(mode="OBJECT")
    made.scale = [job["scale"]] * 3
    return made


def mesh(job, name, owner, quads, materials):
    used = np.unique(np.array(quads))
    data = bpy.data.meshes.new(name)
    data.from_pydata((np.array(job["vertices"])[used] / job["scale"]).tolist(), [], np.searchsorted(used, quads).tolist())
    made = bpy.data.objects.new(name, data)
    bpy.context.collection.objects.link(made)
    made.parent = owner
    coordinates = data.uv_layers.new(name="UVMap")
    square = np.array([[0.1, 0.1], [0.4, 0.1], [0.4, 0.3], [0.1, 0.3]])
    corners = np.tile(square, (len(quads), 1)) + np.repeat(np.arange(len(quads)) % 5, 4)[:, None] / 9
    coordinates.data.foreach_set("uv", corners.astype(np.float32).ravel())
    for each in materials:
        data.materials.append(each)
    groups = {bone: made.vertex_groups.new(name=bone) for bone, *_ in job["bones"]}
    names = [bone for bone, *_ in job["bones"]]
    for vertex, old in enumerate(used.tolist()):
        for joint, share in zip(job["joints"][old], job["weights"][old], strict=True):
            if share > 0:
                groups[names[joint]].add([vertex], share, "REPLACE")
    made.modifiers.new("Armature", "ARMATURE").object = owner
    return made


def act(owner, names):
    for frame in (1, 11):
        for name in names:
            bone = owner.pose.bones[name]
            bone.rotation_mode = "QUATERNION"
            bone.rotation_quaternion = (1, 0, 0, 0.05 * (frame - 1))
            bone.keyframe_insert("rotation_quaternion", frame=frame)


def main(job):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    owner = armature(job)
    skin, cloth, plain = material("skin", ("base", "normal", "rough")), material("cloth", ("base",)), material("plain", ())
    quads, kinds = np.array(job["quads"]), np.array(job["materials"])
    body = mesh(job, "body", owner, quads[kinds < 2].tolist(), [skin, cloth])
    body.data.polygons.foreach_set("material_index", kinds[kinds < 2].astype(np.int32))
    mesh(job, "hat", owner, quads[kinds == 2].tolist(), [plain])
    if job["action"]:
        act(owner, job["action"])
    bpy.context.view_layer.update()
    bpy.ops.export_scene.gltf(filepath=job["glb"], export_format="GLB", export_yup=True, export_all_influences=True)
    bpy.ops.wm.usd_export(filepath=job["usd"], export_animation=bool(job["action"]), export_armatures=True, export_materials=True,
                          generate_preview_surface=True, export_textures_mode="NEW")


if __name__ == "__main__":
    with open(sys.argv[-1], encoding="utf-8") as stream:
        main(json.load(stream))
