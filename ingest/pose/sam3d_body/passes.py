"""Frames and boxes in, bodies out: the passes of one batch, in order (section 9).

There are three stages with the backbone between them, `begin`, `meet` and `finish`, so that the crops of two batches can go
through it together; `find_bodies` takes one batch all the way. Nothing here waits for what the device has reckoned: a pass
that may not be needed is done, and its result left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ....errors import SettingsError
from .branch import Found, Sight
from .camera import project_centred, see
from .crop import BODY_PADDING, HAND_PADDING, Crops, Frames, as_frames, crops_of_boxes, cut, cut_masks
from .fuse import fused
from .hands import believed, both_hands, boxes_of, hand_crops, look_at_hands
from .heads import BodyParams, without_raw
from .mhr import METRES_PER_CM, flip_yz
from .network import Network
from .refine import look_again
from .wrist import body_wrists

MODES = ("full", "fast", "body", "hand")


@dataclass(frozen=True)
class PassOptions:
    """What is computed of a batch."""

    mode: str = "full"
    """``full``: body, hands, a second look and fusion; ``fast``: the same without the second look; ``body``: the first look
    alone; ``hand``: boxes are of right hands."""
    wrist_threshold_rad: float = 1.4
    """A hand is believed whose wrist turns by less than this."""
    vertices: bool = False
    """Make the mesh too."""
    exact_upstream: bool = False
    """Repeat what the original gets wrong, for comparison: the wrist gate measured in the other hand's crop, a left hand's
    camera not mirrored, the last 2D about the frame's middle, and prompts that depend on how many share a frame."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise SettingsError(f"mode: found {self.mode!r}, expected one of {', '.join(MODES)}")


@dataclass(frozen=True)
class People:
    """P people in F frames, on the network's device."""

    frames: Tensor | Frames  # (F,H,W,3) uint8, RGB, or frames of several sizes
    boxes_xyxy: Tensor  # (P,4) float32, pixels
    K: Tensor  # (P,3,3) float32, pixels
    frame: Tensor  # (P,) int64, which frame each is in
    masks: Tensor | Frames | None = None  # (P,H,W) uint8, 0 or 1, or P of several sizes
    mask_scores: Tensor | None = None  # (P,), 0 for a mask that is none; all 1 where it is None
    shared: Tensor | None = None  # (P,) bool, who isn't alone in their frame; None: as the others here say


@dataclass(frozen=True)
class Hand:
    """How the hand branch fared with B bodies; the axis of two is left, right."""

    boxes_xyxy: Tensor  # (B,2,4), frame pixels, of the hands' crops
    valid: Tensor  # (B,2) bool, passed all gates before the second look
    fused: Tensor  # (B,2) bool, put on the body
    angles_rad: Tensor  # (B,2,2), how far each wrist would turn: after the first look and after the second
    looked_again: Tensor  # (B,) bool


@dataclass(frozen=True)
class Bodies:
    """B bodies; points are metres in the camera's axes (+X right, +Y down, +Z away) about the body's own origin."""

    params: BodyParams
    model_params: Tensor  # (B,204), MHR's: decimetres, radians, log2 of scale
    translation_m: Tensor  # (B,3), from the body's origin to the camera's
    focal_px: Tensor  # (B,)
    keypoints_m: Tensor  # (B,70,3)
    keypoints_px: Tensor  # (B,70,2), frame pixels
    joints_m: Tensor  # (B,127,3)
    rotations: Tensor  # (B,127,3,3), MHR's own axes
    vertices_m: Tensor | None  # (B,V,3)
    hand: Hand | None  # in modes ``full`` and ``fast`` alone


@dataclass(frozen=True)
class Begun:
    """A batch before its first look; the backbone's maps of ``pixels`` come next."""

    crops: Crops
    pixels: Tensor  # (B,3,N,N) uint8
    frames: Frames
    masks: Tensor | None  # (B,1,N,N) uint8
    scores: Tensor | None  # (B,)
    shared: Tensor | None  # (B,) bool


@dataclass(frozen=True)
class Met:
    """A batch after its first look; the backbone's maps of the hands' ``pixels`` come next."""

    sight: Sight
    first: Found
    hand_crops: Crops  # all left hands, then all right ones
    pixels: Tensor  # (2B,3,N,N) uint8
    shared: Tensor | None  # (B,) bool


