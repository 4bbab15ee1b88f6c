"""A rig's morph targets as UsdSkel's blend shapes, below the mesh that they displace, and their weights in its animation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdSkel, Vt

from .usd import author_samples

Offsets = NDArray[np.float32]


def define_morphs(stage: Usd.Stage, mesh: UsdGeom.Mesh, animation: UsdSkel.Animation, names: list[str], offsets: Offsets) -> None:
    """Define a blend shape for each of ``offsets`` (M,V,3), in the mesh's own axes and units, and bind the mesh to all of them.

    Every point has its offset: programs differ in what they make of a list of those that have one. USD wants normals'
    offsets too, and takes none of them where there are none.
    """
    shapes = []
    for name, points in zip(names, offsets, strict=True):
        shape = UsdSkel.BlendShape.Define(stage, mesh.GetPath().AppendChild(name))
        shape.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(points)))
        shapes.append(shape.GetPath())
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateBlendShapesAttr(names)
    binding.CreateBlendShapeTargetsRel().SetTargets(shapes)
    animation.CreateBlendShapesAttr(names)


def author_weights(animation: UsdSkel.Animation, weights: NDArray[np.float32], codes: NDArray[np.float64]) -> None:
    """Author the weights (F,M) at every time code (F,), also where they stay the same: Blender keys none that have no sample."""
    author_samples(animation.CreateBlendShapeWeightsAttr(), map(Vt.FloatArray.FromNumpy, weights), codes)
