"""AUC with weights against scikit-learn, DeLong's test against the definition of its structural components."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.statistics.bootstrap import Resampler
from benchmarks.leaderboard.statistics.roc import delong, delong_variance, weighted_auc


def labelled(n, decimals, seed=0):
    """Labels with three scores of different strength, rounded to make ties."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.3).astype(int)
    signal = label + rng.normal(size=n)
    scores = np.stack([signal + rng.normal(scale=scale, size=n) for scale in (0.5, 1.0, 2.0)])
    return label, np.round(scores, decimals)


@pytest.mark.parametrize("decimals", [12, 1, 0])
@pytest.mark.parametrize("weighting", ["none", "counts", "real"])
def test_auc_matches_scikit_learn(decimals, weighting):
    label, (score, *_) = labelled(3000, decimals)
    rng = np.random.default_rng(1)
    weights = {"none": None, "counts": rng.poisson(1, 3000).astype(np.uint16), "real": rng.random(3000)}[weighting]
    oracle = roc_auc_score(label, score, sample_weight=weights)
    assert weighted_auc(label, score).value(weights) == pytest.approx(oracle, abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12))
def test_auc_is_the_weighted_share_of_ordered_pairs(rows):
    label, score, weights = (np.array(column) for column in zip(*rows, strict=True))
    pairs = [
        (float(w_pos * w_neg), (s_pos > s_neg) + 0.5 * (s_pos == s_neg))
        for y_pos, s_pos, w_pos in rows
        for y_neg, s_neg, w_neg in rows
        if y_pos and not y_neg
    ]
    mass = sum(weight for weight, _ in pairs)
    value = weighted_auc(label, score).value(weights.astype(float))
    if mass == 0:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(sum(weight * won for weight, won in pairs) / mass)


def test_constant_scores_are_worth_one_half():
    assert weighted_auc(np.array([0, 1, 1]), np.zeros(3)).value() == 0.5


@pytest.mark.parametrize("label", [[0, 0], [1, 1], []])
def test_a_single_class_is_undefined_with_a_reason(label):
    prepared = weighted_auc(np.array(label), np.arange(len(label)))
    assert math.isnan(prepared.value())
    assert "both classes" in prepared.reason


def test_nan_scores_are_undefined_with_a_reason():
    prepared = weighted_auc(np.array([0, 1, 1]), np.array([0.1, np.nan, 0.3]))
    assert math.isnan(prepared.value())
    assert prepared.reason == "1 of 3 scores are NaN"


def test_infinite_scores_have_a_rank():
    assert weighted_auc(np.array([0, 1]), np.array([-np.inf, np.inf])).value() == 1


def test_labels_other_than_zero_and_one_are_refused():
    with pytest.raises(BenchmarkError, match=r"Allowed are 0 and 1"):
        weighted_auc(np.array([1, 5]), np.array([0.1, 0.2]))


def test_scores_of_another_length_are_refused():
    with pytest.raises(ValueError, match="do not fit"):
        weighted_auc(np.array([0, 1]), np.zeros(3))


def test_resamples_without_a_class_are_nan():
    label = np.array([1, 0, 0, 0])
    replicates = Resampler(np.arange(4), resamples=200).replicates(weighted_auc(label, np.arange(4)).value)
    assert 0 < np.isnan(replicates).sum() < 200


def naive_delong(label, scores):
    """AUCs and covariance from the O(positives x negatives) structural components."""
    wins = [
        (score[label == 1][:, None] > score[label == 0]) + 0.5 * (score[label == 1][:, None] == score[label == 0])
        for score in scores
    ]
    of_positive, of_negative = np.array([w.mean(axis=1) for w in wins]), np.array([w.mean(axis=0) for w in wins])
    covariance = np.cov(of_positive) / of_positive.shape[1] + np.cov(of_negative) / of_negative.shape[1]
    return np.array([w.mean() for w in wins]), covariance


@pytest.mark.parametrize("decimals", [12, 0])
def test_delong_matches_the_definition(decimals):
    label, scores = labelled(400, decimals)
    aucs, covariance = delong_variance(label, scores)
    naive_aucs, naive_covariance = naive_delong(label, scores)
    np.testing.assert_allclose(aucs, naive_aucs, atol=1e-12)
    np.testing.assert_allclose(covariance, naive_covariance, atol=1e-14)

    test = delong(label, scores[0], scores[1])
    contrast = np.array([1, -1, 0])
    error = np.sqrt(contrast @ naive_covariance @ contrast)
    z = (naive_aucs[0] - naive_aucs[1]) / error
    assert (test.standard_error, test.z) == pytest.approx((error, z), rel=1e-9)
    assert test.p == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-9)


def test_delong_of_one_score_agrees_with_the_bootstrap():
    label, scores = labelled(1500, 12)
    _, covariance = delong_variance(label, scores[:1])
    replicates = Resampler(np.arange(1500)).replicates(weighted_auc(label, scores[0]).value)
    assert covariance.shape == (1, 1)
    assert replicates.std() == pytest.approx(np.sqrt(covariance[0, 0]), rel=0.1)


def test_delong_of_a_monotone_transform_finds_no_difference():
    label, scores = labelled(100, 12)
    test = delong(label, scores[0], np.exp(scores[0]))
    assert (test.difference, test.standard_error, test.z, test.p) == (0, 0, 0, 1)


def test_delong_without_variance_has_no_p():
    test = delong(np.array([0, 0, 1, 1]), np.array([1, 2, 3, 4]), np.array([4, 3, 2, 1]))
    assert (test.difference, test.z, test.p) == (1, None, None)


def test_delong_p_is_uniform_under_the_null():
    p_values = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        label = np.repeat([0, 1], 60)
        signal = label + rng.normal(size=120)
        p_values.append(delong(label, *(signal + rng.normal(size=(2, 120)))).p)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_delong_refuses_a_class_of_one():
    with pytest.raises(BenchmarkError, match="1 positive and 2 negative"):
        delong(np.array([0, 0, 1]), np.arange(3), np.arange(3))


def test_delong_refuses_nan_scores():
    label, scores = labelled(20, 1)
    scores[0, 0] = np.nan
    with pytest.raises(BenchmarkError, match="NaN"):
        delong(label, scores[0], scores[1])
