"""Low-rank layers: two small factors in the place of one matrix or one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks import errors
from benchmarks.models.embedding import FieldEmbedding

INNER = {None: nn.Identity, "relu": nn.ReLU}


class LowRankLinear(nn.Module):
    """A linear layer through `rank` features: [..., in_features] -> [..., out_features].

    `down` (in_features -> rank) has a bias where `inner_bias` is set, `up` (rank -> out_features) where `bias` is set.
    `inner="relu"` puts a ReLU between the factors. That makes another function, to be trained: it is no approximation
    of the layer that the factors came from.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        rank: int,
        bias: bool = True,
        inner: str | None = None,
        inner_bias: bool = False,
    ) -> None:
        super().__init__()
        self.act = low_rank_inner(rank, inner)
        self.in_features = in_features
        self.out_features = out_features
        self.rank = rank
        self.inner = inner
        self.down = nn.Linear(in_features, rank, bias=inner_bias)
        self.up = nn.Linear(rank, out_features, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.up(self.act(self.down(x)))

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "rank": self.rank,
            "bias": self.up.bias is not None,
            "inner": self.inner,
            "inner_bias": self.down.bias is not None,
        }


class LowRankFieldEmbedding(nn.Module):
    """Field embeddings as z P_f (+ mean_f): integer ids [b, F] -> [b, F, embedding_dim].

    `z` is one fused table of width `rank`, `projection` is [F, rank, embedding_dim] and `mean`, where `centred`,
    [F, embedding_dim]. Fields of fewer than `rank` dimensions hold zeros in the columns that they do not need.
    With `merged`, the layer that reads the rows side by side has the projections in its own weights and reads z (see
    `merge_projections`).
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int,
        rank: int,
        centred: bool = False,
        merged: bool = False,
    ) -> None:
        super().__init__()
        _require_rank(rank)
        fields = len(cardinalities)
        self.merged = merged
        self.embedding_dim = embedding_dim
        self.rank = rank
        self.z = FieldEmbedding(cardinalities, rank)
        self.projection = nn.Parameter(torch.empty(fields, rank, embedding_dim))
        self.mean = nn.Parameter(torch.zeros(fields, embedding_dim)) if centred else None
        for projection in self.projection:
            nn.init.orthogonal_(projection)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.expand(self.z(ids))

    def expand(self, z: torch.Tensor) -> torch.Tensor:
        """Rows [b, F, embedding_dim] of the codes z [b, F, rank]."""
        rows = torch.einsum("bfr,frd->bfd", z, self.projection)
        return rows if self.mean is None else rows + self.mean

    def tables(self) -> Iterator[nn.Parameter]:
        """The parameters that are looked up by id. Shrinking the projections as well would undo their unit length."""
        yield from self.z.tables()

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "cardinalities": list(self.z.cardinalities),
            "embedding_dim": self.embedding_dim,
            "rank": self.rank,
            "centred": self.mean is not None,
            "merged": self.merged,
        }


def low_rank_inner(rank: int, inner: str | None) -> nn.Module:
    """What stands between two factors; an impossible rank or unknown name raises BenchmarkError."""
    _require_rank(rank)
    if inner not in INNER:
        raise errors.unknown("inner activation", str(inner), ["relu", "null"])
    return INNER[inner]()


def _require_rank(rank: int) -> None:
    if rank < 1:
        raise errors.BenchmarkError(f"Rank {rank} is not possible: a low-rank layer has a rank of 1 or more.")
