"""Reads skeletal animation from USD: one actor for each UsdSkel skeleton that moves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pxr import Tf, Usd, UsdGeom, UsdSkel

from ...errors import ReadError
from ...motion.origin import Origin
from ...motion.rig import Rig, Skeleton
from ...motion.usd_layer import packed
from ..recording import Actor, Recording
from .frame_times import COMMON_RATES, common_rate, frame_times, merged_keys, nominal_rate
from .options import MotionFileOptions
from .skeletal import FRAMES_AT_ONCE, R_YUP_ZUP, Rest, actor_of, motion_of, rest_of
from .usd_mesh import UsdBody, body_of

Floats = NDArray[np.float64]

_MAGIC = (b"PXR-USDC", b"#usda", b"PK\x03\x04")
_EVERYTHING = Usd.TraverseInstanceProxies()
# What has time samples and no value beside them, as a program's scene that may move, rests where it is first.
_AT_REST = Usd.TimeCode.EarliestTime()
_ANIMATED = ("translations", "rotations", "scales")


@dataclass(frozen=True, eq=False)
class _Puppet:
    """A skeleton of the stage, USD's queries for it, and the way to our world."""

    prim: Usd.Prim
    query: Any  # UsdSkel.SkeletonQuery
    joints: list[str]  # tokens, parent/child
    skins: list[Any]  # UsdSkel.SkinningQuery
    T_ours_stage: Floats  # (4,4), axes and units

    @property
    def parents(self) -> list[int]:
        """The parents of the joints; two or more roots hang on one more joint, the first."""
        parents = [int(parent) for parent in UsdSkel.Topology(self.joints).GetParentIndices()]
        return [-1, *(parent + 1 for parent in parents)] if self.added else parents

    @property
    def added(self) -> int:
        """How many joints come before the skeleton's own: 1 where it has several roots."""
        return int(sum("/" not in joint for joint in self.joints) > 1)

    def names(self) -> list[str]:
        """The names of the joints: what our own files keep of them, else the last part of each token."""
        kept = list(self.prim.GetCustomDataByKey("rigdrop:jointNames") or [])
        names = [str(name) for name in kept] if len(kept) == len(self.joints) else [joint.rsplit("/")[-1] for joint in self.joints]
        return [self.prim.GetName(), *names] if self.added else names

    @property
    def name(self) -> str:
        """What the character is called."""
        parent = self.prim.GetParent()
        return str(parent.GetName() if parent.IsA(UsdSkel.Root) else self.prim.GetName())

    def to_world(self, code: Usd.TimeCode | float) -> Floats:
        """Return what brings the skeleton's space to our world (4,4), metres, +Y up."""
        rows = UsdGeom.XformCache(code).GetLocalToWorldTransform(self.prim)
        return np.asarray(self.T_ours_stage @ np.array(rows).T)

    def worlds(self, in_skel: Sequence[Any], to_world: Sequence[Floats]) -> Floats:
        """Return world transforms (T,J,4,4) of matrices in the skeleton's space, as USD has them: for row vectors."""
        spaces = np.stack(to_world)[:, None]
        worlds = spaces @ np.swapaxes(np.stack([np.array(each) for each in in_skel]), -1, -2)
        return np.concatenate([spaces, worlds], axis=1) if self.added else worlds


def is_mine(path: Path) -> bool:
    """Say whether a file begins as USD's text, binary or package does."""
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(_MAGIC)
    except OSError:
        return False


def read(path: Path, options: MotionFileOptions) -> Recording:
    """Return one actor for each skeleton whose animation, or whose place in the stage, has time samples.

    Axes and units are the stage's; times are time codes ÷ timeCodesPerSecond. Joints rest at restTransforms, or where there
    are none as they are bound. Raises `ReadError` that names the prim that is missing something or scaled unevenly.
    """
    with _whole(path):
        stage = _open(path)
        return _read(path, stage, options)


