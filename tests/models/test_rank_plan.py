"""Ranks spend their budget up to one rank of the cheapest layer, whatever they follow."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.rank_plan import (
    DENSE,
    Matrix,
    Plan,
    even_scores,
    price_of,
    random_scores,
    ranks_within,
    reversed_scores,
    size_scores,
)

LAYERS = {
    "intro": Matrix(16, 27),
    "low.conv1": Matrix(32, 16),
    "low.conv3": Matrix(16, 16),
    "down": Matrix(32, 64),
    "middle.conv1": Matrix(128, 64),
    "middle.conv2": Matrix(64, 64),
    "up": Matrix(64, 32),
    "ending": Matrix(3, 144),
}
TOTAL = sum(matrix.rows * matrix.columns for matrix in LAYERS.values())
CONTRIBUTIONS = dict(zip(LAYERS, (8e-4, 4e-4, 5e-4, 1e-4, 1e-6, 2e-6, 2e-4, 9e-4), strict=True))
RULES = {
    "contribution": CONTRIBUTIONS,
    "uniform": even_scores(LAYERS),
    "size": size_scores(LAYERS),
    "random": random_scores(LAYERS, 3),
    "reversed": reversed_scores(CONTRIBUTIONS),
}


def spare(plan: Plan, allowed: int) -> int:
    return allowed - price_of(plan, LAYERS)


def rank(plan: Plan, name: str) -> int:
    return LAYERS[name].full_rank if plan[name] == DENSE else int(plan[name])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("share", [0.01, 0.05, 0.07, 0.2, 0.5, 0.9])
def test_a_budget_is_met_within_one_rank_of_the_cheapest_layer(rule: str, share: float) -> None:
    allowed = int(share * TOTAL)
    plan = ranks_within(LAYERS, RULES[rule], allowed)
    growing = [LAYERS[name].per_rank for name, chosen in plan.items() if chosen != DENSE]
    assert list(plan) == list(LAYERS)
    assert 0 <= spare(plan, allowed) < min(growing)


def brute_force(scores: dict[str, float], allowed: int, alpha: float) -> dict[str, int]:
    """Ranks before the remainder, by the equations of the definition on a fine grid of lambda."""
    best: dict[str, int] = {}
    most = max(scores.values())
    for factor in np.geomspace(1e-6, 1e9, 60_001):
        found, price = {}, 0
        for name, matrix in LAYERS.items():
            share = min(1.0, factor * (scores[name] / most) ** alpha)
            found[name] = math.floor(share * min(matrix.rows, matrix.columns) + 0.5)
            full = matrix.rows * matrix.columns
            cost = found[name] * (matrix.rows + matrix.columns)
            price += full if cost >= full else cost
        if price > allowed:
            break
        best = found
    return best


@pytest.mark.parametrize("alpha", [1.0, 0.5])
@pytest.mark.parametrize("share", [0.07, 0.3])
def test_ranks_are_those_of_the_largest_lambda_and_the_remainder_adds_to_them(alpha: float, share: float) -> None:
    allowed = int(share * TOTAL)
    plan = ranks_within(LAYERS, CONTRIBUTIONS, allowed, alpha=alpha)
    expected = brute_force(CONTRIBUTIONS, allowed, alpha)
    for name, matrix in LAYERS.items():
        if matrix.choice(expected[name]) == DENSE:
            assert plan[name] == DENSE
        else:
            assert rank(plan, name) >= expected[name]
    added = price_of(plan, LAYERS) - sum(matrix.cost(expected[name]) for name, matrix in LAYERS.items())
    assert 0 <= added < 2 * sum(matrix.per_rank for matrix in LAYERS.values())


def test_the_remainder_goes_by_score_over_price_and_ties_by_order() -> None:
    layers = {name: Matrix(10, 10) for name in "abc"} | {"d": Matrix(10, 30)}
    even = dict.fromkeys(layers, 1.0)
    assert ranks_within(layers, even, 40) == {"a": 1, "b": 1, "c": 0, "d": 0}
    assert ranks_within(layers, even, 60) == {"a": 1, "b": 1, "c": 1, "d": 0}
    assert ranks_within(layers, even | {"d": 2.1}, 40) == {"a": 0, "b": 0, "c": 0, "d": 1}


def test_halves_are_rounded_up() -> None:
    one = {"a": Matrix(100, 100), "b": Matrix(100, 100)}
    # A quarter of a rank to b is none, half a one is one: lambda where a has 1 and b 0.5 of a rank.
    assert ranks_within(one, {"a": 1.0, "b": 0.5}, 400) == {"a": 1, "b": 1}
    assert ranks_within(one, {"a": 1.0, "b": 0.01}, 400) == {"a": 2, "b": 0}


def test_a_layer_trains_as_a_whole_from_where_its_update_is_no_smaller() -> None:
    assert [Matrix(3, 288).choice(r) for r in (0, 1, 2, 3)] == [0, 1, 2, DENSE]  # 2 x 291 is less than 864
    assert [Matrix(32, 27).choice(r) for r in (14, 15)] == [14, DENSE]  # 14 x 59 = 826 of 864
    assert Matrix(16, 16).choice(8) == DENSE  # as many
    assert Matrix(16, 16).cost(9) == 256
    everything = ranks_within(LAYERS, CONTRIBUTIONS, TOTAL + 5)
    assert set(everything.values()) == {DENSE}
    assert price_of(everything, LAYERS) == TOTAL


def test_other_scores_give_another_plan_and_scale_none() -> None:
    allowed = int(0.1 * TOTAL)
    plan = ranks_within(LAYERS, CONTRIBUTIONS, allowed)
    names = list(LAYERS)
    permuted = {name: CONTRIBUTIONS[other] for name, other in zip(names, names[3:] + names[:3], strict=True)}
    assert ranks_within(LAYERS, permuted, allowed) != plan
    assert ranks_within(LAYERS, reversed_scores(CONTRIBUTIONS), allowed) != plan
    assert ranks_within(LAYERS, {name: 1000 * score for name, score in CONTRIBUTIONS.items()}, allowed) == plan
    assert json.loads(json.dumps(plan)) == plan


def test_a_power_below_one_evens_the_ranks_out_and_a_floor_leaves_nobody_out() -> None:
    allowed = int(0.1 * TOTAL)
    sharp, flat = (ranks_within(LAYERS, CONTRIBUTIONS, allowed, alpha=alpha) for alpha in (1.0, 0.25))
    assert rank(flat, "middle.conv1") > rank(sharp, "middle.conv1")
    floored = ranks_within(LAYERS, CONTRIBUTIONS, allowed, floor=1)
    assert min(rank(floored, name) for name in LAYERS) >= 1
    even = ranks_within(LAYERS, CONTRIBUTIONS, int(0.3 * TOTAL), beta=0.1)
    assert all(rank(even, name) >= math.floor(0.1 * matrix.full_rank + 0.5) for name, matrix in LAYERS.items())


def test_uniform_is_one_rank_for_all_and_size_follows_the_parameters() -> None:
    price = sum(matrix.cost(2) for matrix in LAYERS.values())
    uniform = ranks_within(LAYERS, even_scores(LAYERS), price)
    assert {name: rank(uniform, name) for name in LAYERS if uniform[name] != DENSE} == {
        name: 2 for name in LAYERS if LAYERS[name].choice(2) != DENSE
    }
    size = ranks_within(LAYERS, size_scores(LAYERS), int(0.3 * TOTAL))
    large, small = LAYERS["middle.conv1"], LAYERS["middle.conv2"]
    ratio = large.rows * large.columns / (small.rows * small.columns)
    assert abs(rank(size, "middle.conv1") - ratio * rank(size, "middle.conv2")) <= 2


def test_layers_without_any_score_come_last() -> None:
    scores = CONTRIBUTIONS | {"middle.conv1": 0.0}
    plan = ranks_within(LAYERS, scores, int(0.2 * TOTAL))
    assert plan["middle.conv1"] == 0
    rest = TOTAL - LAYERS["middle.conv1"].rows * LAYERS["middle.conv1"].columns
    assert ranks_within(LAYERS, scores, rest + 2 * LAYERS["middle.conv1"].per_rank)["middle.conv1"] == 2


def test_reversed_scores_are_the_same_ones_the_other_way_round() -> None:
    other = reversed_scores(CONTRIBUTIONS)
    assert sorted(other.values()) == sorted(CONTRIBUTIONS.values())
    order = sorted(LAYERS, key=CONTRIBUTIONS.__getitem__)
    assert sorted(LAYERS, key=other.__getitem__) == order[::-1]


@pytest.mark.parametrize(
    "scores", [dict.fromkeys(LAYERS, 0.0), CONTRIBUTIONS | {"up": -1.0}, CONTRIBUTIONS | {"up": math.nan}]
)
def test_scores_that_tell_nothing_are_refused(scores: dict[str, float]) -> None:
    with pytest.raises(BenchmarkError, match="finite, not negative and not all zero"):
        ranks_within(LAYERS, scores, 1000)


def test_a_floor_that_does_not_fit_says_what_it_takes() -> None:
    least = sum(matrix.per_rank for matrix in LAYERS.values())
    with pytest.raises(BenchmarkError, match=rf"rank 1 at least they have {least:,}.*method\.share"):
        ranks_within(LAYERS, CONTRIBUTIONS, least - 1, floor=1)
