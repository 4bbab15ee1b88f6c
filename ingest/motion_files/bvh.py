"""Reads BVH, Biovision's hierarchy: joints with offsets and channels, then a line of numbers for each frame.

The format says neither units nor which way is up. Angles are degrees and turn in the order in which a joint lists its
channels, R = R₁·R₂·R₃; positions take the place of the joint's OFFSET, as in MotionBuilder and Blender.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ReadError
from ...motion.kinematics import local_matrices, local_to_world
from ...motion.rig import Skeleton
from ...motion.rotations import IDENTITY_XYZW, matrix_to_quat, quat_continuous, quat_multiply, quat_to_matrix, rotvec_to_quat
from ...motion.take import Motion
from ..recording import Actor, Recording
from .frame_times import rate_of_frame_time
from .options import MotionFileOptions
from .rates import even_times
from .skeletal import R_YUP_ZUP, Rest, actor_of, rest_of

Floats = NDArray[np.float64]

# The size of a person, in the file's units, from which on these are what it is measured in: millimetres, centimetres, the
# inches of ACCAD, the 0.45-inch units of CMU's Acclaim files; below, metres.
_UNITS = ((500.0, "millimetres", 0.001), (84.0, "centimetres", 0.01), (45.0, "inches", 0.0254), (10.0, "CMU's units", 0.0254 / 0.45),
          (0.0, "metres", 1.0))
_CHANNEL = re.compile(r"([XYZ])(position|rotation)", re.IGNORECASE)
_MOTION = re.compile(r"^[ \t]*MOTION\b", re.IGNORECASE | re.MULTILINE)
_CLOCK = re.compile(r"\s*Frames\s*:\s*(\S+)\s+Frame\s+Time\s*:\s*(\S+)", re.IGNORECASE)
_LOOKED_AT = 64
# What a body's stance is told from.
_NEEDED = ("pelvis", "neck", "left_ankle", "right_ankle", "left_hip", "right_hip", "left_shoulder", "left_wrist", "right_shoulder",
           "right_wrist")


@dataclass
class _Joint:
    """A joint as the hierarchy has it, in the file's units."""

    name: str
    parent: int  # among the joints of its own root
    offset: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    channels: list[tuple[str, int]] = field(default_factory=list)  # position or rotation, and the axis


@dataclass(frozen=True, eq=False)
class _Body:
    """The joints below one ROOT and their local values over F frames, in the file's units and axes."""

    joints: list[_Joint]
    quat_xyzw: Floats  # (F,J,4)
    translation: Floats  # (F,J,3)
    warnings: tuple[str, ...]

    @property
    def parents(self) -> NDArray[np.int32]:
        return np.array([joint.parent for joint in self.joints], dtype=np.int32)

    @property
    def names(self) -> list[str]:
        return [joint.name for joint in self.joints]

    def rest_world(self) -> Floats:
        """Where the joints are in the pose of all zeros (J,4,4)."""
        offsets = np.array([joint.offset for joint in self.joints])
        return local_to_world(self.parents, local_matrices(np.tile(IDENTITY_XYZW, (len(offsets), 1)), offsets))

    def some_worlds(self) -> Floats:
        """How the joints stand (f,J,4,4) in a few frames from all over the clip."""
        some = np.unique(np.linspace(0, len(self.quat_xyzw) - 1, _LOOKED_AT).astype(int))
        return local_to_world(self.parents, local_matrices(self.quat_xyzw[some], self.translation[some]))


def is_mine(path: Path) -> bool:
    """Say whether a file begins as a BVH does."""
    try:
        with path.open("rb") as file:
            head = file.read(1024)
    except OSError:
        return False
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:9].upper() == b"HIERARCHY"


