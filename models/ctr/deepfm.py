"""DeepFM: a factorisation machine and an MLP over the same embeddings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks.models.ctr.interaction import fm_interaction
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.merge import embed
from benchmarks.models.mlp import MLP


class DeepFM(nn.Module):
    """Sum of first-order weights, pairwise inner products, an MLP and one global bias: ids [b, F] -> logits [b].

    Guo et al., DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, IJCAI 2017.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ("first_order", "mlp.hidden.0.linear", "mlp.out")
    reads_rows: ClassVar[Mapping[str, str]] = {"embedding": "mlp.hidden.0.linear"}

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        hidden_units: Sequence[int] = (400, 400, 400),
        dropout: float = 0.2,
        batch_norm: bool = True,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        self.first_order = FieldEmbedding(cardinalities, 1, std)
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.mlp = MLP(len(cardinalities) * embedding_dim, hidden_units, dropout, batch_norm)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embeddings, rows = embed(self.embedding, ids)
        first_order = self.first_order(ids).sum(dim=(1, 2))
        deep = self.mlp(rows).squeeze(1)
        return first_order + fm_interaction(embeddings) + deep + self.bias

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the tables, first-order weights included."""
        yield from self.first_order.tables()
        yield from self.embedding.tables()
