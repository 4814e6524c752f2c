"""A run that was cut off goes on where it was, to the result of one that was not."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from benchmarks import runner, trainer
from benchmarks.device import device_random, resume_device_random
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.workbench import Bench
from quick_runs import equal, spec, weights

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("quick")


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


def test_the_generator_of_a_device_goes_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    state, restored = torch.arange(16, dtype=torch.uint8), []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", restored.append)
    assert device_random() is state
    resume_device_random(device_random())
    resume_device_random(None)  # as a checkpoint of before, or of a CPU, has it
    assert restored == [state]


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
    with (store.folder(resumed.run_id) / "history.csv").open(encoding="utf-8") as file:
        seconds = [float(row["seconds"]) for row in csv.DictReader(file)]
    assert seconds == sorted(seconds), "the clock goes on where it was"
    assert seconds[-1] <= resumed.cost.train_seconds
    assert resumed.cost.method_seconds > -0.01
    assert (resumed.cost.epochs, resumed.cost.best_epoch) == (straight.cost.epochs, straight.cost.best_epoch)
    assert store.resume_folder(run.key) is None


def test_a_mistake_on_going_on_costs_nothing_that_was_reached(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = spec("method=none", "trainer.max_epochs=4", "trainer.patience=null")

    def mistaken(*_: object) -> None:
        raise BenchmarkError("trainer.logger=wandb needs a package that is not installed.")

    with monkeypatch.context() as patch:
        interrupt(patch, at=4)
        with pytest.raises(KeyboardInterrupt):
            runner.run(run, store)
    with monkeypatch.context() as patch:
        patch.setattr(Bench, "fit", mistaken)
        with pytest.raises(BenchmarkError, match="wandb"):
            runner.run(run, store)
    assert any("resumed after 3 epochs" in note for note in runner.run(run, store).notes)


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
