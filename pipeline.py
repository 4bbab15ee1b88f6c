"""One take from its source to its files: the only place that knows the order of the stages.

    source ─ estimate ─ fit ─ store ─▶ take.h5 ─ write, verify ─▶ person_01/… ─ preview ─▶ report.json

Every file appears whole or not at all, and ``report.json`` last: a folder with a report is a folder that is done. A take
that was stored with the same source, options and version is taken as it is, so that a stopped conversion goes on where
it was and another format costs only its writing.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from . import __version__
from .assets import install, list_states
from .config.settings import Settings
from .convert.character import CharacterOptions, People, fit_people
from .convert.rigs.registry import load_rig
from .errors import RigdropError, SettingsError, UsageError
from .files import atomic_path, sha256_of
from .formats.bundle import write_bundle
from .formats.registry import Format, format_named
from .ingest.pose.ahead import ahead
from .ingest.pose.protocol import load_estimator
from .ingest.tracks import Observations
from .ingest.video import Clip, open_clip
from .ingest.video_options import VideoOptions
from .motion.store import open_take, read_take, write_take
from .motion.take import Person, Take
from .render.preview import write_preview
from .report import (
    REPORT_NAME,
    carry_over,
    describe_file,
    describe_person,
    describe_verification,
    forget_peak_memory,
    peak_memory_mb,
    read_report,
    report_header,
    settle_old_files,
    up_to_date,
    write_report,
)

TAKE_NAME = "take.h5"


class Emit(Protocol):
    """Takes what happens, as it happens: ``emit("progress", stage="estimate", done=3, total=90)``."""

    def __call__(self, event: str, /, **fields: object) -> None:
        """Take one event: ``take``, ``stage``, ``progress``, ``file``, ``warning``, ``skipped`` or ``done``."""


def silent(event: str, /, **fields: object) -> None:
    """Take events and do nothing with them."""


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
    run = _Run(source, folder, settings, emit)
    emit("take", take=folder.name, source=str(source))
    if not settings.output.force and up_to_date(folder, run.old, run.fingerprint):
        emit("skipped", take=folder.name, folder=str(folder))
        return TakeReport(folder, run.old, skipped=True)
    take = _take(run)
    (folder / REPORT_NAME).unlink(missing_ok=True)
    _store(run, take)
    people = [_write_person(run, take, person) for person in take.people]
    _write_extras(run, take)
    _write_preview(run, take)
    return _finish(run, take, people)


@dataclass
class _Run:
    """What the stages of one conversion share."""

    source: Path
    folder: Path
    settings: Settings
    emit: Emit
    stages: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    problems: list[RigdropError] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.is_take = self.source.suffix == ".h5"
        # A look inside comes first: it says best what is wrong with a file that can't be read.
        self.clip = None if self.is_take else open_clip(self.source, self.settings.video)
        self.motion_fingerprint = self._motion_fingerprint()
        self.fingerprint = self.settings.files_fingerprint(self.motion_fingerprint, __version__)
        self.preview_fingerprint = self.settings.preview_fingerprint(self.motion_fingerprint, __version__)
        self.old = read_report(self.folder)

    def _motion_fingerprint(self) -> str:
        """Tell apart takes that differ in source, version or an option of the stages before the store."""
        if self.is_take:
            with open_take(self.source) as stored:
                self.source_sha256 = str(stored.attributes["source_sha256"])
                return str(stored.provenance.get("fingerprint") or sha256_of(self.source))
        self.source_sha256 = sha256_of(self.source)
        return self.settings.motion_fingerprint(self.source_sha256, __version__)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a stage; what it spends is added to what it spent before."""
        self.emit("stage", take=self.folder.name, stage=name)
        forget_peak_memory()
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:
            self.warn(str(warning.message))
        spent = next((stage for stage in self.stages if stage["stage"] == name), None)
        if spent is None:
            spent = {"stage": name, "seconds": 0.0, "peak_memory_mb": 0.0}
            self.stages.append(spent)
        spent["seconds"] = round(spent["seconds"] + time.perf_counter() - start, 3)
        spent["peak_memory_mb"] = max(spent["peak_memory_mb"], peak_memory_mb() or 0.0)

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Say how far a stage is."""
        self.emit("progress", take=self.folder.name, stage=stage, done=done, total=total)

    def warn(self, message: str) -> None:
        """Keep a warning for the report, and say it."""
        if message not in self.warnings:
            self.warnings.append(message)
            self.emit("warning", take=self.folder.name, message=message)

    def wrote(self, path: Path) -> None:
        """Note a file that is whole."""
        self.files.append(path)
        self.emit("file", take=self.folder.name, file=str(path))


def _take(run: _Run) -> Take:
    """The take: the source itself, the one in the folder where it still holds, else a new one."""
    stored = run.source if run.is_take else run.folder / TAKE_NAME
    if not run.is_take and (run.settings.output.force or not _holds(stored, run.motion_fingerprint)):
        return _new_take(run)
    run.emit("stored", take=run.folder.name, file=str(stored))
    take = read_take(stored)
    run.stages += take.provenance.get("stages", ())
    run.warnings += take.provenance.get("warnings", ())
    return take


def _holds(stored: Path, fingerprint: str) -> bool:
    if not stored.is_file():
        return False
    try:
        with open_take(stored) as take:
            return take.provenance.get("fingerprint") == fingerprint
    except RigdropError:
        return False


def fetch_parts(settings: Settings, emit: Emit = silent) -> None:
    """Fetch the bodies and weights that ``settings`` need and are not there yet; nothing is asked of the network otherwise."""
    missing = [state.asset.name for state in list_states(_parts(settings)) if state.state == "missing"]
    if missing:
        emit("stage", take="assets", stage="fetch")
        install(missing, on_progress=lambda done, total: emit("progress", stage="fetch", done=done, total=total))


def _parts(settings: Settings) -> list[str]:
    body = [] if settings.rig.rig == "mhr" else ["anny"]
    if settings.pose.estimator != "blazepose":
        return body
    landmarks = "pose_landmark_heavy" if settings.pose.quality == "high" else "pose_landmark_full"
    return [*body, "pose_detection", landmarks, "hand_recrop", "hand_landmark_full"]


def _new_take(run: _Run) -> Take:
    fetch_parts(run.settings, run.emit)
    assert run.clip is not None
    with run.stage("estimate"):
        observations = _estimate(run, run.clip)
    with run.stage("fit"):
        fitted = _fit(run, observations)
    if not fitted.people:
        run.warn(f"{run.source.name}: no people were found; the take is empty")
    provenance = {
        "take": run.folder.name, "timecode": observations.timecode, "source": str(run.source.absolute()),
        "fingerprint": run.motion_fingerprint,
        "settings": run.settings.as_table(), "video": asdict(run.settings.video), "stages": run.stages,
        "estimate": observations.details, "fit": fitted.details, "warnings": run.warnings,
    }
    return Take(
        times_s=observations.times_s, fps=observations.fps, camera=fitted.camera, people=fitted.people, source_name=run.source.name,
        source_sha256=run.source_sha256, created_utc=_now(), rigdrop_version=__version__, provenance=provenance,
    )


def _estimate(run: _Run, clip: Clip) -> Observations:
    estimator = load_estimator(run.settings.pose, run.settings.people)
    observations = estimator.estimate(clip, lambda done, total: run.progress("estimate", done, total))
    for warning in (*clip.warnings, *observations.details.get("warnings", ())):
        run.warn(warning)
    return observations


def _fit(run: _Run, observations: Observations) -> People:
    settings = run.settings
    rig = load_rig(settings.rig.rig, settings.body, settings.rig.mhr)
    options = CharacterOptions(camera=settings.camera, fit=settings.fit, hands=settings.hands, smooth=settings.smooth)
    return fit_people(observations, rig, options, lambda done, total: run.progress("fit", done, total))


def _store(run: _Run, take: Take) -> None:
    target = run.folder / TAKE_NAME
    with run.stage("store"):
        if not run.is_take:
            write_take(target, take)
        elif not (target.exists() and target.samefile(run.source)):
            with atomic_path(target) as temporary:
                temporary.write_bytes(run.source.read_bytes())
    run.wrote(target)


def person_file(folder: Path, person_id: str, form: Format, options: Any) -> Path:
    """Return where a person's file goes: ``OUT/clip/person_01/clip_person_01_skeletal.glb``."""
    return folder / person_id / form.file_name(f"{folder.name}_{person_id}", options)


