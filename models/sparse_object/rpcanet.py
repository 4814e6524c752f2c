"""RPCANet: robust principal component analysis unfolded into stages of small convolutional networks.

Wu et al., RPCANet: Deep Unfolding RPCA Based Infrared Small Target Detection, WACV 2024. Where the paper leaves
something open this follows what made the published weights; names in the state dict are theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from benchmarks.models.sparse_object.blocks import Merge, initialise, narrow, stack
from benchmarks.models.sparse_object.checkpointing import recomputed


class Decomposition(NamedTuple):
    """What a stage makes of an image, each [n, 1, h, w]: background B, objects T (a logit) and reconstruction D."""

    background: torch.Tensor
    objects: torch.Tensor
    image: torch.Tensor


class LowRank(nn.Module):
    """BAM: the background as a residual on what the objects leave, B = x + f(x) with x = D - T."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.convs = stack(channels, depth, norm=True)

    def forward(self, image: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
        x = image - objects
        return x + self.convs(x)


class Sparse(nn.Module):
    """OEM: one gradient step towards sparse objects, T = x - epsilon g(x) with x = T + D - B."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.tensor([0.01]))
        self.convs = stack(channels, depth, norm=False)

    def forward(self, image: torch.Tensor, background: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
        x = objects + image - background
        return x - self.epsilon * self.convs(x)


class Stage(nn.Module):
    """Background, then objects, then the image that the next stage starts from."""

    def __init__(self, channels: int, lowrank_depth: int, sparse_depth: int, merge_depth: int) -> None:
        super().__init__()
        self.lowrank = LowRank(channels, lowrank_depth)
        self.sparse = Sparse(channels, sparse_depth)
        self.merge = Merge(channels, merge_depth)

    def forward(self, image: torch.Tensor, objects: torch.Tensor) -> Decomposition:
        background = self.lowrank(image, objects)
        objects = self.sparse(image, background, objects)
        return Decomposition(background, objects, self.merge(background, objects))


class RPCANet(nn.Module):
    """Images [n, 1, h, w] of any size -> the last stage's objects (logits) and reconstruction, [n, 1, h, w] each.

    Stages share no weights, and the image itself enters the first of them alone. 679,896 parameters as published. With
    `checkpoint` training computes every stage twice and holds the inside of one at a time.
    """

    def __init__(
        self,
        stages: int = 6,
        channels: int = 32,
        lowrank_depth: int = 3,
        sparse_depth: int = 6,
        merge_depth: int = 3,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        if min(stages, channels) < 1 or min(lowrank_depth, sparse_depth, merge_depth) < 0:
            raise ValueError("stages and channels must be 1 or more, depths 0 or more")
        self.decos = nn.ModuleList(Stage(channels, lowrank_depth, sparse_depth, merge_depth) for _ in range(stages))
        self.checkpoint = checkpoint
        self.keep_dense = narrow(self)
        initialise(self)

    def decompose(self, image: torch.Tensor) -> list[Decomposition]:
        """What every stage makes of the image."""
        found = [Decomposition(image, torch.zeros_like(image), image)]
        for stage in self.decos:
            state = (found[-1].image, found[-1].objects)
            found.append(recomputed(stage, *state) if self.checkpoint and self.training else stage(*state))
        return found[1:]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        last = self.decompose(image)[-1]
        return last.objects, last.image

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """The probability [n, h, w] of an object at every pixel."""
        return {"probability": torch.sigmoid(self(image)[0])[:, 0]}
