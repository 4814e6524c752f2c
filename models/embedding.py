"""The tables of all categorical fields as one table: one lookup a batch, however many fields there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
from torch import nn


class FieldEmbedding(nn.Module):
    """One embedding row for each (field, id), kept in a single table with an offset for each field.

    `cardinalities` are the rows of each field; `weight` is [sum of cardinalities, embedding_dim], normal with `std`.
    `forward` maps integer ids [b, F] with 0 <= ids[:, f] < cardinalities[f] to [b, F, embedding_dim]. The range is the
    reader's to check, once: an id beyond its field reads a neighbour's row, except in the last field, where it raises.
    """

    offsets: torch.Tensor

    def __init__(self, cardinalities: Sequence[int], embedding_dim: int, std: float = 1e-4) -> None:
        super().__init__()
        self.cardinalities = tuple(int(rows) for rows in cardinalities)
        self.embedding_dim = embedding_dim
        self.std = std
        self.sparse = False
        self.decays = True  # whether an embedding regulariser acts on it, however it is trained
        self.weight = nn.Parameter(torch.empty(sum(self.cardinalities), embedding_dim))
        # int64 also lifts narrow ids (int16, int32) when it is added; a float would be exact to 2**24 rows only.
        starts = [0, *accumulate(self.cardinalities)][:-1]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        nn.init.normal_(self.weight, std=std)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return nn.functional.embedding(ids + self.offsets, self.weight, sparse=self.sparse)

    def tables(self) -> Iterator[nn.Parameter]:
        """The parameters that are looked up by id, which is what an embedding regulariser acts on.

        None where they train by rows: a penalty on the whole table would touch every row at every step, and the optimiser
        decays those of the batch in its place.
        """
        if not self.sparse:
            yield self.weight

    def extra_repr(self) -> str:
        return f"fields={len(self.cardinalities)}, rows={sum(self.cardinalities)}, embedding_dim={self.embedding_dim}"
