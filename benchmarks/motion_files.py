"""Measures motion files: real SAM 3D Body samples against their own joints and meshes, a planted sequence, a long file, a full folder.

    RIGDROP_BLENDER_PYTHON=…/bin/python python -m benchmarks.motion_files [--mhr DIR] [--samples DIR] [--cores 2] [--quick]

The samples' meshes are compared at the level of detail of MHR's files; without files of their own, at the one beside the
samples. What is not there is left out, and said. Linux only, for the memory.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rigdrop.config.options import OutputOptions, RigOptions
from rigdrop.config.settings import Settings
from rigdrop.convert.character import People
from rigdrop.convert.clean import CleanOptions, clean
from rigdrop.convert.embody_mhr import embody_mhr
from rigdrop.convert.mhr.corrective_options import CorrectiveOptions
from rigdrop.convert.mhr.morphed import with_morphs
from rigdrop.convert.performance import Performance
from rigdrop.convert.rigs.mhr_correctives import load_correctives
from rigdrop.convert.rigs.mhr_parameters import MhrModel, load_mhr_model
from rigdrop.convert.rigs.registry import load_rig
from rigdrop.convert.root import CameraOptions
from rigdrop.formats.registry import FORMATS
from rigdrop.ingest.motion_files.options import MotionFileOptions
from rigdrop.ingest.motion_files.registry import read_recording
from rigdrop.ingest.recording import Actor, MhrMotion, Recording
from rigdrop.motion.kinematics import world_transforms
from rigdrop.motion.store import read_take
from rigdrop.motion.take import Camera, Person, Take
from rigdrop.pipeline import convert_clip
from tests.format_contract import read_in_blender
from tests.mhr_folder import folder_with_correctives
from tests.motion_clips import write_amass

from .kept import tell
from .machine import QUIET_CORES, Spent, keep_to_cores, spend, usable_cores
from .table import Figure, limits_table

Array = NDArray[np.float64]
Sample = dict[str, Array]

_SHARED = Path(__file__).resolve().parents[2] / "shared"
_FORMATS = ("glb-skeletal", "usd-skel")
_TO_GLTF = np.array([1.0, -1.0, -1.0])  # the samples' points are in OpenCV's axes
_STEP_M = np.array([0.01, 0.0, 0.0])
_FRAMES, _BATCH = 256, 64
# Everybody's joints swing so far, each at a rate of its own, radians and radians a second.
_SWINGING, _SWING_RAD, _SWING_RATES = 300, 0.2, (1.0, 6.0)
# Each batch of the planted sequence turns and stands a little elsewhere than the one before.
_POP_RAD, _POP_M = 0.05, 0.04
_LONG, _LONG_RATE = 10_000, 120.0
_CLIPS, _CLIP_FRAMES, _SOME_CLIPS = 200, 240, 20


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mhr", type=Path, default=_SHARED / "mhr" / "lod3", help="MHR's asset folder")
    parser.add_argument("--samples", type=Path, default=_SHARED / "samples", help="folder with SAM 3D Body's outputs")
    parser.add_argument("--cores", type=int, default=2, help="cores that a conversion may use")
    parser.add_argument("--quick", action="store_true", help="a tenth of the frames and clips, to see that it works")
    arguments = parser.parse_args()
    share = 10 if arguments.quick else 1
    samples, figures, left_out = sorted(arguments.samples.glob("sam3d_body_*.npz")), [], []
    if samples and arguments.mhr.is_dir():
        figures += _samples(samples, arguments.mhr, left_out) + _correctives(samples, arguments.mhr, _SWINGING // share)
        figures += _sequence(samples, load_mhr_model(arguments.mhr))
    else:
        left_out.append(f"Left out: SAM 3D Body; found no samples or no MHR in {arguments.samples} and {arguments.mhr}.")
    load_rig("unreal")  # what is derived once in an installation's life
    load_rig("smplh")
    keep_to_cores(arguments.cores)
    figures += _long(_LONG // share) + _folder(_CLIPS // share, max(_SOME_CLIPS // share, 4))
    print("\n\n".join([f"{usable_cores()} cores, of {os.cpu_count()}.", limits_table(figures), *left_out]))


# Real samples: their own joints and meshes.


def _samples(paths: list[Path], mhr: Path, left_out: list[str]) -> list[Figure]:
    blender = os.environ.get("RIGDROP_BLENDER_PYTHON")
    if not blender:
        left_out.append("Left out: meshes in Blender; RIGDROP_BLENDER_PYTHON names none.")
    # In the camera's own axes, so that the file's numbers are the truth as they stand.
    settings = Settings(output=OutputOptions(format=_FORMATS, preview=False), rig=RigOptions(mhr=mhr), camera=CameraOptions(level=False))
    figures = []
    with tempfile.TemporaryDirectory() as name:
        for path in paths:
            tell(path.stem)
            folder, sample = Path(name) / path.stem, _sample(path)
            convert_clip(_clip(sample, Path(name) / "clips" / path.stem), folder, settings)
            take = read_take(folder / "take.h5")
            performance = Performance.of_motion(take.people[0].rig, take.times_s, take.people[0].motion)
            apart = np.linalg.norm(performance.joints_m - _seen(sample, sample["pred_joint_coords"]), axis=-1)
            figures.append(Figure(f"{path.stem}: joints, worst of 127", 1000 * float(apart.max()), 0.01, "mm", 4))
            if blender:
                figures += _in_blender(path.stem, folder, sample, mhr, Path(blender))
    return figures


def _clip(sample: Sample, folder: Path) -> Path:
    """A sample as a clip of two frames, a step apart: of skeletons that stand still, Blender's USD importer shows the rest pose."""
    folder.mkdir(parents=True)
    for frame in range(2):
        np.savez(folder / f"{frame}.npz", **{**sample, "pred_cam_t": sample["pred_cam_t"] + frame * _STEP_M})
    return folder


