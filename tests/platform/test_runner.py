"""One run leaves one record, whatever happens; equal runs agree bit by bit; the test split is read once, at the end."""

from __future__ import annotations

import gc
import math
import os
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from safetensors.torch import load_file

from benchmarks import profiling, provenance, registry, runner, scoring, trainer
from benchmarks.commands.rescore import main as rescore
from benchmarks.ctr.metrics import METRICS
from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import DataBundle, Fold, TrainingData
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.places import Unreachable
from benchmarks.leaderboard.record import Cost, Record
from benchmarks.leaderboard.store import Store
from benchmarks.methods.svd import SVD
from benchmarks.solver import Solver
from benchmarks.spec import RunSpec
from benchmarks.workbench import Bench

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    "task=ctr", "scale=smoke", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[32,32]",
    "trainer.batch_size=1024", "trainer.max_epochs=1", "finetune.max_epochs=1", "trainer.progress=false",
    "trainer.accelerator=cpu", "trainer.threads=1", "profile=none",
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Two metrics, few resamples, few timed calls: all that is left out has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CTR, "metrics", METRICS[:2])
        patch.setattr(scoring, "RESAMPLES", 20)
        patch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
        patch.setattr(profiling, "MEASURE_SECONDS", 0.0)
        patch.setattr(provenance, "_git", lambda: (None, None, None))
        yield


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def spec(*words: str) -> RunSpec:
    return RunSpec.of([*WORDS, *words])


def small(method: str) -> list[str]:
    """The method with ranks that pay on the small network."""
    settings = registry.entry("method", method).settings
    return [f"method={method}", *(f"method.{key}=4" for key in ("rank", "match_rank") if settings.get(key))]


