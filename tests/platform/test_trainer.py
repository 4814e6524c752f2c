"""The shared trainer: which epoch is kept, how the learning rate goes, what a seed and a restart determine."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from benchmarks import trainer
from benchmarks.checkpoints import LAST
from benchmarks.datasets.bundle import Split, TrainingData
from benchmarks.epochs import EpochBatches, History
from benchmarks.errors import BenchmarkError
from benchmarks.metric import Metric, Statistic
from benchmarks.settings import Trainer
from benchmarks.task import Batch, Outputs, Task
from benchmarks.trainer import fit

N = 64


def undefined(_: object) -> Statistic:
    return Statistic(lambda _: math.nan, 0)


class Line(Task):
    """Points [batch, 3] in, a number out; it writes down what it was trained on."""

    metrics = (Metric("gain", 1, "", "max", "pooled", undefined, "what the script says"),)
    unit = "points"
    target_names = ("y",)

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[float]] = []

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        return nn.Linear(3, 1)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        self.batches.append(batch["y"].tolist())
        return mse_loss(network(batch["x"])[:, 0], batch["y"])

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        return {"prediction": network(batch["x"])[:, 0]}


def points(seed: int = 0) -> TrainingData:
    random = np.random.default_rng(seed)
    x = random.normal(size=(N, 3)).astype(np.float32)
    y = (x @ np.array([1, -2, 3], np.float32) + random.normal(0, 0.1, N)).astype(np.float32)
    split = Split({"x": x, "y": y}, np.arange(N), np.arange(N))
    return TrainingData(split, split.take(slice(0, 8)), {})


def plan(**changes: object) -> dict[str, Any]:
    """A short plan; what is not named is the default of the settings."""
    settings = dataclasses.asdict(Trainer())
    plain = {key: value.value if isinstance(value, Enum) else value for key, value in settings.items()}
    quiet = {"progress": False, "accelerator": "cpu", "max_epochs": 3, "batch_size": 16, "learning_rate": 0.01}
    assert changes.keys() <= plain.keys() | {"max_steps"}
    return plain | quiet | changes


def line() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


class Script:
    """A judge that says what it is told to and keeps the weights that it was shown."""

    def __init__(self, *scores: float) -> None:
        self.scores = iter(scores)
        self.shown: list[dict[str, Tensor]] = []

    def __call__(self, network: nn.Module) -> float:
        self.shown.append({name: value.detach().clone() for name, value in network.state_dict().items()})
        return next(self.scores)


def rising() -> Script:
    return Script(*range(1, 100))


def train(network: nn.Module, judge: Callable[[nn.Module], float], task: Task | None = None, seed: int = 0,
          checkpoints: Path | None = None, **changes: object) -> History:  # fmt: skip
    return fit(
        network, task or Line(), points(), plan(**changes), seed=seed, judge=judge, title="", checkpoints=checkpoints
    )


def rates(history: History) -> list[float]:
    return [row["lr"] for row in history.rows]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


def test_a_plateau_lowers_the_rate_tenfold_and_patience_ends_it() -> None:
    history = train(line(), Script(0.5, 0.6, 0.6, 0.7, 0.6, 0.6, 9, 9), schedule="plateau", patience=2, max_epochs=8)
    assert rates(history) == pytest.approx([1e-2, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4])
    assert (len(history.rows), history.best_epoch) == (6, 4)


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


def test_the_rate_of_a_plateau_has_a_floor() -> None:
    history = train(line(), Script(5, *[1] * 9), schedule="plateau", min_learning_rate=1e-3, max_epochs=5)
    assert rates(history)[-1] == pytest.approx(1e-3)


def test_a_plateau_after_a_warm_up_stays_lowered() -> None:
    history = train(line(), Script(5, *[1] * 9), schedule="plateau", warmup_epochs=1, max_epochs=4)
    assert rates(history)[-1] == pytest.approx(1e-4)


def test_an_epoch_whose_score_is_undefined_is_never_the_best() -> None:
    history = train(line(), Script(math.nan, 0.1, math.nan))
    assert history.best_epoch == 2


def test_undefined_scores_throughout_still_leave_a_trained_network() -> None:
    network = line()
    train(network, Script(math.nan, math.nan, math.nan))
    assert not torch.equal(network.weight, line().weight)


FLOOR = 1e-3
"""The least rate as a share of the first."""


def expected(kind: str, share: float) -> float:
    return {
        "none": 1.0,
        "cosine": FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * share)),
        "polynomial": (1 - share) ** 0.9,
        "one_cycle": share / 0.3 if share < 0.3 else 0.5 * (1 + math.cos(math.pi * (share - 0.3) / 0.7)),
        "step": 0.3 if share >= 0.5 else 1.0,
    }[kind]


@pytest.mark.parametrize("kind", ["none", "cosine", "one_cycle", "step", "polynomial"])
def test_schedules_follow_their_equation(kind: str) -> None:
    """The rate noted after epoch e is that of the next step, e * 4 of 16."""
    steps = {"milestones": [2], "step_factor": 0.3}
    history = train(line(), rising(), schedule=kind, **steps, max_epochs=4, min_learning_rate=0.01 * FLOOR)
    wanted = [0.01 * max(FLOOR, expected(kind, epoch / 4)) for epoch in (1, 2, 3, 4)]
    assert rates(history) == pytest.approx(wanted)


def test_a_warm_up_rises_linearly() -> None:
    history = train(line(), rising(), warmup_epochs=2, max_epochs=4)
    assert rates(history) == pytest.approx([0.01 * 5 / 8, 0.01, 0.01, 0.01])


def test_accumulated_batches_make_the_step_of_one_large_batch() -> None:
    small, large = line(), line()
    options: dict[str, Any] = {"optimizer": "sgd", "max_epochs": 2}
    train(small, rising(), batch_size=16, accumulate=4, **options)
    train(large, rising(), batch_size=64, **options)
    assert torch.allclose(small.weight, large.weight, atol=1e-6)
    assert not torch.equal(small.weight, line().weight)


def test_the_average_follows_its_equation() -> None:
    """One step an epoch: the judged weights are the exponential mean of those that plain training passes through."""
    judge, plain = rising(), rising()
    train(line(), judge, ema_decay=0.5, batch_size=N)
    train(line(), plain, batch_size=N)
    mean = plain.shown[0]["weight"]
    for shown, weights in zip(judge.shown, plain.shown, strict=True):
        mean = weights["weight"] if weights is plain.shown[0] else 0.5 * mean + 0.5 * weights["weight"]
        assert torch.allclose(shown["weight"], mean, atol=1e-6)


def test_whole_numbers_in_buffers_are_not_averaged() -> None:
    """Offsets of a table and rows of bytes: torch's own average cuts off the fraction, so that some fall by one."""
    network, judge = line(), rising()
    wide, narrow = torch.arange(1000), torch.arange(-127, 128, dtype=torch.int8)
    network.register_buffer("offsets", wide.clone())
    network.register_buffer("rows", narrow.clone())
    train(network, judge, ema_decay=0.9999, batch_size=8, max_epochs=3)
    assert torch.equal(judge.shown[-1]["offsets"], wide)
    assert torch.equal(judge.shown[-1]["rows"], narrow)


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