def read(path: Path, options: MotionFileOptions) -> Recording:
    """Return one actor for each ROOT: metres, +Y up, resting in the pose of all zeros, times from the exact rate.

    What the units are is told from how tall somebody is (see ``_UNITS``), and said in a warning; so is it where Z is up, and
    where the pose of all zeros is no person's and another frame's is taken for the rest pose. Raises `ReadError` that names
    the line or the field for what is cut, malformed or not finite.
    """
    bodies, fps = _read_bodies(path, options.frame_limit)
    unit, metres = _unit(bodies)
    warned = [f"{path}: OFFSET: BVH says no units; took {unit}, in which the largest pose measures {_size(bodies) * metres:.2f} m"]
    actors = []
    for track, body in enumerate(bodies):
        rest, turn, said = _stand(path, body, metres, options.joint_map)
        warned += [f"{path}: {body.names[0]}: {said}"] if said else []
        actors.append(_actor(track, body, rest, metres, turn))
        warned += [f"{path}: {warning}" for warning in body.warnings] + list(rest.warnings)
    times_s = even_times(len(bodies[0].quat_xyzw), fps)
    return Recording(times_s, fps, actors, warnings=tuple(warned), details={"format": "bvh", "units": unit})


def read_skeleton(path: Path, joint_map: Path | None = None) -> Skeleton:
    """Return the skeleton of the first ROOT, as `read` does."""
    bodies, _ = _read_bodies(path, 0)
    return _stand(path, bodies[0], _unit(bodies)[1], joint_map)[0].skeleton


def _read_bodies(path: Path, frame_limit: int) -> tuple[list[_Body], Fraction]:
    hierarchy, motion = _halves(path)
    roots = _joints(path, hierarchy)
    values, fps = _values(path, motion, [len(joint.channels) for joints in roots for joint in joints], frame_limit)
    bodies, column = [], 0
    for joints in roots:
        width = sum(len(joint.channels) for joint in joints)
        bodies.append(_body(joints, values[:, column:column + width]))
        column += width
    return bodies, fps


def _halves(path: Path) -> tuple[str, str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path}: can't be read ({error.strerror}), expected a BVH") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    match = _MOTION.search(text)
    if match is None:
        raise ReadError(f"{path}: MOTION: found none, expected it after the hierarchy; the file may be cut")
    return text[:match.start()], text[match.end():]


def _joints(path: Path, hierarchy: str) -> list[list[_Joint]]:
    """Return the joints below each ROOT, parents first; End Sites are left out."""
    roots: list[list[_Joint]] = []
    open_braces: list[int | None] = []  # the joint whose block it is; nothing for an End Site
    named: int | None = None
    for line, text in _pieces(hierarchy):
        word, _, rest = text.partition(" ")
        where = f"{path}: line {line}"
        if text == "{":
            open_braces.append(named)
        elif text == "}" and open_braces:
            open_braces.pop()
        elif word.upper() == "ROOT" and not open_braces:
            roots.append([_Joint(rest.strip() or "root", -1)])
            named = 0
        elif word.upper() == "JOINT" and open_braces and open_braces[-1] is not None:
            roots[-1].append(_Joint(rest.strip() or f"joint_{len(roots[-1])}", open_braces[-1]))
            named = len(roots[-1]) - 1
        elif word.upper() == "END":
            named = None
        elif word.upper() in ("OFFSET", "CHANNELS") and open_braces:
            if open_braces[-1] is not None:
                joint = roots[-1][open_braces[-1]]
                _fill(where, joint, word.upper(), rest.split())
        elif word.upper() != "HIERARCHY":
            raise ReadError(f"{where}: found {text!r:.60}, expected ROOT, JOINT, OFFSET, CHANNELS, End Site or a brace")
    if not roots or open_braces:
        raise ReadError(f"{path}: HIERARCHY: found {len(roots)} roots and {len(open_braces)} open braces, expected a root and none")
    return roots


def _pieces(hierarchy: str) -> Iterator[tuple[int, str]]:
    """Yield each statement and each brace with the number of its line."""
    for number, line in enumerate(hierarchy.splitlines(), start=1):
        for piece in re.split(r"([{}])", line):
            if piece.strip():
                yield number, " ".join(piece.split())


