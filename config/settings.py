"""Everything that can be set, as one frozen object: the stages' own option classes put together."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, make_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import CycloptsError, Group, Parameter

from ..convert.clean import CleanOptions
from ..convert.finish import BindOptions
from ..convert.fit import FitOptions
from ..convert.hands import HandOptions
from ..convert.mhr.corrective_options import CorrectiveOptions
from ..convert.place import PlaceOptions
from ..convert.retarget import RetargetOptions
from ..convert.rigs.body_options import BodyOptions
from ..convert.rigs.smpl_options import SmplOptions
from ..convert.root import CameraOptions
from ..convert.smooth import SmoothOptions
from ..convert.stance.contacts import FeetOptions
from ..errors import SettingsError, UsageError
from ..formats.options import AxesOptions
from ..formats.registry import available_formats
from ..ingest.motion_files.options import MotionFileOptions
from ..ingest.people.options import PeopleOptions
from ..ingest.pose.options import EstimatorOptions, PoseOptions
from ..ingest.pose.sam3d_body.options import Sam3dOptions
from ..ingest.video_options import VideoOptions
from ..render.preview import PreviewOptions
from .layers import Layer, as_rigdrop_error, layers_app, option_name, settings_app
from .options import OutputOptions, RigOptions

_order = itertools.count()


def _group(name: str, prefix: str = "*", order: int | None = None) -> Parameter:
    """Options under a heading of their own in the help, in the order of the code; without ``prefix`` their names stand alone."""
    return Parameter(name=prefix, group=Group(name, sort_key=next(_order) if order is None else order))


_LAST = 1000


def _format_field(name: str, options_type: Any) -> tuple[Any, Any]:
    return Annotated[options_type, _group(f"Format {name}", name, _LAST)], field(default_factory=options_type)


if TYPE_CHECKING:
    FormatSettings = Any
else:
    # One field a format, those of other packages too, so that each format's options are settings like any other.
    FormatSettings = make_dataclass(
        "FormatSettings",
        [(name.replace("-", "_"), *_format_field(name, form.options_type)) for name, form in sorted(available_formats().items())],
        frozen=True,
        namespace={"__module__": __name__, "__doc__": "The options of each format."},
    )


ESTIMATE_STAGES = ("video", "people", "pose", "sam3d", "camera")
MOTION_STAGES = (*ESTIMATE_STAGES, "motion_files", "rig", "smpl", "body", "fit", "hands", "smooth", "clean", "feet", "retarget",
                 "correctives", "bind", "place")


# Stages whose options' names would say something else on their own: --height is a person's.
_PREFIXES = {"body": "body", "retarget": "retarget", "preview": "picture"}


@dataclass(frozen=True)
class Settings:
    """How clips become characters."""

    output: Annotated[OutputOptions, _group("Output")] = field(default_factory=OutputOptions)
    rig: Annotated[RigOptions, _group("Rig")] = field(default_factory=RigOptions)
    body: Annotated[BodyOptions, _group("Body", _PREFIXES["body"])] = field(default_factory=BodyOptions)
    smpl: Annotated[SmplOptions, _group("Licensed bodies")] = field(default_factory=SmplOptions)
    video: Annotated[VideoOptions, _group("Video")] = field(default_factory=VideoOptions)
    people: Annotated[PeopleOptions, _group("People")] = field(default_factory=PeopleOptions)
    pose: Annotated[PoseOptions, _group("Pose")] = field(default_factory=PoseOptions)
    sam3d: Annotated[Sam3dOptions, _group("SAM 3D Body")] = field(default_factory=Sam3dOptions)
    motion_files: Annotated[MotionFileOptions, _group("Motion files")] = field(default_factory=MotionFileOptions)
    camera: Annotated[CameraOptions, _group("Camera and ground")] = field(default_factory=CameraOptions)
    fit: Annotated[FitOptions, _group("Fit")] = field(default_factory=FitOptions)
    hands: Annotated[HandOptions, _group("Hands")] = field(default_factory=HandOptions)
    smooth: Annotated[SmoothOptions, _group("Smooth")] = field(default_factory=SmoothOptions)
    clean: Annotated[CleanOptions, _group("Clean-up of motion files")] = field(default_factory=CleanOptions)
    feet: Annotated[FeetOptions, _group("Feet")] = field(default_factory=FeetOptions)
    retarget: Annotated[RetargetOptions, _group("Retarget", _PREFIXES["retarget"])] = field(default_factory=RetargetOptions)
    correctives: Annotated[CorrectiveOptions, _group("Momentum Human Rig")] = field(default_factory=CorrectiveOptions)
    bind: Annotated[BindOptions, _group("Bind pose")] = field(default_factory=BindOptions)
    place: Annotated[PlaceOptions, _group("Place")] = field(default_factory=PlaceOptions)
    axes: Annotated[AxesOptions, _group("Axes and units")] = field(default_factory=AxesOptions)
    formats: Annotated[FormatSettings, _group("Formats")] = field(default_factory=FormatSettings)
    preview: Annotated[PreviewOptions, _group("Preview", _PREFIXES["preview"])] = field(default_factory=PreviewOptions)

    def __post_init__(self) -> None:
        for name in self.output.format:
            if name not in available_formats():
                raise UsageError(f"format: found {name!r}, expected one of {', '.join(sorted(available_formats()))}")
        if self.output.scene and "usd-skel" not in self.output.format:
            found = ", ".join(self.output.format)
            raise UsageError(f"scene: found the formats {found}, expected usd-skel among them, whose stages it holds")

    def format_options(self, name: str) -> Any:
        """Return the options of the format ``name``, an object of its own options class, with the axes asked of all formats."""
        return self.axes.given_to(getattr(self.formats, name.replace("-", "_")))

    def as_table(self) -> dict[str, Any]:
        """Return every setting under the key that TOML has for it, values as JSON holds them."""
        table: dict[str, Any] = {}
        for stage in fields(self):
            prefix = _PREFIXES.get(stage.name)
            table.update(_walk(getattr(self, stage.name), f"{prefix}." if prefix else ""))
        return {key: str(value) if isinstance(value, Path) else value for key, value in table.items()}

    @classmethod
    def of_table(cls, table: Mapping[str, Any]) -> Settings:
        """Return the settings that `as_table` described; what it leaves out, or gives as nothing, has its default.

        Raises `SettingsError` for a key that there is not, or a value that it can't have.
        """
        return load_layers([("settings", table)])

    @property
    def estimator_options(self) -> EstimatorOptions:
        """What an estimator is told."""
        return EstimatorOptions(self.pose, self.people, self.sam3d, self.camera.focal_px)

    def estimate_fingerprint(self, *about: str) -> str:
        """Return a sha256 over ``about`` and the settings that an estimator's findings come of."""
        return _digest(about, {stage: asdict(getattr(self, stage)) for stage in ESTIMATE_STAGES})

    def motion_fingerprint(self, *about: str) -> str:
        """Return a sha256 over ``about`` and the settings that the motion comes of; equal where it would come out the same."""
        return _digest(about, {stage: asdict(getattr(self, stage)) for stage in MOTION_STAGES})

    def files_fingerprint(self, *about: str) -> str:
        """Return a sha256 over ``about`` and the settings that the files come of, wherever they are put."""
        output = replace(self.output, out=Path(), force=False)
        stages = {"axes": asdict(self.axes), "formats": asdict(self.formats), "preview": asdict(self.preview)}
        return _digest(about, {"output": asdict(output), **stages})

    def preview_fingerprint(self, *about: str) -> str:
        """Return a sha256 over ``about`` and the settings that the pictures come of."""
        return _digest(about, {"preview": asdict(self.preview)})


