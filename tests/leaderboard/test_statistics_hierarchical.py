"""Intervals over seeds and units: closed-form variances and coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.leaderboard.statistics.bootstrap import Resampler, expanded, interval
from benchmarks.leaderboard.statistics.hierarchical import (
    hierarchical_interval,
    hierarchical_replicates,
    seed_deviations,
    seed_summary,
)

MANY = 10**6
"""So many units that an interval is the plain one."""


def test_seed_summary_gives_the_sample_standard_deviation():
    assert seed_summary([1.0, 2.0, 4.0]) == pytest.approx((7 / 3, np.sqrt(7 / 3), 3))


def test_seed_summary_of_one_seed_has_no_spread():
    assert seed_summary(np.array([0.5])) == (0.5, None, 1)


def test_seed_summary_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        seed_summary([])


def test_one_seed_gives_the_unit_interval():
    replicates = np.random.default_rng(0).normal(size=(1, 500))
    assert hierarchical_interval(replicates, np.zeros(1), 20) == interval(expanded(replicates[0], 20))
    assert hierarchical_interval(replicates, np.zeros(1), MANY) == pytest.approx(interval(replicates[0]), rel=1e-4)


def test_equal_seeds_add_no_noise():
    unit_noise = np.random.default_rng(0).normal(size=500)
    replicates = hierarchical_replicates(np.stack([unit_noise] * 3), np.full(3, 0.7), MANY)
    np.testing.assert_allclose(replicates, unit_noise, atol=1e-4)


def test_variance_is_that_of_units_plus_the_widened_one_of_seeds():
    rng = np.random.default_rng(1)
    values = rng.normal(size=8)
    units = rng.normal(scale=0.3, size=20_000)
    replicates = hierarchical_replicates(values[:, None] + units, values, 20)
    of_seeds, of_units = (stats.t.ppf(0.975, degrees) / stats.norm.ppf(0.975) for degrees in (7, 19))
    expected = 20 / 19 * (of_units * 0.3) ** 2 + of_seeds**2 * values.var(ddof=1) / 8
    assert replicates.var() == pytest.approx(expected, rel=0.04)
    assert replicates.mean() == pytest.approx(values.mean(), abs=0.02)


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_interval_holds_the_truth_about_as_often_as_it_says(n_seeds):
    rng = np.random.default_rng(n_seeds)
    trials = rng.normal(size=(800, n_seeds))
    intervals = [interval(values.mean() + seed_deviations(values, 400)) for values in trials]
    assert 0.9 < np.mean([low <= 0 <= high for low, high, _ in intervals]) < 0.98


@pytest.mark.parametrize("n_units", [3, 4, 10])
def test_few_units_hold_the_truth_about_as_often_as_they_say(n_units):
    rng = np.random.default_rng(n_units)
    drawn = np.array(list(Resampler(np.arange(n_units), resamples=400)))
    trials = rng.normal(size=(600, n_units))
    plain, wide = (
        np.mean([low <= 0 <= high for low, high, _ in map(interval, replicates)])
        for replicates in (trials @ drawn.T / n_units, expanded(trials @ drawn.T / n_units, n_units))
    )
    assert plain < 0.91 < wide < 0.985


def test_undefined_replicates_of_one_seed_are_dropped_for_all():
    replicates = np.ones((2, 10))
    replicates[1, :3] = np.nan
    assert hierarchical_interval(replicates, np.ones(2), 4).dropped == 3


def test_streams_are_independent():
    values = np.arange(4.0)
    assert abs(np.corrcoef(seed_deviations(values, 2000), seed_deviations(values, 2000, stream=1))[0, 1]) < 0.1