def weights(store: Store, record: Record, fold: str = "all") -> dict[str, torch.Tensor]:
    return load_file(store.folder(record.run_id) / runner.SOLVER / fold / "weights.safetensors")


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def everything(store: Store) -> list[str]:
    """All that lies in the store but its locks."""
    files = (path.relative_to(store.root) for path in Path(store.root).rglob("*") if path.is_file())
    return sorted(str(path) for path in files if path.parts[0] != ".locks")


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


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of all trainings."""
    titles: list[str] = []
    real = trainer.fit

    def counted(*arguments, title: str, **options):
        titles.append(title)
        return real(*arguments, title=title, **options)

    monkeypatch.setattr(trainer, "fit", counted)
    return titles


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


PHASES: dict[str, Callable[[pytest.MonkeyPatch, Callable], None]] = {
    "setup": lambda patch, crash: patch.setattr(runner, "load_method", crash),
    "data": lambda patch, crash: patch.setattr(runner, "_bundle", crash),
    "fit": lambda patch, crash: patch.setattr(Bench, "fit", crash),
    "evaluate": lambda patch, crash: patch.setattr(runner, "evaluate", crash),
    "score": lambda patch, crash: patch.setattr(runner, "score", crash),
    "profile": lambda patch, crash: patch.setattr(runner, "profile", crash),
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_failure_is_a_record_that_names_its_phase(phase: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("planted")

    PHASES[phase](monkeypatch, crash)
    with pytest.raises(runner.RunFailed, match="planted"):
        runner.run(spec("method=none", "profile=fast"), store)
    (record,) = store.records()
    assert record.status == "failed"
    assert record.failure is not None
    assert (record.failure.phase, record.failure.exception) == (phase, "RuntimeError")
    assert any("in crash" in line for line in record.failure.traceback)
    assert not record.quality
    assert not list(store.drafts.iterdir())


def test_a_failed_run_is_not_reused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(runner, "evaluate", lambda *_: 1 / 0)
        with pytest.raises(runner.RunFailed):
            runner.run(spec("method=none"), store)
    assert runner.run(spec("method=none"), store).status == "ok"
    assert sorted(record.status for record in store.records()) == ["failed", "ok"]


def test_a_loss_that_is_not_finite_ends_the_run_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def diverge(self: CTR, network: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        steps.append(1)
        return network(batch["ids"]).sum() * math.nan

    monkeypatch.setattr(CTR, "loss", diverge)
    with pytest.raises(runner.RunFailed, match=r"trainer\.learning_rate"):
        runner.run(spec("method=none", "trainer.max_epochs=5"), store)
    (record,) = store.records()
    assert (record.status, len(steps)) == ("failed", 1)
    assert record.failure is not None
    assert record.failure.exception == "NonFiniteLossError"


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
    ids=["cuda", "python", "torch-cpu"],
)
def test_running_out_of_memory_is_a_status_with_advice(
    error: Exception, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhaust(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(trainer, "fit", exhaust)
    with pytest.raises(runner.RunFailed, match=r"trainer\.batch_size"):
        runner.run(spec("method=none"), store)
    (record,) = store.records()
    assert record.status == "oom"
    assert record.failure is not None
    assert "trainer.accumulate" in (record.failure.advice or "")


@pytest.mark.parametrize(
    "words",
    [
        ("method=svd", "method.rank=1000"),
        ("method=svd", "method.rank=0"),
        ("method=svd", "method.rank=abc"),
        ("method=svd", "method.rank=null"),
        ("method=svd", "method.targets=[linar]"),
        ("method=svd", "method.targets=[]"),
        ("method=svd", "method.energy=0.9"),
        ("method=svd", "model=lr"),
        ("method=small_dim", "model=fm"),
        ("data.rows=10",),
        ("model.dropout=3",),
    ],
    ids=" ".join,
)
def test_a_mistake_of_the_user_leaves_nothing_behind_and_trains_nothing(
    words: tuple[str, ...], store: Store, fits: list[str]
) -> None:
    kept = [word for word in WORDS if word.split(".")[0] != "model" or "model=" not in " ".join(words)]
    with pytest.raises(BenchmarkError) as caught:
        runner.run(RunSpec.of([*kept, *words]), store)
    assert "None" not in str(caught.value)
    assert everything(store) == []
    assert fits == []


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


@pytest.mark.parametrize("named", ["published", "absent.safetensors"])
def test_weights_that_are_not_there_are_refused(named: str, store: Store) -> None:
    with pytest.raises(BenchmarkError, match=f"weights={named}"):
        runner.run(spec("method=none", f"weights={named}"), store)
    assert everything(store) == []


def test_weights_of_another_network_are_refused_in_a_paragraph(store: Store) -> None:
    made = runner.run(spec("method=none"), store)
    path = store.folder(made.run_id) / "solver/all/weights.safetensors"
    before = everything(store)
    with pytest.raises(BenchmarkError, match="do not fit"):
        runner.run(spec("method=none", "model.hidden_units=[8]", f"weights={path}"), store)
    assert everything(store) == before


def test_given_weights_are_used_as_they_are_and_recorded(store: Store, fits: list[str]) -> None:
    made = runner.run(spec("method=none", "seed=5"), store)
    path = store.folder(made.run_id) / "solver/all/weights.safetensors"
    record = runner.run(spec("method=none", f"weights={path}"), store)
    assert len(fits) == 1
    assert equal(weights(store, made), weights(store, record))
    assert record.provenance.pretrained[0]["name"] == "weights.safetensors"


def interrupt(monkeypatch: pytest.MonkeyPatch, at: int) -> pytest.MonkeyPatch:
    """Ctrl-C while epoch `at` is judged; checkpoints are written after every epoch."""
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", -1.0)
    real, calls = Bench.judge, []

    def judge(self: Bench, network: torch.nn.Module) -> float:
        calls.append(1)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(self, network)

    monkeypatch.setattr(Bench, "judge", judge)
    return monkeypatch


RECIPES = {
    "plateau": ("trainer.patience=10",),
    "average": ("trainer.ema_decay=0.8", "trainer.patience=null"),
    "cosine": ("trainer.schedule=cosine", "trainer.warmup_epochs=1", "trainer.optimizer=sgd", "trainer.patience=null"),
    "accumulate": ("trainer.accumulate=2", "trainer.optimizer=adamw", "trainer.patience=null"),
}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_training_that_was_cut_off_goes_on_to_the_same_result(
    recipe: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = spec("method=none", *RECIPES[recipe], "trainer.max_epochs=5")
    with monkeypatch.context() as patch:
        interrupt(patch, at=4)
        with pytest.raises(KeyboardInterrupt):
            runner.run(run, store)
    (record,) = store.records()
    assert record.status == "interrupted"
    assert record.failure is not None
    assert record.failure.phase == "fit"
    resumed = runner.run(run, store)
    straight = runner.run(run, Store(tmp_path / "other"))
    assert equal(weights(store, resumed), weights(Store(tmp_path / "other"), straight))
    assert any("resumed after 3 epochs" in note for note in resumed.notes)
    assert (resumed.cost.epochs, resumed.cost.best_epoch) == (straight.cost.epochs, straight.cost.best_epoch)
    assert store.resume_folder(run.key) is None


def test_a_run_cut_off_after_training_does_not_train_on(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patience ended the training; what follows was cut off. Going on must not add the epochs that patience refused."""
    run = spec("method=none", "trainer.max_epochs=9", "trainer.patience=1", "trainer.min_delta=0.9")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "CHECKPOINT_SECONDS", -1.0)
        patch.setattr(runner, "evaluate", stop)
        with pytest.raises(KeyboardInterrupt):
            runner.run(run, store)
    resumed = runner.run(run, store)
    straight = runner.run(run, Store(tmp_path / "other"))
    assert resumed.cost.epochs == straight.cost.epochs == 2
    assert equal(weights(store, resumed), weights(Store(tmp_path / "other"), straight))


