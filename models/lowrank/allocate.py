"""Which rank each layer gets: one rank for all, a share of the energy, or a budget of parameters.

A plan maps the name of each unit to its rank, or to None where the unit stays dense.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.errors import BenchmarkError

Plan = dict[str, int | None]


@dataclass(frozen=True, eq=False)
class Unit:
    """One layer that may be compressed: its spectrum of energies [k], descending, and what it costs in parameters.

    Dense it has `dense_params`, at rank r `fixed_params + r * params_per_rank`, for r up to `max_rank`.
    """

    name: str
    spectrum: torch.Tensor
    dense_params: int
    params_per_rank: int
    fixed_params: int
    max_rank: int

    def params(self, rank: int | None) -> int:
        """Parameters at `rank`, or dense where it is None."""
        return self.dense_params if rank is None else self.fixed_params + rank * self.params_per_rank

    def dropped(self) -> list[float]:
        """The share of the energy that is lost at rank 0, 1, ..., k; zero throughout for a unit without energy."""
        kept = torch.cat([self.spectrum.new_zeros(1), self.spectrum.cumsum(0)])
        total = kept[-1]
        return ((total - kept) / total).tolist() if total > 0 else [0.0] * len(kept)


def break_even(unit: Unit) -> int:
    """The largest rank whose factors have fewer parameters than the dense layer; 0 where none has."""
    return max(0, min(unit.max_rank, (unit.dense_params - unit.fixed_params - 1) // unit.params_per_rank))


def by_rank(units: Sequence[Unit], rank: int) -> Plan:
    """The same rank everywhere, but for units that it does not make smaller, which stay dense.

    A rank that makes no unit smaller raises BenchmarkError.
    """
    if rank < 1:
        raise BenchmarkError(f"Rank {rank} is not possible: give a rank of 1 or more.")
    plan: Plan = {unit.name: rank if rank <= break_even(unit) else None for unit in units}
    if not units or any(plan.values()):
        return plan
    unit = max(units, key=break_even)
    largest = break_even(unit)
    name = unit.name or "the network, a single layer,"
    if not largest:
        raise BenchmarkError(
            f"No rank makes {name} smaller, nor any other unit: it has {unit.dense_params:,} parameters. "
            "Type another model= or settings that make its layers larger."
        )
    raise BenchmarkError(
        f"Rank {rank} would not make {name} smaller: it has {unit.dense_params:,} parameters dense and "
        f"{unit.params(rank):,} at rank {rank}; the largest rank that pays is {largest}. Give rank={largest} or less, or leave "
        "it dense."
    )


def by_energy(units: Sequence[Unit], share: float) -> Plan:
    """The smallest rank that keeps `share` (above 0, up to 1) of each unit's energy; dense where that does not pay."""
    if not 0 < share <= 1:
        raise BenchmarkError(
            f"An energy share of {share} is not possible: give a value above 0 and up to 1, such as 0.95."
        )
    plan: Plan = {}
    for unit in units:
        kept = unit.spectrum.cumsum(0)
        rank = int(torch.searchsorted(kept, share * kept[-1])) + 1
        plan[unit.name] = rank if rank <= break_even(unit) else None
    return plan


def by_budget(units: Sequence[Unit], total_params_allowed: int, fixed: int = 0) -> Plan:
    """The plan that loses little energy with at most `total_params_allowed` parameters, `fixed` of them outside.

    Energies count as shares of their own unit's, so that layers of different scale compare. Steps are taken in order of
    the energy that they lose for each parameter that they save. For one unit these are the corners of the lower convex
    hull of (parameters, energy lost): the best jump from dense to a rank, then one rank at a time, as spectra descend.
    A larger budget never loses more. A budget that cannot be met raises BenchmarkError with the smallest that can.
    """
    plan: Plan = {unit.name: None for unit in units}
    smallest = fixed + sum(unit.params(1 if break_even(unit) else None) for unit in units)
    if total_params_allowed < smallest:
        raise BenchmarkError(
            f"A budget of {total_params_allowed:,} parameters cannot be met: with every layer that may be compressed "
            f"at its smallest, {smallest:,} remain ({fixed:,} of them outside these layers). Give {smallest:,} or more."
        )
    excess = fixed + sum(unit.dense_params for unit in units) - total_params_allowed
    steps = sorted((step for unit in units for step in _steps(unit)), key=lambda step: step.price)
    for step in steps:
        if excess <= 0:
            break
        unit, rank = step.unit, step.rank
        before = plan[unit.name]
        if before is None:
            # The jump may save more than is asked for; then the largest rank that still meets the budget will do.
            enough = (unit.dense_params - excess - unit.fixed_params) // unit.params_per_rank
            rank = max(rank, min(enough, break_even(unit)))
        excess -= unit.params(before) - unit.params(rank)
        plan[unit.name] = rank
    return plan


@dataclass(frozen=True, eq=False)
class _Step:
    unit: Unit
    rank: int
    price: float


def _steps(unit: Unit) -> list[_Step]:
    """The hull of one unit from dense to rank 1, in ascending order of energy lost for each parameter saved."""
    dropped = unit.dropped()
    largest = break_even(unit)
    if largest == 0:
        return []
    jumps = [
        _Step(unit, rank, dropped[rank] / (unit.dense_params - unit.params(rank))) for rank in range(1, largest + 1)
    ]
    jump = min(jumps, key=lambda step: (step.price, step.rank))
    slides = [
        _Step(unit, rank, (dropped[rank] - dropped[rank + 1]) / unit.params_per_rank)
        for rank in range(jump.rank - 1, 0, -1)
    ]
    return [jump, *slides]
