"""What the user may say about SAM 3D Body; light to import, for the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ....errors import SettingsError

Passes = Literal["full", "fast", "body"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Sam3dOptions:
    """How SAM 3D Body reads poses, with --estimator sam3d-body."""

    checkpoint: Path | None = None
    """Folder with SAM 3D Body's weights, which you get from Meta under their own licence."""
    passes: Passes = "full"
    """`full` looks at body and hands and then again, `fast` does not look again, `body` leaves the hands out."""
    device: str = "auto"
    """Where it runs: auto, cpu, cuda or cuda:1."""
    precision: Precision = "auto"
    """What the backbone multiplies in: auto is bfloat16 where the GPU or the processor has instructions for it, else float32."""
    batch_size: int = 0
    """People in frames at a time; 0 takes what memory allows."""
    compile_network: bool = False
    """Compile the network first: a minute or more at the start, quicker after."""
    detector: Path | None = None
    """Folder of a Hugging Face person detector (RT-DETR v2, D-FINE) to find people with; without one the embedded detector does."""
    masks: Path | None = None
    """Folder of SAM 3's weights, to follow people by their outlines."""
    keep_mesh: bool = False
    """Keep the network's own meshes, so that baked files show just these."""
    exact_upstream: bool = False
    """Repeat what the original gets wrong, for comparison."""

    def __post_init__(self) -> None:
        for name in ("checkpoint", "detector", "masks"):
            path: Path | None = getattr(self, name)
            object.__setattr__(self, name, None if path is None else path.expanduser())
        for name, kind in (("passes", Passes), ("precision", Precision)):
            if getattr(self, name) not in get_args(kind):
                raise SettingsError(f"{name}: found {getattr(self, name)!r}, expected one of {', '.join(get_args(kind))}")
        if self.batch_size < 0:
            raise SettingsError(f"batch-size: found {self.batch_size}, expected 0, for what memory allows, or a number of people in frames")
