"""DCN-V2: cross layers with a matrix each, or with a mixture of low-rank ones, beside an MLP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.merge import embed
from benchmarks.models.mlp import MLP, xavier_linear


class MatrixCrossLayer(nn.Module):
    """x0 * (W x + b) + x: twice [b, features] -> [b, features]."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear = xavier_linear(features, features)

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return x0 * self.linear(x) + x


class MixtureCrossLayer(nn.Module):
    """x0 * (sum over experts k of gate_k(x) U_k tanh(C_k tanh(V_k^T x)) + b) + x: twice [b, features] -> [b, features].

    The gates are a softmax over a linear map of x, so they sum to one and the bias needs no gate.
    """

    def __init__(self, features: int, rank: int, experts: int) -> None:
        super().__init__()
        if rank < 1:
            raise BenchmarkError(
                f"low_rank={rank} is not possible: the rank of a mixture of cross layers is 1 or more. Type for example "
                "model.low_rank=32, or model.low_rank=null for full matrices."
            )
        self.V = nn.Parameter(torch.empty(experts, features, rank))
        self.C = nn.Parameter(torch.empty(experts, rank, rank))
        self.U = nn.Parameter(torch.empty(experts, rank, features))
        self.gate = nn.Parameter(torch.empty(experts, features))
        self.bias = nn.Parameter(torch.zeros(features))
        for matrix in (*self.V, *self.C, *self.U, self.gate):
            nn.init.xavier_normal_(matrix)

    def forward(self, x0: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        inner = torch.tanh(torch.einsum("bd,kdr->bkr", x, self.V))
        inner = torch.tanh(torch.einsum("bkr,krs->bks", inner, self.C))
        gates = nn.functional.linear(x, self.gate).softmax(dim=1)
        # Gated before the last product, all experts go through it at once.
        mixed = (gates[:, :, None] * inner).flatten(1) @ self.U.flatten(0, 1)
        return x0 * (mixed + self.bias) + x


class DCNv2(nn.Module):
    """Cross layers and an MLP side by side, one linear layer over both: ids [b, F] -> logits [b].

    Wang et al., DCN V2: Improved Deep & Cross Network, WWW 2021, the parallel structure. `low_rank` makes each cross layer
    a mixture of `experts` of that rank. The last layer is held in two parts, as in DCN.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ("cross_out", "mlp.hidden.0.linear", "mlp.out")
    reads_rows: ClassVar[Mapping[str, str]] = {"embedding": "mlp.hidden.0.linear"}

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        cross_layers: int = 4,
        low_rank: int | None = None,
        experts: int = 4,
        hidden_units: Sequence[int] = (400, 400, 400),
        dropout: float = 0.4,
        batch_norm: bool = True,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        features = len(cardinalities) * embedding_dim
        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.cross = nn.ModuleList(
            MatrixCrossLayer(features) if low_rank is None else MixtureCrossLayer(features, low_rank, experts)
            for _ in range(cross_layers)
        )
        self.cross_out = xavier_linear(features, 1, bias=False)
        self.mlp = MLP(features, hidden_units, dropout, batch_norm)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embeddings, rows = embed(self.embedding, ids)
        x0 = x = embeddings.flatten(1)
        for layer in self.cross:
            x = layer(x0, x)
        return (self.cross_out(x) + self.mlp(rows)).squeeze(1)

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the embedding table."""
        return self.embedding.tables()
