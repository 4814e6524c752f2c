"""Quotient-remainder embeddings: two small tables whose rows together tell every id apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks import errors
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.hashing import require_parts

OPERATIONS: dict[str, Callable[..., torch.Tensor]] = {"multiply": torch.mul, "add": torch.add}


def quotient_rows(rows: int, remainders: int) -> int:
    """Rows of the quotient table beside a remainder table of `remainders` rows, for ids below `rows`."""
    return -(-rows // remainders)


class QRFieldEmbedding(nn.Module):
    """Field embeddings from two tables, id i reading rows i mod m and i div m: ids [b, F] -> [b, F, embedding_dim].

    `remainders` are the rows m of each field's remainder table; a field with as many as it has ids is a plain table. The two
    rows are multiplied entry by entry or added. Every pair occurs once, so that no two ids share both. Shi et al.,
    Compositional Embeddings Using Complementary Partitions for Memory-Efficient Recommendation Systems, KDD 2020.
    """

    divisors: torch.Tensor
    split: torch.Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int,
        remainders: Sequence[int],
        operation: str = "multiply",
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        require_parts("remainders", remainders, cardinalities)
        if operation not in OPERATIONS:
            raise errors.unknown("operation", operation, OPERATIONS)
        self.cardinalities = tuple(int(rows) for rows in cardinalities)
        self.embedding_dim = embedding_dim
        self.operation = operation
        split = [field for field, m in enumerate(remainders) if m < cardinalities[field]]
        quotients = [quotient_rows(cardinalities[field], remainders[field]) for field in split]
        # Entries of the result start with deviation `std`: a product by random factors of variance 1, which tell apart the
        # ids that share a remainder, a sum by two halves of the variance.
        multiply = operation == "multiply"
        self.remainder = FieldEmbedding(remainders, embedding_dim, std)
        self.quotient = FieldEmbedding(quotients, embedding_dim, 1.0 if multiply else std * 0.5**0.5)
        self.quotient.decays = not multiply
        if not multiply:
            parts = self.remainder.weight.detach().split(self.remainder.cardinalities)
            for field in split:
                parts[field].mul_(0.5**0.5)
        self.register_buffer("divisors", torch.tensor(self.remainder.cardinalities), persistent=False)
        self.register_buffer("split", torch.tensor(split, dtype=torch.int64), persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        rows = self.remainder(ids % self.divisors)
        quotients = self.quotient(ids[:, self.split] // self.divisors[self.split])
        whole = OPERATIONS[self.operation](rows[:, self.split], quotients)
        return rows.index_copy(1, self.split, whole)

    def tables(self) -> Iterator[nn.Parameter]:
        """The parameters that an embedding regulariser acts on: of a product the remainders alone.

        The squares of both factors are a penalty on the magnitude of their product, whichever way it is scaled, and not on
        its square as in a dense table.
        """
        yield from self.remainder.tables()
        if self.quotient.decays:
            yield from self.quotient.tables()

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "cardinalities": list(self.cardinalities),
            "embedding_dim": self.embedding_dim,
            "remainders": list(self.remainder.cardinalities),
            "operation": self.operation,
        }
