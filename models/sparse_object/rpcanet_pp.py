"""RPCANet++: RPCANet with a memory between its stages and a contrast prior for its objects.

Wu et al., RPCANet++: Deep Interpretable Robust PCA for Sparse Object Segmentation, arXiv 2508.04190, as its public code has
it. Names in the state dict are the published ones.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from benchmarks.models.sparse_object.blocks import Merge, conv3, initialise, narrow, stack
from benchmarks.models.sparse_object.checkpointing import recomputed
from benchmarks.models.sparse_object.contrast import contrast_prior
from benchmarks.models.sparse_object.conv_lstm import ConvLSTM, State
from benchmarks.models.sparse_object.rpcanet import Decomposition

UNUSED = ("decos.0.lowrank.ConvLSTM.conv_xf.", "decos.0.lowrank.ConvLSTM.conv_h")
"""How the names of parameters begin that no answer depends on: 46,240 with 32 channels."""


class Residual(nn.Module):
    """x + conv(ReLU(conv(x))), without normalisation and without a last ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = conv3(channels, channels)
        self.conv2 = conv3(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(torch.relu_(self.conv1(x)))


class MemoryLowRank(nn.Module):
    """BAM with the memory between two residual blocks: B = x + f(x, h, c) with x = D - T, and the state for the next stage."""

    def __init__(self, channels: int, first: bool, unused: bool) -> None:
        super().__init__()
        self.conv1_C = nn.Sequential(conv3(1, channels), nn.BatchNorm2d(channels), nn.ReLU(inplace=True))
        self.RB_1 = Residual(channels)
        self.RB_2 = Residual(channels)
        self.convC_1 = conv3(channels, 1)
        self.ConvLSTM = ConvLSTM(channels, first, unused)

    def forward(self, image: torch.Tensor, objects: torch.Tensor, state: State | None) -> tuple[torch.Tensor, State]:
        x = image - objects
        state = self.ConvLSTM(self.RB_1(self.conv1_C(x)), state)
        return x + self.convC_1(self.RB_2(state[0])), state


class ContrastSparse(nn.Module):
    """OEM with the contrast prior w: T = x - epsilon g(x + w(x)) with x = T + D - B."""

    def __init__(self, channels: int, depth: int, dcpm: str, dcpm_rank: int) -> None:
        super().__init__()
        self.epsilon = nn.Parameter(torch.tensor([0.01]))
        self.convs = stack(channels, depth, norm=False)
        self.contrast = contrast_prior(channels, dcpm, dcpm_rank)

    def forward(self, image: torch.Tensor, background: torch.Tensor, objects: torch.Tensor) -> torch.Tensor:
        x = objects + image - background
        return x - self.epsilon * self.convs(x + self.contrast(x))


class MemoryStage(nn.Module):
    """Background and state, then objects, then the image that the next stage starts from."""

    def __init__(
        self, channels: int, sparse_depth: int, merge_depth: int, first: bool, unused: bool, dcpm: str, dcpm_rank: int
    ) -> None:
        super().__init__()
        self.lowrank = MemoryLowRank(channels, first, unused)
        self.sparse = ContrastSparse(channels, sparse_depth, dcpm, dcpm_rank)
        self.merge = Merge(channels, merge_depth)

    def forward(self, before: Decomposition, state: State | None) -> tuple[Decomposition, State]:
        background, state = self.lowrank(before.image, before.objects, state)
        objects = self.sparse(before.image, background, before.objects)
        return Decomposition(background, objects, self.merge(background, objects)), state


class RPCANetPlusPlus(nn.Module):
    """Images [n, 1, h, w] of any size -> the last stage's objects (logits) and reconstruction, [n, 1, h, w] each.

    With `unused` it has the parameters of published weights (1,480,791, 2,961,582 and 4,442,373 at 3, 6 and 9 stages),
    46,240 of which never act; without, it is the same function. `dcpm` says how the 17 x 17 kernels are applied: `direct` and
    `fft` are the same function too, `lowrank` has kernels of `dcpm_rank` channels and a mixture of these. With `checkpoint`
    training computes every stage twice and holds the inside of one at a time.
    """

    def __init__(
        self,
        stages: int = 6,
        channels: int = 32,
        sparse_depth: int = 6,
        merge_depth: int = 3,
        unused: bool = False,
        dcpm: str = "direct",
        dcpm_rank: int = 8,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        if min(stages, channels) < 1 or min(sparse_depth, merge_depth) < 0:
            raise ValueError("stages and channels must be 1 or more, depths 0 or more")
        self.decos = nn.ModuleList(
            MemoryStage(channels, sparse_depth, merge_depth, index == 0, unused, dcpm, dcpm_rank)
            for index in range(stages)
        )
        self.checkpoint = checkpoint
        self.keep_dense = narrow(self)
        initialise(self)

    def decompose(self, image: torch.Tensor) -> list[Decomposition]:
        """What every stage makes of the image."""
        found = [Decomposition(image, torch.zeros_like(image), image)]
        state: State | None = None
        for stage in self.decos:
            inputs = (found[-1], state)
            made, state = recomputed(stage, *inputs) if self.checkpoint and self.training else stage(*inputs)
            found.append(made)
        return found[1:]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        last = self.decompose(image)[-1]
        return last.objects, last.image

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """The probability [n, h, w] of an object at every pixel."""
        return {"probability": torch.sigmoid(self(image)[0])[:, 0]}


def without_unused(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict as published -> that of a network without the parameters that never act."""
    return {name: value for name, value in state.items() if not name.startswith(UNUSED)}


def with_unused(state: Mapping[str, torch.Tensor], like: nn.Module) -> dict[str, torch.Tensor]:
    """A state dict with or without the parameters that never act -> one for `like`, which has them; they become zero."""
    zeros = {name: torch.zeros_like(value) for name, value in like.state_dict().items() if name.startswith(UNUSED)}
    return {**zeros, **state}
