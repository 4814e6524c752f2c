"""Neural factorisation machine (NFM): an MLP on the pooled products of all pairs of fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks.models.ctr.interaction import bi_interaction
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.mlp import MLP


class NFM(nn.Module):
    """First-order weights and an MLP on the bi-interaction of the embeddings: ids [b, F] -> logits [b].

    He and Chua, Neural Factorization Machines for Sparse Predictive Analytics, SIGIR 2017. The global bias is that of
    `mlp.out`.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ("first_order", "mlp.hidden.0.linear", "mlp.out")

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        hidden_units: Sequence[int] = (400, 400, 400),
        dropout: float = 0.4,
        batch_norm: bool = False,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        self.first_order = FieldEmbedding(cardinalities, 1, std)
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.mlp = MLP(embedding_dim, hidden_units, dropout, batch_norm)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        deep = self.mlp(bi_interaction(self.embedding(ids))).squeeze(1)
        return self.first_order(ids).sum(dim=(1, 2)) + deep

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the tables, first-order weights included."""
        yield from self.first_order.tables()
        yield from self.embedding.tables()
