"""Parts of the network compiled, where the user asks for it, and as they were again where that fails.

Compiled are the blocks of the backbone and the layers of the decoders, one by one: all of a kind share what is made of the
first, so that it takes as long as for one, and for any batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException

from .network import Network


def compile_network(network: Network, backend: str | Callable[..., Any] = "inductor") -> None:
    """Have the network compiled as soon as it runs; if it can't be, it runs as it is and says so in its ``warnings``."""
    encoder: Any = getattr(network.backbone, "encoder", network.backbone)
    for module in (*encoder.blocks, *network.body.decoder.layers, *network.hands.decoder.layers):
        module.forward = _Compiled(network, module, backend)


class _Compiled:
    """A module's compiled way forward; the plain one from the first failure on."""

    def __init__(self, network: Network, module: nn.Module, backend: str | Callable[..., Any]) -> None:
        self._warnings, self._plain = network.warnings, module.forward
        self._quick = torch.compile(module.forward, dynamic=True, backend=backend)

    def __call__(self, *values: Any) -> Any:
        # One failure speaks for all: what can't compile one block compiles none.
        if not self._warnings:
            try:
                return self._quick(*values)
            except TorchDynamoException as error:
                first = next(iter(str(error).splitlines()), type(error).__name__)
                self._warnings.append(f"the network can't be compiled here ({first}) and runs as it is, only slower; compiling takes a C++ "
                                      "compiler for a CPU and triton for a GPU")
        return self._plain(*values)
