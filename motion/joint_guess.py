"""A best guess of what the joints of a skeleton mean: known names first, then words in the names, then the tree's shape."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .joint_names import CORE, DIGITS, KNUCKLES, SIDES, SPINE, known_semantic

Floats = NDArray[np.float64]

_LEFT, _RIGHT = {"l", "left", "lft", "lt"}, {"r", "right", "rgt", "rt"}
# Joints that help a body part and are not it.
_HELPERS = {
    "twist", "roll", "end", "nub", "tip", "ik", "fk", "pole", "target", "ctrl", "control", "helper", "proc", "null", "aux", "effector",
    "attach", "weapon", "prop", "eye", "jaw", "tongue", "teeth", "breast", "ear", "hair", "skirt", "socket", "share", "site", "metacarpal",
    "carpal", "palm", "muscle", "bulge", "volume", "corrective", "adj", "pectoral",
}
# What a part of the body is called, the surest words first; a name that has one in it is a candidate.
_WORDS: dict[str, tuple[str, ...]] = {
    "clavicle": ("clavicle", "collar", "scapula", "shoulder"),
    "shoulder": ("upperarm", "uparm", "humerus", "shldr", "arm", "shoulder"),
    "elbow": ("forearm", "lowerarm", "lowarm", "elbow", "radius"),
    "wrist": ("wrist", "hand"),
    "hip": ("thigh", "upleg", "upperleg", "femur", "hip", "leg"),
    "knee": ("knee", "shin", "calf", "lowerleg", "lowleg", "tibia", "leg"),
    "ankle": ("ankle", "foot"),
    "foot": ("toe", "ball"),
}
_DIGIT_WORDS = {
    "thumb": ("thumb",), "index": ("index", "pointer"), "middle": ("middle", "mid"), "ring": ("ring",), "pinky": ("pinky", "little"),
}
_FINGER_WORDS = tuple(word for words in _DIGIT_WORDS.values() for word in words) + ("finger",)
# "arm" is not in "forearm", nor "leg" in "upleg": a word that is part of a longer one here does not count where the longer stands.
_LONGER = {"arm": ("forearm", "lowerarm", "lowarm"), "leg": ("upleg", "upperleg")}


def guess_semantic(names: Sequence[str], parents: NDArray[np.integer], rest_m: Floats) -> dict[str, int]:
    """Return from what joints mean to their indices, as far as it can be told.

    ``parents`` (J,) has each parent before its children and -1 at the root; ``rest_m`` (J,3) are the joints' places at rest,
    +Y up, the left on +X. A joint means one thing at most; what is not found is not there.
    """
    tree = _Tree(names, parents, rest_m)
    found = known_semantic(names)
    # Words of two unlike skeletons would make a third that is neither: the tree's shape decides where words don't tell the core.
    for guess in (_by_words, _by_shape):
        if not all(key in found for key in CORE):
            found = _joined(found, guess(tree))
    found = _joined(found, _fingers(tree, found))
    found = _joined(found, _spine(tree, found))
    return {key: joint for key, joint in found.items() if joint >= 0}


def with_spine(semantic: Mapping[str, int], names: Sequence[str], parents: NDArray[np.integer], rest_m: Floats) -> dict[str, int]:
    """Return what joints mean, and where no joint of the spine is named the spine as `guess_semantic` tells it from the limbs."""
    spine = _spine(_Tree(names, parents, rest_m), semantic)
    return _joined(semantic, {key: joint for key, joint in spine.items() if key in SPINE})


def _joined(sure: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    taken = set(sure.values())
    return {**sure, **{key: joint for key, joint in more.items() if key not in sure and joint not in taken}}


class _Tree:
    """A skeleton's joints with the questions that are asked of them."""

    def __init__(self, names: Sequence[str], parents: NDArray[np.integer], rest_m: Floats) -> None:
        self.names, self.parents = list(names), [int(parent) for parent in parents]
        self.rest_m = np.asarray(rest_m, dtype=np.float64)
        self.children: list[list[int]] = [[] for _ in names]
        for joint, parent in enumerate(self.parents):
            if parent >= 0:
                self.children[parent].append(joint)
        self.words = [_words(name) for name in names]

    def above(self, joint: int) -> list[int]:
        """The joint and its ancestors, up to the root."""
        line = [joint]
        while self.parents[line[-1]] >= 0:
            line.append(self.parents[line[-1]])
        return line

    def below(self, joint: int) -> list[int]:
        """The joint and all that hang on it."""
        reached = [joint]
        for each in reached:
            reached += self.children[each]
        return reached

    def fork(self, joints: Iterable[int]) -> int:
        """The lowest joint that carries all of ``joints`` and is none of them; -1 where there is none."""
        lines = [self.above(joint)[1:] for joint in joints]
        return next((joint for joint in lines[0] if all(joint in line for line in lines)), -1) if lines else -1

    def longest(self, joint: int) -> list[int]:
        """The chain from a joint to the leaf that most bone lies before."""
        chains = [self.longest(child) for child in self.children[joint]]
        return [joint, *max(chains, key=lambda chain: self.length(joint, *chain), default=[])]

    def length(self, *chain: int) -> float:
        """The length of the bones of a chain."""
        return sum(float(np.linalg.norm(self.rest_m[end] - self.rest_m[start])) for start, end in pairwise(chain))


