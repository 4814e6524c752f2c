"""Blocks of LESS ViT: normalised attention and a perceptron, each added by a learned scale and, in training, not always."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from benchmarks.errors import unknown
from benchmarks.models.hyperspectral.less_attention import AttentionShape
from benchmarks.models.hyperspectral.operators import OPERATORS
from benchmarks.models.hyperspectral.position import Places

EXPANSION = 4
"""How much wider the hidden layers of perceptrons are than the blocks."""


class DropPath(nn.Module):
    """In training, leaves out whole samples with probability `p` and scales up the rest."""

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"drop_path={p} is no probability below 1")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = x.new_empty(len(x), *(1,) * (x.ndim - 1)).bernoulli_(1 - self.p)
        return x * (kept / (1 - self.p))


class LayerScale(nn.Module):
    """A factor for every channel of the last dimension."""

    def __init__(self, dim: int, first: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), float(first)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Mlp(nn.Module):
    """A perceptron of one hidden layer on the last dimension."""

    def __init__(self, dim: int, drop: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, EXPANSION * dim)
        self.fc2 = nn.Linear(EXPANSION * dim, dim)
        self.act = nn.GELU()
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class Block(nn.Module):
    """Tokens [b, c, n, dim] in and out; with `first_row`, of row 0 alone out, [b, 1, n, dim], at its cost but for keys."""

    def __init__(self, shape: AttentionShape, operator: str, layer_scale: float | None, drop_path: float) -> None:
        super().__init__()
        if operator not in OPERATORS:
            raise unknown("operator of model less_vit:", operator, OPERATORS)
        self.norm1, self.norm2 = (nn.LayerNorm(shape.dim, eps=1e-6) for _ in range(2))
        self.attn = OPERATORS[operator](shape)
        self.mlp = Mlp(shape.dim, shape.drop)
        self.scale1, self.scale2 = (
            nn.Identity() if layer_scale is None else LayerScale(shape.dim, layer_scale) for _ in range(2)
        )
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, places: Places, first_row: bool = False) -> Tensor:
        mixed = self.attn(self.norm1(x), places, first_row)
        x = (x[:, :1] if first_row else x) + self.drop_path(self.scale1(mixed))
        return x + self.drop_path(self.scale2(self.mlp(self.norm2(x))))


class Blocks(nn.ModuleList):
    """`depth` blocks one after another, the share of samples that they leave out rising to `drop_path`."""

    def __init__(
        self, depth: int, shape: AttentionShape, operator: str, layer_scale: float | None, drop_path: float
    ) -> None:
        if depth < 1:
            raise ValueError(f"depth={depth}: at least one block is needed")
        rates: Sequence[float] = torch.linspace(0, drop_path, depth, device="cpu").tolist()
        super().__init__(Block(shape, operator, layer_scale, rate) for rate in rates)

    @property
    def widths(self) -> tuple[int, int]:
        """Of the rotations along bands and along positions that the blocks' attention wants."""
        return cast(tuple[int, int], cast(Block, self[0]).attn.widths)

    def forward(self, x: Tensor, places: Places, first_row: bool = False) -> Tensor:
        for number, block in enumerate(self, 1):
            x = cast(Block, block)(x, places, first_row and number == len(self))
        return x


def initialise(module: nn.Module) -> None:
    """For `Module.apply`: Xavier's uniform weights and biases of zero, and what a module's own `reset` says otherwise."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif callable(reset := getattr(module, "reset", None)):
        reset()
