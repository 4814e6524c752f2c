from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.allocate import Plan, Unit, break_even, by_budget, by_energy, by_rank


def unit(name: str, energies: list[float], out: int, into: int) -> Unit:
    return Unit(name, torch.tensor(energies, dtype=torch.float64), out * into + out, out + into, out, len(energies))


STEEP = unit("steep", [100, 10, 1, 0.1, 0.01, 0.001], 6, 8)
FLAT = unit("flat", [5, 4, 4, 3, 3, 3, 2, 2], 8, 8)
TINY = unit("tiny", [1], 1, 8)
UNITS = (STEEP, FLAT, TINY)


def total(plan: Plan, units: tuple[Unit, ...] = UNITS) -> int:
    return sum(each.params(plan[each.name]) for each in units)


def lost(plan: Plan, units: tuple[Unit, ...] = UNITS) -> float:
    return sum(each.dropped()[rank] for each in units if (rank := plan[each.name]) is not None)


@pytest.mark.parametrize(("out", "into", "largest"), [(400, 400, 199), (2000, 2000, 999), (400, 100, 79)])
def test_break_even_is_the_last_rank_below_oi_over_o_plus_i(out: int, into: int, largest: int) -> None:
    assert break_even(unit("layer", [1.0] * min(out, into), out, into)) == largest


def test_break_even_counts_projections_and_means_of_tables() -> None:
    rows, fields, dim = 30, 5, 10
    table = Unit("table", torch.ones(dim), rows * dim, rows + fields * dim, fields * dim, dim)
    assert [table.params(rank) < rows * dim for rank in (break_even(table), break_even(table) + 1)] == [True, False]


def test_a_unit_that_cannot_shrink_has_no_rank() -> None:
    assert break_even(TINY) == 0


def test_one_rank_for_all() -> None:
    assert by_rank([STEEP, FLAT], 2) == {"steep": 2, "flat": 2}


def test_a_unit_that_the_rank_does_not_make_smaller_stays_dense() -> None:
    assert by_rank([STEEP, TINY], 2) == {"steep": 2, "tiny": None}


def test_a_rank_that_pays_nowhere_names_the_unit_that_takes_most_and_its_limit() -> None:
    with pytest.raises(BenchmarkError, match=r"Rank 4 would not make steep smaller.*Give rank=3 or less"):
        by_rank([STEEP, TINY], 4)
    with pytest.raises(BenchmarkError, match=r"No rank makes tiny smaller, nor any other unit"):
        by_rank([TINY], 1)
    with pytest.raises(BenchmarkError, match="Rank 0"):
        by_rank(UNITS, 0)


def test_energy_share_takes_the_smallest_rank_that_keeps_it() -> None:
    plan = by_energy(UNITS, 0.9)
    assert plan["steep"] == 1
    assert plan["flat"] is None
    assert by_energy([FLAT], 0.3) == {"flat": 2}
    assert by_energy([TINY], 0.5) == {"tiny": None}


def test_energy_share_keeps_what_it_promises_and_grows_with_it() -> None:
    ranks = []
    for share in (0.1, 0.3, 0.5, 0.9, 0.99, 0.999):
        rank = by_energy([STEEP], share)["steep"]
        assert rank is not None
        assert STEEP.dropped()[rank] <= 1 - share + 1e-12
        ranks.append(rank)
    assert ranks == sorted(ranks)


@pytest.mark.parametrize("share", [0, -0.5, 1.01])
def test_an_impossible_share_is_refused(share: float) -> None:
    with pytest.raises(BenchmarkError, match="up to 1"):
        by_energy(UNITS, share)


def test_every_reachable_budget_is_respected_and_more_never_loses_more() -> None:
    dense, smallest = total({each.name: None for each in UNITS}), total({"steep": 1, "flat": 1, "tiny": None})
    losses = []
    for budget in range(smallest, dense + 1):
        plan = by_budget(UNITS, budget + 1000, fixed=1000)
        assert total(plan) <= budget
        losses.append(lost(plan))
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(losses))


def test_budget_that_fits_leaves_all_dense() -> None:
    assert by_budget(UNITS, total({each.name: None for each in UNITS})) == {each.name: None for each in UNITS}


def test_budget_finds_the_best_plan_where_its_corners_lie() -> None:
    choices = [[None, *range(1, break_even(each) + 1)] for each in (STEEP, FLAT)]
    plans = [{"steep": s, "flat": f} for s, f in product(*choices)]
    pair = (STEEP, FLAT)
    gaps = []
    for budget in range(total({"steep": 1, "flat": 1}, pair), total({"steep": None, "flat": None}, pair)):
        best = min(lost(plan, pair) for plan in plans if total(plan, pair) <= budget)
        gaps.append(lost(by_budget(pair, budget), pair) - best)
    assert min(gaps) >= -1e-12
    assert sum(gap < 1e-12 for gap in gaps) > len(gaps) / 2


def test_energies_of_different_scale_compare_as_shares() -> None:
    scaled = Unit("flat", FLAT.spectrum * 1e6, FLAT.dense_params, FLAT.params_per_rank, FLAT.fixed_params, 8)
    assert by_budget([STEEP, scaled], 70) == by_budget([STEEP, FLAT], 70)


def test_an_unreachable_budget_states_the_smallest() -> None:
    smallest = total({"steep": 1, "flat": 1, "tiny": None}) + 5
    with pytest.raises(BenchmarkError, match=rf"Give {smallest} or more"):
        by_budget(UNITS, smallest - 1, fixed=5)


def test_a_layer_of_zeros_costs_no_energy() -> None:
    zeros = unit("zeros", [0.0] * 6, 6, 8)
    assert by_energy([zeros], 0.9) == {"zeros": 1}
    assert by_budget([zeros], zeros.params(1)) == {"zeros": 1}