def _write_person(run: _Run, take: Take, person: Person) -> dict[str, Any]:
    """Write and verify every format of one person; returns what the report says about them."""
    entry = describe_person(take, person)
    for name in run.settings.output.format:
        written = _write_format(run, take, person, format_named(name))
        if written is not None:
            entry["files"].append(written)
    return entry


def _write_format(run: _Run, take: Take, person: Person, form: Format) -> dict[str, Any] | None:
    options = run.settings.format_options(form.name)
    path = person_file(run.folder, person.id, form, options)
    try:
        with run.stage(f"write {form.name}"):
            form.write(take, person, path, options)
        with run.stage(f"verify {form.name}"):
            report = form.verify(take, person, path, options)
    except (SettingsError, UsageError) as error:
        # A clip that is too long for one format must not cost the others.
        run.warn(f"{form.name}: not written: {error}")
        if run.settings.output.format_was_chosen:
            run.problems.append(error)
        return None
    run.wrote(path)
    if not report.ok:
        run.warn(f"{path.name}: {', '.join(report.broken_rules)}")
    return {"format": form.name, **describe_file(run.folder, path), "verify": describe_verification(report)}


def _write_extras(run: _Run, take: Take) -> None:
    """Write what holds all people: the scene that references their stages, and the bundle of everything so far."""
    if run.settings.output.scene and take.people:
        from .formats.scene import write_scene  # USD's libraries, which few conversions without usd-skel need

        path = run.folder / "scene.usdc"
        form, options = format_named("usd-skel"), run.settings.format_options("usd-skel")
        with run.stage("scene"):
            write_scene(take, {person.id: person_file(run.folder, person.id, form, options) for person in take.people}, path, options)
        run.wrote(path)
    if run.settings.output.bundle:
        path = run.folder / f"{run.folder.name}_bundle.zip"
        with run.stage("bundle"):
            write_bundle(run.folder, path, run.files)
        run.wrote(path)


