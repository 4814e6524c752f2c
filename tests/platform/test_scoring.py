"""Scores under conditions: each has its rows, and the row over all is their plain mean."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import scoring
from benchmarks.metric import Metric, mean_of

METRICS = (
    Metric("error", 1, "m", "min", "mean_of_samples", lambda samples: mean_of(samples["error"]), "Mean error"),
    Metric("late", 1, "m", "min", "mean_of_samples", lambda samples: mean_of(samples["error"][:0]), "Never defined"),
)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "RESAMPLES", 200)


def samples(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    condition = np.repeat(["large", "small"], [900, 100])
    unit = np.concatenate([random.integers(0, 60, 900), random.integers(100, 140, 100)])
    error = random.normal(1, 0.1, 1000) + (condition == "small")
    return {"error": error, "unit": unit, "condition": condition, "id": np.arange(1000)}


def test_the_row_over_all_conditions_is_their_plain_mean():
    kept = samples()
    rows = {
        row.condition: row for row in scoring.score(METRICS, kept, "test", "units").quality if row.metric == "error"
    }
    by_hand = {name: kept["error"][kept["condition"] == name].mean() for name in ("large", "small")}
    assert {name: row.value for name, row in rows.items() if name} == pytest.approx(by_hand)
    assert rows[None].value == pytest.approx(sum(by_hand.values()) / 2)
    assert rows[None].n == 1000
    assert all(row.primary for row in rows.values())


def test_the_interval_over_all_conditions_is_that_of_independent_means():
    found = scoring.score(METRICS, samples(), "test", "units").replicates
    large, small, both = found["error|large"], found["error|small"], found["error"]
    assert np.allclose(both, (large + small) / 2)
    assert abs(np.corrcoef(large, small)[0, 1]) < 0.25
    assert both.var() == pytest.approx((large.var() + small.var()) / 4, rel=0.4)


def test_conditions_on_the_same_units_draw_the_same_ones():
    kept = samples()
    kept["unit"] = np.concatenate([np.arange(900) % 50, np.arange(100) % 50])
    kept["error"] = kept["unit"] + 10.0 * (kept["condition"] == "small")
    found = scoring.score(METRICS, kept, "test", "units")
    assert np.allclose(found.replicates["error|small"] - found.replicates["error|large"], 10)
    assert found.n_units == 50, "drawn twice, they are no more than they are"
    assert scoring.score(METRICS, samples(), "test", "units").n_units == len(set(samples()["unit"]))


def test_a_metric_that_is_undefined_under_a_condition_is_undefined_over_all():
    rows = [row for row in scoring.score(METRICS, samples(), "test", "units").quality if row.metric == "late"]
    assert [row.value for row in rows] == [None] * 3
    assert rows[0].reason == "large: no sample has a value"


def test_runs_on_one_test_set_share_their_resamples_and_others_do_not():
    one, same = (scoring.score(METRICS, samples(), "test", "units").digest for _ in range(2))
    assert one == same
    assert one != scoring.score(METRICS, samples(1), "test", "units").digest


def test_many_units_are_resampled_less_often(monkeypatch):
    monkeypatch.setattr(scoring, "MANY_UNITS", 3)
    found = scoring.score(METRICS, samples(), "test", "units").replicates
    assert {len(values) for values in found.values()} == {scoring.FEW_RESAMPLES}
