"""The recorded network as an official checkpoint's folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from .sam3d_network import Recorded


def write_checkpoint(recorded: Recorded, folder: Path) -> Path:
    """Lay the recorded weights out in ``folder`` as the official ones are, and return it."""
    (folder / "assets").mkdir(parents=True)
    (folder / "assets" / "mhr_model.pt").symlink_to(recorded.mhr_path)
    torch.save({"state_dict": recorded.state}, folder / "model.ckpt")
    (folder / "model_config.yaml").write_text(json.dumps(recorded.about["config"]), encoding="utf-8")  # json is yaml
    return folder