def _write_preview(run: _Run, take: Take) -> None:
    """Draw the pictures to look at, where they are wanted, the clip is still there, and they don't show this motion already."""
    if not run.settings.output.preview or not take.people:
        return
    video, sheet = run.folder / "preview.mp4", run.folder / "preview.png"
    shown = run.old.get("preview_fingerprint") == run.preview_fingerprint and video.is_file() and sheet.is_file()
    if shown and not run.settings.output.force:
        run.files += [video, sheet]
        return
    clip = _clip_of(run, take)
    if clip is None:
        return
    with run.stage("preview"):
        write_preview(
            take, ahead(clip.frames()), video, sheet, run.settings.preview, lambda done, total: run.progress("preview", done, total)
        )
    run.wrote(video)
    run.wrote(sheet)


def _clip_of(run: _Run, take: Take) -> Clip | None:
    """The clip that a take was made of, cut as it was then; nothing, and a warning, where it is gone."""
    if run.clip is not None:
        return run.clip
    path = Path(str(take.provenance.get("source", "")))
    if not path.is_file():
        run.warn(f"{take.source_name}: the clip is not at {path} any more; there is no preview")
        return None
    return open_clip(path, VideoOptions(**take.provenance["video"]))


def _finish(run: _Run, take: Take, people: list[dict[str, Any]]) -> TakeReport:
    """Settle what an older conversion left, then write the report, which says that the folder is done."""
    same_motion = run.old.get("motion_fingerprint") == run.motion_fingerprint
    files = [*run.files, *(carry_over(run.folder, run.old, people) if same_motion else ())]
    settle_old_files(run.folder, run.old, files)
    content = {
        **report_header(take, run.folder.name), "source": str(take.provenance.get("source", run.source.absolute())),
        "fingerprint": run.fingerprint, "motion_fingerprint": run.motion_fingerprint, "preview_fingerprint": run.preview_fingerprint,
        "people": people,
        "files": [describe_file(run.folder, path) for path in files],
        "stages": run.stages, "warnings": run.warnings, "problems": [str(problem) for problem in run.problems],
    }
    write_report(run.folder, content)
    run.emit("done", take=run.folder.name, folder=str(run.folder), people=len(people), warnings=len(run.warnings))
    return TakeReport(run.folder, content, problems=tuple(run.problems))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
