"""Ranks of updates by the scores of their layers, under one budget of trained parameters.

Park et al., Contribution-based Low-Rank Adaptation with Pre-training Model for Real Image Restoration, ECCV 2024, learn in
each layer a share of its parameters that follows its contribution. The formula is not public; the one here is our own.
Scores are of any kind, so that other rules stand beside contributions at an equal budget.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.errors import BenchmarkError

Plan = dict[str, int | Literal["dense"]]
"""Each layer's rank, 0 where it stays as it is, or `dense` where it trains as a whole; fit for JSON."""
DENSE: Literal["dense"] = "dense"


@dataclass(frozen=True)
class Matrix:
    """A layer's weight as a matrix [rows, columns] on patches."""

    rows: int
    columns: int

    @property
    def full_rank(self) -> int:
        return min(self.rows, self.columns)

    @property
    def per_rank(self) -> int:
        """Parameters of one rank."""
        return self.rows + self.columns

    def cost(self, rank: int) -> int:
        """Trained parameters at a rank: never more than all of the weight, which then trains itself."""
        return min(rank * self.per_rank, self.rows * self.columns)

    def choice(self, rank: int) -> int | Literal["dense"]:
        """The rank, or `dense` from where a low-rank update has as many parameters as the weight."""
        return DENSE if rank * self.per_rank >= self.rows * self.columns else rank


def ranks_within(
    layers: Mapping[str, Matrix],
    scores: Mapping[str, float],
    allowed: int,
    *,
    alpha: float = 1.0,
    beta: float = 0.0,
    floor: int = 0,
) -> Plan:
    """The ranks that spend `allowed` parameters, up to less than one more rank of any layer that is not dense yet.

    Layer i learns the share min(1, beta + lambda (F_i / max F) ^ alpha) of its full rank, rounded half up and `floor` at
    least, with the largest lambda that the budget allows. What remains is handed out a rank a layer in the order of F_i over
    the price of a rank, ties in that of the layers, again and again; layers without any score come last. All in float64.

    Raises BenchmarkError for scores that are negative, not finite or all zero, and where not even beta and floor fit.
    """
    values = np.array([scores[name] for name in layers], np.float64)
    if not len(values) or not np.isfinite(values).all() or values.min() < 0 or values.max() == 0:
        raise BenchmarkError(
            f"Ranks follow scores that are finite, not negative and not all zero, not {values.tolist()}."
        )
    weights = (values / values.max()) ** alpha
    weights[values == 0] = 0.0
    matrices = list(layers.values())

    def ranks(factor: float) -> list[int]:
        shares = np.minimum(1.0, beta + factor * weights)
        return [
            min(matrix.full_rank, max(floor, math.floor(share * matrix.full_rank + 0.5)))
            for matrix, share in zip(matrices, shares, strict=True)
        ]

    def price(found: Sequence[int]) -> int:
        return sum(matrix.cost(rank) for matrix, rank in zip(matrices, found, strict=True))

    if price(ranks(0.0)) > allowed:
        raise BenchmarkError(
            f"{allowed:,} parameters do not suffice for the updates: with beta {beta:g} and rank {floor} at least they have "
            f"{price(ranks(0.0)):,}. Raise method.share, or lower method.beta and method.floor."
        )
    found = ranks(_largest(lambda factor: price(ranks(factor)) <= allowed, 1.0 / weights[weights > 0].min()))
    _hand_out(matrices, values, found, allowed - price(found))
    return {name: matrix.choice(rank) for (name, matrix), rank in zip(layers.items(), found, strict=True)}


def price_of(plan: Plan, layers: Mapping[str, Matrix]) -> int:
    """Trained parameters of the updates of a plan, and of the weights that train as a whole."""
    return sum(
        matrix.rows * matrix.columns if plan[name] == DENSE else matrix.cost(int(plan[name]))
        for name, matrix in layers.items()
    )


def even_scores(layers: Mapping[str, Matrix]) -> dict[str, float]:
    """Scores that give, with alpha 1 and beta 0, one rank to all layers."""
    return {name: 1.0 / matrix.full_rank for name, matrix in layers.items()}


def size_scores(layers: Mapping[str, Matrix]) -> dict[str, float]:
    """Scores that give, with alpha 1 and beta 0, ranks in proportion to the layers' numbers of parameters."""
    return {name: float(max(matrix.rows, matrix.columns)) for name, matrix in layers.items()}


def random_scores(layers: Mapping[str, Matrix], seed: int) -> dict[str, float]:
    """Scores from (0, 1], one draw for each layer."""
    return dict(zip(layers, 1.0 - np.random.default_rng(seed).random(len(layers)), strict=True))


def reversed_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """The same scores handed out in reverse: the layer with the highest gets the lowest one."""
    ordered = sorted(scores, key=lambda name: scores[name])
    return {name: scores[other] for name, other in zip(ordered, reversed(ordered), strict=True)}


def _largest(fits: Callable[[float], bool], high: float) -> float:
    """The largest factor in [0, high] that fits, to the last bit; what fits at one factor fits at all below."""
    if fits(high):
        return high
    low = 0.0
    while low < (middle := low + (high - low) / 2) < high:
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _hand_out(matrices: Sequence[Matrix], values: np.ndarray, found: list[int], left: int) -> None:
    """Raises ranks in place while one more fits into what is left."""
    for wanted in (values > 0, values == 0):
        order = sorted(np.flatnonzero(wanted).tolist(), key=lambda i: (-values[i] / matrices[i].per_rank, i))
        growing = True
        while growing:
            growing = False
            for i in order:
                step = matrices[i].cost(found[i] + 1) - matrices[i].cost(found[i])
                if 0 < step <= left:
                    found[i], left, growing = found[i] + 1, left - step, True