def read_skeleton(path: Path, joint_map: Path | None = None) -> Skeleton:
    """Return the first skeleton of a stage, moving or not; raises as `read` does."""
    with _whole(path):
        stage = _open(path)  # held, for prims do not keep it
        return _rest(path, _puppets(path, stage)[0], joint_map).skeleton


def read_body(path: Path, joint_map: Path | None = None) -> Rig:
    """Return the one skinned character of a stage, moving or not, with its origin; raises as `read` does, and where there is no one."""
    with _whole(path):
        stage = _open(path)
        puppets = _characters(_puppets(path, stage))
        if len(puppets) != 1:
            names = ", ".join(str(puppet.prim.GetPath()) for puppet in puppets)
            raise ReadError(f"{path}: found {f'{len(puppets)} skeletons with meshes ({names})' if puppets else 'no skinned mesh'}, "
                            "expected one character; export its armature and its meshes, nothing else")
        puppet, where = puppets[0], f"{path}: {puppets[0].prim.GetPath()}"
        if len(puppet.query.GetJointWorldBindTransforms()) != len(puppet.joints):
            raise ReadError(f"{where}: found no bindTransforms, expected one for each joint")
        rest = _rest(path, puppet, joint_map)
        body = _body(where, puppet, rest)
        if body is None:
            raise ReadError(f"{where}: found no mesh, expected one that is skinned")
        return _with_origin(path, puppet, rest, body)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Say of what USD can't read that the file is at fault; what overflows is refused later, as not finite."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            yield
    except (Tf.ErrorException, UnicodeDecodeError) as error:
        raise ReadError(f"{path}: can't be read ({_first_line(error)}), expected a USD stage") from error


def _open(path: Path) -> Usd.Stage:
    stage = Usd.Stage.Open(str(path))
    stage.Reload()  # USD hands out a file that is still open somewhere instead of reading it again
    return stage


def _first_line(error: Exception) -> str:
    """Return what USD says, without where in its own source it says so."""
    try:
        said = re.findall(r": '(.+?)'?$", str(error), re.MULTILINE)
    except UnicodeDecodeError:  # it quotes the file, whatever that holds
        said = []
    return said[0] if said else type(error).__name__


def _read(path: Path, stage: Usd.Stage, options: MotionFileOptions) -> Recording:
    puppets = _puppets(path, stage)
    moving = [(puppet, codes) for puppet in puppets if len(codes := _codes(path, puppet))]
    if not moving:
        raise ReadError(f"{path}: {puppets[0].prim.GetPath()}: found no animation with time samples, expected a SkelAnimation")
    per_second = common_rate(stage.GetTimeCodesPerSecond())
    keys_s = merged_keys(*(codes * per_second.denominator / per_second.numerator for _, codes in moving))
    fps = _rate(stage, keys_s, options)
    times_s = frame_times(f"{path}: time samples", keys_s, fps, options.frame_limit)
    codes = times_s * float(per_second)
    codes = np.where(np.abs(codes - np.rint(codes)) < 1e-6, np.rint(codes), codes)
    actors, warned = [], list[str]()
    alone = len(_characters(puppets)) == 1
    for track, (puppet, _) in enumerate(moving):
        actor, more = _actor(path, track, puppet, codes, options, alone)
        actors.append(actor)
        warned += more
    return Recording(times_s, fps, actors, warnings=tuple(warned), details={"format": "usd", "up": UsdGeom.GetStageUpAxis(stage),
                                                                            "metres_per_unit": UsdGeom.GetStageMetersPerUnit(stage)})


