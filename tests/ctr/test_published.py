"""Published weights and the acceptance figures of compression, on the real files of the mirror."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from benchmarks import runner
from benchmarks.datasets.bundle import DataBundle, Fold
from benchmarks.leaderboard.store import Store
from benchmarks.runner import run
from benchmarks.spec import RunSpec

FRAPPE = ["task=ctr", "data=frappe_x1r", "weights=published", "profile=none", "trainer.progress=false"]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def records(mirror, store):
    """Runs on published weights, without any training."""
    return lambda *typed: run(RunSpec.of([*FRAPPE, "finetune.max_epochs=0", *typed]), store)


@pytest.mark.slow
def test_published_weights_reproduce_and_rank_16_loses_less_than_a_thousandth(records):
    base = records("method=none").value("auc")
    assert base == pytest.approx(0.983132, abs=1e-5)
    for method in ("svd", "afm"):
        assert base - records(f"method={method}", "method.rank=16").value("auc") < 0.001


@pytest.mark.slow
def test_factors_do_not_depend_on_test_rows(records, store, monkeypatch):
    plain = runner._bundle

    def shuffled(task, spec):
        bundle = plain(task, spec)
        order = np.random.default_rng(1).permutation(len(bundle.folds[0].test))
        folds = tuple(Fold(fold.name, fold.training, fold.test.take(order)) for fold in bundle.folds)
        return DataBundle(bundle.id, bundle.fingerprint, folds)

    first = records("method=afm")
    monkeypatch.setattr(runner, "_bundle", shuffled)
    second = records("method=afm", "if_exists=rerun")
    assert first.value("auc") == pytest.approx(second.value("auc"), abs=1e-12)
    one, other = (load_file(store.folder(run.run_id) / "solver/all/weights.safetensors") for run in (first, second))
    assert any(".down." in name for name in one)
    assert all(np.array_equal(one[name], other[name]) for name in one)
