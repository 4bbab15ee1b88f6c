"""What a person looks at first: a video and a contact sheet of the fitted bodies, over the source and from the side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import SettingsError, WriteError
from ..files import write_bytes
from ..ingest.video import Frame
from ..motion.take import Person, Take
from .encode import EncodeOptions, video_writer
from .painter import Surface
from .panels import OrbitPanel, OverlayPanel, colour_of, write_label
from .playback import joints_by_frame, joints_in
from .puppet import Cast, Puppet, coarse_cast, coarse_puppet

Array = NDArray[np.floating]
Picture = NDArray[np.uint8]
Progress = Callable[[int, int | None], None]

# Frames that are looked at to find out how much room the motion takes.
_FRAMES_FOR_BOUNDS = 200
_GREY = 70
# A joint has flesh around it.
_FLESH_M = 0.12
# Of a mesh so many vertices tell how much room it takes.
_VERTICES_FOR_BOUNDS = 100


@dataclass(frozen=True)
class PreviewOptions:
    """The pictures to look at."""

    height: int = 540
    """Height of the video in pixels; a smaller source keeps its own."""
    max_fps: float = 30.0
    """Show no more frames a second than this."""
    max_frames: int = 1800
    """Show no more frames than this in all: of a longer clip every second, third … frame is shown, at its own time."""
    triangles: int = 2000
    """Triangles of each body."""
    moments: int = 12
    """Pictures on the contact sheet."""
    sheet_columns: int = 3
    """Columns of the contact sheet."""
    sheet_width: int = 1920
    """Width of the contact sheet in pixels."""

    def __post_init__(self) -> None:
        for name in ("height", "max_fps", "max_frames", "triangles", "moments", "sheet_columns", "sheet_width"):
            if not getattr(self, name) > 0:
                raise SettingsError(f"preview: {name}: found {getattr(self, name)}, expected more than 0")


def write_preview(
    take: Take, frames: Iterable[Frame], video_path: Path, sheet_path: Path, options: PreviewOptions = PreviewOptions(),
    on_progress: Progress | None = None,
) -> None:
    """Write a video (H.264, mp4) and a contact sheet (png) of a take, in one pass over the source's frames.

    ``frames`` are the ones that the take was made of: a frame's ``index`` is its row in the take. On the left the source
    with the bodies over it, on the right the bodies from three quarters on a ground grid of one metre. A person is pale
    where he was not seen but filled in.
    """
    shown = shown_frames(take.times_s, options)
    on_sheet = set(np.asarray(shown)[np.linspace(0, len(shown) - 1, min(options.moments, len(shown))).round().astype(int)].tolist())
    painter = _Painter(take, options)
    columns = min(options.sheet_columns, len(on_sheet))
    tile_width = min(painter.width, options.sheet_width // columns)
    wanted, tiles = set(shown), []
    with video_writer(video_path, painter.width, painter.height, take.fps, EncodeOptions()) as video:
        for frame, worlds in zip(frames, joints_by_frame(take), strict=False):
            if frame.index not in wanted:
                continue
            picture = painter.picture(frame.image_bgr, worlds, frame.index)
            if frame.index in on_sheet:
                tiles.append(painter.label(_scaled(picture, tile_width), frame.index))
            video.add(painter.label(picture, frame.index), float(take.times_s[frame.index] - take.times_s[0]))
            if on_progress:
                on_progress(frame.index + 1, take.frame_count)
    _write_png(sheet_path, contact_sheet(tiles, columns))


def empty_frames(take: Take) -> Iterator[Frame]:
    """Yield pictures for motion that nobody filmed: an even grey, of the size that the take's camera has."""
    picture = np.full((take.camera.height, take.camera.width, 3), _GREY, dtype=np.uint8)
    for index, time_s in enumerate(take.times_s):
        yield Frame(index, float(time_s), picture)


def shown_frames(times_s: Array, options: PreviewOptions) -> list[int]:
    """The frames of a clip that a preview shows: evenly spread, so that neither rate nor number is above the options'."""
    count, seconds = len(times_s), float(times_s[-1] - times_s[0])
    rate = (count - 1) / seconds if seconds > 0 else 0.0
    step = max(1, int(np.ceil(rate / options.max_fps - 0.05)), int(np.ceil(count / options.max_frames)))
    return list(range(0, count, step))