def find_bodies(network: Network, people: People, options: PassOptions | None = None) -> Bodies:
    """Return the bodies of people, in their order; nobody is a batch of none."""
    options = options or PassOptions()
    begun = begin(network, people, options)
    met = meet(network, begun, network.features(begun.pixels), options)
    return met if isinstance(met, Bodies) else finish(network, met, network.features(met.pixels), options)


@torch.inference_mode()
def begin(network: Network, people: People, options: PassOptions) -> Begun:
    """Return the crops of people: of bodies, or with mode ``hand`` of right hands, of which no mask is told."""
    hand, frames = options.mode == "hand", as_frames(people.frames)
    padding = HAND_PADDING if hand else BODY_PADDING
    image = frames.size_px[people.frame]
    crops = crops_of_boxes(people.boxes_xyxy, image, people.K, network.config.crop_px, padding, people.frame)
    masks = None if people.masks is None or hand else cut_masks(people.masks, crops)
    shared = None
    if options.exact_upstream:
        shared = _shared(people.frame) if people.shared is None else people.shared
    return Begun(crops, cut(frames, crops), frames, masks, people.mask_scores, shared)


@torch.inference_mode()
def meet(network: Network, begun: Begun, maps: Tensor, options: PassOptions) -> Met | Bodies:
    """Return what the first look finds, and where it saw hands; with modes ``body`` and ``hand`` that is all."""
    crops, hand = begun.crops, options.mode == "hand"
    scores = maps.new_full((len(crops),), float(begun.masks is not None)) if begun.scores is None else begun.scores
    sight = network.sight(network.masked(maps, begun.masks, scores), crops, hand)
    first = network.look(sight, hand=hand)
    if options.mode not in ("full", "fast"):
        return _posed(network, first.params, first.camera, crops, options, None)
    own = hand_crops(boxes_of(network, first, crops), crops, options.exact_upstream)
    return Met(sight, first, own, cut(begun.frames, own), begun.shared)


@torch.inference_mode()
def finish(network: Network, met: Met, hand_maps: Tensor, options: PassOptions) -> Bodies:
    """Return bodies with their hands on, after a second look with mode ``full``; ``hand_maps`` are those of ``met.pixels``."""
    first, crops, head = met.first, met.sight.crops, network.body.head_pose
    hands = both_hands(look_at_hands(network, hand_maps, met.hand_crops), met.hand_crops, head)
    valid, angles = believed(first, hands, head, options.wrist_threshold_rad, options.exact_upstream)
    if options.mode == "fast":
        again, counts = first, valid.new_zeros(len(valid))
    else:
        again, counts = look_again(network, met.sight, first, hands, valid, met.shared)
    second = again.params.where(counts, first.params)
    rotations = torch.where(counts[:, None, None, None], again.joints.rotations, first.joints.rotations)
    camera = torch.where(counts[:, None], again.camera, first.camera)
    params, put, later = fused(
        second, rotations, hands, valid, body_wrists(first.params), head.joint_rotation, options.wrist_threshold_rad,
    )
    half = hands.sides_px[..., None] / 2
    boxes = torch.cat([hands.centres_px - half, hands.centres_px + half], dim=-1)
    hand = Hand(boxes, valid, put, torch.stack([angles, later], dim=-1), counts)
    return _posed(network, without_raw(params), camera, crops, options, hand)


def _posed(
    network: Network, params: BodyParams, camera: Tensor, crops: Crops, options: PassOptions, hand: Hand | None
) -> Bodies:
    """Return the bodies of these parameters, seen by these cameras (B,3): everything reckoned from the parameters anew."""
    branch, mhr = network.hands if options.mode == "hand" else network.body, network.mhr
    model_params = branch.head_pose.model_params(params)
    joints = mhr.joints(model_params)
    keypoints = flip_yz(branch.keypoints(joints, params.shape))
    view = see(keypoints, camera, crops, branch.factor, network.config.own_centre)
    pixels = view.pixels
    if options.exact_upstream and hand is not None:
        pixels = project_centred(keypoints + view.translation_m[:, None], crops)
    return Bodies(
        params, model_params, view.translation_m, crops.K[:, 0, 0], keypoints, pixels, flip_yz(joints.places_cm * METRES_PER_CM),
        joints.rotations, flip_yz(mhr.vertices_m(joints, params.shape)) if options.vertices else None, hand,
    )


def _shared(frame: Tensor) -> Tensor:
    """Return which people (P,) are not alone in their frame (P,)."""
    return (frame[:, None] == frame[None]).sum(1) > 1