def _fill(where: str, joint: _Joint, kind: str, words: Sequence[str]) -> None:
    if kind == "OFFSET":
        try:
            joint.offset = [float(word) for word in words]
        except ValueError:
            joint.offset = []
        if len(joint.offset) != 3 or not np.isfinite(joint.offset).all():
            raise ReadError(f"{where}: {joint.name}: OFFSET: found {' '.join(words)!r:.60}, expected three finite numbers")
        return
    matches = [_CHANNEL.fullmatch(word) for word in words[1:]]
    joint.channels = [(match[2].lower(), "XYZ".index(match[1].upper())) for match in matches if match]
    if not words or words[0] != str(len(words) - 1) or len(set(joint.channels)) != len(words) - 1:
        raise ReadError(f"{where}: {joint.name}: CHANNELS: found {' '.join(words)!r:.80}, expected their number and as many, each once, "
                        "such as 3 Zrotation Xrotation Yrotation")


def _values(path: Path, motion: str, widths: Sequence[int], frame_limit: int) -> tuple[Floats, Fraction]:
    """Return the numbers (F,C) of all frames, and the rate."""
    clock = _CLOCK.match(motion)
    if clock is None:
        raise ReadError(f"{path}: MOTION: found {motion.strip()[:40]!r}, expected Frames: and Frame Time:")
    fps = rate_of_frame_time(f"{path}: Frame Time", clock[2])
    if not clock[1].isdigit() or int(clock[1]) == 0:
        raise ReadError(f"{path}: Frames: found {clock[1]!r:.40}, expected a number of frames, 1 or more")
    frames, width = int(clock[1]), sum(widths)
    numbers = _numbers(path, motion[clock.end():])
    if len(numbers) != frames * width:
        found = f"{len(numbers) / width:g} frames" if width else "none"
        raise ReadError(f"{path}: MOTION: found {len(numbers)} numbers ({found}), expected {frames} frames of {width} channels; "
                        "the file may be cut")
    values = numbers.reshape(frames, width)[:frame_limit or frames]
    if not np.isfinite(values).all():
        frame, channel = np.argwhere(~np.isfinite(values))[0]
        raise ReadError(f"{path}: MOTION: found {values[frame, channel]} in frame {frame + 1}, channel {channel + 1}, "
                        "expected finite numbers")
    return values, fps


def _numbers(path: Path, text: str) -> Floats:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return np.fromstring(text, dtype=np.float64, sep=" ") if text.strip() else np.zeros(0)
        except (DeprecationWarning, ValueError):
            wrong = next((word for word in text.split() if not _is_number(word)), "")
            raise ReadError(f"{path}: MOTION: found {wrong!r:.40}, expected numbers alone") from None


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _body(joints: list[_Joint], values: Floats) -> _Body:
    quat = np.tile(IDENTITY_XYZW, (len(values), len(joints), 1))
    translation = np.tile(np.array([joint.offset for joint in joints]), (len(values), 1, 1))
    column, still = 0, []
    for number, joint in enumerate(joints):
        own = values[:, column:column + len(joint.channels)]
        column += len(joint.channels)
        placed = [(axis, own[:, place]) for place, (kind, axis) in enumerate(joint.channels) if kind == "position"]
        # Some programs give every joint position channels and leave them at zero, which would draw it into its parent.
        if number and placed and any(joint.offset) and not any(value.any() for _, value in placed):
            still.append(joint.name)
            placed = []
        for axis, value in placed:
            translation[:, number, axis] = value
        for place, (kind, axis) in enumerate(joint.channels):
            if kind == "rotation":
                turn = rotvec_to_quat(np.radians(own[:, place])[:, None] * np.eye(3)[axis])
                quat[:, number] = quat_multiply(quat[:, number], turn)
    zeros = f"position channels of {len(still)} joints ({still[0]}, …) are all zero; kept their OFFSET" if still else ""
    return _Body(joints, quat, translation, (zeros,) if zeros else ())


def _size(bodies: Sequence[_Body]) -> float:
    """The longest side of the largest box around a pose: a person's height or span of arms, in the file's units."""
    places = [body.some_worlds()[..., :3, 3] for body in bodies]
    return max(float((place.max(axis=1) - place.min(axis=1)).max()) for place in places)


def _unit(bodies: Sequence[_Body]) -> tuple[str, float]:
    size = _size(bodies)
    return next((name, metres) for least, name, metres in _UNITS if size >= least)


