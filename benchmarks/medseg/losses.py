"""Dice and focal loss on logits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def dice_loss(prob: Tensor, mask: Tensor) -> Tensor:
    """1 - (2 shared + 1) / (sizes + 1) over all pixels of a batch."""
    return 1 - (2 * (prob * mask).sum() + 1) / (prob.sum() + mask.sum() + 1)


def focal_loss(logits: Tensor, mask: Tensor, gamma: float, alpha: float | None, double_sigmoid: bool = False) -> Tensor:
    """Mean over pixels of (1 - p)^gamma times the cross entropy, p being the probability of what is so.

    Objects count `alpha` and all else 1 - alpha, or both once without it; gamma 0 is the cross entropy. Lin et al., Focal
    Loss for Dense Object Detection, ICCV 2017. With `double_sigmoid` the cross entropy takes probabilities for logits, as
    SALT's code does.
    """
    prob = torch.sigmoid(logits)
    entropy = binary_cross_entropy_with_logits(prob if double_sigmoid else logits, mask, reduction="none")
    wrong = prob + mask - 2 * prob * mask
    weight = 1.0 if alpha is None else alpha * mask + (1 - alpha) * (1 - mask)
    return (weight * wrong**gamma * entropy).mean()
