"""Differences of methods: pairing by resample and seed, p values, signed ranks, Holm, the matrix of a table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.leaderboard.statistics.bootstrap import Resampler
from benchmarks.leaderboard.statistics.paired import (
    RunScore,
    holm,
    paired_difference,
    significance,
    wilcoxon,
)


def run(values, units=None, resamples=1000):
    """The score of a run whose metric is the mean of `values`."""
    units = np.arange(len(values)) if units is None else units
    resampler = Resampler(units, resamples=resamples)
    replicates = resampler.replicates(lambda weights: float(np.average(values, weights=weights)))
    return RunScore(float(np.mean(values)), replicates, resampler.digest, resampler.n_units)


@pytest.fixture
def hard():
    """The difficulty of 200 samples, shared by all methods."""
    return np.random.default_rng(0).normal(size=200)


def test_shared_difficulty_cancels(hard):
    noise = np.random.default_rng(1).normal(scale=0.05, size=200)
    difference = paired_difference({0: run(hard + 0.02 + noise)}, {0: run(hard)})
    assert difference.tie is False
    assert difference.standard_error == pytest.approx(noise.std() / np.sqrt(200), rel=0.1)
    assert difference.standard_error < 0.1 * run(hard).replicates.std()


def test_p_agrees_with_the_paired_t_test(hard):
    noise = np.random.default_rng(5).normal(scale=0.5, size=200)
    a = hard + 0.05 + noise
    difference = paired_difference({0: run(a, resamples=5000)}, {0: run(hard, resamples=5000)})
    assert difference.p == pytest.approx(stats.ttest_rel(a, hard).pvalue, rel=0.2)


def test_p_below_the_resolution_of_the_resamples_comes_from_the_tail(hard):
    noise = np.random.default_rng(1).normal(scale=0.5, size=200)
    a = hard + 0.2 + noise
    oracle = stats.ttest_rel(a, hard).pvalue
    difference = paired_difference({0: run(a)}, {0: run(hard)})
    assert oracle < 1e-5
    assert np.log10(difference.p) == pytest.approx(np.log10(oracle), abs=1)


def test_a_method_ties_with_itself(hard):
    difference = paired_difference({0: run(hard)}, {0: run(hard)})
    assert difference.tie is True
    assert (difference.difference, difference.p) == (0, 1)


def test_swapping_the_methods_mirrors_the_difference(hard):
    other = hard + np.random.default_rng(1).normal(scale=0.3, size=200)
    forth, back = paired_difference({0: run(other)}, {0: run(hard)}), paired_difference({0: run(hard)}, {0: run(other)})
    assert (forth.ci_low, forth.ci_high) == pytest.approx((-back.ci_high, -back.ci_low))
    assert forth.p == pytest.approx(back.p)


def test_equal_seeds_are_paired_and_others_left_out(hard):
    offsets = {0: 0.3, 1: -0.2, 2: 0.1}
    a = {seed: run(hard + offset + 0.05) for seed, offset in offsets.items()}
    b = {seed: run(hard + offset) for seed, offset in offsets.items()} | {7: run(hard - 50)}
    difference = paired_difference(a, b)
    assert difference.seeds == 3
    assert difference.with_training_noise
    assert difference.difference == pytest.approx(0.05)
    assert difference.tie is False


def test_without_a_common_seed_the_means_are_compared_with_the_noise_of_both(hard):
    a = {seed: run(hard + offset + 0.05) for seed, offset in zip((0, 1, 2), (0.3, -0.2, -0.1), strict=True)}
    b = {seed: run(hard + offset) for seed, offset in zip((3, 4, 5), (0.3, -0.2, -0.1), strict=True)}
    difference = paired_difference(a, b)
    assert difference.seeds == 0
    assert difference.with_training_noise
    assert difference.difference == pytest.approx(0.05)
    assert difference.tie is True


def test_training_noise_makes_a_tie_of_what_one_seed_calls_different(hard):
    offsets = {0: 0.1, 1: -0.08, 2: 0.02}
    a, b = {s: run(hard + offset) for s, offset in offsets.items()}, {s: run(hard) for s in offsets}
    one = paired_difference({0: a[0]}, {0: b[0]})
    assert one.tie is False
    assert not one.with_training_noise
    assert paired_difference(a, b).tie is True


def test_p_with_seeds_agrees_with_student_where_units_add_no_noise(hard):
    offsets = dict(enumerate([0.5, 0.4, 0.62, 0.45]))
    a, b = {s: run(hard + offset) for s, offset in offsets.items()}, {s: run(hard) for s in offsets}
    oracle = stats.ttest_1samp(list(offsets.values()), 0).pvalue
    assert paired_difference(a, b).p == pytest.approx(oracle, rel=0.02)


def test_false_alarms_of_three_seeds_are_as_rare_as_claimed():
    rng = np.random.default_rng(2)
    digest, alarms = "d", []
    for _ in range(300):
        units = rng.normal(scale=0.5, size=400) + rng.normal(scale=0.5)
        a = {
            seed: RunScore(units_mean, units + units_mean, digest, 300)
            for seed, units_mean in enumerate(rng.normal(size=3))
        }
        b = {seed: RunScore(0.0, np.zeros(400), digest, 300) for seed in range(3)}
        alarms.append(paired_difference(a, b).tie is False)
    assert np.mean(alarms) < 0.1


def test_runs_with_other_resamples_are_not_paired(hard):
    difference = paired_difference({0: run(hard)}, {0: run(hard[:-1])})
    assert difference.p is None
    assert difference.tie is None
    assert "different resamples" in difference.reason


def test_an_undefined_value_gives_no_difference(hard):
    undefined = run(hard)._replace(value=float("nan"))
    assert paired_difference({0: undefined}, {0: run(hard)}).difference is None


def test_mostly_undefined_replicates_give_a_reason(hard):
    sparse = run(hard)
    sparse.replicates[:600] = np.nan
    difference = paired_difference({0: sparse}, {0: run(hard)})
    assert difference.ci_low is None
    assert difference.dropped == 600
    assert "fewer than half" in difference.reason


def test_a_difference_of_nothing_is_refused(hard):
    with pytest.raises(ValueError, match="at least one run"):
        paired_difference({}, {0: run(hard)})


def test_wilcoxon_is_scipys_on_independent_samples():
    differences = np.random.default_rng(0).normal(0.2, size=60)
    oracle = stats.wilcoxon(differences)
    assert wilcoxon(differences) == pytest.approx((oracle.statistic, oracle.pvalue, 60))


def test_wilcoxon_averages_within_units_and_leaves_out_undefined_samples():
    per_unit = np.random.default_rng(0).normal(0.2, size=30)
    tiled = np.append(np.tile(per_unit, 3), np.nan)
    units = np.append(np.tile(np.arange(30), 3), 99)
    assert wilcoxon(tiled, units) == pytest.approx(tuple(wilcoxon(per_unit)))


def test_wilcoxon_of_equal_methods_finds_nothing():
    assert wilcoxon(np.zeros(20)).p == 1


def test_holm_steps_down_by_hand():
    # Sorted .005 .01 .03 .04 times 4 3 2 1 = .02 .03 .06 .04; monotone: .02 .03 .06 .06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_holm_ignores_undefined_tests():
    np.testing.assert_allclose(holm([0.02, np.nan, 0.03]), [0.04, np.nan, 0.04])
    assert holm([]).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_sequential_procedure_rejects(p_values):
    adjusted = holm(p_values)
    for i, p in enumerate(p_values):
        at_least_as_extreme = [q for q in p_values if q <= p]
        naive = max(q * sum(r >= q for r in p_values) for q in at_least_as_extreme)
        assert adjusted[i] == pytest.approx(min(1, naive))


def rows_by_offset(hard, offsets):
    rng = np.random.default_rng(3)
    return {name: {0: run(hard + offset + rng.normal(scale=0.1, size=200))} for name, offset in offsets.items()}


def test_significance_orders_clear_winners_and_leaves_ties(hard):
    rows = rows_by_offset(hard, {"low": 0.0, "high": 0.5, "same": 0.501})
    table = significance(rows)
    assert table.names == ("low", "high", "same")
    np.testing.assert_array_equal(table.better, [[0, 0, 0], [1, 0, 0], [1, 0, 0]])
    assert all(pair.p <= pair.p_holm <= 1 for pair in table.pairs.values())
    np.testing.assert_array_equal(significance(rows, maximize=False).better, table.better.T)


def test_a_large_table_still_finds_clear_winners(hard):
    rows = rows_by_offset(hard, {f"m{i}": 0.5 * i for i in range(10)})
    np.testing.assert_array_equal(significance(rows).better, np.tri(10, k=-1, dtype=bool))


def test_incomparable_rows_do_not_count_as_tests(hard):
    rows = rows_by_offset(hard, {"low": 0.0, "high": 0.5}) | {"elsewhere": {0: run(hard[:50])}}
    table = significance(rows)
    assert table.pairs["low", "elsewhere"].p_holm is None
    assert table.pairs["low", "high"].p_holm == table.pairs["low", "high"].p
    assert not table.better[:, 2].any()


def test_a_family_of_rows_without_a_difference_raises_few_false_alarms() -> None:
    """Ten rows against a base, three seeds, training noise and test-set noise: 5 % of families, after Holm's correction."""
    random = np.random.default_rng(0)
    units = random.normal(size=(200, 400))  # resamples of the test set, shared by all runs

    def runs() -> dict[int, RunScore]:
        own = random.normal(0, 0.02, 400)  # what the units of the test set think of this method
        noise = units @ own / 400**0.5
        return {
            seed: RunScore(value, value + noise, "d", 400) for seed, value in enumerate(random.normal(0.9, 0.02, 3))
        }

    alarms = 0
    for _ in range(200):
        base = runs()
        p = holm([paired_difference(runs(), base).p for _ in range(10)])
        alarms += bool((p <= 0.05).any())
    assert alarms <= 20
