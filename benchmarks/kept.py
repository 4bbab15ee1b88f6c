"""What takes minutes to make is kept in a folder, and made anew when the code that makes it has changed."""

from __future__ import annotations

import argparse
import hashlib
import pickle
import sys
import time
from pathlib import Path

from platformdirs import user_cache_path

import rigdrop
from rigdrop.files import write_bytes
from rigdrop.ingest.pose.options import EstimatorOptions, PoseOptions, Quality
from rigdrop.ingest.pose.protocol import load_estimator
from rigdrop.ingest.tracks import Observations
from rigdrop.ingest.video import open_clip

FOLDER = user_cache_path("rigdrop") / "benchmarks"
QUALITIES: tuple[Quality, ...] = ("draft", "standard", "high")
_PACKAGE = Path(rigdrop.__file__).parent


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Let the user say where things are kept."""
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where clips and landmarks are kept")


def code_digest(*rooms: str) -> str:
    """Return a short digest over the package's modules and folders of these names."""
    digest = hashlib.sha256()
    for room in rooms:
        modules = [_PACKAGE / room] if room.endswith(".py") else sorted((_PACKAGE / room).rglob("*.py"))
        for module in modules:
            digest.update(module.read_bytes())
    return digest.hexdigest()[:10]


def clips_folder(folder: Path) -> Path:
    """Return the folder for clips as today's renderer draws them."""
    made = folder / f"clips-{code_digest('render', 'convert/body.py', 'convert/rigs')}"
    made.mkdir(parents=True, exist_ok=True)
    return made


def observed(clip: Path, quality: Quality, folder: Path) -> Observations:
    """Return what today's estimator sees in a clip, kept in ``folder``."""
    kept = folder / f"{clip.stem}.{quality}-{code_digest('ingest')}.pkl"
    if not kept.exists():
        start = time.perf_counter()
        seen = load_estimator(EstimatorOptions(PoseOptions(quality=quality))).estimate(open_clip(clip))
        write_bytes(kept, pickle.dumps(seen))
        tell(f"{clip.name}: {quality}: {len(seen.tracks)} people, {time.perf_counter() - start:.0f} s")
    found = pickle.loads(kept.read_bytes())
    assert isinstance(found, Observations)
    return found


def tell(message: str) -> None:
    """Say how far the work is, beside the tables."""
    print(message, file=sys.stderr, flush=True)
