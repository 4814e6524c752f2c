"""A factorisation computed once and cut at any rank."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.allocate import Unit
from benchmarks.models.lowrank.layers import LowRankFieldEmbedding, LowRankLinear


@dataclass(frozen=True, eq=False)
class LinearFactors:
    """A linear layer y = W x + b as y = up (down x + down_bias) + offset - up shift, all float64.

    `spectrum` [k] is the energy of each component, descending; dropping components loses the sum of theirs. `down` is
    [k, i], `up` [o, k], `offset` [o] and `shift` [k]. `dense_params`, `dtype` and `device` are those of the layer
    that was factorised.
    """

    spectrum: torch.Tensor
    down: torch.Tensor
    up: torch.Tensor
    down_bias: torch.Tensor | None
    offset: torch.Tensor | None
    shift: torch.Tensor | None
    dense_params: int
    dtype: torch.dtype
    device: torch.device

    def truncate(self, rank: int, inner: str | None = None) -> LowRankLinear:
        """The layer of the `rank` strongest components; `inner` as in LowRankLinear."""
        _require_rank(rank, len(self.spectrum))
        layer = LowRankLinear(
            self.down.shape[1],
            self.up.shape[0],
            rank,
            bias=self.offset is not None,
            inner=inner,
            inner_bias=self.down_bias is not None,
        ).to(self.device, self.dtype)
        with torch.no_grad():
            layer.down.weight.copy_(self.down[:rank])
            layer.up.weight.copy_(self.up[:, :rank])
            if self.down_bias is not None:
                layer.down.bias.copy_(self.down_bias[:rank])
            if self.offset is not None:
                shifted = 0 if self.shift is None else self.up[:, :rank] @ self.shift[:rank]
                layer.up.bias.copy_(self.offset - shifted)
        return layer

    def unit(self, name: str) -> Unit:
        """What an allocation needs to know of this layer."""
        o, i = self.up.shape[0], self.down.shape[1]
        return Unit(
            name=name,
            spectrum=self.spectrum,
            dense_params=self.dense_params,
            params_per_rank=i + o + (self.down_bias is not None),
            fixed_params=0 if self.offset is None else o,
            max_rank=len(self.spectrum),
        )


@dataclass(frozen=True, eq=False)
class EmbeddingFactors:
    """Field embeddings as rows = z P_f (+ mean_f), all float64.

    `spectrum` [d] sums the energies of the fields component by component, descending. `z` is [sum of cardinalities, d],
    `projection` [F, d, d] and `mean` [F, d] or None. Components that a small field does not have are zero.
    """

    spectrum: torch.Tensor
    cardinalities: tuple[int, ...]
    z: torch.Tensor
    projection: torch.Tensor
    mean: torch.Tensor | None
    dtype: torch.dtype
    device: torch.device

    def truncate(self, rank: int) -> LowRankFieldEmbedding:
        """The embedding of the `rank` strongest components of every field."""
        _require_rank(rank, len(self.spectrum))
        layer = LowRankFieldEmbedding(
            self.cardinalities, self.projection.shape[2], rank, centred=self.mean is not None
        ).to(self.device, self.dtype)
        with torch.no_grad():
            layer.z.weight.copy_(self.z[:, :rank])
            layer.projection.copy_(self.projection[:, :rank])
            if layer.mean is not None and self.mean is not None:
                layer.mean.copy_(self.mean)
        return layer

    def unit(self, name: str) -> Unit:
        """What an allocation needs to know of this embedding."""
        rows, (fields, _, dim) = sum(self.cardinalities), self.projection.shape
        return Unit(
            name=name,
            spectrum=self.spectrum,
            dense_params=rows * dim,
            params_per_rank=rows + fields * dim,
            fixed_params=0 if self.mean is None else fields * dim,
            max_rank=len(self.spectrum),
        )


def canonical_signs(vectors: torch.Tensor) -> torch.Tensor:
    """The signs [k] that make the largest entry by magnitude of each column of [n, k] positive.

    Singular and eigenvectors are determined up to their sign; with it fixed, results agree across LAPACK libraries.
    """
    largest = vectors.gather(0, vectors.abs().argmax(dim=0, keepdim=True))[0]
    return torch.where(largest < 0, -1.0, 1.0).to(vectors)


def as_float64(weight: torch.Tensor) -> torch.Tensor:
    """The weight, detached, in float64; a non-finite entry raises BenchmarkError, since it has no factorisation."""
    if not weight.is_meta and not torch.isfinite(weight).all():
        raise BenchmarkError(
            f"A weight of shape {list(weight.shape)} holds NaN or infinity, so it has no factorisation. The base model "
            "diverged in training: train it again with a smaller learning rate."
        )
    return weight.detach().to(torch.float64)


def _require_rank(rank: int, largest: int) -> None:
    if not 1 <= rank <= largest:
        raise BenchmarkError(f"Rank {rank} is not possible here. Give a rank from 1 to {largest}.")
