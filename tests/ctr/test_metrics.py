"""Click metrics against scikit-learn, ranx and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from benchmarks.ctr import metrics
from benchmarks.ctr.metrics import METRICS, UNIT
from benchmarks.leaderboard.statistics.bootstrap import Resampler
from benchmarks.scoring import score


def clicks(n: int = 600, users: int = 40, levels: int | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    prediction = random.random(n)
    if levels:
        prediction = np.round(prediction * levels) / levels
    label = (random.random(n) < 0.2 + 0.6 * prediction).astype(np.float32)
    return {
        "id": np.arange(n),
        "unit": random.integers(0, users, n),
        "label": label,
        "prediction": prediction.astype(np.float32),
    }


def test_auc_and_log_loss_equal_scikit_learn():
    samples = clicks()
    assert metrics.auc(samples).value(None) == pytest.approx(roc_auc_score(samples["label"], samples["prediction"]))
    expected = sklearn_log_loss(samples["label"], samples["prediction"].astype(np.float64))
    assert metrics.log_loss(samples).value(None) == pytest.approx(expected)


def test_certain_mistakes_cost_what_the_clip_says():
    samples = {"label": np.array([1.0, 0.0]), "prediction": np.array([0.0, 1.0], np.float32), "unit": np.arange(2)}
    assert metrics.log_loss(samples).value(None) == pytest.approx(-np.log(1e-7), rel=1e-6)


def test_normalised_entropy_of_the_constant_click_rate_is_one():
    samples = clicks()
    samples["prediction"] = np.full(len(samples["label"]), samples["label"].mean(), np.float32)
    assert metrics.normalised_entropy(samples).value(None) == pytest.approx(1.0, rel=1e-6)
    assert metrics.calibration(samples).value(None) == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("levels", [None, 3])
def test_grouped_auc_is_the_weighted_mean_over_users_of_two_classes(levels):
    samples = clicks(levels=levels)
    samples["label"][samples["unit"] == 7] = 1
    weights, values, dropped = [], [], 0
    for user in np.unique(samples["unit"]):
        rows = samples["unit"] == user
        label = samples["label"][rows]
        if label.min() == label.max():
            dropped += rows.sum()
            continue
        weights.append(rows.sum())
        values.append(roc_auc_score(label, samples["prediction"][rows]))
    statistic = metrics.grouped_auc(samples)
    assert statistic.value(None) == pytest.approx(np.average(values, weights=weights), rel=1e-12)
    assert statistic.dropped == dropped >= (samples["unit"] == 7).sum() > 0


def naive_rankings(samples: dict[str, np.ndarray]) -> tuple[float, float, float, int]:
    ndcg, reciprocal, precision, dropped = [], [], [], 0
    for user in np.unique(samples["unit"]):
        rows = np.flatnonzero(samples["unit"] == user)
        label = samples["label"][rows[np.argsort(-samples["prediction"][rows], kind="stable")]]
        if not label.any():
            dropped += 1
            continue
        discount = 1 / np.log2(np.arange(2, len(label) + 2))
        best = np.sort(label)[::-1]
        ndcg.append((label * discount)[:10].sum() / (best * discount)[:10].sum())
        hits = np.flatnonzero(label) + 1
        reciprocal.append(1 / hits[0])
        precision.append(np.mean(np.arange(1, len(hits) + 1) / hits))
    return float(np.mean(ndcg)), float(np.mean(reciprocal)), float(np.mean(precision)), dropped


def test_ranking_metrics_by_ranx_equal_their_definitions_and_drop_users_without_clicks():
    samples = clicks(n=500, users=30)
    samples["label"][samples["unit"] == 3] = 0
    ndcg, mrr, mean_precision, dropped = naive_rankings(samples)
    assert dropped >= 1
    found = {metric.name: metric.statistic(samples) for metric in METRICS}
    assert found["ndcg@10"].value(None) == pytest.approx(ndcg, rel=1e-6)
    assert found["mrr"].value(None) == pytest.approx(mrr, rel=1e-6)
    assert found["map"].value(None) == pytest.approx(mean_precision, rel=1e-6)
    assert found["mrr"].dropped == dropped


def test_constant_scores_do_not_inflate_the_reciprocal_rank():
    users, shown = 4000, 5
    samples = {
        "id": np.arange(users * shown),
        "unit": np.repeat(np.arange(users), shown),
        "label": np.tile([1.0, 0, 0, 0, 0], users),  # the positive comes first in the file
        "prediction": np.full(users * shown, 0.5, np.float32),
    }
    expected = np.mean(1 / np.arange(1, shown + 1))
    found = {metric.name: metric for metric in METRICS}["mrr"].statistic(samples).value(None)
    assert found == pytest.approx(expected, abs=0.02)


def test_a_single_class_gives_a_reason_and_no_number():
    samples = clicks(n=50)
    samples["label"][:] = 0
    evaluation = score(METRICS, samples, "test", UNIT)
    rows = {row.metric: row for row in evaluation.quality}
    assert rows["auc"].value is None
    assert "both classes" in rows["auc"].reason
    assert rows["mrr"].value is None
    assert rows["mrr"].dropped == len(np.unique(samples["unit"]))
    assert rows["logloss"].value is not None


def test_weighting_users_by_their_draws_equals_repeating_their_rows():
    samples = clicks(n=300, users=20)
    weights = Resampler(samples["unit"], 3).sample_weights(1)
    rows = np.repeat(np.arange(300), weights)
    # A user drawn twice is two users for per-user metrics: give each copy a name of its own.
    copy = np.concatenate([np.arange(w) for w in weights])
    repeated = {name: values[rows] for name, values in samples.items()}
    repeated["unit"] = repeated["unit"] * 1000 + copy
    for metric in METRICS[:5]:
        expected = metric.statistic(repeated).value(None)
        assert metric.statistic(samples).value(weights.astype(float)) == pytest.approx(expected, rel=1e-9), metric.name


def test_all_rows_at_once_equal_uneven_batches():
    from benchmarks.datasets.bundle import Split
    from benchmarks.inference import answers
    from benchmarks.solver import Solver

    class Half(Solver):
        def predict(self, batch):
            return {"prediction": batch["x"] / 2}

        def save(self, folder):
            raise AssertionError

    split = Split({"x": np.arange(10.0)}, np.arange(10), np.arange(10))
    assert np.array_equal(answers(Half(), split, 10)["prediction"], answers(Half(), split, 3)["prediction"])


def test_without_users_what_ranks_within_them_has_no_value_and_the_interval_is_over_samples():
    samples = clicks(200) | {"unit": np.arange(200)}
    rows = {row.metric: row for row in score(METRICS, samples, "test", UNIT).quality}
    for name in ("gauc", "ndcg@10", "mrr", "map"):
        assert rows[name].value is None
        assert "there are no users to rank within" in rows[name].reason
    assert rows["auc"].ci_kind == "bootstrap-95 over samples, 200 of them"
    assert rows["auc"].value is not None


def test_predictions_that_are_no_numbers_are_not_ranked():
    samples = clicks(n=60)
    samples["prediction"] = samples["prediction"].astype(np.float32)
    samples["prediction"][:7] = np.nan
    rows = score(METRICS, samples, "test", UNIT).quality
    assert [row.value for row in rows] == [None] * len(METRICS)
    assert {row.reason for row in rows} == {"7 of 60 predictions are not finite"}