def _words(name: str) -> tuple[str, str, set[str]]:
    """Return a name's side, ``left``, ``right`` or nothing, its letters without it, and its words."""
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", re.sub(r".*[:|]", "", name))]
    side = "left" if set(words) & _LEFT else "right" if set(words) & _RIGHT else ""
    letters = "".join(word for word in words if word not in _LEFT | _RIGHT)
    for prefix, meant in (("left", "left"), ("right", "right"), ("l", "left"), ("r", "right")):
        # lfemur, lefthand: one word.
        rest = letters.removeprefix(prefix)
        if not side and rest != letters and any(rest.startswith(word) for words in _WORDS.values() for word in (*words, *_FINGER_WORDS)):
            return meant, rest, set(words)
    return side, letters, set(words)


def _has(letters: str, word: str) -> bool:
    return word in letters and not any(longer in letters for longer in _LONGER.get(word, ()))


def _by_words(tree: _Tree) -> dict[str, int]:
    """Guess from what the names say; a limb whose joints do not hang on one another is left out from there on."""
    found: dict[str, int] = {}
    for side in SIDES:
        for chain in (("clavicle", "shoulder", "elbow", "wrist"), ("hip", "knee", "ankle", "foot")):
            found |= _limb(tree, side, chain)
    hips = [found[key] for key in ("left_hip", "right_hip") if key in found]
    centre = [joint for joint, (side, letters, words) in enumerate(tree.words) if not side and not words & _HELPERS]
    pelvis = [joint for joint in centre if re.search("pelvis|hip", tree.words[joint][1]) and all(joint in tree.above(hip) for hip in hips)]
    found["pelvis"] = pelvis[0] if pelvis else tree.fork(hips) if len(hips) == 2 else -1
    for key in ("neck", "head"):
        found[key] = next((joint for joint in centre if key in tree.words[joint][1]), -1)
    return {key: joint for key, joint in found.items() if joint >= 0}


def _limb(tree: _Tree, side: str, chain: Sequence[str]) -> dict[str, int]:
    """Take for each part the topmost joint that is called so by the surest word there is, below the part before it."""
    found: dict[str, int] = {}
    ours = [joint for joint, (own, letters, words) in enumerate(tree.words)
            if own == side and not words & _HELPERS and not any(word in letters for word in _FINGER_WORDS)]
    # From the surest parts on: what "shoulder" or "leg" means shows only when the upper arm and the knee are known.
    for part in sorted(chain, key=lambda part: part in ("clavicle", "hip", "knee")):
        for word in _WORDS[part]:
            hits = [joint for joint in ours if _has(tree.words[joint][1], word) and joint not in found.values()]
            hits = [joint for joint in hits if _in_order(tree, chain, {**found, part: joint})]
            if hits:
                found[part] = hits[0]
                break
    return {f"{side}_{part}": joint for part, joint in found.items()}


def _in_order(tree: _Tree, chain: Sequence[str], found: Mapping[str, int]) -> bool:
    line = [found[part] for part in chain if part in found]
    return all(upper in tree.above(lower)[1:] for upper, lower in pairwise(line))


def _by_shape(tree: _Tree) -> dict[str, int]:
    """Guess from where joints are: legs go down from a fork, arms aside from the next one above it, the head up."""
    found: dict[str, int] = {}
    for joint in range(len(tree.names)):
        limbs = _branches(tree, joint)
        if len(limbs) >= 3:
            legs = sorted(sorted(limbs, key=lambda chain: tree.rest_m[chain[-1], 1])[:2], key=lambda chain: -tree.rest_m[chain[-1], 0])
            up = max(limbs, key=lambda chain: tree.rest_m[tree.below(chain[0]), 1].max())
            if up not in legs:
                found["pelvis"] = joint
                found |= _four(tree, "left", legs[0], ("", "hip", "knee", "ankle", "foot"))
                found |= _four(tree, "right", legs[1], ("", "hip", "knee", "ankle", "foot"))
                return found | _upper_body(tree, up[0])
    return found