def test_frozen_parameters_stay_as_they_are() -> None:
    network = line()
    network.bias.requires_grad_(False)
    train(network, rising(), weight_decay=0.5)
    assert torch.equal(network.bias, line().bias)
    assert not torch.equal(network.weight, line().weight)


def order(seed: int, epoch: int, size: int = 16) -> list[float]:
    batches = EpochBatches(points().train, size, seed, lambda: epoch, lambda: (0, 1))
    assert len(list(batches)) == len(batches)
    return [value for batch in batches for value in batch["y"].tolist()]


def test_the_order_of_samples_depends_on_seed_and_epoch_alone() -> None:
    torch.manual_seed(1)
    one = order(seed=3, epoch=2)
    torch.manual_seed(2)
    np.random.seed(7)
    assert order(seed=3, epoch=2) == one == order(seed=3, epoch=2, size=10)
    assert order(seed=3, epoch=1) != one
    assert order(seed=4, epoch=2) != one
    assert sorted(one) == sorted(points().train.columns["y"].tolist())


def test_every_epoch_is_trained_in_its_own_order() -> None:
    task = Line()
    train(line(), rising(), task, batch_size=N, max_epochs=2, seed=5)
    assert task.batches == [pytest.approx(order(5, epoch, N)) for epoch in (0, 1)]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_an_epoch_evenly_and_leave_nothing_out(world: int) -> None:
    """They wait for one another at every step, so each has as many samples; at most world - 1 come twice for that."""
    shards = [EpochBatches(points().train, 16, 0, lambda: 0, lambda rank=rank: (rank, world)) for rank in range(world)]
    parts = [[value for batch in shard for value in batch["y"].tolist()] for shard in shards]
    assert {len(part) for part in parts} == {math.ceil(N / world)}
    assert {value for part in parts for value in part} == set(points().train.columns["y"].tolist())


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