def _digest(about: Sequence[str], options: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([about, options], sort_keys=True, default=str).encode()).hexdigest()


def _walk(options: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for own in fields(options):
        value, key = getattr(options, own.name), prefix + option_name(own.name)
        if is_dataclass(value):
            yield from _walk(value, f"{key}.")
        else:
            yield key, value


def load_settings(tokens: Sequence[str] = ()) -> Settings:
    """Return the settings that ``tokens``, as on the command line, the environment, ./rigdrop.toml and the preset give.

    Raises `UsageError` or `SettingsError` for a key or value that can't be.
    """
    app = settings_app()

    @app.default
    def take(
        *, settings: Annotated[Settings, Parameter(name="*")] = Settings(), config: str | None = None, preset: str | None = None
    ) -> Settings:
        return settings

    try:
        return app(tokens)  # type: ignore[no-any-return]
    except CycloptsError as error:
        raise as_rigdrop_error(error) from error


def load_layers(layers: Sequence[Layer]) -> Settings:
    """Return the settings that ``layers`` give, the strongest first; neither environment nor files are asked.

    A layer is the name by which errors call it, and its flat keys; a value of nothing counts as not said. Raises
    `SettingsError` for a key or value that can't be.
    """
    return _load(_Layers([(name, dict(values)) for name, values in layers]))


class _Layers(list[Layer]):
    """Layers that are told apart by what they say."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(self))


# A service asks for the same settings for each of a thousand clips, and each answer costs a tenth of a second.
@functools.lru_cache(maxsize=32)
def _load(layers: _Layers) -> Settings:
    app = layers_app(layers)

    @app.default
    def take(*, settings: Annotated[Settings, Parameter(name="*")] = Settings()) -> Settings:
        return settings

    try:
        return app([])  # type: ignore[no-any-return]
    except CycloptsError as error:
        raise as_rigdrop_error(error) from error
    except UsageError as error:
        raise SettingsError(str(error)) from error  # nobody typed this