def test_another_configuration_does_not_take_up_the_checkpoints(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        interrupt(patch, at=2)
        with pytest.raises(KeyboardInterrupt):
            runner.run(spec("method=none", "trainer.max_epochs=3"), store)
    other = runner.run(spec("method=none", "trainer.max_epochs=3", "trainer.learning_rate=0.01"), store)
    assert not any("resumed" in note for note in other.notes)


def test_records_survive_the_round_trip_through_the_store(store: Store) -> None:
    record = runner.run(spec(*small("svd")), store)
    assert msgspec.structs.replace(store.get(record.run_id), files=[], finished_utc=None) == msgspec.structs.replace(
        record, files=[], finished_utc=None
    )


@pytest.mark.slow
def test_kill_9_in_training_and_the_same_command_again(tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "benchmarks", "task=ctr", "method=none", "scale=smoke", "model.hidden_units=[64,64]",
        "trainer.batch_size=128", "trainer.max_epochs=40", "trainer.patience=null", "trainer.threads=1",
        "companions=false", "profile=none", "report=false", "trainer.progress=false",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    victim = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 240
        while not list(tmp_path.glob("results/.draft/*/checkpoints/all/train/last.ckpt")):
            assert victim.poll() is None, "training ended before a checkpoint was written"
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert not list(Store(tmp_path / "results").records())
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert "interrupted" in done.stderr
    records = {record.status: record for record in Store(tmp_path / "results").records()}
    assert sorted(records) == ["interrupted", "ok"]
    assert records["interrupted"].failure is not None
    assert records["interrupted"].failure.phase == "fit"
    assert any("resumed" in note for note in records["ok"].notes)
    assert records["ok"].cost.epochs == 40


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


@pytest.mark.parametrize("broken", ["ls", "put_file"])
def test_a_remote_store_that_stops_answering_leaves_the_draft_and_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no answer")

    def checkpoint_and_break(bench: Bench, real: Callable[[Bench], torch.nn.Module] = Bench.base) -> torch.nn.Module:
        (draft() / "checkpoints").mkdir()
        monkeypatch.setattr(MemoryFileSystem, broken, refuse)
        return real(bench)

    def draft() -> Path:
        return next(store.drafts.glob("*-svd-*"))

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Bench, "base", checkpoint_and_break)
    store = Store(f"memory://{tmp_path.name}/results")
    with pytest.raises(Unreachable, match="does not answer"):
        runner.run(spec(*small("svd")), store)
    assert (draft() / "checkpoints").is_dir()
