"""A GLB in memory, taken apart into its JSON and its binary chunk (glTF 2.0, section 4.4)."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WriteError


def glb_chunks(content: bytes) -> tuple[dict[str, Any], NDArray[np.uint8]]:
    """Return a GLB's JSON and its binary chunk. Raises `WriteError` where it is none, which the reader of it would have told."""
    try:
        size = struct.unpack_from("<I", content, 12)[0]
        document = json.loads(content[20:20 + size])
        place = 20 + size
        if place + 8 > len(content):
            return document, np.zeros(0, np.uint8)
        return document, np.frombuffer(content, np.uint8, struct.unpack_from("<I", content, place)[0], place + 8)
    except (struct.error, ValueError) as error:
        raise WriteError(f"character: found a file that is no whole GLB ({error}); convert the source again") from error
