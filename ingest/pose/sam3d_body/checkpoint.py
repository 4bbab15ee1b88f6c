"""An official checkpoint's folder as a network, without running anything that stands in it (section 0).

Nothing is fetched: the weights are given out by their makers alone, to those who accept their licence.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....errors import MissingPartError, ReadError
from .config import NetworkConfig, read_config
from .mhr import Mhr
from .mhr_file import MhrArrays, read_mhr_arrays
from .network import Network
from .safetensors_file import read_safetensors

STATE_FILE = "model.ckpt"
SETTINGS_FILE = "model_config.yaml"
MHR_FILE = Path("assets", "mhr_model.pt")
_WHERE = (
    "ask for the weights at facebook/sam-3d-body-dinov3 on Hugging Face (Meta's SAM License holds for them, not ours) "
    "and name the folder that holds model.ckpt, model_config.yaml and assets/mhr_model.pt"
)
# Kept in checkpoints, used by nobody who only infers: their end or their beginning.
_UNUSED_ENDS = (".mask_token", ".faces", ".hand_pose_comps_ori", "image_mean", "image_std")
_UNUSED_STARTS = ("hand_cls_embed.", "head_pose.mhr.", "head_pose_hand.mhr.")
_AT_MOST = 12


@dataclass(frozen=True)
class CheckpointFiles:
    """Where a checkpoint's parts are."""

    state: Path
    settings: Path
    mhr: Path


def checkpoint_files(path: Path) -> CheckpointFiles:
    """Return the parts of a checkpoint: a folder, or a ``.safetensors`` or ``.ckpt`` file in one.

    Raises `MissingPartError` where there is none; it says where the weights are to be had.
    """
    folder, states = path, [path / STATE_FILE, *sorted(path.glob("*.safetensors"))]
    if path.is_file():
        folder, states = path.parent, [path]
    state = next((state for state in states if state.is_file()), None)
    if state is None:
        raise MissingPartError(f"{path}: found no checkpoint of SAM 3D Body; {_WHERE}")
    if not (folder / MHR_FILE).is_file():
        raise MissingPartError(f"{folder / MHR_FILE}: found no such file; {_WHERE}")
    return CheckpointFiles(state, folder / SETTINGS_FILE, folder / MHR_FILE)


def load_network(path: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Network:
    """Return the network of a checkpoint, ready to infer; its backbone multiplies in ``dtype``, all else is float32.

    Raises `MissingPartError` where a file is missing and `ReadError` where one is not what it should be.
    """
    files = checkpoint_files(path)
    state = read_state(files.state)
    config = read_config({key: tuple(value.shape) for key, value in state.items()}, read_settings(files.settings), str(files.state))
    return build_network(state, config, read_mhr_arrays(files.mhr), str(files.state), device, dtype)


def build_network(
    state: Mapping[str, Tensor], config: NetworkConfig, arrays: MhrArrays, where: str, device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Network:
    """Return the network of a state with official key names; ``where`` begins the `ReadError` of one that does not fit."""
    with torch.device("meta"):
        network = Network(config)
    own = network.state_dict()
    check_state(state, {official_key(key): tuple(value.shape) for key, value in own.items()}, where)
    points = len(arrays.base_cm) + len(arrays.parents)
    if config.mapping[1] != points:
        raise ReadError(f"{where}: head_pose.keypoint_mapping: found weights of {config.mapping[1]} points, expected {points}, "
                        "as many as the MHR model beside it has vertices and joints; use the one that came with it")
    network.load_state_dict({key: _of_kind(state[official_key(key)], value) for key, value in own.items()}, assign=True)
    if dtype != torch.float32:
        network.lighten(dtype)
    network.to(device)
    network.attach(Mhr(arrays).to(device))
    # What was attached was made on the host.
    return network.to(device).eval().requires_grad_(False)


def official_key(key: str) -> str:
    """Return the checkpoint's name of one of our weights: it writes a branch's name behind the first part, and only the hands'."""
    branch, _, rest = key.partition(".")
    if branch not in ("body", "hands"):
        return key
    part, dot, rest = rest.partition(".")
    return f"{part}{'_hand' if branch == 'hands' else ''}{dot}{rest}"


def check_state(state: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Make sure that a state has all keys, of the right shapes, and none that nobody knows. Raises `ReadError` with the list."""
    missing = sorted(wanted.keys() - state.keys())
    unexpected = sorted(key for key in state.keys() - wanted.keys() if not _unused(key))
    misshaped = [
        f"{key} {tuple(state[key].shape)} instead of {shape}"
        for key, shape in sorted(wanted.items()) if key in state and tuple(state[key].shape) != shape
    ]
    found = [
        f"{len(keys)} {name}: {_listed(keys)}"
        for name, keys in (("missing", missing), ("unexpected", unexpected), ("misshaped", misshaped)) if keys
    ]
    if found:
        raise ReadError(f"{where}: found keys {'; '.join(found)}; expected those of SAM 3D Body, {len(wanted)} of them")


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint file by official name. Raises `ReadError` for one that is anything but tensors."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    # Whatever a file that is cut, older or made to do harm sets off.
    except Exception as error:
        raise ReadError(f"{path}: found no file of tensors alone ({error}), expected SAM 3D Body's {STATE_FILE}, which is "
                        "read without running what stands in it") from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ReadError(f"{path}: found something else than named tensors, expected SAM 3D Body's {STATE_FILE}")
    return {str(key): value for key, value in state.items()}


def read_settings(path: Path) -> Mapping[str, Any]:
    """Return a checkpoint's yaml, plain values alone; nothing where there is no such file. Raises `ReadError` for a wrong one."""
    if not path.is_file():
        return {}
    yaml: Any = importlib.import_module("yaml")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeError, OSError) as error:
        raise ReadError(f"{path}: found no yaml ({error}), expected SAM 3D Body's {SETTINGS_FILE}") from error
    if not isinstance(settings, Mapping):
        raise ReadError(f"{path}: found no settings, expected SAM 3D Body's {SETTINGS_FILE}")
    return settings


def _unused(key: str) -> bool:
    return key.endswith(_UNUSED_ENDS) or key.startswith(_UNUSED_STARTS)


def _of_kind(value: Tensor, like: Tensor) -> Tensor:
    return value.to(like.dtype)


def _listed(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - _AT_MOST} more" if len(keys) > _AT_MOST else ""
    return ", ".join(keys[:_AT_MOST]) + more
