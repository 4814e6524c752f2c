"""Embedding tables as tensor trains: a row is the product of one slice of each core."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.factors import as_float64

CORES = 3


@dataclass(frozen=True)
class TTShape:
    """Cores [row_factors[k], ranks[k], dim_factors[k], ranks[k + 1]] of a table; the first and last rank are 1.

    The product of `row_factors` is the rows of the table or a little more, that of `dim_factors` its width.
    """

    row_factors: tuple[int, ...]
    dim_factors: tuple[int, ...]
    ranks: tuple[int, ...]

    @classmethod
    def of(cls, rows: int, dim: int, rank: int, cores: int = CORES) -> TTShape:
        """The shape of all ranks `rank`, or less where a matricisation of the table has no higher rank.

        Row factors are as near to each other as they can be, the largest first.
        """
        if rank < 1 or cores < 2:
            raise BenchmarkError(
                f"A tensor train of rank {rank} and {cores} cores is not possible: give a rank of 1 and 2 cores or more."
            )
        row_factors, dim_factors = _row_factors(rows, cores), _dim_factors(dim, cores)
        modes = [n * d for n, d in zip(row_factors, dim_factors, strict=True)]
        inner = (min(rank, math.prod(modes[:k]), math.prod(modes[k:])) for k in range(1, cores))
        return cls(row_factors, dim_factors, (1, *inner, 1))

    @property
    def cores(self) -> list[tuple[int, int, int, int]]:
        """The shape of each core."""
        inner = pairwise(self.ranks)
        return [(n, r, d, s) for n, d, (r, s) in zip(self.row_factors, self.dim_factors, inner, strict=True)]

    @property
    def params(self) -> int:
        """Numbers in all cores."""
        return sum(math.prod(core) for core in self.cores)

    @property
    def strides(self) -> list[int]:
        """What an id is divided by for its digit in each core, most significant first."""
        return [math.prod(self.row_factors[k + 1 :]) for k in range(len(self.row_factors))]


def largest_rank(rows: int, dim: int, cores: int = CORES) -> int:
    """The largest rank whose cores have fewer numbers than the table of [rows, dim]; 0 where none has."""
    every = range(1, max(TTShape.of(rows, dim, rows * dim, cores).ranks) + 1)
    return bisect_left(every, rows * dim, key=lambda rank: TTShape.of(rows, dim, rank, cores).params)


class TTTable(nn.Module):
    """One table as a tensor train: ids [b] -> rows [b, d], from the slices of the batch's ids alone.

    The last cores start with orthonormal rows, and the first carries the norm of the table: its squared norm is then that
    of the whole, and entries have deviation `std` as those of a dense table would.
    """

    def __init__(self, shape: TTShape, std: float = 1e-4) -> None:
        super().__init__()
        self.shape = shape
        self.cores = nn.ParameterList(torch.empty(core) for core in shape.cores)
        with torch.no_grad():
            first, *others = self.cores
            spread = math.prod(shape.row_factors) * math.prod(shape.dim_factors) / first.numel()
            first.normal_(std=std * spread**0.5)
            for core, (n, r, d, s) in zip(others, shape.cores[1:], strict=True):
                rows = nn.init.orthogonal_(core.new_empty(r, n * d * s))
                core.copy_(rows.view(r, n, d, s).transpose(0, 1))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        digits = (ids // stride % n for n, stride in zip(self.shape.row_factors, self.shape.strides, strict=True))
        slices = [
            nn.functional.embedding(digit, core.flatten(1)) for digit, core in zip(digits, self.cores, strict=True)
        ]
        _, _, d, s = self.shape.cores[0]
        rows = slices[0].view(-1, d, s)
        for picked, (_, r, d, s) in zip(slices[1:], self.shape.cores[1:], strict=True):
            rows = torch.bmm(rows, picked.view(-1, r, d * s)).view(len(ids), -1, s)
        return rows.squeeze(2)


class TTFieldEmbedding(nn.Module):
    """Field embeddings, some of them tensor trains: integer ids [b, F] -> [b, F, embedding_dim].

    `ranks` has a number for each field, or None for one that keeps its rows. Each lookup multiplies the slices of its own id;
    no table is ever built. Yin et al., TT-Rec: Tensor Train Compression for Deep Learning Recommendation Models, MLSys 2021.
    """

    plain_fields: torch.Tensor
    order: torch.Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int,
        ranks: Sequence[int | None],
        cores: int = CORES,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        if len(ranks) != len(cardinalities):
            raise BenchmarkError(f"{len(ranks)} ranks are given for {len(cardinalities)} fields. Give one for each.")
        self.cardinalities = tuple(int(rows) for rows in cardinalities)
        self.embedding_dim = embedding_dim
        self.ranks = tuple(ranks)
        self.n_cores = cores
        plain = [field for field, rank in enumerate(ranks) if rank is None]
        shapes = {
            field: TTShape.of(cardinalities[field], embedding_dim, rank, cores)
            for field, rank in enumerate(ranks)
            if rank is not None
        }
        rows = [cardinalities[field] for field in plain]
        self.plain = FieldEmbedding(rows, embedding_dim, std) if plain else None
        self.trains = nn.ModuleDict({str(field): TTTable(shape, std) for field, shape in shapes.items()})
        order = torch.tensor([*plain, *shapes], dtype=torch.int64).argsort()
        self.register_buffer("plain_fields", torch.tensor(plain, dtype=torch.int64), persistent=False)
        self.register_buffer("order", order, persistent=False)

    @classmethod
    def of(cls, embedding: FieldEmbedding, ranks: Sequence[int | None], cores: int = CORES) -> TTFieldEmbedding:
        """A trained table, the fields with a rank decomposed by TT-SVD."""
        small = cls(embedding.cardinalities, embedding.embedding_dim, ranks, cores).to(embedding.weight)
        tables = embedding.weight.detach().split(embedding.cardinalities)
        with torch.no_grad():
            if small.plain is not None:
                small.plain.weight.copy_(torch.cat([tables[field] for field in small.plain_fields]))
            for field, train in small.trains.items():
                assert isinstance(train, TTTable)
                for core, found in zip(train.cores, tt_svd(tables[int(field)], train.shape), strict=True):
                    core.copy_(found)
        return small

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        ids = ids.long()
        plain = [] if self.plain is None else [self.plain(ids[:, self.plain_fields])]
        trains = [train(ids[:, int(field)])[:, None] for field, train in self.trains.items()]
        return torch.cat([*plain, *trains], dim=1)[:, self.order]

    def tables(self) -> Iterator[nn.Parameter]:
        """The parameters that an embedding regulariser acts on: of a tensor train the first core, which carries its norm.

        Shrinking the others as well, which have unit rows, soon takes all rows to zero.
        """
        if self.plain is not None:
            yield from self.plain.tables()
        for train in self.trains.values():
            assert isinstance(train, TTTable)
            yield train.cores[0]

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "cardinalities": list(self.cardinalities),
            "embedding_dim": self.embedding_dim,
            "ranks": list(self.ranks),
            "cores": self.n_cores,
        }


def tt_svd(table: torch.Tensor, shape: TTShape) -> list[torch.Tensor]:
    """Cores of a table [rows, d] by successive truncated SVDs from the right; all but the first have orthonormal rows.

    Exact where the ranks are those of the table. Rows that fill up the product of the row factors are zero. Computed in
    float64; a non-finite entry raises BenchmarkError. Oseledets, Tensor-Train Decomposition, SISC 2011, Algorithm 1.
    """
    cores = len(shape.row_factors)
    spare = math.prod(shape.row_factors) - len(table)
    full = nn.functional.pad(as_float64(table), (0, 0, 0, spare))
    # Rows and dimensions stand apart; a core holds one factor of each.
    left = full.view(*shape.row_factors, *shape.dim_factors)
    left = left.permute([axis for core in range(cores) for axis in (core, cores + core)])
    found = []
    for n, r, d, s in reversed(shape.cores[1:]):
        U, S, Vt = torch.linalg.svd(left.reshape(-1, n * d * s), full_matrices=False)
        found.append(Vt[:r].view(r, n, d, s).transpose(0, 1))
        left = U[:, :r] * S[:r]
    return [left.reshape(shape.cores[0]), *reversed(found)]


def _row_factors(rows: int, cores: int) -> tuple[int, ...]:
    """Factors whose product is `rows` or a little more."""
    factors: list[int] = []
    for left in range(cores, 0, -1):
        factor = _ceil_root(rows, left)
        factors.append(factor)
        rows = -(-rows // factor)
    return tuple(factors)


def _ceil_root(value: int, power: int) -> int:
    """The smallest integer whose `power` is `value` or more."""
    root = max(1, round(value ** (1 / power)))
    while root**power < value:
        root += 1
    while root > 1 and (root - 1) ** power >= value:
        root -= 1
    return root


def _dim_factors(dim: int, cores: int) -> tuple[int, ...]:
    """Factors whose product is `dim`, the large ones at the ends: inner cores have two ranks to multiply with."""
    factors = [1] * cores
    for prime in sorted(_primes(dim), reverse=True):
        factors[factors.index(min(factors))] *= prime
    largest, *others = sorted(factors, reverse=True)
    return (*others, largest)


def _primes(value: int) -> list[int]:
    found = []
    divisor = 2
    while value > 1:
        while value % divisor == 0:
            found.append(divisor)
            value //= divisor
        divisor += 1
    return found
