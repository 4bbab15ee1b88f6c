"""An official checkpoint's folder as a network, without running anything that stands in it (section 0)."""

from __future__ import annotations

import importlib
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ....errors import ReadError
from .checkpoint_place import SETTINGS_FILE, STATE_FILE, CheckpointFiles, checkpoint_files
from .config import NetworkConfig, check_settings, read_config
from .mhr import Mhr
from .mhr_file import MhrArrays, read_mhr_arrays
from .network import Network
from .safetensors_file import read_safetensors

# Kept in checkpoints, used by nobody who only infers: their end or their beginning.
_UNUSED_ENDS = (".mask_token", ".faces", ".hand_pose_comps_ori", "image_mean", "image_std")
_UNUSED_STARTS = ("hand_cls_embed.", "head_pose.mhr.", "head_pose_hand.mhr.")
_AT_MOST = 12
# What comes instead of a file where a download went wrong: a page that asks to log in, or git's note of a file elsewhere.
_STAND_INS = {b"<": "a web page", b"version https://git-lfs": "Git LFS's note of a file that was not fetched"}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A checkpoint's weights by official name, on disk until they are used, and the sizes of their network."""

    files: CheckpointFiles
    state: Mapping[str, Tensor]
    config: NetworkConfig


class _Inert:
    """Stands for whatever a checkpoint holds beside tensors: it takes everything and does nothing."""

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def open_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in a folder, or in a file of one; nothing big is read yet.

    Raises `MissingPartError` where a file is missing and `ReadError` where one is not what it should be.
    """
    files = checkpoint_files(path)
    state, settings = read_state(files.state), read_settings(files.settings)
    check_settings(settings, str(files.settings))
    return Checkpoint(files, state, read_config({key: tuple(value.shape) for key, value in state.items()}, settings, str(files.state)))


def load_network(path: Path, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> Network:
    """Return the network of a checkpoint, ready to infer; its backbone multiplies in ``dtype``, all else is float32.

    Raises `MissingPartError` where a file is missing and `ReadError` where one is not what it should be.
    """
    found = open_checkpoint(path)
    return build_network(found.state, found.config, read_mhr_arrays(found.files.mhr), str(found.files.state), device, dtype)


def build_network(
    state: Mapping[str, Tensor], config: NetworkConfig, arrays: MhrArrays, where: str, device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Network:
    """Return the network of a state with official key names; ``where`` begins the `ReadError` of one that does not fit."""
    network = fitting_network(state, config, arrays, where)
    if dtype != torch.float32:
        network.lighten(dtype)  # before there are numbers, which then come as they are to be kept
    own = network.state_dict()
    network.load_state_dict({key: _of_kind(state[official_key(key)], value) for key, value in own.items()}, assign=True)
    network.to(device)
    network.attach(Mhr(arrays).to(device))
    # What was attached was made on the host.
    return network.to(device).eval().requires_grad_(False)


def fitting_network(state: Mapping[str, Tensor], config: NetworkConfig, arrays: MhrArrays, where: str) -> Network:
    """Return the network that a state and an MHR model belong to, without numbers. Raises `ReadError` where they belong to none."""
    with torch.device("meta"):
        network = Network(config)
    check_state(state, {official_key(key): tuple(value.shape) for key, value in network.state_dict().items()}, where)
    points = len(arrays.base_cm) + len(arrays.parents)
    if config.mapping[1] != points:
        raise ReadError(f"{where}: head_pose.keypoint_mapping: found weights of {config.mapping[1]} points, expected {points}, "
                        "as many as the MHR model beside it has vertices and joints; use the one that came with it")
    return network


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
        content = _read_inertly(path)
    # Whatever a file that is cut, older or made to do harm sets off.
    except Exception as error:
        raise ReadError(f"{path}: found {_stand_in(path) or f'no file of tensors alone ({_reason(error)})'}, expected SAM 3D Body's "
                        f"{STATE_FILE}, which is read without running what stands in it; get it again") from error
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


def _read_inertly(path: Path) -> Any:
    """Return what torch saved in a file; objects beside the tensors come as `_Inert`, and no code of theirs is run."""
    if not zipfile.is_zipfile(path):
        # As torch saved before 1.6; such a file can't stay on disk.
        return torch.load(path, map_location="cpu", weights_only=True)
    others = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    with torch.serialization.safe_globals([(_Inert, name) for name in others]):
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)


def _stand_in(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    return next((name for begin, name in _STAND_INS.items() if start.startswith(begin)), "")


def _reason(error: Exception) -> str:
    """Return an error's first line, without torch's advice to read the file unsafely."""
    lines = str(error).partition("WeightsUnpickler error:")[2].strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _unused(key: str) -> bool:
    return key.endswith(_UNUSED_ENDS) or key.startswith(_UNUSED_STARTS)


def _of_kind(value: Tensor, like: Tensor) -> Tensor:
    # A copy: what is read is the file itself, mapped, and a file that somebody replaces would take the process with it.
    return (value.to_dense() if value.is_sparse else value).to(like.dtype, copy=True)


def _listed(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - _AT_MOST} more" if len(keys) > _AT_MOST else ""
    return ", ".join(keys[:_AT_MOST]) + more