def _puppets(path: Path, stage: Usd.Stage) -> list[_Puppet]:
    """Return the stage's skeletons. Raises `ReadError` where there is none, or one whose joints are not parents first."""
    cache = UsdSkel.Cache()
    prims = list(Usd.PrimRange(stage.GetPseudoRoot(), _EVERYTHING))
    skins: dict[Any, list[Any]] = {}
    for root in (UsdSkel.Root(prim) for prim in prims if prim.IsA(UsdSkel.Root)):
        cache.Populate(root, _EVERYTHING)
        for binding in cache.ComputeSkelBindings(root, _EVERYTHING):
            skins.setdefault(binding.GetSkeleton().GetPath(), []).extend(binding.GetSkinningTargets())
    to_ours = np.eye(4)
    to_ours[:3, :3] = R_YUP_ZUP if UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z else np.eye(3)
    to_ours[:3] *= UsdGeom.GetStageMetersPerUnit(stage)
    puppets = []
    for prim in prims:
        if prim.IsA(UsdSkel.Skeleton):
            query = cache.GetSkelQuery(UsdSkel.Skeleton(prim))
            joints = [str(joint) for joint in query.GetJointOrder() or []] if query else []
            valid, reason = UsdSkel.Topology(joints).Validate() if joints else (False, "no joints")
            if not valid:
                raise ReadError(f"{path}: {prim.GetPath()}: joints: found {reason or 'an invalid order'}, expected paths, parents first")
            puppets.append(_Puppet(prim, query, joints, skins.get(prim.GetPath(), []), to_ours))
    if not puppets:
        raise ReadError(f"{path}: found no Skeleton, expected a stage with UsdSkel; point caches have none")
    return puppets


def _characters(puppets: Sequence[_Puppet]) -> list[_Puppet]:
    """Return the skeletons on which meshes hang."""
    return [puppet for puppet in puppets if any(skin.HasJointInfluences() for skin in puppet.skins)]


def _codes(path: Path, puppet: _Puppet) -> Floats:
    """Return the time codes (K,) at which a skeleton, or what it stands on, has samples."""
    samples: set[float] = set()
    animation = puppet.query.GetAnimQuery()
    if animation:
        _check_animation(path, animation.GetPrim(), len(animation.GetJointOrder()))
        samples.update(animation.GetJointTransformTimeSamples())
    prim = puppet.prim
    while prim and not prim.IsPseudoRoot():
        if prim.IsA(UsdGeom.Xformable):
            samples.update(UsdGeom.Xformable(prim).GetTimeSamples())
        prim = prim.GetParent()
    return np.array(sorted(samples))


def _check_animation(path: Path, prim: Usd.Prim, joints: int) -> None:
    """Raise `ReadError` where USD would leave a skeleton at rest without a word: for a part that is missing, or too short."""
    for name in _ANIMATED:
        attribute = prim.GetAttribute(name)
        if not attribute.HasAuthoredValue():
            raise ReadError(f"{path}: {prim.GetPath()}: found no {name}, expected all of {', '.join(_ANIMATED)}; "
                            "USD drops an animation that lacks one")
        for code in attribute.GetTimeSamples() or [Usd.TimeCode.Default()]:
            found = len(attribute.Get(code) or [])
            if found != joints:
                raise ReadError(f"{path}: {prim.GetPath()}: {name}: found {found} values at time code {code}, expected {joints}")


def _rate(stage: Usd.Stage, keys_s: Floats, options: MotionFileOptions) -> Fraction:
    """Return the nominal rate: what our own files say, the stage's where keys lie on its frames, else that of the keys."""
    own = _own_rate(stage)
    if own is not None:
        return own
    if stage.HasAuthoredMetadata("framesPerSecond"):
        said = common_rate(stage.GetFramesPerSecond())
    elif stage.HasAuthoredMetadata("timeCodesPerSecond"):
        said = common_rate(stage.GetTimeCodesPerSecond())
    else:
        return options.rate or nominal_rate(keys_s, Fraction(24))  # what USD takes for time codes where nothing is said
    frames = float(np.median(np.diff(keys_s))) * float(said) if len(keys_s) > 1 else 1.0
    fits = said in COMMON_RATES and round(frames) > 0 and abs(frames - round(frames)) < 0.02
    return said if fits else nominal_rate(keys_s)


