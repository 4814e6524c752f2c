"""A run that fails leaves one record that says where and why; a mistake of the user leaves nothing."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem

from benchmarks import runner, trainer
from benchmarks.ctr.task import CTR
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.places import Unreachable
from benchmarks.leaderboard.store import Store
from benchmarks.spec import RunSpec
from benchmarks.workbench import Bench
from quick_runs import QUICK, everything, small, spec

pytestmark = pytest.mark.usefixtures("quick")
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
    kept = [word for word in QUICK if word.split(".")[0] != "model" or "model=" not in " ".join(words)]
    with pytest.raises(BenchmarkError) as caught:
        runner.run(RunSpec.of([*kept, *words]), store)
    assert "None" not in str(caught.value)
    assert everything(store) == []
    assert fits == []


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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("task=ctr method=lora method.vectors=norms", "no layer or group norms"),
        ("task=ctr method=salt method.top=1.5", r"method\.top=1\.5 .* Type method\.top=2"),
        (
            "task=trajectory method=legendre method.split=false method.static_distance=0.1",
            r"method\.split=false does not",
        ),
    ],
)
def test_settings_that_fit_nothing_are_refused_before_anything_is_trained(words: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        runner.check(RunSpec.of([*words.split(), "scale=smoke"]))


def test_a_network_without_what_it_is_made_of_is_a_mistake(store: Store) -> None:
    with pytest.raises(BenchmarkError, match=r"Type for example model\.cin_maps"):
        runner.run(RunSpec.of([*QUICK, "method=none", "model=xdeepfm", "model.cin_maps=[]"]), store)
    assert everything(store) == []


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
