"""Dice and focal loss on logits of classes, of which no two overlap: one class and the background, or several."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def with_background(logits: Tensor) -> Tensor:
    """Probabilities [n, 1 + k, h, w] of the background, whose logit is 0, and of classes with logits [n, k, h, w].

    Of one class this is the logistic function.
    """
    return torch.softmax(_beside_zero(logits), 1)


def dice_loss(prob: Tensor, mask: Tensor) -> Tensor:
    """1 - (2 shared + 1) / (sizes + 1) over all pixels of a batch [n, k, h, w], the mean over classes."""
    every = (0, 2, 3)
    return (1 - (2 * (prob * mask).sum(every) + 1) / (prob.sum(every) + mask.sum(every) + 1)).mean()


def focal_loss(logits: Tensor, mask: Tensor, gamma: float, alpha: float | None, double_sigmoid: bool = False) -> Tensor:
    """Mean over pixels of (1 - p)^gamma times the cross entropy, p being the probability of what is so.

    Logits and masks are [n, k, h, w]. Objects count `alpha` and all else 1 - alpha, or both once without it; gamma 0 is the cross
    entropy. Lin et al., Focal Loss for Dense Object Detection, ICCV 2017. With `double_sigmoid` the cross entropy takes
    probabilities for logits, as SALT's code does.
    """
    prob = with_background(logits)
    objects = mask.sum(1)
    so = torch.cat((1 - objects[:, None], mask), 1)
    logs = torch.log_softmax(_beside_zero(prob[:, 1:] if double_sigmoid else logits), 1)
    entropy = -(so * logs).sum(1)
    wrong = ((1 - so) * prob).sum(1)
    weight = 1.0 if alpha is None else alpha * objects + (1 - alpha) * (1 - objects)
    return (weight * wrong**gamma * entropy).mean()


def _beside_zero(logits: Tensor) -> Tensor:
    return pad(logits, (0, 0, 0, 0, 1, 0))
