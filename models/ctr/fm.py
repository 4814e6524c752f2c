"""Factorisation machine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks.models.ctr.interaction import fm_interaction
from benchmarks.models.embedding import FieldEmbedding


class FM(nn.Module):
    """First-order weights, a bias and the inner products of all pairs of fields: ids [b, F] -> logits [b].

    Rendle, Factorization Machines, ICDM 2010.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ("first_order",)

    def __init__(self, cardinalities: Sequence[int], embedding_dim: int = 10, std: float = 1e-4) -> None:
        super().__init__()
        self.first_order = FieldEmbedding(cardinalities, 1, std)
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.first_order(ids).sum(dim=(1, 2)) + fm_interaction(self.embedding(ids)) + self.bias

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: every parameter, projections of low-rank tables excepted."""
        yield self.bias
        yield from self.first_order.tables()
        yield from self.embedding.tables()
