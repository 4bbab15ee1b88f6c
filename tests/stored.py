"""A take that has everything that a take may have."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from rigdrop.motion.take import Take

from .morphing import with_morphs
from .synthetic import small_take


def full_take(frames: int = 12) -> Take:
    """A take that has everything that a take may have."""
    take = with_morphs(small_take(frames=frames, fps=Fraction(30000, 1001), scale="varying", people=2, camera_moves=True))
    rng, first = np.random.default_rng(0), take.people[0]
    full = replace(
        first,
        vertices_m=rng.normal(size=(frames, 122, 3)).astype(np.float32),
        raw={"landmarks_m": rng.normal(size=(frames, 33, 3)).astype(np.float32), "score": np.full(frames, np.nan)},
        params={
            "shape_params": np.arange(frames, dtype=float),
            "mhr_model_params": rng.normal(size=(frames, 204)),
            "log_shape": np.zeros(10),
        },
        motion=replace(first.motion, visible=np.arange(frames) % 3 > 0, confidence=np.linspace(0, 1, frames)),
    )
    provenance = {
        "stages": [{"name": "fit", "seconds": np.float32(1.5), "frames": np.int64(3), "values": np.arange(2), "ok": np.bool_(True)}],
        "path": Path("a"),
        "名": "踊り",
    }
    return replace(
        take,
        people=[full, take.people[1]],
        provenance=provenance,
        source_name="踊り 🕺.mp4",
        times_s=np.cumsum(rng.uniform(0.01, 0.1, frames)),
    )
