"""``.safetensors`` files, read without their package: a length, a table in JSON, then the numbers."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....errors import ReadError

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64,
    "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}
_LENGTH_BYTES = 8


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a file by name; they stay on disk until they are used.

    Raises `ReadError` for a file that is cut or that says something else than its size allows.
    """
    try:
        with path.open("rb") as file:
            # Copy on write: torch wants memory that it could change.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
        table = json.loads(data[_LENGTH_BYTES:start])
        return {name: _tensor(data, start, entry) for name, entry in table.items() if name != "__metadata__"}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise ReadError(f"{path}: found no whole file of tensors ({error}), expected .safetensors") from error


def _tensor(data: mmap.mmap, start: int, entry: dict[str, Any]) -> Tensor:
    dtype, shape = _DTYPES[entry["dtype"]], [int(count) for count in entry["shape"]]
    first, last = (int(offset) for offset in entry["data_offsets"])
    count = 1
    for size in shape:
        count *= size
    if not 0 <= first <= last <= len(data) - start or last - first != count * dtype.itemsize:
        raise ValueError(f"{entry} does not fit the file")
    if not count:
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(data, dtype=dtype, count=count, offset=start + first).reshape(shape)