def contact_sheet(tiles: Sequence[Picture], columns: int) -> Picture:
    """Put pictures (h,w,3) of one size side by side in rows; a row that is not full is filled with black."""
    filled = [*tiles, *[np.zeros_like(tiles[0])] * (-len(tiles) % columns)]
    return np.vstack([np.hstack(filled[row : row + columns]) for row in range(0, len(filled), columns)])


def _scaled(picture: Picture, width: int) -> Picture:
    height = max(1, round(picture.shape[0] * width / picture.shape[1]))
    return np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)


class _Painter:
    """Draws a preview's frames: both panels, names and times."""

    def __init__(self, take: Take, options: PreviewOptions) -> None:
        self._take = take
        colours = [np.array(colour_of(index)) for index in range(len(take.people))]
        self._drawn = [(coarse_puppet if person.vertices_m is None else coarse_cast)(person.rig, colour, options.triangles)
                       for person, colour in zip(take.people, colours, strict=True)]
        self.height = min(options.height, take.camera.height) // 2 * 2
        source_width = max(2, round(take.camera.width * self.height / take.camera.height / 2) * 2)
        self.width = source_width + self.height
        self._overlay = OverlayPanel(take.camera, source_width, self.height)
        self._orbit = OrbitPanel(*_extent(take), self.height)

    def picture(self, image_bgr: Picture, worlds: Sequence[Array], frame: int) -> Picture:
        """One frame (height, width, 3) with every person's T_world_joint (J,4,4), or as the meshes are that were kept of them."""
        people = [_posed(drawn, person, world, frame) for drawn, person, world in zip(self._drawn, self._take.people, worlds, strict=True)]
        visible = [bool(person.motion.visible[frame]) for person in self._take.people]
        names = [person.id for person in self._take.people]
        return np.hstack([self._overlay.picture(image_bgr, people, visible, names, frame), self._orbit.picture(people, visible)])

    def label(self, picture: Picture, frame: int) -> Picture:
        """Write time, frame and who is there into a picture of any size, in place."""
        height, width = picture.shape[:2]
        size = float(np.clip(height / 900, 0.4, 0.7))
        line, right = round(36 * size), width - round(width * self.height / self.width)
        time_s = float(self._take.times_s[frame])
        write_label(picture, f"{int(time_s // 60):02d}:{time_s % 60:06.3f}  #{frame}", line // 2, height - line // 2, size)
        for index, person in enumerate(self._take.people):
            name = person.id if person.motion.visible[frame] else f"{person.id} (filled in)"
            write_label(picture, name, right + line // 2, line * (index + 1), size, colour_of(index))
        return picture


def _posed(drawn: Puppet | Cast, person: Person, T_world_joint: Array, frame: int) -> Surface:
    if isinstance(drawn, Cast):
        assert person.vertices_m is not None, "whose meshes were kept is drawn by them"
        return drawn.posed(person.vertices_m[frame])
    weights = person.motion.morph_weights
    return drawn.posed(T_world_joint, None if weights is None else weights[frame])


def _extent(take: Take) -> tuple[Array, list[Array]]:
    """Places (N,3) that must be in the picture, and every person's path (F,3)."""
    rows = np.unique(np.linspace(0, take.frame_count - 1, min(_FRAMES_FOR_BOUNDS, take.frame_count)).astype(int))
    places, paths = [np.array([[-0.5, 0.0, -0.5], [0.5, 1.0, 0.5]])] if not take.people else [], []
    for person in take.people:
        joints = joints_in(person, rows)[:, :, :3, 3]
        places += _room(person, rows, joints)
        paths.append(joints[:, person.rig.skeleton.semantic.get("pelvis", 0)])
    return np.concatenate(places), paths


def _room(person: Person, rows: NDArray[np.integer], joints_m: Array) -> list[Array]:
    """Places (N,3) that somebody takes in some frames (R,), whose joints (R,J,3) are known."""
    if person.vertices_m is None:
        return [joints_m.reshape(-1, 3) - _FLESH_M, joints_m.reshape(-1, 3) + _FLESH_M]
    step = max(1, person.vertices_m.shape[1] // _VERTICES_FOR_BOUNDS)
    meshes = (person.vertices_m[row] for row in rows)
    return [np.concatenate([mesh[::step], mesh.min(axis=0)[None], mesh.max(axis=0)[None]]) for mesh in meshes]


def _write_png(path: Path, picture: Picture) -> None:
    done, data = cv2.imencode(".png", picture)
    if not done:
        raise WriteError(f"{path}: the picture can't be encoded as PNG")
    write_bytes(path, data.tobytes())
