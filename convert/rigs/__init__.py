"""Bodies to drive: skeletons with skinned meshes, by name."""

from .body_options import BodyOptions
from .registry import RIGS, RigLoader, load_rig

__all__ = ["RIGS", "BodyOptions", "RigLoader", "load_rig"]
