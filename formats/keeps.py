"""Whether a rig's own file can carry its motion, or only its looks."""

from __future__ import annotations

import warnings

from ..motion.rig import Rig


def keeps_file(rig: Rig, format_name: str) -> bool:
    """Tell whether ``rig`` came in a file of ``format_name`` (glb, usd) that can go out as it is, with new motion.

    Warns where it can't since the rig is not bound any more as the file is: its mesh is written anew then.
    """
    origin = rig.origin
    if origin is None or origin.format != format_name:
        return False
    fits = origin.fits(rig.bind_world)
    if not fits:
        warnings.warn(f"{origin.file_name}: its bind pose or its proportions were changed; wrote its mesh anew instead of the file's own",
                      stacklevel=3)
    return fits
