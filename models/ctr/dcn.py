"""Deep and cross network (DCN): explicit interactions of bounded degree beside an MLP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.merge import embed
from benchmarks.models.mlp import MLP, xavier_linear


class CrossLayer(nn.Module):
    """x0 (x . w) + b + x, with one weight and one bias for each feature: twice [b, features] -> [b, features]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.score = xavier_linear(features, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(features))

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x0 * self.score(x) + self.bias + x


class DCN(nn.Module):
    """Cross layers and an MLP on the concatenated embeddings, one linear layer over both: ids [b, F] -> logits [b].

    Wang et al., Deep & Cross Network for Ad Click Predictions, ADKDD 2017. The last layer is held in two parts, `cross_out`
    and `mlp.out`, whose sum is the product with the concatenation. `first_order` adds a weight for each id.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ("first_order", "cross.*", "cross_out", "mlp.hidden.0.linear", "mlp.out")
    reads_rows: ClassVar[Mapping[str, str]] = {"embedding": "mlp.hidden.0.linear"}

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        cross_layers: int = 3,
        hidden_units: Sequence[int] = (400, 400, 400),
        dropout: float = 0.2,
        batch_norm: bool = True,
        first_order: bool = False,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        features = len(cardinalities) * embedding_dim
        self.first_order = FieldEmbedding(cardinalities, 1, std) if first_order else None
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.cross = nn.ModuleList(CrossLayer(features) for _ in range(cross_layers))
        self.cross_out = xavier_linear(features, 1, bias=False)
        self.mlp = MLP(features, hidden_units, dropout, batch_norm)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embeddings, rows = embed(self.embedding, ids)
        x0 = x = embeddings.flatten(1)
        for layer in self.cross:
            x = layer(x0, x)
        logits = (self.cross_out(x) + self.mlp(rows)).squeeze(1)
        return logits if self.first_order is None else logits + self.first_order(ids).sum(dim=(1, 2))

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the tables."""
        if self.first_order is not None:
            yield from self.first_order.tables()
        yield from self.embedding.tables()
