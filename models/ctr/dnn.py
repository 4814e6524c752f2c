"""The plain deep network: embeddings and an MLP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.mlp import MLP


class DNN(nn.Module):
    """An MLP on the concatenated embeddings of all fields: ids [b, F] -> logits [b]."""

    keep_dense: ClassVar[tuple[str, ...]] = ("mlp.hidden.0.linear", "mlp.out")

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
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.mlp = MLP(len(cardinalities) * embedding_dim, hidden_units, dropout, batch_norm)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.mlp(self.embedding(ids).flatten(1)).squeeze(1)

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the embedding table."""
        return self.embedding.tables()
