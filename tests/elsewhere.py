"""A device that is not there: tensors on it are reckoned with on the host, and none of the host's may come beside them.

A GPU takes no host tensor beside its own, which no test notices on a machine without one. Here it is an `AssertionError` that
names the operation. Torch's ``lazy`` stands for the device, the one of its names that needs no driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

ELSEWHERE = torch.device("lazy", 0)
_HOST = torch.device("cpu")
# What a GPU, too, takes tensors of both devices in.
_CROSSINGS = ("_to_copy", "copy_")


class Distant(Tensor):
    """A tensor that is elsewhere."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> Distant:
        made: Distant = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=ELSEWHERE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, arguments: Any = (), keywords: Mapping[str, Any] | None = None) -> Any:
        with Distance():
            return function(*arguments, **(keywords or {}))


class Distance(TorchDispatchMode):
    """While it lasts, what is made on the device that is not there is a `Distant`."""

    def __enter__(self) -> Distance:
        # Else torch would fill a tensor of given numbers on the device itself, which has no memory.
        self._before = torch._C._only_lift_cpu_tensors()
        torch._C._set_only_lift_cpu_tensors(True)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch._C._set_only_lift_cpu_tensors(self._before)

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), keywords: Mapping[str, Any] | None = None) -> Any:
        keywords, name = dict(keywords or {}), function.overloadpacket.__name__
        tensors = [value for value in tree_leaves((arguments, keywords)) if isinstance(value, Tensor)]
        distant = [value for value in tensors if isinstance(value, Distant)]
        if distant and name not in _CROSSINGS:
            left = [tuple(value.shape) for value in tensors if not isinstance(value, Distant) and value.dim()]
            assert not left, f"{name}: found tensors of the host, {left}, beside the device's"
        asked = keywords.get("device")
        arrives = bool(distant) if asked is None else torch.device(asked) == ELSEWHERE
        if asked is not None:
            keywords["device"] = _HOST
        held, named = tree_map_only(Distant, lambda value: value.held, (arguments, keywords))
        found = function(*held, **named)
        return tree_map_only(Tensor, Distant, found) if arrives else found


def send(values: Tensor) -> Tensor:
    """Return a copy of the host's tensor on the device."""
    with Distance():
        return values.to(ELSEWHERE)


def send_module(module: nn.Module) -> None:
    """Bring all weights and tables of a module to the device; what it keeps otherwise stays where it is."""
    for part in module.modules():
        for name, weight in part.named_parameters(recurse=False):
            part._parameters[name] = nn.Parameter(send(weight.data), requires_grad=False)
        for name, table in part.named_buffers(recurse=False):
            part._buffers[name] = send(table)


def bring(values: Tensor) -> Tensor:
    """Return the device's tensor as the host's."""
    assert isinstance(values, Distant), f"found a tensor of {tuple(values.shape)} on {values.device}, expected it on the device"
    return values.held
