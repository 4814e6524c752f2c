"""Qualities at a size and areas under size-quality curves are weighted sums of runs, and keep their pairing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.leaderboard.statistics.equal_size import against_control, area_against_control
from benchmarks.leaderboard.statistics.paired import RunScore
from benchmarks.leaderboard.statistics.size_curve import (
    SizePoint,
    area,
    area_weights,
    at_size,
    covers,
    interpolation_weights,
)

UNITS = np.random.default_rng(0).normal(0, 0.01, 500)
"""The difficulty of the resamples, shared by all runs."""
OWN = np.random.default_rng(1).normal(size=500)
OWN = (OWN - OWN.mean()) / OWN.std()
"""Noise that a method has for itself: mean 0, standard deviation 1."""


N_UNITS = 50
SHOWN = (N_UNITS - 1) / N_UNITS
"""Share of the variance by units that resamples show."""


def point(size: float, values: list[float], own: float = 0.0, digest: str = "d", first_seed: int = 0) -> SizePoint:
    """A point with a run for each value, whose own noise of the test set has the standard deviation `own`."""
    scores = {
        first_seed + seed: RunScore(value, value + UNITS + own * OWN, digest, N_UNITS)
        for seed, value in enumerate(values)
    }
    return SizePoint(size, float(np.mean(values)), scores)


CONTROL = [point(0.1, [0.70, 0.72, 0.71]), point(0.4, [0.80, 0.82, 0.84])]


def test_a_quality_between_two_sizes_lies_on_the_line_over_the_logarithm_of_the_size():
    found = at_size(CONTROL, 0.2)  # half way from 0.1 to 0.4
    assert found.value == pytest.approx((0.71 + 0.82) / 2)
    assert {seed: run.value for seed, run in found.scores.items()} == pytest.approx({0: 0.75, 1: 0.77, 2: 0.775})
    np.testing.assert_allclose(found.scores[1].replicates, 0.77 + UNITS)


def test_a_measured_size_keeps_its_quality_whatever_the_order_of_the_points():
    curve = [point(0.4, [0.8]), point(0.1, [0.7]), point(0.2, [0.9])]
    assert [at_size(curve, size).value for size in (0.1, 0.2, 0.4)] == pytest.approx([0.7, 0.9, 0.8])


def test_beyond_the_ends_there_is_nothing_but_for_sizes_that_count_as_equal():
    assert at_size(CONTROL, 0.41).value == pytest.approx(0.82)
    assert at_size(CONTROL, 0.096).value == pytest.approx(0.71)
    assert at_size(CONTROL, 0.43) is None
    assert at_size(CONTROL, 0.09) is None
    assert not covers([], 0.1)


def test_points_of_equal_size_do_no_harm():
    curve = [point(0.2, [0.7]), point(0.2, [0.7]), point(0.4, [0.9]), point(0.4, [0.9])]
    assert [at_size(curve, size).value for size in (0.2, 0.4)] == pytest.approx([0.7, 0.9])
    assert area(curve, 0.2, 0.4).value == pytest.approx(0.8)


def test_interpolation_agrees_with_numpy():
    sizes, values = np.array([0.05, 0.1, 0.3, 0.9]), np.array([0.2, 0.5, 0.4, 0.8])
    wanted = np.array([0.05, 0.07, 0.1, 0.2, 0.5, 0.9])
    oracle = np.interp(np.log(wanted), np.log(sizes), values)
    np.testing.assert_allclose(interpolation_weights(sizes, wanted) @ values, oracle)


def test_an_area_by_hand():
    # Over log2 of the size: from .125 to .25 the mean of .6 and .8, from .25 to .5 that of .8 and .9.
    curve = [point(0.125, [0.6]), point(0.25, [0.8]), point(0.5, [0.9])]
    assert area(curve, 0.125, 0.5).value == pytest.approx((0.7 + 0.85) / 2)
    # From the middle of the first octave: half an octave from .7 to .8, and the second.
    assert area(curve, 0.125 * 2**0.5, 0.5).value == pytest.approx((0.5 * 0.75 + 0.85) / 1.5)


@given(
    st.lists(st.floats(0.01, 1), min_size=2, max_size=7, unique=True),
    st.floats(0.01, 0.99),
    st.floats(0.01, 0.99),
    st.integers(0, 2**32),
)
def test_an_area_agrees_with_numpys_trapezoid(sizes, a, b, seed):
    sizes = np.sort(sizes)
    ends = np.sort(sizes[0] * (sizes[-1] / sizes[0]) ** np.array([a, b]))
    if ends[1] / ends[0] < 1.001:
        return
    values = np.random.default_rng(seed).normal(size=len(sizes))
    knots = np.unique(np.concatenate((ends, sizes[(sizes > ends[0]) & (sizes < ends[1])])))
    drawn = np.interp(np.log(knots), np.log(sizes), values)
    oracle = np.trapezoid(drawn, np.log(knots)) / np.log(ends[1] / ends[0])
    assert area_weights(sizes, *ends) @ values == pytest.approx(oracle, abs=1e-9)


def test_an_area_has_replicates_of_the_common_seeds():
    curve = [point(0.2, [0.6, 0.8, 0.5]), point(0.8, [0.8, 1.0])]
    found = area(curve, 0.2, 0.8)
    assert {seed: run.value for seed, run in found.scores.items()} == pytest.approx({0: 0.7, 1: 0.9})
    np.testing.assert_allclose(found.scores[0].replicates, 0.7 + UNITS)


def test_a_curve_that_does_not_reach_both_ends_has_no_area():
    assert area(CONTROL, 0.1, 0.5) is None
    assert area(CONTROL[:1], 0.1, 0.1001) is None
    with pytest.raises(ValueError, match="range"):
        area(CONTROL, 0.4, 0.1)


@pytest.mark.parametrize(
    ("offsets", "verdict"),
    [([0.010, 0.012, 0.014], "win"), ([-0.010, -0.012, -0.014], "loss"), ([0.001, 0.003, 0.002], "tie")],
)
def test_verdicts_are_beyond_two_paired_standard_errors(offsets, verdict):
    own = 0.003
    at_that_size = np.array([0.75, 0.77, 0.775])
    found = against_control(point(0.2, list(at_that_size + offsets), own), CONTROL)
    error = np.sqrt(own**2 / SHOWN + np.var(offsets, ddof=1) / 3)
    assert found.difference == pytest.approx(np.mean(offsets))
    assert found.margin == pytest.approx(2 * error, rel=1e-6)
    assert (found.verdict, found.seeds, found.reason) == (verdict, 3, None)
    assert found.control == pytest.approx(0.765)


def test_two_standard_errors_exactly_are_a_tie():
    spread = np.array([-0.01, 0.0, 0.01])
    error = 0.01 / np.sqrt(3)
    control = [point(0.2, [0.7, 0.7, 0.7])]
    below, above = (against_control(point(0.2, list(0.7 + 2 * error * x + spread)), control) for x in (0.99, 1.01))
    assert (below.verdict, above.verdict) == ("tie", "win")


def test_less_is_better_turns_the_verdict_and_a_target_has_none():
    better = point(0.1, [0.6, 0.6, 0.61])
    assert against_control(better, CONTROL, "max").verdict == "loss"
    assert against_control(better, CONTROL, "min").verdict == "win"
    target = against_control(better, CONTROL, "target")
    assert target.verdict is None
    assert "target" in target.reason


def test_other_seeds_of_either_side_take_no_part():
    mine = point(0.1, [0.71, 0.73, 0.72, 9.0])
    found = against_control(mine, [point(0.1, [0.70, 0.72, 0.71]), point(0.4, [0.8])])
    assert found.difference == pytest.approx(0.01)
    assert found.seeds == 3


@pytest.mark.parametrize(
    ("mine", "control", "reason"),
    [
        (point(0.2, [0.7]), CONTROL, "one seed only"),
        (point(0.2, [0.7, 0.7], first_seed=7), CONTROL, "no seed is paired"),
        (point(0.5, [0.7, 0.7]), CONTROL, "from 0.1 to 0.4 only, not to 0.5"),
        (point(0.2, [0.7, 0.7]), [], "the control has no runs"),
        (SizePoint(0.2, 0.7), CONTROL, "no replicates"),
        (point(0.2, [0.7, 0.7]), [CONTROL[0], SizePoint(0.4, 0.8)], "no replicates"),
        (point(0.2, [0.7, 0.7], digest="e"), CONTROL, "different resamples"),
        (point(0.2, [0.7, 0.7]), [CONTROL[0], point(0.4, [0.8, 0.8], digest="e")], "different resamples"),
        (point(0.2, [0.7, 0.7]), [CONTROL[0], point(0.4, [0.8, 0.8], first_seed=5)], "no seed is common"),
    ],
)
def test_without_a_judgement_there_is_a_reason(mine, control, reason):
    found = against_control(mine, control)
    assert found.verdict is None
    assert found.margin is None
    assert reason in found.reason


def test_areas_are_judged_as_points_are():
    # 0.02 above the control at both sizes, with noise of the test set of its own.
    curve = [point(0.1, [0.72, 0.74, 0.73], 0.002), point(0.4, [0.82, 0.84, 0.86], 0.002)]
    found = area_against_control(curve, CONTROL, 0.1, 0.4)
    assert found.difference == pytest.approx(0.02)
    assert found.margin == pytest.approx(2 * 0.002 / np.sqrt(SHOWN), rel=1e-6)
    assert found.verdict == "win"
    assert "sizes run from 0.1 to 0.4" in area_against_control(curve, CONTROL, 0.1, 0.9).reason
    assert "of the control" in area_against_control(curve, CONTROL[:1], 0.1, 0.4).reason
    assert "no sizes" in area_against_control([], CONTROL, 0.1, 0.4).reason
    assert "no replicates" in area_against_control([SizePoint(0.1, 0.7), curve[1]], CONTROL, 0.1, 0.4).reason
