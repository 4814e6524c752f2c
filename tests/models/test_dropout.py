from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.models.dropout import FastDropout


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_elements_are_dropped_at_the_given_rate_and_the_mean_is_kept(p: float) -> None:
    torch.manual_seed(0)
    n = 1_000_003
    y = FastDropout(p)(torch.ones(n))
    deviation = (p * (1 - p) / n) ** 0.5
    assert (y == 0).double().mean().item() == pytest.approx(p, abs=5 * deviation + 1 / 65536)
    assert y.double().mean().item() == pytest.approx(1, abs=5 * deviation / (1 - p))


def test_neighbouring_elements_are_dropped_independently() -> None:
    torch.manual_seed(0)
    dropped = (FastDropout(0.3)(torch.ones(250_000, 4)) == 0).double()
    correlation = torch.corrcoef(dropped.T) - torch.eye(4)
    assert correlation.abs().max().item() < 5 / 250_000**0.5


def test_scale_is_the_inverse_of_the_exact_keep_probability() -> None:
    layer = FastDropout(1 / 3)
    kept = layer(torch.ones(64, dtype=torch.float64)).unique()
    assert layer.keep == 1 - 21845 / 65536
    assert kept.tolist() == [0.0, 1 / layer.keep]


def test_gradient_is_the_scaled_mask() -> None:
    torch.manual_seed(0)
    x = torch.randn(7, 5, requires_grad=True)
    y = FastDropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x.detach(), y.detach())
    assert (x.grad == 0).any()
    assert (x.grad != 0).any()


def test_evaluation_and_zero_rate_change_nothing() -> None:
    x = torch.randn(5, 3)
    assert FastDropout(0.5).eval()(x) is x
    assert FastDropout(0.0)(x) is x


def test_seed_of_torch_decides_the_mask() -> None:
    layer, x = FastDropout(0.5), torch.ones(1000)

    def draw(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return layer(x)

    assert torch.equal(draw(1), draw(1))
    assert not torch.equal(draw(1), draw(2))


def test_type_and_empty_batch_are_kept() -> None:
    assert FastDropout(0.5)(torch.ones(3, dtype=torch.bfloat16)).dtype is torch.bfloat16
    assert FastDropout(0.5)(torch.ones(0, 4)).shape == (0, 4)


@pytest.mark.parametrize("p", [-0.1, 1.0, 1.5, float("nan")])
def test_a_rate_outside_zero_to_one_is_refused(p: float) -> None:
    with pytest.raises(BenchmarkError, match="below 1"):
        FastDropout(p)


def test_a_rate_next_to_one_still_keeps_something_finite() -> None:
    layer = FastDropout(0.999_999_9)
    assert torch.isfinite(layer(torch.ones(1000))).all()


@pytest.mark.parametrize(("training", "p"), [(True, 0.4), (True, 0.0), (False, 0.4)])
def test_dropout_of_a_relu_in_one_step_is_the_two_after_each_other(training: bool, p: float) -> None:
    layer = FastDropout(p).train(training)
    start = torch.randn(31, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    gradient = torch.randn(31, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

    def answers(call: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        torch.manual_seed(0)
        y = call(start * 3)
        return y.detach(), torch.autograd.grad(y, start, gradient)[0]

    torch.testing.assert_close(answers(layer.rectified), answers(lambda x: layer(x.relu())))


def test_a_relu_in_one_step_with_dropout_works_in_place() -> None:
    layer, x = FastDropout(0.5), torch.randn(8, 4)
    assert layer.rectified(x).data_ptr() == x.data_ptr()
