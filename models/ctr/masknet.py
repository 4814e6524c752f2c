"""MaskNet: blocks that multiply the embeddings with masks made from the sample itself, side by side below an MLP."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks.models.dropout import FastDropout
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.mlp import MLP, xavier_linear


class FieldNorm(nn.Module):
    """Layer normalisation of each field by itself, with a scale and a shift of its own: [b, F, d] -> [b, F, d]."""

    def __init__(self, fields: int, embedding_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(fields, embedding_dim))
        self.bias = nn.Parameter(torch.zeros(fields, embedding_dim))

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return nn.functional.layer_norm(embeddings, embeddings.shape[2:]) * self.weight + self.bias


class MaskBlock(nn.Module):
    """relu(LN(W (mask * hidden))) with an instance-guided mask, a two-layer perceptron on the embeddings.

    Embeddings [b, features] make the mask, hidden [b, features] is masked; out comes [b, out_features]. The perceptron is
    `expansion` times as wide as the mask.
    """

    def __init__(self, features: int, out_features: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.aggregate = xavier_linear(features, expansion * features)
        self.project = xavier_linear(expansion * features, features)
        self.hidden = xavier_linear(features, out_features, bias=False)
        self.norm = nn.LayerNorm(out_features)
        self.dropout = FastDropout(dropout)

    def forward(self, embeddings: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        mask = self.project(torch.relu(self.aggregate(embeddings)))
        return self.dropout(torch.relu(self.norm(self.hidden(mask * hidden))))


class MaskNet(nn.Module):
    """Parallel mask blocks on the embeddings and an MLP on what they put out: ids [b, F] -> logits [b].

    Wang, She and Zhang, MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by Instance-Guided Mask,
    DLP-KDD 2021, the parallel form. `embedding_norm` normalises each field before it is masked, as the paper does.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ("blocks.*.aggregate", "blocks.*.hidden", "mlp.hidden.0.linear", "mlp.out")

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        blocks: int = 3,
        block_dim: int = 50,
        expansion: int = 2,
        embedding_norm: bool = False,
        hidden_units: Sequence[int] = (400, 400, 400),
        dropout: float = 0.1,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        fields = len(cardinalities)
        features = fields * embedding_dim
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.norm = FieldNorm(fields, embedding_dim) if embedding_norm else nn.Identity()
        self.blocks = nn.ModuleList(MaskBlock(features, block_dim, expansion, dropout) for _ in range(blocks))
        self.mlp = MLP(blocks * block_dim, hidden_units, dropout, batch_norm=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embeddings = self.embedding(ids)
        plain, hidden = embeddings.flatten(1), self.norm(embeddings).flatten(1)
        return self.mlp(torch.cat([block(plain, hidden) for block in self.blocks], dim=1)).squeeze(1)

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the embedding table."""
        return self.embedding.tables()
