"""One take from its source to its files: the only place that knows the order of the stages.

    source ─ estimate ─ fit ─ store ─▶ take.h5 ─ write, verify ─▶ person_01/… ─ preview ─▶ report.json

Every file appears whole or not at all, and ``report.json`` last: a folder with a report is a folder that is done. A take
that was stored with the same source, options and version is taken as it is, so that a stopped conversion goes on where
it was and another format costs only its writing.
"""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .config.settings import Settings
from .convert.character import People
from .embody import embody, mhr_folder
from .errors import RigdropError, SettingsError, UsageError, WriteError, error_with_code
from .events import Emit, silent
from .files import atomic_path, sha256_of
from .formats.bundle import write_bundle
from .formats.pictures import companions
from .formats.registry import Format, format_named
from .ingest.heap import give_back
from .ingest.motion_files.cut import cut_recording
from .ingest.motion_files.registry import expect_reader, is_motion_file, read_recording
from .ingest.observation_store import read_observations, write_observations
from .ingest.pose.ahead import ahead
from .ingest.pose.protocol import load_estimator
from .ingest.recording import Recording
from .ingest.tracks import Observations, Progress
from .ingest.video import Frame, open_clip
from .ingest.video_options import VideoOptions
from .journal import Journal
from .motion.store import open_take, read_take, write_take
from .motion.take import Take
from .naming import unicode_name
from .needs import contents_named, fetch_parts
from .render.preview import empty_frames, write_preview
from .report import (
    REPORT_NAME,
    all_settled,
    carry_over,
    describe_file,
    describe_person,
    describe_verification,
    forget_peak_memory,
    note_unsettled,
    peak_memory_mb,
    read_report,
    report_header,
    settle_old_files,
    unsettled_files,
    up_to_date,
    write_report,
)

TAKE_NAME = "take.h5"
_JOURNAL_NAME = "journal.json"
_OBSERVATIONS_NAME = "observations.h5"
_UNFINISHED_NAME = ".unfinished"


@dataclass(frozen=True)
class TakeReport:
    """What a conversion left behind: the folder, and what ``report.json`` in it says."""

    folder: Path
    content: Mapping[str, Any]
    skipped: bool = False
    problems: tuple[RigdropError, ...] = ()  # formats that were asked for and could not be written


def convert_clip(source: Path, folder: Path, settings: Settings, emit: Emit = silent) -> TakeReport:
    """Bring a video, or a stored take, into ``folder`` as the files that ``settings`` ask for.

    Nothing is done where the folder's report says that the same source, options and version were converted and every
    file is there, unless ``settings.output.force``. Raises the errors of the stages; what is whole by then stays.
    """
    conversion = Conversion(source, folder, settings, emit)
    emit("take", take=folder.name, source=str(source))
    if not settings.output.force and up_to_date(folder, conversion.old, conversion.fingerprint):
        emit("skipped", take=folder.name, folder=str(folder))
        return TakeReport(folder, conversion.old, skipped=True)
    if not conversion.has_take():
        conversion.estimate()
        conversion.fit()
    conversion.store()
    for name in settings.output.format:
        conversion.write(name)
        conversion.verify(name)
    conversion.write_extras()
    conversion.draw()
    return conversion.finish()


@dataclass(frozen=True)
class Known:
    """What a caller knows about a source, and where it will be when all is done."""

    sha256: str = ""  # of its content; found out where it is not said
    kept_at: Path | None = None  # nothing: where it is
    notes: Mapping[str, Any] = field(default_factory=dict)  # goes into the report as it is


