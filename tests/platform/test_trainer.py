"""The shared trainer: which epoch is kept, when training ends, what is written down on the way."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks import trainer
from benchmarks.checkpoints import LAST
from benchmarks.errors import BenchmarkError
from benchmarks.task import Batch
from benchmarks.trainer import fit
from line_task import Line, N, Script, line, plan, points, rising, train

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_weights_of_the_best_epoch_are_kept() -> None:
    network, judge = line(), Script(0.1, 0.9, 0.5, 0.8)
    history = train(network, judge, max_epochs=4)
    assert history.best_epoch == 2
    assert all(torch.equal(value, judge.shown[1][name]) for name, value in network.state_dict().items())
    assert not torch.equal(judge.shown[1]["weight"], judge.shown[3]["weight"])


def test_of_equally_good_epochs_the_first_is_kept() -> None:
    assert train(line(), Script(0.5, 0.5, 0.5)).best_epoch == 1


@pytest.mark.parametrize(("direction", "best"), [("max", 2), ("min", 3)])
def test_the_direction_of_the_metric_decides_what_is_best(direction: str, best: int) -> None:
    task = Line()
    task.metrics = (dataclasses.replace(task.metrics[0], direction=direction),)  # type: ignore[misc]
    assert train(line(), Script(0.5, 0.9, 0.1), task).best_epoch == best


def test_a_gain_up_to_min_delta_is_none() -> None:
    history = train(line(), Script(0.50, 0.55, 0.60, 0.65), min_delta=0.12, max_epochs=4)
    assert history.best_epoch == 4
    assert train(line(), Script(0.50, 0.55, 0.60, 0.65), min_delta=0.12, patience=2, max_epochs=4).best_epoch == 1


def test_validation_follows_every_few_epochs_and_the_last() -> None:
    judge = Script(0.1, 0.9, 0.5)
    history = train(line(), judge, max_epochs=5, validate_every=2)
    assert [row["epoch"] for row in history.rows] == [2, 4, 5]
    assert (len(judge.shown), history.best_epoch, history.epochs) == (3, 4, 5)


def test_checkpoints_are_written_between_validations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", -1.0)

    def judge(network: nn.Module) -> float:
        assert torch.load(tmp_path / LAST, weights_only=True)["epoch"] == 3
        return 0.5

    train(line(), judge, checkpoints=tmp_path, max_epochs=5, validate_every=5)


def test_patience_counts_epochs_however_seldom_they_are_validated() -> None:
    assert train(line(), Script(9, *[1] * 9), max_epochs=8, validate_every=2, patience=3).epochs == 6


def test_an_epoch_whose_score_is_undefined_is_never_the_best() -> None:
    history = train(line(), Script(math.nan, 0.1, math.nan))
    assert history.best_epoch == 2


def test_undefined_scores_throughout_still_leave_a_trained_network() -> None:
    network = line()
    train(network, Script(math.nan, math.nan, math.nan))
    assert not torch.equal(network.weight, line().weight)


def test_no_epochs_leave_the_network_as_it_was() -> None:
    network = line()
    history = train(network, Script(), max_epochs=0)
    assert torch.equal(network.weight, line().weight)
    assert (history.rows, history.best_epoch) == ([], 0)
    assert not network.training


def test_a_trained_network_is_left_in_evaluation_mode() -> None:
    network = line()
    train(network, rising())
    assert not network.training


def test_the_history_has_a_row_for_every_epoch() -> None:
    history = train(line(), rising())
    assert [row["epoch"] for row in history.rows] == [1, 2, 3]
    assert [row["step"] for row in history.rows] == [4, 8, 12]
    assert [row["val_gain"] for row in history.rows] == [1, 2, 3]
    losses = [row["train_loss"] for row in history.rows]
    assert losses[0] > losses[-1] > 0
    assert history.seconds > 0


def test_a_loss_that_is_not_finite_stops_at_once() -> None:
    class Diverging(Line):
        def loss(self, network: nn.Module, batch: Batch) -> Tensor:
            return super().loss(network, batch) * (math.inf if len(self.batches) == 3 else 1)

    task = Diverging()
    with pytest.raises(trainer.NonFiniteLossError, match=r"epoch 1, step 3.*trainer\.learning_rate"):
        train(line(), rising(), task)
    assert len(task.batches) == 3


def test_a_logger_gets_every_epoch(tmp_path: Path) -> None:
    fit(line(), Line(), points(), plan(logger="csv"), seed=0, judge=rising(), title="", logs=tmp_path)
    (metrics,) = tmp_path.rglob("metrics.csv")
    assert len(metrics.read_text().splitlines()) == 1 + 3


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (5, 2), (8, 2)])
def test_training_ends_after_so_many_steps_and_is_judged_then(steps: int, epochs: int) -> None:
    network = line()
    changes = {"max_steps": steps, "max_epochs": epochs, "validate_every": epochs, "batch_size": N // 4}
    history = train(network, rising(), **changes)
    assert [row["step"] for row in history.rows] == [steps]
    assert history.epochs == epochs
    assert not torch.equal(network.weight, line().weight)


@pytest.mark.parametrize(("steps", "epochs"), [(4, 2), (5, 3)])
def test_steps_that_end_before_the_epochs_do_are_judged_too(steps: int, epochs: int) -> None:
    """Two batches make a step, and the third of an epoch one of its own."""
    network = line()
    changes = {"max_steps": steps, "max_epochs": 7, "validate_every": 7, "batch_size": 24, "accumulate": 2}
    history = train(network, rising(), **changes)
    assert [(row["step"], row["epoch"]) for row in history.rows] == [(steps, epochs)]
    assert not torch.equal(network.weight, line().weight)


class Follower(nn.Module):
    """A layer that writes down what it is told after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.told = line(), []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)

    def after_step(self, progress: float) -> None:
        self.told.append((progress, float(self.inner.weight.detach().sum())))


def test_modules_are_told_after_each_step_how_far_training_is() -> None:
    network = Follower()
    train(network, rising(), max_epochs=2, batch_size=N // 4, accumulate=2)
    assert [progress for progress, _ in network.told] == [0.25, 0.5, 0.75, 1.0]
    assert len({weight for _, weight in network.told}) == 4


def test_modules_are_told_the_same_steps_where_training_is_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", -1.0)
    plain: dict[str, Any] = {"max_epochs": 2, "batch_size": N // 4, "accumulate": 2}

    judged = []

    def stop(_: nn.Module) -> float:
        judged.append(None)
        if len(judged) > 1:
            raise KeyboardInterrupt
        return 1.0

    whole, halted, resumed = Follower(), Follower(), Follower()
    train(whole, rising(), **plain)
    with pytest.raises(KeyboardInterrupt):
        train(halted, stop, checkpoints=tmp_path, **plain)
    assert train(resumed, rising(), checkpoints=tmp_path, **plain).resumed_from == 1
    assert resumed.told == whole.told[2:]


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_logger_whose_package_is_missing_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lightning.pytorch import loggers

    def missing(**_: object) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(loggers, {"mlflow": "MLFlowLogger", "wandb": "WandbLogger"}[name], missing)
    with pytest.raises(BenchmarkError, match=rf"trainer\.logger={name}"):
        fit(line(), Line(), points(), plan(logger=name), seed=0, judge=rising(), title="", logs=tmp_path)
