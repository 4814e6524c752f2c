"""AutoInt: self-attention over the fields, beside an MLP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.dropout import FastDropout
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.merge import embed
from benchmarks.models.mlp import MLP, xavier_linear


class FieldAttention(nn.Module):
    """Every field attends to all fields: [b, F, in_features] -> [b, F, out_features].

    Heads share `out_features` evenly. Their answers are joined, the input is added (projected where the widths differ),
    then layer normalisation and ReLU. Scores are divided by the root of a head's width. `project_residual` projects the input
    where the widths agree, too.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        heads: int,
        dropout: float,
        layer_norm: bool,
        project_residual: bool = False,
    ) -> None:
        super().__init__()
        if out_features % heads:
            raise BenchmarkError(
                f"attention_dim={out_features} cannot be shared evenly by {heads} heads. Give model.attention_dim a multiple "
                "of model.heads, for example 128 and 4."
            )
        self.heads, self.depth = heads, out_features // heads
        self.query = xavier_linear(in_features, out_features, bias=False)
        self.key = xavier_linear(in_features, out_features, bias=False)
        self.value = xavier_linear(in_features, out_features, bias=False)
        same = in_features == out_features and not project_residual
        self.residual = nn.Identity() if same else xavier_linear(in_features, out_features, bias=False)
        self.norm = nn.LayerNorm(out_features) if layer_norm else nn.Identity()
        self.dropout = FastDropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (self._by_head(project(x)) for project in (self.query, self.key, self.value))
        weights = (query @ key.transpose(2, 3) / self.depth**0.5).softmax(dim=3)
        mixed = (self.dropout(weights) @ value).transpose(1, 2).flatten(2)
        return torch.relu(self.norm(mixed + self.residual(x)))

    def _by_head(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(2, (self.heads, self.depth)).transpose(1, 2)


class AutoInt(nn.Module):
    """A linear layer on the attended fields and an MLP on the embeddings (AutoInt+): ids [b, F] -> logits [b].

    Song et al., AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks, CIKM 2019.
    `first_order` adds a weight for each id.
    """

    keep_dense: ClassVar[tuple[str, ...]] = (
        "first_order",
        "attention.0.*",
        "attention_out",
        "mlp.hidden.0.linear",
        "mlp.out",
    )
    reads_rows: ClassVar[Mapping[str, str]] = {"embedding": "mlp.hidden.0.linear"}

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        attention_layers: int = 5,
        attention_dim: int = 128,
        heads: int = 4,
        layer_norm: bool = True,
        hidden_units: Sequence[int] = (400, 400, 400),
        dropout: float = 0.1,
        batch_norm: bool = True,
        first_order: bool = False,
        project_residual: bool = False,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        fields, widths = len(cardinalities), [embedding_dim, *[attention_dim] * attention_layers]
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.first_order = FieldEmbedding(cardinalities, 1, std) if first_order else None
        layers = (FieldAttention(i, o, heads, dropout, layer_norm, project_residual) for i, o in pairwise(widths))
        self.attention = nn.Sequential(*layers)
        self.attention_out = xavier_linear(fields * widths[-1], 1)
        self.mlp = MLP(fields * embedding_dim, hidden_units, dropout, batch_norm)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embeddings, rows = embed(self.embedding, ids)
        attended = self.attention(embeddings).flatten(1)
        logits = (self.attention_out(attended) + self.mlp(rows)).squeeze(1)
        return logits if self.first_order is None else logits + self.first_order(ids).sum(dim=(1, 2))

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the tables."""
        if self.first_order is not None:
            yield from self.first_order.tables()
        yield from self.embedding.tables()