class Conversion:
    """One take on its way, stage by stage: `estimate`, `fit`, `store`, `write`, `verify`, `write_extras`, `draw`, `finish`.

    With a ``scratch`` folder each stage leaves there what the next ones need, so that another process can go on with the
    first stage that is missing; running a stage again does no harm. Without one everything is kept in memory.
    """

    def __init__(
        self, source: Path, folder: Path, settings: Settings, emit: Emit = silent, scratch: Path | None = None, known: Known | None = None
    ) -> None:
        self.source, self.folder, self.settings, self.emit = source, folder, settings, emit
        self.scratch, self.known = scratch, known or Known()
        self.is_take = source.suffix == ".h5"
        # A look inside comes first: it says best what is wrong with a file that can't be read.
        self.is_motion = not self.is_take and is_motion_file(source)
        if self.is_motion:
            expect_reader(source)
        self.clip = None if self.is_take or self.is_motion else open_clip(source, settings.video)
        self.motion_fingerprint = self._motion_fingerprint()
        self.fingerprint = settings.files_fingerprint(self.motion_fingerprint, __version__)
        self.preview_fingerprint = settings.preview_fingerprint(self.motion_fingerprint, __version__)
        self.old = read_report(folder)
        self._unsettled = unsettled_files(folder, self.old)
        self.journal = Journal() if scratch is None else Journal.read(scratch / _JOURNAL_NAME)
        self._seen: Observations | Recording | None = None
        self._take: Take | None = None

    def _motion_fingerprint(self) -> str:
        """Tell apart takes that differ in source, version or an option of the stages before the store."""
        if self.is_take:
            with open_take(self.source) as stored:
                self.source_sha256 = str(stored.attributes["source_sha256"])
                return str(stored.provenance.get("fingerprint") or sha256_of(self.source))
        self.source_sha256 = self.known.sha256 or sha256_of(self.source)
        return self.settings.motion_fingerprint(self.source_sha256, __version__, *contents_named(self.settings))

    def has_take(self) -> bool:
        """Tell whether there is a take already: the source is one, or the folder holds the one that would come out."""
        if not self.is_take and (self.settings.output.force or not _holds(self._stored, self.motion_fingerprint)):
            return False
        self.emit("stored", take=self.folder.name, file=str(self._stored))
        return True

    def estimate(self) -> None:
        """Look at the clip, or read the motion file: who is in it, and how they move."""
        if not self.is_motion:
            fetch_parts(self.settings, self.emit)
        with self._stage("estimate"):
            self._seen = seen = self._read() if self.is_motion else self._look()
            for warning in (*(self.clip.warnings if self.clip else ()), *_warnings_of(seen)):
                self._warn(warning)
            if self.scratch is not None and isinstance(seen, Observations):
                write_observations(self.scratch / _OBSERVATIONS_NAME, seen)

    def fit(self) -> None:
        """Make characters of what was seen."""
        if not self.is_motion:  # whose body is fetched when it is known which, if any
            fetch_parts(self.settings, self.emit)
        seen = self._what_was_seen()
        with self._stage("fit"):
            fitted, times_s = embody(seen, self.settings, self.is_motion, self._progress("fit"))
            for warning in fitted.details.get("warnings", ()):
                self._warn(warning)
            if not fitted.people:
                self._warn(f"{self.source.name}: no people were found; the take is empty")
        self._take = self._new_take(seen, fitted, times_s)
        self._seen = None
        give_back()  # the fit of a long clip needs far more than it leaves
        if self.scratch is not None:
            write_take(self.scratch / TAKE_NAME, self._take)

    def store(self) -> None:
        """Put the take into the folder; from now on the folder is not done until `finish`."""
        target, fitted = self.folder / TAKE_NAME, self._fitted
        if self._unsettled:
            note_unsettled(self.folder, self._unsettled)
        _unlink(self.folder / REPORT_NAME)
        with self._stage("store"):
            if self.is_take:
                if not (target.exists() and target.samefile(self.source)):
                    with atomic_path(target) as temporary:
                        shutil.copyfile(self.source, temporary)
            elif fitted is not None and fitted.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                fitted.replace(target)
            elif self._take is not None:
                write_take(target, self._take)
            self.journal.people = [describe_person(self.take, person) for person in self.take.people]
        shutil.rmtree(self._unfinished, ignore_errors=True)
        self._wrote(target)

    def write(self, name: str) -> None:
        """Write one format for everybody."""
        form, options = format_named(name), self.settings.format_options(name)
        with self._stage(f"write {name}"):
            for person, entry in zip(self.take.people, self.journal.people, strict=True):
                path = person_file(self.folder, person.id, form, options)
                entry["files"] = [written for written in entry["files"] if written["format"] != name]
                try:
                    form.write(self.take, person, path, options)
                except (SettingsError, UsageError) as error:
                    self._could_not(name, error)
                    break
                for written in (path, *companions(path)):
                    self._wrote(written)
                entry["files"].append({"format": name, **describe_file(self.folder, path)})

    def verify(self, name: str) -> None:
        """Read what `write` wrote back, and note how far it is from the take."""
        form, options = format_named(name), self.settings.format_options(name)
        with self._stage(f"verify {name}"):
            for person, entry in zip(self.take.people, self.journal.people, strict=True):
                for written in (file for file in entry["files"] if file["format"] == name):
                    path = self.folder / written["file"]
                    report = form.verify(self.take, person, path, options)
                    written["verify"] = describe_verification(report)
                    if not report.ok:
                        self._warn(f"{path.name}: {', '.join(report.broken_rules)}")

    def write_extras(self) -> None:
        """Write what holds all people: the scene that references their stages, and the bundle of everything so far."""
        output, take = self.settings.output, self.take
        if output.scene and take.people:
            from .formats.scene import write_scene  # USD's libraries, which few conversions without usd-skel need

            path = self.folder / "scene.usdc"
            form, options = format_named("usd-skel"), self.settings.format_options("usd-skel")
            with self._stage("scene"):
                write_scene(take, {person.id: person_file(self.folder, person.id, form, options) for person in take.people}, path, options)
            self._wrote(path)
        if output.bundle:
            path = self.folder / f"{self.folder.name}_bundle.zip"
            with self._stage("bundle"):
                write_bundle(self.folder, path, [self.folder / file for file in self.journal.files])
            self._wrote(path)

    def draw(self) -> None:
        """Draw the pictures to look at, where they are wanted, the clip is still there, and they don't show this motion already."""
        take = self.take
        if not self.settings.output.preview or not take.people:
            return
        video, sheet = self.folder / "preview.mp4", self.folder / "preview.png"
        shown = self.old.get("preview_fingerprint") == self.preview_fingerprint and video.is_file() and sheet.is_file()
        if shown and not self.settings.output.force:
            self.journal.files += [file for file in (video.name, sheet.name) if file not in self.journal.files]
            return
        pictures = self._pictures_of(take)
        if pictures is None:
            return
        with self._stage("preview"):
            write_preview(take, ahead(pictures), video, sheet, self.settings.preview, self._progress("preview"))
        self._wrote(video)
        self._wrote(sheet)

    def finish(self) -> TakeReport:
        """Settle what an older conversion left, then write the report, which says that the folder is done."""
        take, journal = self.take, self.journal
        files = [self.folder / file for file in journal.files]
        if self.old.get("motion_fingerprint") == self.motion_fingerprint:
            files += carry_over(self.folder, self.old, journal.people)
        settle_old_files(self.folder, self._unsettled, files)
        content = {
            **report_header(take, self.folder.name), "source": str(take.provenance.get("source", self._kept_at)),
            "fingerprint": self.fingerprint, "motion_fingerprint": self.motion_fingerprint, "preview_fingerprint": self.preview_fingerprint,
            **self.known.notes,
            "people": journal.people,
            "files": [describe_file(self.folder, path) for path in files],
            "stages": journal.stages, "warnings": journal.warnings, "problems": [problem["message"] for problem in journal.problems],
        }
        write_report(self.folder, content)
        all_settled(self.folder)
        self.emit("done", take=self.folder.name, folder=str(self.folder), people=len(journal.people), warnings=len(journal.warnings))
        problems = tuple(error_with_code(problem["exit_code"], problem["message"]) for problem in journal.problems)
        return TakeReport(self.folder, content, problems=problems)

    @property
    def take(self) -> Take:
        """The take, read from the folder where this process has not made it."""
        if self._take is None:
            self._take = read_take(self._stored)
            if not self.journal.stages:
                self.journal.stages += self._take.provenance.get("stages", ())
                self.journal.warnings += self._take.provenance.get("warnings", ())
        return self._take

    @property
    def _stored(self) -> Path:
        return self.source if self.is_take else self.folder / TAKE_NAME

    @property
    def _fitted(self) -> Path | None:
        return None if self.scratch is None else self.scratch / TAKE_NAME

    @property
    def _kept_at(self) -> Path:
        return self.known.kept_at or self.source.absolute()

    @property
    def _unfinished(self) -> Path:
        """Where estimators keep what they have so far."""
        return (self.scratch or self.folder) / _UNFINISHED_NAME

    def _what_was_seen(self) -> Observations | Recording:
        """What `estimate` found, here or in a process that is no more."""
        if self._seen is not None:
            return self._seen
        if self.is_motion:
            return self._read()
        assert self.scratch is not None, "fit comes after estimate"
        kept = self.scratch / _OBSERVATIONS_NAME
        # An estimator that hands over motion keeps what it found itself.
        return read_observations(kept) if kept.is_file() else self._look()

    def _look(self) -> Observations | Recording:
        assert self.clip is not None
        kept = self._unfinished / self.settings.estimate_fingerprint(self.source_sha256, __version__, *contents_named(self.settings))[:16]
        return load_estimator(self.settings.estimator_options).estimate(self.clip, self._progress("estimate"), kept)

    def _read(self) -> Recording:
        options = self.settings.motion_files
        # Without MHR's rig there is nothing of its people but their meshes.
        whole = read_recording(self.source, options if mhr_folder(self.settings) else replace(options, keep_vertices=True))
        return cut_recording(whole, self.settings.video, self.source)

    def _new_take(self, seen: Observations | Recording, fitted: People, times_s: NDArray[np.float64]) -> Take:
        provenance = {
            "take": self.folder.name, "timecode": self.clip.timecode if self.clip else None, "source": str(self._kept_at),
            "kind": "motion" if self.is_motion else "video", "fingerprint": self.motion_fingerprint,
            "settings": self.settings.as_table(), "video": asdict(self.settings.video), "stages": self.journal.stages,
            "estimate": dict(seen.details), "fit": fitted.details, "warnings": self.journal.warnings,
        }
        rate = self.settings.video.rate if self.is_motion else None  # a clip's own rate is what it was sampled at
        return Take(
            times_s=times_s, fps=rate or seen.fps, camera=fitted.camera, people=fitted.people,
            source_name=unicode_name(self.source.name),
            source_sha256=self.source_sha256, created_utc=_now(), rigdrop_version=__version__, provenance=provenance,
        )

    def _pictures_of(self, take: Take) -> Iterator[Frame] | None:
        """The pictures that a take was made of, empty ones for motion that nobody filmed; nothing, and a warning, where they are gone."""
        if self.clip is not None:
            return _held_first(self.clip.frames(), self.settings.bind.lead_in)
        if take.provenance.get("kind") == "motion":
            return empty_frames(take)
        path = Path(str(take.provenance.get("source", "")))
        # A service numbers clips of one name when it puts them away.
        others = path.parent.glob(f"{escape(path.stem)}_*{escape(path.suffix)}")
        found = next((file for file in (path, *sorted(others)) if file.is_file() and sha256_of(file) == take.source_sha256), None)
        if found is None:
            what = "holds another clip now" if path.is_file() else "has no clip any more"
            self._warn(f"{take.source_name}: {path} {what}; there is no preview")
            return None
        frames = open_clip(found, VideoOptions(**take.provenance["video"])).frames()
        return _held_first(frames, int(take.provenance.get("settings", {}).get("lead-in", 0)))

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        """Time a stage, keep what it warns of, and note on the disk that it is over."""
        self.emit("stage", take=self.folder.name, stage=name)
        forget_peak_memory()
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:
            self._warn(str(warning.message))
        self.journal.spent(name, time.perf_counter() - start, peak_memory_mb() or 0.0)
        self._keep()

    def _keep(self) -> None:
        if self.scratch is not None:
            self.journal.write(self.scratch / _JOURNAL_NAME)

    def _progress(self, stage: str) -> Progress:
        return lambda done, total: self.emit("progress", take=self.folder.name, stage=stage, done=done, total=total)

    def _warn(self, message: str) -> None:
        """Keep a warning for the report, and say it."""
        if message not in self.journal.warnings:
            self.journal.warnings.append(message)
            self.emit("warning", take=self.folder.name, message=message)

    def _could_not(self, format_name: str, error: RigdropError) -> None:
        """Note that a format can't be written: a clip that is too long for one must not cost the others."""
        self._warn(f"{format_name}: not written: {error}")
        if self.settings.output.format_was_chosen:
            self.journal.problems.append({"message": str(error), "exit_code": error.exit_code})

    def _wrote(self, path: Path) -> None:
        """Note a file that is whole."""
        file = path.relative_to(self.folder).as_posix()
        self.journal.wrote(file)
        self._keep()
        if self.scratch is None and file not in self._unsettled:  # with one, the folder is new, and the journal knows
            self._unsettled.append(file)
            note_unsettled(self.folder, self._unsettled)
        self.emit("file", take=self.folder.name, file=str(path))


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: can't be removed ({error.strerror or error}); choose another --out") from error


def _held_first(frames: Iterator[Frame], more: int) -> Iterator[Frame]:
    """Yield pictures as rows of a take whose motion begins later: the first stays until then."""
    for frame in frames:
        if frame.index == 0:
            yield from (replace(frame, index=row) for row in range(more))
        yield replace(frame, index=frame.index + more)


def _holds(stored: Path, fingerprint: str) -> bool:
    if not stored.is_file():
        return False
    try:
        with open_take(stored) as take:
            return take.provenance.get("fingerprint") == fingerprint
    except RigdropError:
        return False


def person_file(folder: Path, person_id: str, form: Format, options: Any) -> Path:
    """Return where a person's file goes: ``OUT/clip/person_01/clip_person_01_skeletal.glb``."""
    return folder / person_id / form.file_name(f"{folder.name}_{person_id}", options)


def _warnings_of(seen: Observations | Recording) -> Sequence[str]:
    return seen.warnings if isinstance(seen, Recording) else seen.details.get("warnings", ())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