def _own_rate(stage: Usd.Stage) -> Fraction | None:
    try:
        rate = Fraction(str(stage.GetRootLayer().customLayerData["rigdrop"]["fps"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return rate if rate > 0 else None


def _rest(path: Path, puppet: _Puppet, joint_map: Path | None) -> Rest:
    count = len(puppet.joints)
    rest = UsdSkel.Skeleton(puppet.prim).GetRestTransformsAttr().Get()
    if rest is not None and len(rest) == count:
        in_skel = puppet.query.ComputeJointSkelTransforms(Usd.TimeCode.Default(), True)
    else:
        in_skel = puppet.query.GetJointWorldBindTransforms()
    if in_skel is None or len(in_skel) != count:
        raise ReadError(f"{path}: {puppet.prim.GetPath()}: found neither restTransforms nor bindTransforms of its {count} joints, "
                        "expected either")
    world = puppet.worlds([in_skel], [puppet.to_world(_AT_REST)])[0]
    return rest_of(f"{path}: {puppet.prim.GetPath()}", puppet.names(), puppet.parents, world, joint_map)


def _pose(where: str, puppet: _Puppet, code: float) -> Any:
    in_skel = puppet.query.ComputeJointSkelTransforms(code)
    if in_skel is None or len(in_skel) != len(puppet.joints):
        raise ReadError(f"{where}: found no transforms for its joints at time code {code:g}, "
                        "expected values for every joint that is animated, and restTransforms for the others")
    return in_skel


def _actor(
    path: Path, track: int, puppet: _Puppet, codes: Floats, options: MotionFileOptions, alone: bool,
) -> tuple[Actor, Sequence[str]]:
    rest = _rest(path, puppet, options.joint_map)
    where = f"{path}: {puppet.prim.GetPath()}"

    def blocks() -> Iterator[Floats]:
        for start in range(0, len(codes), FRAMES_AT_ONCE):
            part = codes[start:start + FRAMES_AT_ONCE].tolist()
            yield puppet.worlds([_pose(where, puppet, code) for code in part], [puppet.to_world(code) for code in part])

    motion = motion_of(where, rest, blocks())
    if len(puppet.query.GetJointWorldBindTransforms()) != len(puppet.joints):
        warned = [*rest.warnings, f"{where}: found no bindTransforms; took the motion without the mesh"]
        return actor_of(track, puppet.name, rest.skeleton, motion), warned
    body = _body(where, puppet, rest)
    if body is None:
        return actor_of(track, puppet.name, rest.skeleton, motion), rest.warnings
    rig, warned = _with_looks(path, puppet, rest, body, alone)
    return actor_of(track, puppet.name, rest.skeleton, motion, rig), [*rest.warnings, *warned]


def _with_looks(path: Path, puppet: _Puppet, rest: Rest, body: UsdBody, alone: bool) -> tuple[Rig, list[str]]:
    """Return the rig with the origin of its materials; without, and why, where its stage is not its own."""
    if not body.materials:
        return body.rig, []
    if not alone:
        return body.rig, [f"{path}: {puppet.prim.GetPath()}: found other characters beside it; took its mesh without its materials"]
    return _with_origin(path, puppet, rest, body), []


def _with_origin(path: Path, puppet: _Puppet, rest: Rest, body: UsdBody) -> Rig:
    bind = body.rig.bind_world.copy()
    bind[:, :3, :3] *= rest.scale[:, None, None]
    return replace(body.rig, origin=Origin(
        format="usd", file_name=path.name, content=packed(path), skeleton=str(puppet.prim.GetPath()),
        joints=(*[""] * puppet.added, *puppet.joints), T_world_joint_bind=bind, meshes=body.meshes, vertex_counts=body.vertex_counts,
        points=body.points, materials=body.materials, face_materials=body.face_materials,
    ))


def _body(where: str, puppet: _Puppet, rest: Rest) -> UsdBody | None:
    T_world_skel = puppet.to_world(_AT_REST)
    bind_world = puppet.worlds([puppet.query.GetJointWorldBindTransforms()], [T_world_skel])[0]
    bind_world[:, :3, :3] /= rest.scale[:, None, None]
    return body_of(where, puppet.name, rest.skeleton, bind_world, T_world_skel, puppet.joints, puppet.added, puppet.skins)
