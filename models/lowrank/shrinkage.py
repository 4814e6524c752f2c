"""Iterative soft shrinkage of a full update: small numbers shrink after every step, and from some step on are zero.

Wang et al., Iterative Soft Shrinkage Learning for Efficient Image Super-Resolution, ICCV 2023, sparsify so the weights of a
network that is trained from scratch; here it is what is added to frozen ones.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.models.lowrank.update import Update


class ShrunkUpdate(Update):
    """W + delta, of which at most `kept` numbers are left outside of training.

    After each step of the optimiser (`after_step`, which the trainer calls) all but the `kept` numbers of largest magnitude,
    chosen anew each time, are multiplied by `factor`, so that any may come back. From the share `hard_from` of the training
    on the set is fixed and all others are zero. `delta` starts at zero: what was not trained changes nothing.
    """

    mask: Tensor
    hard: Tensor

    def __init__(self, weight: Tensor, kept: int, factor: float = 0.95, hard_from: float = 0.6) -> None:
        super().__init__(weight)
        self.kept_numbers, self.factor, self.hard_from = min(kept, weight.numel()), factor, hard_from
        self.delta = nn.Parameter(weight.new_zeros(weight.numel()))
        self.register_buffer("mask", torch.ones(weight.numel(), dtype=torch.bool, device=weight.device))
        self.register_buffer("hard", torch.zeros((), dtype=torch.bool, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        delta = self.delta if self.training else self.delta * self.largest()
        return weight + delta.view(weight.shape)

    def largest(self) -> Tensor:
        """The `kept` numbers of largest magnitude: bool [n]; among those of the mask once that is fixed."""
        size = torch.where(self.mask, self.delta.detach().abs(), -1)
        return torch.zeros_like(self.mask).index_fill_(0, size.topk(self.kept_numbers).indices, True)

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """What follows a step of the optimiser, of all of which the share `progress` has been made."""
        small = self.delta.numel() - self.kept_numbers
        if not small:
            return
        if progress >= self.hard_from:
            if not self.hard:
                self.mask.copy_(self.largest())
                self.hard.fill_(True)
            self.delta.mul_(self.mask)
        else:
            size = self.delta.abs()
            self.delta.mul_(torch.where(size <= size.kthvalue(small).values, self.factor, 1.0))

    def parts(self) -> dict[str, Tensor]:
        """The numbers that are left, and their places in the flattened weight, of 32 bits each."""
        places = (self.delta * self.largest()).nonzero().flatten()
        return {"values": self.delta[places], "places": places.to(torch.int32)}
