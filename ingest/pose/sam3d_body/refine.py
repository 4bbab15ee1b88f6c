"""A second look at each body, told where its wrists and elbows are (section 9, step 5)."""

from __future__ import annotations

import torch
from torch import Tensor

from .branch import Found, Sight
from .constants import constant, indices
from .crop import Crops
from .hands import LEFT, RIGHT, WRISTS, Hands
from .network import Network
from .prompts import NO_POINT

_ELBOWS = (7, 8)
# Right wrist, left wrist, right elbow, left elbow.
_LABELS = (WRISTS[RIGHT], WRISTS[LEFT], _ELBOWS[RIGHT], _ELBOWS[LEFT])


def prompts_of(body: Found, hands: Hands, valid: Tensor, crops: Crops) -> tuple[Tensor, Tensor]:
    """Return the prompts (B,4,3), x and y from 0 to 1 and a label, and which (B,4) come of a hand that was believed.

    Wrists are where the hand branch saw them, elbows where the body's did. What is not believed or lies outside the crop
    says nothing.
    """
    device = valid.device
    pixels = torch.cat([hands.wrists_px.flip(1), body.view.pixels[:, indices(_LABELS[2:], device)]], dim=1)
    flat = crops.to_crop(pixels)
    from_hand = valid[:, indices((RIGHT, LEFT, RIGHT, LEFT), device)]
    usable = from_hand & (flat.abs() <= 0.5).all(-1)
    labels = constant(_LABELS, device).expand(len(crops), -1)
    said = torch.cat([(flat + 0.5).clamp(0, 1), labels[..., None]], dim=-1)
    return torch.where(usable[..., None], said, constant((0.0, 0.0, NO_POINT), device)), from_hand


def look_again(
    network: Network, sight: Sight, body: Found, hands: Hands, valid: Tensor, shared: Tensor | None = None
) -> tuple[Found, Tensor]:
    """Return the bodies that a second pass finds, and which (B,) of them count: the others have nothing new to be told.

    Prompts that say nothing of use are left out. Where ``shared`` (B,) is true they stay and say nothing, and the pass
    always counts: that is what the original does to people who share an image.
    """
    prompts, heard = prompts_of(body, hands, valid, sight.crops)
    if shared is not None:
        heard = heard | shared[:, None]
    second = network.look(sight, network.told(prompts, heard, body.params.estimate(body.camera)))
    return second, heard.any(1)
