"""The most frequent class everywhere: the floor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Majority(nn.Module):
    """Cubes [n, c, h, w] -> logits [n, classes, h, w], the logarithms of the classes' shares at every pixel."""

    multiple = 1
    keep_dense = ()

    def __init__(self, classes: int, counts: Sequence[int]) -> None:
        super().__init__()
        if len(counts) != classes:
            raise ValueError(f"{len(counts)} counts for {classes} classes")
        total = torch.as_tensor(counts, dtype=torch.float32)
        self.register_buffer("logits", (total / total.sum()).clamp(min=1e-9).log())

    logits: Tensor

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        return self.logits[None, :, None, None].expand(len(cube), -1, *cube.shape[2:]).to(cube)
