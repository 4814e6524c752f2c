"""Hashed embedding rows: several ids of a field share one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding


class HashFieldEmbedding(nn.Module):
    """Field embeddings in which id i of field f reads row i mod buckets[f]: integer ids [b, F] -> [b, F, embedding_dim].

    A field with as many buckets as ids keeps a row for each. Ids come numbered without gaps, so that the remainder spreads
    them evenly: no other hash function has fewer collisions. Weinberger et al., Feature Hashing for Large Scale Multitask
    Learning, ICML 2009.
    """

    buckets: torch.Tensor

    def __init__(
        self, cardinalities: Sequence[int], embedding_dim: int, buckets: Sequence[int], std: float = 1e-4
    ) -> None:
        super().__init__()
        require_parts("buckets", buckets, cardinalities)
        self.cardinalities = tuple(int(rows) for rows in cardinalities)
        self.embedding_dim = embedding_dim
        self.shared = FieldEmbedding(buckets, embedding_dim, std)
        self.register_buffer("buckets", torch.tensor(self.shared.cardinalities, dtype=torch.int64), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.shared(ids % self.buckets)

    def tables(self) -> Iterator[nn.Parameter]:
        """The parameters that are looked up by id."""
        yield from self.shared.tables()

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "cardinalities": list(self.cardinalities),
            "embedding_dim": self.embedding_dim,
            "buckets": list(self.shared.cardinalities),
        }


def require_parts(what: str, parts: Sequence[int], cardinalities: Sequence[int]) -> None:
    """Raises BenchmarkError unless there is one number for each field, from 1 to its rows."""
    if len(parts) != len(cardinalities) or any(
        not 1 <= part <= rows for part, rows in zip(parts, cardinalities, strict=False)
    ):
        raise BenchmarkError(
            f"The {what} {list(parts)} do not fit fields of {list(cardinalities)} rows. Give one number for each field, "
            "from 1 to its rows."
        )
