"""Pairs are tested among a readable number of rows, and ranks claim no more than the tests."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.leaderboard.report.rank_plot import rank_plot
from benchmarks.leaderboard.report.ranking import MOST, ranking
from benchmarks.leaderboard.report.sections import build_sections, collect
from benchmarks.leaderboard.report.task_page import view


@pytest.fixture(scope="module")
def section(generated, facts, tmp_path_factory):
    runs = collect([generated(tmp_path_factory.mktemp("ranking"), 1000)])
    return next(section for section in build_sections(runs, facts) if section.first.task == "ctr")


@pytest.fixture(scope="module")
def found(section):
    return ranking(section.rows, "max")


def test_the_best_of_each_method_and_model_come_first_and_the_rest_is_counted(section, found):
    assert len(found.rows) == MOST
    assert found.left_out == len(section.rows) - MOST
    assert len({(row.method, row.model) for row in found.rows}) == MOST
    places = [section.rows.index(row) for row in found.rows]
    assert places == sorted(places)


def test_the_matrix_is_antisymmetric_and_its_diagonal_empty(found):
    mirrored = {"better": "worse", "worse": "better", "tie": "tie"}
    for i in range(MOST):
        assert found.pair(i, i) is None
        for j in range(i):
            mine, theirs = found.pair(i, j), found.pair(j, i)
            assert mirrored[mine.kind] == theirs.kind
            assert mine.difference.strip("+\N{MINUS SIGN}") == theirs.difference.strip("+\N{MINUS SIGN}")


def test_a_row_is_within_its_range_of_ranks(found):
    place = np.arange(1, MOST + 1)
    assert (found.ranges.best <= place).all()
    assert (place <= found.ranges.worst).all()
    assert found.range_of(0).startswith("1")


def test_a_smaller_metric_turns_the_winners(section):
    down = ranking(section.rows[::-1], "min")
    assert not down.tests.better[np.tril_indices(MOST)].any()
    assert down.tests.better.any()


def test_nothing_is_ranked_by_a_target_or_among_two(section):
    assert ranking(section.rows, "target") is None
    assert ranking(section.rows[:2], "max") is None


def test_the_diagram_leads_to_the_run_of_every_row(found):
    drawn = rank_plot(found, dict.fromkeys(found.rows, 0))
    assert drawn.count("<a ") == MOST
    assert drawn.count("rank-range") == MOST
    assert 'role="group"' in drawn


def test_each_group_of_machines_has_a_plot_of_its_own(section):
    drawn = "".join(plot for _, plot in view(section)["plots"])
    for name in ("stored size", "FLOPs of one", "peak memory", "(ms), Epyc", "(ms), Xeon", "(ms), H100"):
        assert f"against {name}" in drawn or f"batch 256 {name}" in drawn
