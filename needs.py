"""What a conversion needs beside its source: files that its settings name, bodies and weights that are fetched once."""

from __future__ import annotations

from pathlib import Path

from .assets import install, list_states, where
from .config.settings import Settings
from .errors import ReadError
from .events import Emit, silent
from .files import listing_of, sha256_of


def _named_files(settings: Settings) -> list[Path]:
    """Return the files, named by ``settings``, of which the motion comes beside its source: hands, a map of joints, a pose, a character."""
    rig, motion = settings.rig, settings.motion_files
    named = (motion.hand_poses, motion.joint_map, settings.bind.bind_pose, rig.rig, rig.rig_map)
    return [path for name in named if name and (path := Path(name)).suffix and path.is_file()]


def _named_folders(settings: Settings) -> list[Path]:
    """Return the folders of weights, named by ``settings``, of which the motion comes."""
    if settings.pose.estimator != "sam3d-body":
        return []
    named = (settings.sam3d.checkpoint or where("sam3d-body"), settings.sam3d.detector, settings.sam3d.masks)
    return [path for path in named if path is not None]


def contents_named(settings: Settings) -> list[str]:
    """Tell apart what the settings name beside the source: files by what is in them, folders of weights by their listing.

    Raises `ReadError` where one is there and can't be read.
    """
    told, at = list[str](), Path()
    try:
        for at in _named_files(settings):
            told.append(sha256_of(at))
        for at in _named_folders(settings):
            told.append(listing_of(at))
    except OSError as error:
        place = error.filename or at
        raise ReadError(f"{place}: can't be read ({error.strerror}); whoever converts needs to read what settings name") from error
    return told


def fetch_parts(settings: Settings, emit: Emit = silent) -> None:
    """Fetch the bodies and weights that a video needs and are not there yet; nothing is asked of the network otherwise."""
    missing = [state.asset.name for state in list_states(_parts(settings)) if state.state == "missing"]
    if missing:
        emit("stage", take="assets", stage="fetch")
        install(missing, on_progress=lambda done, total: emit("progress", stage="fetch", done=done, total=total))


def _parts(settings: Settings) -> list[str]:
    sam3d = settings.pose.estimator == "sam3d-body"
    body = [] if settings.rig.rig == "mhr" or (sam3d and settings.rig.rig == "auto") else ["anny"]
    if sam3d and not (settings.sam3d.detector or settings.sam3d.masks):
        return [*body, "pose_detection", "pose_landmark_full"]  # people are found by the embedded nets, their bodies aren't
    if settings.pose.estimator != "blazepose":
        return body
    landmarks = "pose_landmark_heavy" if settings.pose.quality == "high" else "pose_landmark_full"
    return [*body, "pose_detection", landmarks, "hand_recrop", "hand_landmark_full"]
