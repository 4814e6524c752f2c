"""Embedding tables of mixed dimensions: fields with many rows get short ones, projected to the common width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding


class MixedFieldEmbedding(nn.Module):
    """Field embeddings whose rows have `dims[f]` numbers: integer ids [b, F] -> [b, F, embedding_dim].

    Fields of one length share a table; those shorter than `embedding_dim` have a projection [dims[f], embedding_dim] each.
    Entries of the result start with deviation `std`, as those of a dense table. Ginart et al., Mixed Dimension Embeddings
    with Application to Memory-Efficient Recommendation Systems, ISIT 2021.
    """

    order: torch.Tensor

    def __init__(
        self, cardinalities: Sequence[int], embedding_dim: int, dims: Sequence[int], std: float = 1e-4
    ) -> None:
        super().__init__()
        if len(dims) != len(cardinalities) or not all(1 <= dim <= embedding_dim for dim in dims):
            raise BenchmarkError(
                f"The dimensions {list(dims)} do not fit {len(cardinalities)} fields of {embedding_dim}. Give one number for "
                f"each field, from 1 to {embedding_dim}."
            )
        self.cardinalities = tuple(int(rows) for rows in cardinalities)
        self.embedding_dim = embedding_dim
        self.dims = tuple(int(dim) for dim in dims)
        self.fields_of = {
            dim: [field for field, of in enumerate(self.dims) if of == dim] for dim in sorted(set(self.dims))
        }
        self.rows = nn.ModuleDict()
        self.projections = nn.ParameterDict()
        for dim, fields in self.fields_of.items():
            # Rows of a projection have unit length, so that shorter codes have to be longer vectors.
            spread = std * (embedding_dim / dim) ** 0.5
            self.rows[str(dim)] = FieldEmbedding([cardinalities[field] for field in fields], dim, spread)
            if dim < embedding_dim:
                projection = torch.empty(len(fields), dim, embedding_dim)
                for matrix in projection:
                    nn.init.orthogonal_(matrix)
                self.projections[str(dim)] = nn.Parameter(projection)
        places = [field for fields in self.fields_of.values() for field in fields]
        self.register_buffer("order", torch.tensor(places, dtype=torch.int64).argsort(), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        parts = []
        for dim, fields in self.fields_of.items():
            rows = self.rows[str(dim)](ids[:, fields])
            if str(dim) in self.projections:
                rows = torch.einsum("bfr,frd->bfd", rows, self.projections[str(dim)])
            parts.append(rows)
        return torch.cat(parts, dim=1)[:, self.order]

    def tables(self) -> Iterator[nn.Parameter]:
        """The parameters that are looked up by id. Shrinking the projections as well would undo their unit length."""
        for rows in self.rows.values():
            assert isinstance(rows, FieldEmbedding)
            yield from rows.tables()

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "cardinalities": list(self.cardinalities),
            "embedding_dim": self.embedding_dim,
            "dims": list(self.dims),
        }
