"""The SAM 3D Body estimator: finds and follows people, then reads everybody's body in batches over frames and people.

Two passes over the clip: who is where, which the embedded nets tell or a detector that the user has, and then the network
on everybody's crops. What is found is kept chunk by chunk, so that a clip that was stopped goes on where it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....motion.take import Camera
from ...motion_files.sam3d_actor import actor_of_rows
from ...motion_files.sam3d_rows import PLACE
from ...people.boxes import PersonBoxes, Sighted
from ...people.options import PeopleOptions
from ...recording import Actor, Recording
from ...tracks import Progress
from ...video import Clip
from ..ahead import ahead
from .checkpoint_place import expect_checkpoint
from .focal import clip_focal
from .kept_rows import KeptRows
from .options import Sam3dOptions

if TYPE_CHECKING:
    from .runner import FrameBodies, FramePeople

_CHUNK_FRAMES = 64
_FRAME, _PERSON = "frame", "person"
_NOBODY = "found nobody in it; try a clip in which people are larger, or another --detector"
_NO_BODY = "found people in it but no whole body before the camera; rigdrop assets verify sam3d-body says whether the weights are whole"


class Sam3dBody:
    """SAM 3D Body on whole clips, for any number of people, with weights that the user brings."""

    name = "sam3d-body"

    def __init__(self, options: Sam3dOptions, people: PeopleOptions, focal_px: float | None = None) -> None:
        self._options, self._people, self._focal_px = options, people, focal_px
        expect_checkpoint(options)  # said before anything else is done

    def estimate(self, clip: Clip, on_progress: Progress | None = None, scratch: Path | None = None) -> Recording:
        """See `Estimator.estimate`; bodies are MHR's, in the axes of the camera that took the clip."""
        with ExitStack() as until_done:
            kept = KeptRows(scratch or Path(until_done.enter_context(TemporaryDirectory(prefix="rigdrop-"))))
            sighted = self._sighted(clip, kept, _first_half(on_progress))
            focal_px, focal_source = clip_focal(clip, self._focal_px, self._options.device)
            camera = _camera(clip, focal_px, focal_source)
            told = self._read_bodies(clip, kept, sighted, camera, _second_half(on_progress, len(sighted.times_s)))
            return self._recording(clip, kept, sighted, camera, told)

    def _sighted(self, clip: Clip, kept: KeptRows, on_progress: Progress | None) -> Sighted:
        """Everybody's boxes, as they were found before or are found now."""
        sighted = kept.people() if self._options.masks is None else None  # outlines are too much to keep
        if sighted is None:
            sighted = self._sight(clip, on_progress)
            kept.keep_people(sighted)
        return sighted

    def _sight(self, clip: Clip, on_progress: Progress | None) -> Sighted:
        if self._options.masks is not None:
            from ...people.sam3_masks import sight_people as follow_outlines

            return follow_outlines(clip, self._options.masks, self._people, self._options.device, on_progress)
        if self._options.detector is not None:
            from ...people.hugging_face import sight_people as detect_people

            return detect_people(clip, self._options.detector, self._people, self._options.device, on_progress)
        from ...people.embedded_boxes import sight_people

        return sight_people(clip, self._people, on_progress)

    def _read_bodies(self, clip: Clip, kept: KeptRows, sighted: Sighted, camera: Camera, on_progress: Progress) -> dict[str, Any]:
        """Read the bodies in all chunks that are not there yet; return what there is to say of the network."""
        wanted = _boxes_by_frame(sighted)
        chunks = {frame // _CHUNK_FRAMES for frame in wanted}
        missing = {chunk for chunk in chunks if not kept.has(chunk)}
        if not missing:
            return {}
        from .device import choose_device
        from .runner import RunOptions, run
        from .shared_networks import shared_network

        place = choose_device(self._options)
        network = shared_network(expect_checkpoint(self._options), place, self._options.compile_network)
        frames = _frames(clip, {frame: wanted[frame] for frame in wanted if frame // _CHUNK_FRAMES in missing}, sighted, camera)
        said: list[str] = []
        found = run(network, ahead(frames), RunOptions.of(self._options), said.append)
        _keep_chunks(kept, found, wanted, on_progress)
        return {"device": place.name, "precision": place.precision, "warnings": said}

    def _recording(self, clip: Clip, kept: KeptRows, sighted: Sighted, camera: Camera, told: Mapping[str, Any]) -> Recording:
        frames = len(sighted.times_s)
        rows = list(kept.rows(-(-frames // _CHUNK_FRAMES)))
        columns = {name: np.concatenate([part[name] for part in rows]) for name in rows[0]} if rows else {}
        actors = [actor for person in sighted.people if (actor := _actor(person, columns, frames)) is not None]
        warnings = [*clip.warnings, *sighted.warnings, *told.get("warnings", ())]
        if not actors:
            warnings.append(f"{clip.path}: {_NO_BODY if rows else _NOBODY}")
        details = {"estimator": self.name, "passes": self._options.passes, "people": dict(sighted.details), **told}
        return Recording(sighted.times_s, clip.fps, actors, camera, tuple(warnings), details)


Wanted = Mapping[int, list[PersonBoxes]]


def _boxes_by_frame(sighted: Sighted) -> dict[int, list[PersonBoxes]]:
    """Return who is in each frame that has anybody, in the order of frames and of people."""
    pairs = sorted((frame, number) for number, person in enumerate(sighted.people) for frame in person.frame.tolist())
    wanted: dict[int, list[PersonBoxes]] = {}
    for frame, number in pairs:
        wanted.setdefault(frame, []).append(sighted.people[number])
    return wanted


def _frames(clip: Clip, wanted: Wanted, sighted: Sighted, camera: Camera) -> Iterator[FramePeople]:
    """Yield the pictures that have anybody, with everybody's boxes and outlines."""
    from .runner import FramePeople

    last = max(wanted)
    for frame in clip.frames():
        if frame.index > last:
            return
        people = wanted.get(frame.index)
        if people is None:
            continue
        boxes = np.stack([person.box_xyxy[np.searchsorted(person.frame, frame.index)] for person in people])
        masks, scores = _masks(people, sighted, frame.index, frame.image_bgr.shape[:2])
        rgb = np.ascontiguousarray(frame.image_bgr[..., ::-1])
        yield FramePeople(frame.index, rgb, boxes, camera.intrinsics_px, masks, scores)


def _masks(
    people: list[PersonBoxes], sighted: Sighted, frame: int, size: tuple[int, int]
) -> tuple[NDArray[np.uint8] | None, NDArray[np.float32] | None]:
    """Return everybody's outlines (P,H,W), and which (P,) there are: 1 or 0."""
    if sighted.mask_of is None:
        return None, None
    found = [sighted.mask_of(person.id, frame) for person in people]
    nothing = np.zeros(size, np.uint8)
    masks = np.stack([nothing if mask is None else mask for mask in found])
    return masks, np.array([mask is not None for mask in found], np.float32)


def _keep_chunks(kept: KeptRows, found: Iterator[FrameBodies], wanted: Wanted, on_progress: Progress) -> None:
    """Keep bodies, which come in the order of frames, as soon as a chunk is whole."""
    chunk, gathered = -1, list[dict[str, NDArray[Any]]]()
    for bodies in found:
        on_progress(bodies.frame + 1, None)
        if bodies.frame // _CHUNK_FRAMES != chunk:
            _keep_chunk(kept, chunk, gathered)
            chunk, gathered = bodies.frame // _CHUNK_FRAMES, []
        people = wanted[bodies.frame]
        at = np.flatnonzero(bodies.ok)  # who was no number at all is as if not seen
        who = {_FRAME: np.full(len(at), bodies.frame), _PERSON: np.array([people[row].id for row in at.tolist()], np.int64)}
        gathered.append({**who, **{name: column[at] for name, column in bodies.columns.items()}})
    _keep_chunk(kept, chunk, gathered)


def _keep_chunk(kept: KeptRows, chunk: int, gathered: list[dict[str, NDArray[Any]]]) -> None:
    if gathered:
        kept.keep(chunk, {name: np.concatenate([part[name] for part in gathered]) for name in gathered[0]})


def _actor(person: PersonBoxes, columns: Mapping[str, NDArray[Any]], frames: int) -> Actor | None:
    """A person from their rows; nobody where somebody else hides them in every frame, or nothing was read of them."""
    if not columns:
        return None
    mine = np.flatnonzero(columns[_PERSON] == person.id)
    place = np.searchsorted(person.frame, columns[_FRAME][mine])
    # A body behind the camera is none.
    clear = ~person.occluded[place] & (columns[PLACE][mine, 2] > 0)
    if not clear.any():
        return None
    rows = mine[clear]
    return actor_of_rows(person.id, columns[_FRAME][rows], {name: column[rows] for name, column in columns.items()}, frames,
                         confidence=person.score[place[clear]])


def _camera(clip: Clip, focal_px: float, focal_source: str) -> Camera:
    K = np.array([[focal_px, 0, clip.width / 2], [0, focal_px, clip.height / 2], [0, 0, 1.0]])
    return Camera(clip.width, clip.height, K, np.eye(4), focal_source)


def _first_half(on_progress: Progress | None) -> Progress | None:
    if on_progress is None:
        return None
    return lambda done, total: on_progress(done, None if total is None else 2 * total)


def _second_half(on_progress: Progress | None, frames: int) -> Progress:
    return lambda done, _: None if on_progress is None else on_progress(frames + done, 2 * frames)
