"""A net's file (TensorFlow Lite, a flatbuffer) without the parts that nobody asks for.

The runtime computes all that a file holds. The body net also draws a mask of the person as large as its picture, which
costs two fifths of its time and is not used here; what is left computes the same numbers, to the bit.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

_MODEL_GRAPHS, _GRAPH_TENSORS, _GRAPH_OUTPUTS, _GRAPH_OPERATORS = 2, 0, 2, 3  # places of fields in TensorFlow Lite's schema
_OPERATOR_INPUTS, _OPERATOR_OUTPUTS, _TENSOR_NAME = 1, 2, 3


def only_outputs(content: bytes, places: Sequence[int]) -> bytes:
    """Return the net with the outputs at ``places`` alone, in that order, and with the operators that they need.

    Places count the outputs in order of their names (Identity, Identity_1, …), because their order in a file is arbitrary.
    Raises `ValueError` for what is not such a file, or has fewer outputs.
    """
    if content[4:8] != b"TFL3":
        raise ValueError("found no TensorFlow Lite file")
    try:
        return _only_outputs(bytearray(content), places)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"found a broken TensorFlow Lite file ({error})") from error


def _only_outputs(data: bytearray, places: Sequence[int]) -> bytes:
    graph = _items(data, _follow(data, 0), _MODEL_GRAPHS)[0]
    tensors, operators = _items(data, graph, _GRAPH_TENSORS), _items(data, graph, _GRAPH_OPERATORS)
    outputs = sorted(_numbers(data, graph, _GRAPH_OUTPUTS), key=lambda tensor: _order(_text(data, tensors[tensor], _TENSOR_NAME)))
    wanted = [outputs[place] for place in places]
    needed, used = set(wanted), []
    for operator in reversed(operators):  # each comes after those that it needs
        if not needed.isdisjoint(_numbers(data, operator, _OPERATOR_OUTPUTS)):
            needed.update(_numbers(data, operator, _OPERATOR_INPUTS))
            used.append(operator)
    listed = _vector(data, graph, _GRAPH_OPERATORS)
    struct.pack_into("<I", data, listed, len(used))
    for slot, operator in zip(range(listed + 4, len(data), 4), reversed(used)):
        struct.pack_into("<I", data, slot, operator - slot)
    struct.pack_into(f"<I{len(wanted)}i", data, _vector(data, graph, _GRAPH_OUTPUTS), len(wanted), *wanted)
    return bytes(data)


def _order(name: str) -> tuple[int, str]:
    return len(name), name


def _follow(data: bytearray, at: int) -> int:
    """Return where the offset at a place leads: it counts from there."""
    return at + int(struct.unpack_from("<I", data, at)[0])


def _vector(data: bytearray, table: int, field: int) -> int:
    """Return where a table's list (or text) begins with its length. Raises `IndexError` where the table has no such field."""
    fields = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, fields)[0]
    offset = struct.unpack_from("<H", data, fields + 4 + 2 * field)[0] if 4 + 2 * field < size else 0
    if not offset:
        raise IndexError(f"no field {field} in the table at {table}")
    return _follow(data, table + offset)


def _items(data: bytearray, table: int, field: int) -> list[int]:
    """Return where the tables of a list begin."""
    start = _vector(data, table, field)
    (count,) = struct.unpack_from("<I", data, start)
    offsets = struct.unpack_from(f"<{count}I", data, start + 4)
    return [start + 4 + 4 * place + offset for place, offset in enumerate(offsets)]


def _numbers(data: bytearray, table: int, field: int) -> tuple[int, ...]:
    start = _vector(data, table, field)
    (count,) = struct.unpack_from("<I", data, start)
    return struct.unpack_from(f"<{count}i", data, start + 4)


def _text(data: bytearray, table: int, field: int) -> str:
    start = _vector(data, table, field)
    (length,) = struct.unpack_from("<I", data, start)
    return data[start + 4:start + 4 + length].decode()
