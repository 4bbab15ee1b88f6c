"""What files of a skeleton ask of a person: one."""

from __future__ import annotations

from ..errors import SettingsError
from ..motion.take import Person


def require_skeleton(person: Person, format_name: str) -> None:
    """Raise `SettingsError` for somebody of whom there are only meshes: one joint would move them as a statue."""
    if person.vertices_m is not None and len(person.rig.joint_names) == 1:
        raise SettingsError(f"{person.id}: found a mesh a frame and no skeleton, expected one for {format_name}; write glb-baked, or get "
                            "assets.zip of facebookresearch/MHR's release v1.0 and name its folder with --mhr DIR")