def _in_blender(name: str, folder: Path, sample: Sample, mhr: Path, blender: Path) -> list[Figure]:
    files = [next(folder.glob(f"person_01/*{ending}")) for ending in ("skeletal.glb", "skel.usdc")]
    take = read_take(folder / "take.h5")
    truth = _seen(sample, _mesh(sample, mhr, len(take.people[0].rig.vertices_m)))
    morphed = _with_its_mesh(take, truth[0], folder)
    views = read_in_blender([*files, *morphed], folder, 2, blender)
    apart_mm = {file: 1000 * float(np.linalg.norm(view.vertices_m - truth, axis=-1).mean()) for file, view in views.items()}
    return [Figure(f"{name}: {file.suffix} in Blender, mesh, mean", apart_mm[file], 4.1, "mm") for file in files] + [
        Figure(f"{name}: {file.suffix} in Blender, what the skin lacks as a morph target, mean", apart_mm[file], 0.02, "mm", 4)
        for file in morphed]


def _with_its_mesh(take: Take, mesh: Array, folder: Path) -> list[Path]:
    """Write the take's person with one morph target that makes their skin the ``mesh`` (V,3) of the first frame."""
    person = take.people[0]
    rig, motion, frames = person.rig, person.motion, take.frame_count
    scale = None if motion.local_scale is None else motion.local_scale[:1]
    T_world_joint = world_transforms(rig, motion.local_quat_xyzw[:1], motion.local_translation_m[:1], scale)[0]
    moves = (rig.skinning_matrix @ (T_world_joint @ np.linalg.inv(rig.bind_world))[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    rest = np.linalg.solve(moves[..., :3], (mesh - moves[..., 3])[..., None])[..., 0]
    own = replace(person, rig=replace(rig, morph_targets_m=(rest - rig.vertices_m)[None]),
                  motion=replace(motion, morph_weights=np.ones((frames, 1))))
    files = [folder / f"own_mesh{FORMATS[form].suffix}" for form in _FORMATS]
    for form, file in zip(_FORMATS, files, strict=True):
        FORMATS[form].write(replace(take, people=[own]), own, file, None)
    return files


def _mesh(sample: Sample, mhr: Path, vertices: int) -> Array:
    """The sample's own mesh (V,3) at the level of detail of a rig with so many vertices."""
    mesh = sample["pred_vertices"]
    if len(mesh) != vertices:
        with np.load(mhr.parent / "lod1_to_lod3_mapping.npz") as mapping:
            corners = np.load(mhr.parent / "mhr_faces_lod1.npy")[mapping["triangle_ids"]]
            mesh = np.einsum("vk,vkc->vc", mapping["baryc_coords"], mesh[corners])
    return mesh


def _seen(sample: Sample, points: Array) -> Array:
    """Points (N,3) of a sample in its camera, glTF's axes, in both frames (2,N,3)."""
    return np.asarray((points + sample["pred_cam_t"] + np.arange(2)[:, None, None] * _STEP_M) * _TO_GLTF)


def _sample(path: Path) -> Sample:
    with np.load(path) as archive:
        return {key: np.asarray(archive[key], dtype=np.float64) for key in archive.files}


# What poses do to the mesh beyond its skin, as morph targets.


def _correctives(paths: list[Path], mhr: Path, frames: int) -> list[Figure]:
    """How far the skin of people who swing all their joints is from the model's own mesh, without and with morph targets."""
    figures = []
    with tempfile.TemporaryDirectory() as name:
        made_up = load_correctives(load_mhr_model(mhr)) is None
        model = load_mhr_model(folder_with_correctives(mhr, Path(name) / "mhr")) if made_up else load_mhr_model(mhr)
        for path in paths[:2]:
            tell(f"{path.stem}, swinging")
            people = People(_looking(), (_swinging(_sample(path), frames, model),), {})
            done = with_morphs(people, np.arange(frames) / 30, CorrectiveOptions("morphs"), lambda: model)
            figures += _told(f"{path.stem}{', correctives made up' if made_up else ''}, {frames} frames", done.details["clean"][0])
    return figures


def _told(name: str, figures: dict[str, Any]) -> list[Figure]:
    done, kinds = figures["correctives"], ("mean", "p95", "max")
    skin, morphed = done["skin_mm"], done["morphed_mm"]
    return [
        *(Figure(f"{name}: skin from MHR's own mesh, {kind}", skin[kind], unit="mm") for kind in kinds),
        *(Figure(f"the same with {done['targets']} morph targets, {kind}", morphed[kind], unit="mm", digits=2) for kind in kinds),
        Figure("what they cut the mean by", skin["mean"] / morphed["mean"], 5.0, "×", at_least=True),
        Figure("what they add to a file", done["bytes"] / 1e6, unit="MB", digits=2),
    ]


def _swinging(sample: Sample, frames: int, model: MhrModel) -> Person:
    rng, times_s = np.random.default_rng(3), np.arange(frames) / 30
    params = np.tile(sample["mhr_model_params"], (frames, 1))
    joints = slice(3, 122)
    rates, phases = rng.uniform(*_SWING_RATES, 119), rng.uniform(0, 2 * np.pi, 119)
    params[:, joints] += _SWING_RAD * np.sin(times_s[:, None] * rates + phases)
    motion = MhrMotion(np.tile(sample["shape_params"], (frames, 1)), np.tile([0.0, 0.0, -3.0], (frames, 1)), params)
    body = embody_mhr(Actor(1, "a", motion, np.ones(frames, bool), np.ones(frames, np.float32)), times_s, model)
    return Person("person_01", "a", 1, body.rig, body.to_motion())


def _looking() -> Camera:
    return Camera(640, 480, np.array([[640.0, 0, 320], [0, 640, 240], [0, 0, 1]]), np.eye(4))


# A sequence with everything in it that goes wrong in such files.


def _sequence(paths: list[Path], model: MhrModel) -> list[Figure]:
    """Two people who walk past each other, listed in any order, absent at times, with NaN, stale rotations and batches that pop."""
    tell("planted sequence")
    rng, samples = np.random.default_rng(5), [_sample(path) for path in paths[:2]]
    params, places, popped = _planted(samples)
    there = np.ones((_FRAMES, 2), bool)
    there[40:52, 0] = there[:9, 1] = there[120:123, 1] = there[180, :] = False
    nan = [(77, 0), (150, 1), (151, 1)]
    with tempfile.TemporaryDirectory() as name:
        for frame in range(_FRAMES):
            rows = [_row(samples[who], popped[frame, who], places[frame, who] + _pop(frame) * _POP_M, rng, (frame, who) in nan)
                    for who in rng.permutation(2) if there[frame, who]]
            if rows:
                np.savez(Path(name) / f"frame_{frame:05d}.npz", **{key: np.stack([row[key] for row in rows]) for key in rows[0]})
        recording = read_recording(Path(name), MotionFileOptions(source_fps="30"))
    for frame, who in nan:
        there[frame, who] = False
    return _judged(recording, params, places, there, model)


def _planted(samples: list[Sample]) -> tuple[Array, Array, Array]:
    """Truth: parameters (F,2,204), places (F,2,3), camera; and the parameters that the batches make of them."""
    time = np.arange(_FRAMES) / 30
    params = np.stack([np.tile(sample["mhr_model_params"], (_FRAMES, 1)) for sample in samples], axis=1)
    params[..., 6:60] += 0.05 * np.sin(1.7 * time)[:, None, None] * np.cos(np.arange(54))
    away = np.where([True, False], -1.0, 1.0) * np.cos(0.7 * time)[:, None]  # past each other and back
    places = np.stack([away, np.full_like(away, 1.0), np.broadcast_to([4.0, 5.0], away.shape)], axis=-1)
    popped = params.copy()
    popped[..., 6:60] += _POP_RAD * np.array([_pop(frame) for frame in range(_FRAMES)])[:, None, None]
    return params, places, popped


def _pop(frame: int) -> float:
    return (-1.0) ** (frame // _BATCH)


def _row(sample: Sample, params: Array, place: Array, rng: np.random.Generator, nan: bool) -> dict[str, Any]:
    stale = np.linalg.qr(rng.normal(size=(127, 3, 3)))[0]
    return {
        "mhr_model_params": np.full_like(params, np.nan) if nan else params, "shape_params": sample["shape_params"],
        "pred_cam_t": place, "focal_length": np.float64(900.0), "pred_global_rots": stale,
    }


def _judged(recording: Recording, params: Array, places: Array, there: NDArray[np.bool_], model: MhrModel) -> list[Figure]:
    """People in the order of the truth's, by where they are in most of their frames."""
    wrong, off, seen = 0, 0.0, np.zeros_like(there)
    steps: list[tuple[int, int]] = []
    frames = len(recording.times_s)
    for actor in recording.actors:
        assert isinstance(actor.motion, MhrMotion) and actor.motion.model_params is not None
        apart = np.linalg.norm(actor.motion.camera_translation_m[:, None] - places[:frames] * _TO_GLTF, axis=-1)[actor.visible]
        who = int(np.median(np.argmin(apart, axis=1)))
        wrong += int((np.argmin(apart, axis=1) != who).sum())
        seen[:frames, who] |= actor.visible
        bent = np.abs(actor.motion.model_params - params[:frames, who])[actor.visible]
        off = max(off, float(np.nanmax(bent)))
        native = embody_mhr(actor, recording.times_s, model)
        stages = clean(native, CleanOptions(fill_gaps=True, smoothing="gaussian"))[1]["stages"]
        steps.append((stages[0]["before"]["pops"], stages[-1]["after"]["pops"]))
    times_off = float(np.abs(recording.times_s - recording.times_s[0] - np.arange(frames) / 30).max())
    return [
        Figure("planted sequence: people found, of 2", float(len(recording.actors)), 2, digits=0),
        Figure("frames in which a person is another", float(wrong), 0, digits=0),
        Figure("frames in which somebody is taken for absent or present who isn't", float((seen != there).sum()), 0, digits=0),
        Figure("times, worst", 1e6 * times_off + (0.0 if frames == _FRAMES else np.inf), 1, "µs", 3),
        Figure("parameters, beyond what the batches were moved by", max(0.0, off - _POP_RAD), 1e-6, "rad", 7),
        Figure("steps at which a joint goes on from somewhere else, before smoothing", float(sum(before for before, _ in steps)), digits=0),
        Figure("the same after smoothing", float(sum(after for _, after in steps)), 0, digits=0),
    ]


# Long files and full folders.


def _long(frames: int) -> list[Figure]:
    tell(f"{frames:,} frames of AMASS")
    with tempfile.TemporaryDirectory() as name:
        source = write_amass(Path(name) / "walk_poses.npz", frames, _LONG_RATE)
        spent = _convert([source], Path(name) / "out")
    return [
        Figure(f"{frames:,} AMASS frames to GLB on unreal, start to exit{_busy(spent)}", spent.seconds, 10, "s"),
        Figure("its peak memory", spent.peak_mb, unit="MB", digits=0),
    ]


def _folder(clips: int, some: int) -> list[Figure]:
    tell(f"a folder of {clips} clips")
    with tempfile.TemporaryDirectory() as name:
        for number in range(clips):
            write_amass(Path(name) / "set" / f"subject{number // 10}" / f"clip{number:03d}_poses.npz", _CLIP_FRAMES, 60.0, number / 10)
        source = Path(name) / "set"
        whole = _convert([source], Path(name) / "all")
        few = _convert([source], Path(name) / "few", "--limit", str(some))
        alone = _convert([source], Path(name) / "alone", "--limit", str(some), "--jobs", "1")
    return [
        Figure(f"{clips} AMASS clips of {_CLIP_FRAMES} frames to GLB{_busy(whole)}", whole.seconds, unit="s"),
        Figure(f"{some} of them, one at a time, over as many at a time as cores", alone.seconds / few.seconds, 1.0, "×", 2, at_least=True),
        Figure("peak memory of all processes", whole.peak_mb, unit="MB", digits=0),
        Figure(f"peak memory, {clips} clips over {some}", whole.peak_mb / few.peak_mb, 1.2, "×", 2),
    ]


def _convert(sources: list[Path], out: Path, *options: str) -> Spent:
    command = [sys.executable, "-m", "rigdrop", "convert", *map(str, sources), "--out", str(out), "--format", "glb-skeletal"]
    return spend([*command, "--no-preview", *options], out.parent)


def _busy(spent: Spent) -> str:
    return ", busy" if spent.other_cores is not None and spent.other_cores > QUIET_CORES else ""


if __name__ == "__main__":
    main()
