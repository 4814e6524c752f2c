"""FiBiNET: fields weighted by squeeze and excitation, and bilinear products of all pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks import errors
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.mlp import MLP, xavier_linear

BILINEAR = ("field_all", "field_each", "field_interaction")


class FieldExcitation(nn.Module):
    """Squeeze and excitation: each field times a weight that depends on the means of all fields, [b, F, d] -> [b, F, d]."""

    def __init__(self, fields: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = xavier_linear(fields, max(1, fields // reduction), bias=False)
        self.excite = xavier_linear(max(1, fields // reduction), fields, bias=False)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        weights = torch.relu(self.excite(torch.relu(self.squeeze(embeddings.mean(dim=2)))))
        return embeddings * weights[:, :, None]


class BilinearInteraction(nn.Module):
    """(e_i W) * e_j for all pairs i < j: [b, F, d] -> [b, F (F - 1) / 2, d], pairs in lexicographic order.

    `kind` says whether all pairs share W (`field_all`), those with the same i (`field_each`) or none (`field_interaction`).
    """

    first: torch.Tensor
    second: torch.Tensor

    def __init__(self, fields: int, embedding_dim: int, kind: str) -> None:
        super().__init__()
        if kind not in BILINEAR:
            raise errors.unknown("bilinear interaction", kind, BILINEAR)
        self.kind = kind
        first, second = torch.triu_indices(fields, fields, 1)
        self.register_buffer("first", first, persistent=False)
        self.register_buffer("second", second, persistent=False)
        matrices = dict(zip(BILINEAR, (1, fields - 1, len(first)), strict=True))[kind]
        self.weight = nn.Parameter(torch.empty(matrices, embedding_dim, embedding_dim))
        for matrix in self.weight:
            nn.init.xavier_normal_(matrix)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        second = embeddings[:, self.second]
        if self.kind == "field_interaction":
            return torch.einsum("bpd,pde->bpe", embeddings[:, self.first], self.weight) * second
        if self.kind == "field_each":
            left = torch.einsum("bfd,fde->bfe", embeddings[:, :-1], self.weight)
        else:
            left = embeddings @ self.weight[0]
        return left[:, self.first] * second


class FiBiNET(nn.Module):
    """First-order weights and an MLP on the bilinear products of fields, plain and excited: ids [b, F] -> logits [b].

    Huang et al., FiBiNET: Combining Feature Importance and Bilinear Feature Interaction, RecSys 2019. Plain and excited
    fields share the matrices unless `share_bilinear` is off.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ("first_order", "excitation.*", "mlp.hidden.0.linear", "mlp.out")

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        reduction: int = 2,
        bilinear: str = "field_all",
        hidden_units: Sequence[int] = (400, 400, 400),
        dropout: float = 0.3,
        batch_norm: bool = True,
        share_bilinear: bool = True,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        fields = len(cardinalities)
        self.first_order = FieldEmbedding(cardinalities, 1, std)
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.excitation = FieldExcitation(fields, reduction)
        self.bilinear = BilinearInteraction(fields, embedding_dim, bilinear)
        own = None if share_bilinear else BilinearInteraction(fields, embedding_dim, bilinear)
        self.excited_bilinear = own
        self.mlp = MLP(fields * (fields - 1) * embedding_dim, hidden_units, dropout, batch_norm)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embeddings = self.embedding(ids)
        excited = self.excited_bilinear or self.bilinear
        pairs = torch.cat([self.bilinear(embeddings), excited(self.excitation(embeddings))], dim=1)
        return self.first_order(ids).sum(dim=(1, 2)) + self.mlp(pairs.flatten(1)).squeeze(1)

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the tables, first-order weights included."""
        yield from self.first_order.tables()
        yield from self.embedding.tables()
