"""One step of training, against its equation: accumulation, averages, moments, clipping, precision."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.trainer import fit
from line_task import Line, N, line, plan, points, rising, train

pytestmark = pytest.mark.usefixtures("one_thread")


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


def test_frozen_parameters_stay_as_they_are() -> None:
    network = line()
    network.bias.requires_grad_(False)
    train(network, rising(), weight_decay=0.5)
    assert torch.equal(network.bias, line().bias)
    assert not torch.equal(network.weight, line().weight)
