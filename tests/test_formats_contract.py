"""The contract that every format keeps: programs that we did not write read its files and see the take's vertices.

One Blender opens all files; Khronos', Pixar's and NVIDIA's validators find nothing; three.js agrees; our own verifier,
which shares no code with the writers, finds the same small errors and no broken rule.
"""

import subprocess
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdValidation

from rigdrop.formats.options import GlbBakedOptions, GlbSkeletalOptions, UsdSkelOptions
from rigdrop.formats.registry import FORMATS
from rigdrop.formats.usd import legal_names
from rigdrop.motion.rig import with_influences
from rigdrop.motion.take import Person, Take

from .format_contract import gltf_issues, largest_mm, read_in_blender, read_in_three, truth_m
from .morphing import with_morphs
from .synthetic import small_take

FRAMES = 12
# Largest distance in Blender, mm: skeletal and baked as the project promises; a half's rounding for scales in USD.
LIMITS_MM = {"glb-skeletal": 0.02, "glb-baked": 0.001, "usd-skel": 0.02}
VARYING_USD_MM = 0.2


@dataclass(frozen=True)
class Case:
    format: str
    options: object
    scale: str
    influences: int
    take: Take
    person: Person
    path: Path
    morphs: bool = False

    @property
    def limit_mm(self) -> float:
        return VARYING_USD_MM if self.format == "usd-skel" and self.scale == "varying" else LIMITS_MM[self.format]

    @property
    def truth_m(self) -> np.ndarray:
        return truth_m(replace(self.person, rig=with_influences(self.person.rig, self.influences)))


def _cases(folder):
    """Write every case: each format with each kind of scale, two people, and the options that change what is read."""
    plain = {name: offered.options_type() for name, offered in FORMATS.items()}
    chosen = [(name, options, scale, 8) for name, options in plain.items() for scale in ("none", "constant", "varying")]
    chosen += [
        ("glb-skeletal", GlbSkeletalOptions(influences=4, camera=True), "varying", 4),
        ("glb-baked", GlbBakedOptions(True, True), "none", 8),
        ("usd-skel", UsdSkelOptions(format="usda"), "none", 8), ("usd-skel", UsdSkelOptions(format="usdz"), "none", 8),
    ]
    plain_skins = len(chosen)
    chosen += [
        ("glb-skeletal", GlbSkeletalOptions(), "constant", 8), ("glb-skeletal", GlbSkeletalOptions(influences=4), "none", 4),
        ("glb-baked", GlbBakedOptions(), "none", 8), ("usd-skel", UsdSkelOptions(), "none", 8),
        ("usd-skel", UsdSkelOptions(format="usdz"), "constant", 8),
    ]
    for number, (name, options, scale, influences) in enumerate(chosen):
        morphs = number >= plain_skins
        take = small_take(FRAMES, scale=scale, people=2, influences=7, camera_moves=True)
        take = with_morphs(take) if morphs else take
        person = take.people[number % 2]
        path = folder / FORMATS[name].file_name(f"{number:02d}_{scale}", options)
        FORMATS[name].write(take, person, path, options)
        yield Case(name, options, scale, influences, take, person, path, morphs)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return list(_cases(tmp_path_factory.mktemp("files")))


def test_the_verifier_finds_small_errors_and_no_broken_rule(cases):
    for case in cases:
        report = FORMATS[case.format].verify(case.take, case.person, case.path, case.options)
        assert report.broken_rules == (), case.path.name
        assert (report.frames, report.frame_count, report.person) == (FRAMES, FRAMES, case.person.id)
        if case.influences == 8:
            assert report.mean_mm <= report.p95_mm <= report.max_mm < case.limit_mm, case.path.name
        else:
            assert report.max_mm > 0.1, "four influences of seven lose something, and the report must say so"


def test_blender_shows_the_takes_vertices_names_tree_and_length(cases, blender_python, tmp_path):
    views = read_in_blender([case.path for case in cases], tmp_path, FRAMES, blender_python)
    for case in cases:
        view, rig = views[case.path], case.person.rig
        assert largest_mm(view.vertices_m, case.truth_m) < case.limit_mm, case.path.name
        assert (view.first, view.last) == pytest.approx((0, FRAMES - 1), abs=1e-4), case.path.name
        names = legal_names(rig.joint_names) if case.format == "usd-skel" else list(rig.joint_names)
        tree = {name: names[parent] if parent >= 0 else "" for name, parent in zip(names, rig.joint_parents, strict=True)}
        assert dict(zip(view.bones, view.parents, strict=True)) == ({} if case.format == "glb-baked" else tree), case.path.name
        assert view.cameras == int(getattr(case.options, "camera", False)), case.path.name


