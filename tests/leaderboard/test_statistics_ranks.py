"""Rank ranges by hand, Friedman against SciPy, Nemenyi against the published table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.statistics.ranks import average_ranks, friedman, nemenyi_cd, rank_ranges


def test_rank_ranges_follow_the_significant_wins():
    # a beats c and d, b beats d; a-b, b-c and c-d are open.
    better = np.zeros((4, 4), dtype=bool)
    better[0, [2, 3]] = better[1, 3] = True
    ranges = rank_ranges(better)
    assert ranges.best.tolist() == [1, 1, 2, 3]
    assert ranges.worst.tolist() == [2, 3, 4, 4]


def test_without_significance_every_rank_is_possible():
    ranges = rank_ranges(np.zeros((3, 3), dtype=bool))
    assert (ranges.best.tolist(), ranges.worst.tolist()) == ([1, 1, 1], [3, 3, 3])


@given(st.permutations(range(6)), st.floats(0, 4))
def test_the_true_order_lies_in_the_ranges(order, threshold):
    position = np.argsort(order)
    better = position[None, :] - position[:, None] > threshold
    ranges = rank_ranges(better)
    assert (ranges.best <= position + 1).all()
    assert (position + 1 <= ranges.worst).all()


def test_average_ranks_share_ties():
    scores = np.array([[0.9, 0.8, 0.8], [0.1, 0.3, 0.2]])
    np.testing.assert_allclose(average_ranks(scores), [2, 1.75, 2.25])
    np.testing.assert_allclose(average_ranks(scores, maximize=False), [2, 2.25, 1.75])


@pytest.mark.parametrize("decimals", [6, 0])
def test_friedman_matches_scipy(decimals):
    scores = np.round(np.random.default_rng(0).normal(size=(9, 4)) + np.arange(4) * 0.4, decimals)
    oracle = stats.friedmanchisquare(*scores.T)
    assert friedman(scores) == pytest.approx((oracle.statistic, oracle.pvalue))


def test_friedman_of_ties_only_finds_nothing():
    assert friedman(np.ones((5, 3))) == (0, 1)


def test_friedman_refuses_two_methods():
    with pytest.raises(BenchmarkError, match="2 methods"):
        friedman(np.ones((5, 2)))


def test_incomplete_rows_are_refused():
    with pytest.raises(BenchmarkError, match="1 of 6 scores"):
        average_ranks(np.array([[1, 2, 3], [1, np.nan, 3]]))


@pytest.mark.parametrize(("k", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_nemenyi_repeats_the_table_of_demsar(k, q):
    assert nemenyi_cd(k, 14) == pytest.approx(q * math.sqrt(k * (k + 1) / (6 * 14)), rel=5e-4)
