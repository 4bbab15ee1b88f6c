"""A GLB's nodes and the animations that move them, evaluated at any time (glTF 2.0, sections 3.5 and 3.11, appendix C)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.kinematics import local_matrices
from ...motion.rotations import quat_normalize, quat_slerp
from .glb_file import GlbContent

Floats = NDArray[np.float64]

_WIDTHS = {"translation": 3, "rotation": 4, "scale": 3}
_REST: dict[str, list[float]] = {"translation": [0.0, 0, 0], "rotation": [0.0, 0, 0, 1], "scale": [1.0, 1, 1]}


@dataclass(frozen=True, eq=False)
class Channel:
    """What moves one property of one node."""

    keys_s: Floats  # (K,), rising
    values: Floats  # (K,3 or 4), or (K,3,3 or 4) of tangent, value, tangent for CUBICSPLINE
    interpolation: str

    def at(self, times_s: Floats, turns: bool) -> Floats:
        """Return the values (T,3 or 4) at ``times_s``, held before the first key and after the last; ``turns`` are slerped."""
        after = np.clip(np.searchsorted(self.keys_s, times_s, side="right"), 1, max(len(self.keys_s) - 1, 1))
        before, after = after - 1, np.minimum(after, len(self.keys_s) - 1)
        span = np.maximum(self.keys_s[after] - self.keys_s[before], 1e-12)
        share = np.clip((times_s - self.keys_s[before]) / span, 0.0, 1.0)
        if self.interpolation == "STEP":
            return self.values[np.where(times_s >= self.keys_s[after], after, before)]
        if self.interpolation == "CUBICSPLINE":
            values = _hermite(self.values[before], self.values[after], share[:, None], span[:, None])
            return quat_normalize(values) if turns else values
        start, end = self.values[before], self.values[after]
        return quat_slerp(quat_normalize(start), quat_normalize(end), share) if turns else start + (end - start) * share[:, None]


def _hermite(before: Floats, after: Floats, share: Floats, span_s: Floats) -> Floats:
    """Appendix C.5: tangents, of in and out, are per second."""
    square, cube = share**2, share**3
    start = (2 * cube - 3 * square + 1) * before[:, 1] + span_s * (cube - 2 * square + share) * before[:, 2]
    return np.asarray(start + (3 * square - 2 * cube) * after[:, 1] + span_s * (cube - square) * after[:, 0])


@dataclass(frozen=True, eq=False)
class Nodes:
    """The nodes of a file as a forest."""

    content: GlbContent

    @cached_property
    def all(self) -> list[Any]:
        """The nodes as the JSON has them."""
        return list(self.content.gltf.nodes or [])

    @cached_property
    def parents(self) -> list[int]:
        """The parent of each node, -1 at a root. Raises `ReadError` for a node with two, for one that is not there, and for a ring."""
        parents = [-1] * len(self.all)
        for index, node in enumerate(self.all):
            for child in node.children or []:
                if not isinstance(child, int) or not 0 <= child < len(parents) or parents[child] != -1:
                    raise ReadError(f"{self.content.path}: nodes[{index}].children: found {child!r}, expected nodes of one parent")
                parents[child] = index
        for start in range(len(parents)):
            node, steps = start, 0
            while node >= 0:
                node, steps = parents[node], steps + 1
                if steps > len(parents):
                    raise ReadError(f"{self.content.path}: nodes[{start}]: found it above itself, expected a tree")
        return parents

    def line(self, node: int) -> list[int]:
        """The node and its ancestors, the root first."""
        line = [node]
        while self.parents[line[-1]] >= 0:
            line.append(self.parents[line[-1]])
        return line[::-1]

    def name(self, node: int) -> str:
        """The node's name, or its number where it has none."""
        return str(self.all[node].name or f"node_{node}")

    def local(self, node: int, channels: dict[str, Channel], times_s: Floats) -> Floats:
        """Return a node's transform in its parent (T,4,4)."""
        fixed = self.all[node]
        if fixed.matrix is not None and not channels:
            matrix: Floats = np.array(fixed.matrix, dtype=np.float64).reshape(4, 4).T
            return np.broadcast_to(matrix, (len(times_s), 4, 4))

        def value(path: str) -> Floats:
            if path in channels:
                return channels[path].at(times_s, path == "rotation")
            still: Floats = np.array(getattr(fixed, path) or _REST[path], dtype=np.float64)
            return np.broadcast_to(still, (len(times_s), len(still)))

        matrices = local_matrices(quat_normalize(value("rotation")), value("translation"))
        matrices[..., :3, :3] *= value("scale")[:, None, :]
        return matrices

    def worlds(self, wanted: Sequence[int], channels: dict[int, dict[str, Channel]], times_s: Floats) -> Floats:
        """Return the global transforms (T,W,4,4) of the ``wanted`` nodes; those above them are worked out along the way."""
        known: dict[int, Floats] = {}
        for node in wanted:
            for each in self.line(node):
                if each not in known:
                    local = self.local(each, channels.get(each, {}), times_s)
                    known[each] = known[self.parents[each]] @ local if self.parents[each] >= 0 else local
        return np.stack([known[node] for node in wanted], axis=1)


def channels_of(content: GlbContent, animation: int, nodes: Iterable[int]) -> dict[int, dict[str, Channel]]:
    """Return what one animation does to ``nodes``: for each that moves, a channel for each of its properties that does.

    Raises `ReadError` that names the sampler whose numbers are missing, too few, not finite, or not in order.
    """
    ours, found = set(nodes), dict[int, dict[str, Channel]]()
    content_animation = content.gltf.animations[animation]
    for channel in content_animation.channels or []:
        node, path = channel.target.node, channel.target.path
        if node in ours and path in _WIDTHS:
            where = f"animations[{animation}].samplers[{channel.sampler}]"
            found.setdefault(node, {})[path] = _channel(content, where, content_animation.samplers[channel.sampler], _WIDTHS[path])
    return found


def _channel(content: GlbContent, where: str, sampler: Any, width: int) -> Channel:
    keys_s = content.accessor(sampler.input, f"{where}.input").astype(np.float64).ravel()
    values = content.accessor(sampler.output, f"{where}.output").astype(np.float64)
    if not (np.diff(keys_s) > 0).all():
        raise ReadError(f"{content.path}: {where}.input: found times that do not rise, expected each later than the one before")
    interpolation = sampler.interpolation or "LINEAR"
    shape = (len(keys_s), 3, width) if interpolation == "CUBICSPLINE" else (len(keys_s), width)
    if values.size != np.prod(shape) or values.shape[-1] != width:
        raise ReadError(f"{content.path}: {where}.output: found {values.shape} numbers, expected {shape}, as there are keys")
    return Channel(keys_s, values.reshape(shape), interpolation)


def moves(content: GlbContent, animation: int, nodes: Iterable[int]) -> bool:
    """Say whether an animation moves one of ``nodes``."""
    ours = set(nodes)
    channels = content.gltf.animations[animation].channels or []
    return any(channel.target.node in ours and channel.target.path in _WIDTHS for channel in channels)
