"""xDeepFM: a compressed interaction network beside an MLP and first-order weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.merge import embed
from benchmarks.models.mlp import MLP, xavier_linear


class CompressedInteraction(nn.Module):
    """Feature maps that interact vector by vector: [b, F, d] -> [b, sum of `maps`].

    Map h of layer k is the sum over i, j of w[k, h, i, j] (map i of layer k - 1) * (field j), element by element, plus a
    bias; layer 0 are the fields. Every map is summed over d (Lian et al., KDD 2018, section 3.1, identity activation).
    """

    def __init__(self, fields: int, maps: Sequence[int]) -> None:
        super().__init__()
        if not maps:
            raise BenchmarkError("An interaction network has one layer or more. Type for example model.cin_maps=[16].")
        self.layers = nn.ModuleList(
            xavier_linear(before * fields, after) for before, after in pairwise([fields, *maps])
        )

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        # The embedding dimension stands before the fields, so that every layer is one product over the last axis.
        x0 = embeddings.transpose(1, 2)
        x, pooled = x0, []
        for layer in self.layers:
            x = layer((x[:, :, :, None] * x0[:, :, None, :]).flatten(2))
            pooled.append(x.sum(dim=1))
        return torch.cat(pooled, dim=1)


class XDeepFM(nn.Module):
    """Sum of first-order weights, a compressed interaction network and an MLP: ids [b, F] -> logits [b].

    Lian et al., xDeepFM: Combining Explicit and Implicit Feature Interactions, KDD 2018.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ("first_order", "cin.*", "cin_out", "mlp.hidden.0.linear", "mlp.out")
    reads_rows: ClassVar[Mapping[str, str]] = {"embedding": "mlp.hidden.0.linear"}

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        cin_maps: Sequence[int] = (64,),
        hidden_units: Sequence[int] = (400, 400, 400),
        dropout: float = 0.2,
        batch_norm: bool = True,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        fields = len(cardinalities)
        self.first_order = FieldEmbedding(cardinalities, 1, std)
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.cin = CompressedInteraction(fields, cin_maps)
        self.cin_out = xavier_linear(sum(cin_maps), 1)
        self.mlp = MLP(fields * embedding_dim, hidden_units, dropout, batch_norm)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embeddings, rows = embed(self.embedding, ids)
        first_order = self.first_order(ids).sum(dim=(1, 2))
        return first_order + (self.cin_out(self.cin(embeddings)) + self.mlp(rows)).squeeze(1)

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the tables, first-order weights included."""
        yield from self.first_order.tables()
        yield from self.embedding.tables()
