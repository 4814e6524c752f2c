"""One run leaves one record; equal runs agree bit by bit; the test split is read once, at the end."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from benchmarks import runner
from benchmarks.commands.rescore import main as rescore
from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import DataBundle, Fold, TrainingData
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.record import Cost
from benchmarks.leaderboard.store import Store
from benchmarks.methods.svd import SVD
from benchmarks.solver import Solver
from benchmarks.spec import RunSpec
from benchmarks.workbench import Bench
from quick_runs import equal, small, spec, weights

pytestmark = pytest.mark.usefixtures("quick")


def test_a_run_leaves_one_record_and_its_side_files(store: Store) -> None:
    record = runner.run(spec("method=none", "profile=fast"), store)
    assert [found.run_id for found in store.records()] == [record.run_id]
    assert record.status == "ok"
    assert not list(store.drafts.iterdir())
    names = {file.name for file in store.get(record.run_id).files}
    assert names == {
        "config.yaml", "log.txt", "history.csv", "predictions.npz", "targets.npz", "replicates.npz",
        "worst.json", "solver/all/weights.safetensors", "solver/all/solver.json",
    }  # fmt: skip
    assert {"data", "fit", "evaluate", "score", "profile"} <= set(
        (store.folder(record.run_id) / "log.txt").read_text().replace(":", "").split()
    )


def test_our_answers_are_kept_apart_from_the_targets_of_the_data(store: Store) -> None:
    folder = store.folder(runner.run(spec("method=none"), store).run_id)
    with np.load(folder / "predictions.npz") as ours, np.load(folder / "targets.npz") as theirs:
        assert set(ours) == {"id", "prediction"}
        assert set(theirs) == {"id", "unit", "label"}
        assert np.array_equal(ours["id"], theirs["id"])


def test_the_record_holds_what_was_typed_and_what_it_resolved_to(store: Store) -> None:
    made = spec("method=none", "seed=3")
    record = runner.run(made, store)
    assert (record.seed, record.key, record.config_hash) == (3, made.key, made.config_hash)
    assert record.config == made.config
    assert record.overrides == list(made.overrides)
    assert record.sample  # simulated data are never ranked
    assert record.primary is not None
    assert record.primary.metric == "auc"
    assert record.cost.epochs == 1


def test_the_same_command_reuses_the_run(store: Store) -> None:
    first = runner.run(spec("method=none"), store)
    assert runner.run(spec("method=none"), store).run_id == first.run_id
    assert len(list(store.records())) == 1


def test_rerun_makes_it_again_from_the_same_base(store: Store, fits: list[str]) -> None:
    first = runner.run(spec(*small("svd")), store)
    again = runner.run(spec(*small("svd"), "if_exists=rerun"), store)
    assert again.run_id != first.run_id
    assert equal(weights(store, first), weights(store, again))
    assert [title.split()[1] for title in fits] == ["none", "svd", "svd"]


def test_error_refuses_a_run_that_is_there_and_not_for_its_base(store: Store) -> None:
    runner.run(spec("method=none"), store)
    runner.run(spec(*small("svd"), "if_exists=error"), store)
    with pytest.raises(BenchmarkError, match="if_exists=reuse"):
        runner.run(spec(*small("svd"), "if_exists=error"), store)


def test_five_compression_runs_train_their_base_once(store: Store, fits: list[str]) -> None:
    runs = [small("svd"), small("afm"), ["method=continued"], ["method=svd", "method.rank=8"],
            ["method=afm", "method.rank=8"]]  # fmt: skip
    records = [runner.run(spec(*words), store) for words in runs]
    assert sum(title.startswith("train none") for title in fits) == 1
    assert len(fits) == 6
    assert len({record.base_run for record in records}) == 1
    assert records[0].base_run in {record.run_id for record in store.records()}


def test_a_method_that_draws_numbers_agrees_whether_its_base_was_there_or_not(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SVD.compress

    def noisy(self: SVD, network: torch.nn.Module, bench: Bench) -> torch.nn.Module:
        with torch.no_grad():
            next(network.parameters()).add_(torch.randn(1))
        return real(self, network, bench)

    monkeypatch.setattr(SVD, "compress", noisy)
    other = Store(tmp_path / "other")
    runner.run(spec("method=none"), other)
    torch.manual_seed(12345)
    one, two = (runner.run(spec(*small("svd")), place) for place in (store, other))
    assert equal(weights(store, one), weights(other, two))


def test_the_base_is_no_cost_of_the_method(store: Store) -> None:
    record = runner.run(spec(*small("svd"), "finetune.max_epochs=0"), store)
    assert record.cost.epochs == 0
    assert record.cost.train_seconds == 0
    assert record.cost.method_seconds is not None
    assert record.cost.method_seconds >= 0


def toy(monkeypatch: pytest.MonkeyPatch, change: Callable[[tuple[Fold, ...]], tuple]) -> None:
    """The simulated clicks with other folds."""
    bundle = open_bundle("sim_clicks", {"rows": 4000}, progress=False)
    changed = DataBundle(bundle.id, bundle.fingerprint, change(bundle.folds))
    monkeypatch.setattr(CTR, "data", lambda *_: changed)
    monkeypatch.setattr(runner, "_BUNDLES", {})


def test_no_method_sees_the_labels_that_it_is_scored_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    real = CTR.predict

    def predict(self: CTR, network: torch.nn.Module, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        seen.update(batch)
        return real(self, network, batch)

    monkeypatch.setattr(CTR, "predict", predict)
    runner.run(spec("method=none", "profile=fast"), store)
    assert seen == {"ids"}


def halves(folds: tuple[Fold, ...]) -> tuple[Fold, ...]:
    (fold,) = folds
    return tuple(
        Fold(
            name,
            TrainingData(fold.training.train.take(part), fold.training.val, fold.training.schema),
            fold.test.take(part),
        )
        for name, part in (("even", slice(0, None, 2)), ("odd", slice(1, None, 2)))
    )


def test_two_folds_are_fitted_apart_and_scored_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    toy(monkeypatch, halves)
    record = runner.run(spec(*small("svd")), store)
    assert record.primary is not None
    assert record.primary.n == 400
    assert not equal(weights(store, record, "even"), weights(store, record, "odd"))
    base = store.get(record.base_run or "")
    assert {file.name for file in base.files} >= {f"solver/{fold}/weights.safetensors" for fold in ("even", "odd")}
    assert record.cost.epochs == 2


def test_of_all_folds_only_the_network_that_is_profiled_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Solver]] = []
    evaluate, left = runner.evaluate, []

    def watched(solver: Solver, *rest: Any) -> dict[str, np.ndarray]:
        made.append(weakref.ref(solver))
        return evaluate(solver, *rest)

    def profiled(solver: Solver, *_: Any, **__: Any) -> Cost:
        gc.collect()
        left.extend(each() is solver if each() is not None else None for each in made)
        return Cost()

    toy(monkeypatch, halves)
    monkeypatch.setattr(runner, "evaluate", watched)
    monkeypatch.setattr(runner, "profile", profiled)
    runner.run(spec("method=none", "profile=fast"), store)
    assert left == [True, None]


def test_companions_are_runs_of_their_own_and_never_the_run_itself() -> None:
    roles = spec(*small("svd")).companions()
    assert list(roles) == ["base", "control", "floor"]
    assert roles["base"].method == "none"
    assert roles["base"].key == spec("method=none").key
    assert roles["control"].key == spec("method=continued").key
    assert (roles["floor"].method, roles["floor"].model) == ("none", "lr")
    assert "control" not in spec("method=continued").companions()
    assert list(spec("method=none").companions()) == ["floor"]
    assert not RunSpec.of(["scale=smoke", "method=none", "model=lr"]).companions()


def test_companions_share_data_seed_and_training() -> None:
    run = spec(*small("svd"), "seed=2", "trainer.learning_rate=0.01")
    for role in run.companions().values():
        assert (role.seed, role.data_fingerprint) == (2, run.data_fingerprint)
        assert role.config["trainer"] == run.config["trainer"]


def test_given_weights_are_used_as_they_are_and_recorded(store: Store, fits: list[str]) -> None:
    made = runner.run(spec("method=none", "seed=5"), store)
    path = store.folder(made.run_id) / "solver/all/weights.safetensors"
    record = runner.run(spec("method=none", f"weights={path}"), store)
    assert len(fits) == 1
    assert equal(weights(store, made), weights(store, record))
    assert record.provenance.pretrained[0]["name"] == "weights.safetensors"


def test_records_survive_the_round_trip_through_the_store(store: Store) -> None:
    record = runner.run(spec(*small("svd")), store)
    assert msgspec.structs.replace(store.get(record.run_id), files=[], finished_utc=None) == msgspec.structs.replace(
        record, files=[], finished_utc=None
    )


def test_a_base_that_another_machine_has_trained_is_fetched_from_a_remote_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: list[str]
) -> None:
    url = f"memory://{tmp_path.name}/results"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "one machine"))
    base = runner.run(spec("method=none"), Store(url))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    record = runner.run(spec(*small("svd")), Store(url))
    assert record.base_run == base.run_id
    assert [title.split()[1] for title in fits] == ["none", "svd"]
    assert {found.run_id for found in Store(url).records()} == {base.run_id, record.run_id}
    assert rescore(["--store", url]) == 0