class Headed(nn.Module):
    """A body and a head, of which the head is what every adapter trains."""

    always_trained = ("head.*",)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x))


def test_the_head_has_a_rate_of_its_own() -> None:
    """A first step of Adam is as long as the rate in every coordinate."""
    network, start = Headed(), Headed()
    fit(network, Line(), points(), plan(optimizer="adam", max_epochs=1, batch_size=N) | {"head_learning_rate": 0.1},
        seed=0, judge=rising(), title="")  # fmt: skip
    assert torch.allclose((network.body.weight - start.body.weight).abs(), torch.tensor(0.01), rtol=1e-3)
    assert torch.allclose((network.head.weight - start.head.weight).abs(), torch.tensor(0.1), rtol=1e-3)


def test_squared_gradients_decay_as_the_plan_says() -> None:
    """Three steps of Adam on all samples, by hand."""
    network, expected = line(), line()
    train(network, rising(), max_epochs=3, batch_size=N, beta2=0.5)
    batch = {name: torch.from_numpy(column) for name, column in points().train.columns.items()}
    parameters = list(expected.parameters())
    first, second = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
    for step in (1, 2, 3):
        gradients = torch.autograd.grad(Line().loss(expected, batch), parameters)
        with torch.no_grad():
            for parameter, gradient, mean, square in zip(parameters, gradients, first, second, strict=True):
                mean.mul_(0.9).add_(0.1 * gradient)
                square.mul_(0.5).add_(0.5 * gradient**2)
                parameter -= 0.01 * (mean / (1 - 0.9**step)) / ((square / (1 - 0.5**step)).sqrt() + 1e-8)
    torch.testing.assert_close(network.weight, expected.weight, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(network.weight, line().weight)


def test_gradients_are_clipped() -> None:
    network = line()
    before = network.weight.clone()
    train(network, rising(), optimizer="sgd", gradient_clip=1e-4, learning_rate=1.0, max_epochs=1, batch_size=N)
    assert (network.weight - before).norm() < 1e-3


def test_gradients_are_clipped_in_mixed_precision_too() -> None:
    network = line()
    before = network.weight.clone()
    train(network, rising(), precision="bf16-mixed", optimizer="adam", gradient_clip=1e-4, max_epochs=1)
    assert not torch.equal(network.weight, before)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_weights_are_kept_in_full_precision(precision: str) -> None:
    network = line()
    train(network, rising(), precision=precision)
    assert network.weight.dtype == torch.float32


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


class Jittered(Line):
    """Draws noise beside each batch, so that the draws of training must not depend on who makes the batches."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        return super().loss(network, batch) + torch.randn(()) * network.weight.sum()


def test_processes_that_make_batches_ahead_change_nothing() -> None:
    alone = line()
    train(alone, rising(), Jittered(), max_epochs=2)
    ahead = line()
    train(ahead, rising(), Jittered(), max_epochs=2, workers=2)
    assert torch.equal(alone.weight, ahead.weight)
