"""The click simulator: reproducible, learnable, with unknown items, and without planted low rank."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import sim_clicks
from benchmarks.errors import BenchmarkError


def test_equal_seeds_agree_and_other_seeds_differ():
    one, same, other = (sim_clicks.read({}, rows=4_000, seed=seed)[0] for seed in (1, 1, 2))
    for part in (one.training.train, one.test):
        assert set(np.unique(part.columns["label"])) == {0.0, 1.0}
    assert np.array_equal(one.training.train.columns["ids"], same.training.train.columns["ids"])
    assert np.array_equal(one.test.columns["label"], same.test.columns["label"])
    assert not np.array_equal(one.training.train.columns["label"], other.training.train.columns["label"])


def test_splits_are_disjoint_with_all_users_in_each_and_unknown_items_in_test(data_cache):
    bundle = open_bundle("sim_clicks")
    fold = bundle.folds[0]
    parts = (fold.training.train, fold.training.val, fold.test)
    assert [len(part) for part in parts] == [16_000, 2_000, 2_000]
    assert np.array_equal(np.sort(np.concatenate([part.ids for part in parts])), np.arange(20_000))
    assert {len(np.unique(part.units)) for part in parts} == {sim_clicks.USERS}
    item = fold.training.schema["fields"].index("item_id")
    unknown = fold.test.columns["ids"] == 0
    assert unknown[:, item].any()
    assert not np.delete(unknown, item, axis=1).any()
    assert any("never in a ranked table" in note for note in bundle.notes)
    assert not data_cache.exists()


def test_users_and_items_have_effects():
    training = sim_clicks.read({})[0].training
    ids, label = training.train.columns["ids"], training.train.columns["label"]
    user = training.schema["fields"].index("user_id")
    by_user = np.bincount(ids[:, user], label)[1:] / np.bincount(ids[:, user])[1:]
    binomial = np.sqrt(label.mean() * (1 - label.mean()) / np.bincount(ids[:, user])[1:].mean())
    assert by_user.std() > 1.5 * binomial
    counts = np.sort(training.schema["counts"]["item_id"])[::-1]
    assert counts[0] > 10 * counts[20]


def test_interactions_have_full_rank():
    for table in sim_clicks.interactions(np.random.default_rng(0)).values():
        values = np.linalg.svd(table, compute_uv=False)
        assert values[-1] > 0.01 * values[0]


def test_too_few_rows_are_refused():
    with pytest.raises(BenchmarkError, match="at least 4000; given: 100"):
        sim_clicks.read({}, rows=100)