def _stand(path: Path, body: _Body, metres: float, joint_map: Path | None) -> tuple[Rest, Floats, str]:
    """Return the skeleton, +Y up, the turn (3,3) that brought it there from the file's axes, and what there is to say of it."""

    def rest_in(T_world_rest: Floats) -> Rest:
        in_metres = T_world_rest.copy()
        in_metres[:, :3, 3] *= metres
        return rest_of(str(path), body.names, body.parents.tolist(), in_metres, joint_map)

    zeros, moving = body.rest_world(), body.some_worlds()
    rest = rest_in(zeros)
    if not all(key in rest.skeleton.semantic for key in _NEEDED):
        return rest, np.eye(3), ""
    pelvis, neck, *limbs = (rest.skeleton.semantic[key] for key in _NEEDED)
    up, down = zeros[neck, :3, 3] - zeros[pelvis, :3, 3], zeros[limbs[:2], :3, 3].mean(axis=0) - zeros[pelvis, :3, 3]
    if up @ down >= 0:
        said = "the pose of all zeros is no person's; rests as in its straightest frame"
        return rest_in(_standing(moving, pelvis, neck, limbs)), np.eye(3), said
    if _along_z(up) and _along_z(-down) and _moves_along_z(moving, neck, limbs):
        turned = zeros.copy()
        turned[:, :3] = R_YUP_ZUP @ turned[:, :3]
        return rest_in(turned), R_YUP_ZUP, "the rest pose stands along Z; took Z for up"
    return rest, np.eye(3), ""


def _along_z(direction: Floats) -> bool:
    return bool(direction[2] > 2 * max(abs(direction[0]), abs(direction[1])))


def _moves_along_z(moving: Floats, neck: int, limbs: Sequence[int]) -> bool:
    """Say whether people stand along Z when they move, as in Blender's exports: a file may turn a Z-up rest pose upright."""
    places = moving[..., :3, 3]
    upright = np.abs((places[:, neck] - places[:, limbs[:2]].mean(axis=1)).mean(axis=0))
    return bool(upright[2] >= upright[1])


def _standing(moving: Floats, pelvis: int, neck: int, limbs: Sequence[int]) -> Floats:
    """Return the pose (J,4,4) of the frame in which trunk and legs are the most upright and arms the straightest, facing +Z.

    For files whose joints' own axes lie along the bones (LAFAN1's, say): with all turns zero, legs lie on the trunk.
    """
    places = moving[..., :3, 3]
    left_ankle, right_ankle, left_hip, right_hip, *arms = limbs
    bones = ((neck, pelvis), (left_hip, left_ankle), (right_hip, right_ankle))
    parts = [places[:, upper] - places[:, lower] for upper, lower in bones]
    upright = sum(part[:, 1] / np.maximum(np.linalg.norm(part, axis=1), 1e-9) for part in parts)
    reach = sum(np.linalg.norm(places[:, wrist] - places[:, shoulder], axis=1) for shoulder, wrist in (arms[:2], arms[2:]))
    best = int(np.argmax(upright + reach / max(float(np.max(reach)), 1e-9)))
    across = places[best, left_hip] - places[best, right_hip]
    turned = np.array(moving[best])
    turned[:, :3] = quat_to_matrix(rotvec_to_quat([0.0, np.arctan2(across[2], across[0]), 0.0])) @ turned[:, :3]
    turned[:, [0, 2], 3] -= turned[0, [0, 2], 3]
    return turned


def _actor(track: int, body: _Body, rest: Rest, metres: float, R_world_file: Floats) -> Actor:
    quat, translation = body.quat_xyzw.copy(), body.translation * metres
    quat[:, 0] = quat_multiply(matrix_to_quat(R_world_file), quat[:, 0])
    translation[:, 0] = translation[:, 0] @ R_world_file.T
    seen = np.ones(len(quat), np.bool_)
    motion = Motion(quat_continuous(quat).astype(np.float32), translation.astype(np.float32), seen, seen.astype(np.float32))
    return actor_of(track, body.joints[0].name, rest.skeleton, motion)
