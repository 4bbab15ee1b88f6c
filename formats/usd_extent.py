"""The bounds of a SkelRoot over time, as USD itself works them out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pxr import Usd, UsdGeom, UsdSkel, Vt

from .usd import author_samples


def author_extent(root: UsdSkel.Root, skeleton: UsdSkel.Skeleton, meshes: Sequence[UsdGeom.Mesh], codes: NDArray[np.float64]) -> None:
    """Author the bounds of a root over time: those of the skeleton's joints, padded by the body at rest.

    These are the numbers of ``UsdGeom.Boundable.ComputeExtentFromPlugins``, which validators compare with, from one
    cache for the whole clip instead of one a frame. The skeleton must not move below its root.
    """
    cache = UsdSkel.Cache()
    cache.Populate(root, Usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(skeleton)
    at_rest = query.ComputeJointSkelTransforms(Usd.TimeCode.Default(), True)
    padding = max(cache.GetSkinningQuery(mesh.GetPrim()).ComputeExtentsPadding(at_rest, mesh) for mesh in meshes)
    xforms = UsdGeom.XformCache(Usd.TimeCode.EarliestTime())
    T_root_skeleton = xforms.ComputeRelativeTransform(skeleton.GetPrim(), root.GetPrim())[0]
    boxes = (UsdSkel.ComputeJointsExtent(query.ComputeJointSkelTransforms(code), padding, T_root_skeleton) for code in codes.tolist())
    author_samples(root.CreateExtentAttr(), [Vt.Vec3fArray([box.min, box.max]) for box in boxes], codes)
