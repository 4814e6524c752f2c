"""The Pareto front against the quadratic definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.leaderboard.statistics.pareto import pareto_front

FIGURES = st.one_of(st.none(), st.just(float("nan")), st.integers(-3, 3).map(float))


@given(st.lists(st.tuples(FIGURES, FIGURES), max_size=15))
def test_front_is_what_no_row_dominates(rows):
    def known(row):
        return all(figure is not None and figure == figure for figure in row)

    def dominates(a, b):
        return known(a) and a[0] <= b[0] and a[1] >= b[1] and a != b

    expected = [known(row) and not any(dominates(other, row) for other in rows) for row in rows]
    front = pareto_front([cost for cost, _ in rows], [quality for _, quality in rows])
    assert front.dtype == bool
    assert front.tolist() == expected


def test_duplicates_all_stay():
    assert pareto_front([1, 1, 2], [5, 5, 5]).tolist() == [True, True, False]


def test_infinite_figures_neither_stand_on_the_front_nor_dominate():
    assert pareto_front([-np.inf, 1, 1], [9, np.inf, 2]).tolist() == [False, False, True]


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="do not fit"):
        pareto_front([1, 2], [1])