@pytest.mark.parametrize("fps", [Fraction(60), Fraction(30000, 1001)])
def test_blender_keeps_the_frames_of_other_rates(tmp_path, blender_python, fps):
    take = small_take(30, fps=fps)
    files = {}
    for name, offered in FORMATS.items():
        files[name] = tmp_path / f"sixty{offered.suffix}"
        offered.write(take, take.people[0], files[name], None)
    views = read_in_blender(list(files.values()), tmp_path, 30, blender_python, fps)
    for name, file in files.items():
        assert largest_mm(views[file].vertices_m, truth_m(take.people[0])) < LIMITS_MM[name], name
        assert views[file].last == pytest.approx(29, abs=1e-4), name


@pytest.mark.parametrize("frames", [1, 5])
def test_blender_shows_somebody_who_does_not_move_in_their_pose_and_not_at_rest(tmp_path, blender_python, frames):
    """A photograph's take, or a pose that is held: there is an animation all the same."""
    moving = small_take(9)
    person = moving.people[0]
    held = {name: np.repeat(getattr(person.motion, name)[4:5], frames, axis=0)
            for name in ("local_quat_xyzw", "local_translation_m", "visible", "confidence")}
    person = replace(person, motion=replace(person.motion, **held))
    plain = replace(moving, times_s=moving.times_s[:frames], people=[person])
    files = {}
    for kind, take in (("skin", plain), ("morphs", with_morphs(plain, held=True))):
        for name, offered in FORMATS.items():
            files[kind, name] = tmp_path / f"{kind}{offered.suffix}", truth_m(take.people[0])
            offered.write(take, take.people[0], files[kind, name][0], None)
            assert offered.verify(take, take.people[0], files[kind, name][0], None).broken_rules == (), (kind, name)
    views = read_in_blender([file for file, _ in files.values()], tmp_path, frames, blender_python)
    for (kind, name), (file, truth) in files.items():
        assert largest_mm(views[file].vertices_m, truth) < LIMITS_MM[name], (kind, name)


def test_khronos_validator_finds_nothing(cases, node_modules):
    for file, issues in gltf_issues([case.path for case in cases if case.path.suffix == ".glb"], node_modules).items():
        assert issues == [], file


def test_three_agrees_on_four_influences_and_on_morphs(cases, tmp_path, node_modules):
    read = [case for case in cases if case.influences == 4 or case.format == "glb-baked"]
    assert len(read) == 7
    for case in read:
        times_s = (case.take.times_s - case.take.times_s[0]).astype(np.float32).astype(np.float64)
        found = read_in_three(case.path, tmp_path, times_s, len(case.person.rig.vertices_m), node_modules)
        # three.js computes in double precision from float32 values; its clock loops at the very end, which is the first frame.
        assert largest_mm(found[:-1], case.truth_m[:-1]) < LIMITS_MM[case.format], case.path.name


def test_pixars_validators_find_nothing(cases):
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) >= 20, "the validators' plug-ins were not found"
    for case in cases:
        if case.format == "usd-skel":
            stage = Usd.Stage.Open(str(case.path))
            found = UsdValidation.ValidationContext(validators).Validate(stage)
            assert [error.GetMessage() for error in found] == [], case.path.name


def test_nvidias_validator_finds_nothing(cases):
    pytest.importorskip("usd_validation_nvidia")
    # That a text file should rather be a binary one is all that it says against .usda.
    files = [str(case.path) for case in cases if case.format == "usd-skel" and case.path.suffix != ".usda"]
    for file in files:
        done = subprocess.run([sys.executable, "-m", "usd_validation_nvidia", file], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and "No issues found" in done.stdout, done.stdout + done.stderr


def test_a_file_is_the_same_each_time(cases, tmp_path):
    for case in cases:
        again = tmp_path / case.path.name
        FORMATS[case.format].write(case.take, case.person, again, case.options)
        assert again.read_bytes() == case.path.read_bytes(), case.path.name


def test_a_clip_of_varying_rate_keeps_every_frame_at_its_time(tmp_path):
    take = small_take(8)
    take = replace(take, times_s=take.times_s + 0.01 * np.sin(np.arange(8)))
    for name, offered in FORMATS.items():
        path = tmp_path / f"vfr{offered.suffix}"
        offered.write(take, take.people[0], path, None)
        report = offered.verify(take, take.people[0], path, None)
        assert report.ok and report.max_mm < LIMITS_MM[name], (name, report)


def test_no_half_written_file_stays(tmp_path, monkeypatch):
    import rigdrop.files

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rigdrop.files, "_flush", fail)
    take = small_take(3)
    for offered in FORMATS.values():
        with pytest.raises(rigdrop.errors.WriteError, match="No space left on device"):
            offered.write(take, take.people[0], tmp_path / f"a{offered.suffix}", None)
        assert list(tmp_path.iterdir()) == []