def _branches(tree: _Tree, joint: int) -> list[list[int]]:
    """The longest chains below a joint's children, without stumps of fewer than two joints."""
    return [chain for chain in (tree.longest(child) for child in tree.children[joint]) if len(chain) > 1]


def _upper_body(tree: _Tree, start: int) -> dict[str, int]:
    for joint in tree.below(start):
        limbs = _branches(tree, joint)
        apart = sorted(limbs, key=lambda chain: -tree.rest_m[chain[-1], 0])
        if len(limbs) >= 2 and tree.rest_m[apart[0][-1], 0] > tree.rest_m[joint, 0] > tree.rest_m[apart[-1][-1], 0]:
            found = _four(tree, "left", apart[0], ("clavicle", "shoulder", "elbow", "wrist"))
            found |= _four(tree, "right", apart[-1], ("clavicle", "shoulder", "elbow", "wrist"))
            rest = [child for child in tree.children[joint] if child not in (apart[0][0], apart[-1][0])]
            if rest:
                neck = max(rest, key=lambda child: tree.rest_m[tree.below(child), 1].max())
                found |= {"neck": neck, **({"head": tree.children[neck][0]} if tree.children[neck] else {})}
            return found
    return {}


def _four(tree: _Tree, side: str, chain: list[int], parts: Sequence[str]) -> dict[str, int]:
    """Name a chain's joints: its two longest bones in a row are the upper and the lower limb; one part may lie before them."""
    if len(chain) < 3:
        return {}
    first = max(range(len(chain) - 2), key=lambda start: tree.length(*chain[start:start + 3]))
    line = chain[max(first - 1, 0):]
    named = zip(parts if first else parts[1:], line, strict=False)
    return {f"{side}_{part}": joint for part, joint in named if part}


def _fingers(tree: _Tree, found: Mapping[str, int]) -> dict[str, int]:
    """Guess the knuckles below the wrists: by their words, else by their places where a hand has five chains."""
    fingers: dict[str, int] = {}
    for side in SIDES:
        if f"{side}_wrist" not in found:
            continue
        hand = [joint for joint in tree.below(found[f"{side}_wrist"])[1:] if not tree.words[joint][2] & _HELPERS]
        chains = {digit: [joint for joint in hand if any(word in tree.words[joint][1] for word in words)]
                  for digit, words in _DIGIT_WORDS.items()}
        if not any(chains.values()):
            chains = _fingers_by_place(tree, found[f"{side}_wrist"], set(hand))
        for digit, chain in chains.items():
            numbered = len(chain) > 3 and re.search(r"0(?!\d)", tree.names[chain[0]]) is not None  # a metacarpal, counted from 0
            chain = chain[1:] if numbered else chain
            fingers |= {f"{side}_{digit}_{knuckle}": joint for knuckle, joint in zip(KNUCKLES[digit], chain, strict=False)}
    return fingers


def _fingers_by_place(tree: _Tree, wrist: int, usable: set[int]) -> dict[str, list[int]]:
    """Tell five chains of a hand apart: the thumb begins nearest to the wrist, and the others follow by their distance from it."""
    chains = [[joint for joint in chain if joint in usable] for chain in _branches(tree, wrist)]
    chains = [chain for chain in chains if len(chain) > 2]
    if len(chains) != len(DIGITS):
        return {}
    thumb = min(chains, key=lambda chain: tree.length(wrist, chain[0]))
    return dict(zip(DIGITS, sorted(chains, key=lambda chain: tree.length(thumb[0], chain[0])), strict=True))


def _spine(tree: _Tree, found: Mapping[str, int]) -> dict[str, int]:
    """Name up to three joints between the pelvis and the neck or the arms, and the root above the pelvis."""
    if "pelvis" not in found:
        return {}
    root = tree.above(found["pelvis"])[-1]
    named = {} if root == found["pelvis"] else {"root": root}
    carried = [found[key] for key in ("neck", "left_clavicle", "right_clavicle") if key in found][:1]
    # What carries both arms: between it and a shoulder may lie a clavicle that nobody has named.
    carried = carried or [found[key] for key in ("left_shoulder", "right_shoulder") if key in found]
    top = tree.fork(carried)
    if top < 0 or any(key in found for key in SPINE):
        return named
    line = tree.above(top)
    if found["pelvis"] in line:
        chain = line[:line.index(found["pelvis"])][::-1]
        # The ends and the middle of a longer one.
        chosen = [chain[0], chain[len(chain) // 2], chain[-1]] if len(chain) > 2 else chain
        named |= dict(zip(SPINE, chosen, strict=False))
    return named
