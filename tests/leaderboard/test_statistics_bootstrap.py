"""The unit bootstrap: equal draws on equal test sets, intervals against SciPy and the closed form."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.leaderboard.statistics import bootstrap
from benchmarks.leaderboard.statistics.bootstrap import Interval, Resampler, interval, uniform_integers


def mean_statistic(values):
    return lambda weights: float(np.average(values, weights=weights))


def test_each_resample_draws_as_many_units_as_there_are():
    units = np.repeat(np.arange(40), np.arange(1, 41))
    resampler = Resampler(units, resamples=5)
    assert resampler.n_units == 40
    for b, weights in enumerate(resampler):
        counts = resampler.unit_counts(b)
        assert counts.dtype == np.uint16
        assert counts.sum() == 40
        sorted_as_text = sorted(range(40), key=str)
        assert all(weights[units == unit].tolist() == [counts[k]] * (unit + 1) for k, unit in enumerate(sorted_as_text))


def test_counts_follow_the_multinomial_distribution():
    resampler = Resampler(np.arange(200), resamples=500)
    counts = np.concatenate([resampler.unit_counts(b) for b in range(500)])
    observed = np.bincount(np.minimum(counts, 5), minlength=6)
    law = stats.binom(200, 1 / 200)
    expected = np.append(law.pmf(np.arange(5)), law.sf(4)) * len(counts)
    assert stats.chisquare(observed, expected).pvalue > 0.001


def test_uniform_integers_reach_every_value_alike():
    drawn = uniform_integers((3, 1), 7, 70_000)
    assert stats.chisquare(np.bincount(drawn, minlength=7)).pvalue > 0.001


def test_order_and_type_of_the_units_do_not_change_the_draws():
    units = np.array([11, 2, 7, 2, 5, 11])
    order = np.array([3, 0, 5, 1, 4, 2])
    first, second = Resampler(units, resamples=20), Resampler(units[order].astype(str), resamples=20)
    assert first.digest == second.digest
    for b in range(20):
        np.testing.assert_array_equal(first.sample_weights(b)[order], second.sample_weights(b))


def test_resamples_that_drew_alike_share_one_computation_and_the_values_stay():
    values = np.arange(8.0) ** 2
    units = np.repeat(np.arange(4), 2)
    asked: list[np.ndarray] = []

    def statistic(weights: np.ndarray | None) -> float:
        asked.append(weights)
        return float(np.average(values, weights=weights))

    resampler = Resampler(units, resamples=400)
    replicates = resampler.replicates(statistic)
    drawn = np.array(list(resampler))
    np.testing.assert_array_equal(replicates, [np.average(values, weights=weights) for weights in drawn])
    assert len(asked) == len(np.unique(drawn, axis=0)) <= 35


def test_draws_that_are_kept_are_those_of_a_test_set_too_large_to_keep_them(monkeypatch):
    kept = Resampler(np.arange(30), resamples=20)
    drawn, digest = np.array(list(kept)), kept.digest
    with pytest.raises(ValueError, match="read-only"):
        kept.unit_counts(0)[0] = 1
    monkeypatch.setattr(bootstrap, "KEPT", 0)
    anew = Resampler(np.arange(30), resamples=20)
    np.testing.assert_array_equal(np.array(list(anew)), drawn)
    assert anew.digest == digest


def test_runs_with_differently_ordered_samples_give_an_exact_paired_bootstrap():
    rng = np.random.default_rng(0)
    units, a, b = rng.integers(0, 30, 200), rng.normal(size=200), rng.normal(size=200)
    order = rng.permutation(200)
    of_a = Resampler(units, resamples=50).replicates(mean_statistic(a))
    of_b = Resampler(units[order], resamples=50).replicates(mean_statistic(b[order]))
    of_difference = Resampler(units, resamples=50).replicates(mean_statistic(a - b))
    np.testing.assert_allclose(of_a - of_b, of_difference, atol=1e-12)


@pytest.mark.parametrize("change", [{"units": np.arange(9)}, {"resamples": 11}, {"seed": 1}])
def test_digest_names_units_resamples_and_seed(change):
    given = {"units": np.arange(10), "resamples": 10, "seed": 0}
    assert Resampler(**given).digest != Resampler(**(given | change)).digest


def test_digest_tells_other_draws_apart(monkeypatch):
    digest = Resampler(np.arange(10), resamples=3).digest
    monkeypatch.setattr(Resampler, "unit_counts", lambda self, b: np.ones(self.n_units, dtype=np.uint16))
    assert Resampler(np.arange(10), resamples=3).digest != digest


def test_interval_of_a_mean_agrees_with_scipy_and_the_closed_form():
    values = np.random.default_rng(1).normal(size=150)
    replicates = Resampler(np.arange(150), resamples=4000).replicates(mean_statistic(values))
    ours = interval(replicates)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    error = values.std() / np.sqrt(150)
    # The Monte Carlo error of a 2.5 % quantile from 4,000 draws is 0.042 standard errors; both sides have one.
    assert ours.low == pytest.approx(theirs.low, abs=0.25 * error)
    assert ours.high == pytest.approx(theirs.high, abs=0.25 * error)
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_tiling_each_image_twice_does_not_shrink_the_interval():
    values = np.random.default_rng(3).normal(size=40)
    images = np.arange(40)
    once = Resampler(images, resamples=300).replicates(mean_statistic(values))
    twice = Resampler(np.tile(images, 2), resamples=300).replicates(mean_statistic(np.tile(values, 2)))
    np.testing.assert_allclose(once, twice, atol=1e-12)
    tiles_as_units = Resampler(np.arange(80), resamples=300).replicates(mean_statistic(np.tile(values, 2)))
    assert tiles_as_units.std() < 0.85 * twice.std()


def test_undefined_resamples_are_kept_as_nan_and_dropped_by_the_interval():
    has_positive = Resampler(np.arange(4), resamples=400)
    replicates = has_positive.replicates(lambda weights: float("nan") if weights[0] == 0 else float(weights[0]))
    undefined = int(np.isnan(replicates).sum())
    assert 0.2 < undefined / 400 < 0.45
    assert interval(replicates).dropped == undefined
    assert interval(replicates).low == 1


def test_interval_is_undefined_when_most_resamples_are():
    assert interval(np.array([1.0, 2.0, np.nan, np.nan, np.nan])) == (None, None, 3)


def test_an_interval_does_not_leave_what_a_metric_can_be():
    wide = Interval(-0.1, 1.2, 3)
    assert wide.within((0.0, 1.0)) == (0.0, 1.0, 3)
    assert wide.within((0.0, None)) == (0.0, 1.2, 3)
    assert wide.within(None) == wide
    assert Interval(None, None, 9).within((0.0, 1.0)) == (None, None, 9)


def test_one_unit_gives_no_interval():
    replicates = Resampler(np.zeros(9), resamples=10).replicates(mean_statistic(np.arange(9)))
    assert interval(replicates) == (None, None, 10)
