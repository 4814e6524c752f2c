"""Logistic regression on one-hot ids: the floor of every click-through table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks.models.embedding import FieldEmbedding


class LogisticRegression(nn.Module):
    """One weight for each id and a bias: ids [b, F] -> logits [b]."""

    keep_dense: ClassVar[tuple[str, ...]] = ("first_order",)

    def __init__(self, cardinalities: Sequence[int], std: float = 1e-4) -> None:
        super().__init__()
        self.first_order = FieldEmbedding(cardinalities, 1, std)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.first_order(ids).sum(dim=(1, 2)) + self.bias

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: every parameter."""
        yield self.bias
        yield from self.first_order.tables()
