"""Mean and covariance of what enters a linear layer, gathered in one pass over calibration batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from benchmarks.errors import BenchmarkError


class InputMoments:
    """First and second moments of rows of `features` numbers, accumulated in float64.

    The moments of a layer's output follow from those of its input, cov(W x + b) = W cov(x) W^T, so that one pass serves
    every rank and every change of W. Sums are taken about the mean of the first batch: the mean of all rows lies near
    it, and the final subtraction of squares then cancels little even where the mean is far larger than the spread.
    """

    def __init__(self, features: int) -> None:
        self.features = features
        self.count = 0
        self._shift = torch.zeros(features, dtype=torch.float64)
        self._sum = torch.zeros(features, dtype=torch.float64)
        self._products = torch.zeros(features, features, dtype=torch.float64)

    def update(self, x: torch.Tensor) -> None:
        """Adds the rows of [..., features]."""
        rows = x.detach().reshape(-1, self.features).to(torch.float64)
        if len(rows) == 0:
            return
        if self.count == 0:
            self._shift = rows.mean(dim=0)
            self._sum, self._products = self._sum.to(rows), self._products.to(rows)
        rows = rows - self._shift
        self.count += len(rows)
        self._sum += rows.sum(dim=0)
        self._products.addmm_(rows.T, rows)

    @property
    def mean(self) -> torch.Tensor:
        """[features]."""
        return self._shift + self._sum / self.count

    @property
    def covariance(self) -> torch.Tensor:
        """[features, features], with division by the number of rows."""
        offset = self._sum / self.count
        return self._products / self.count - torch.outer(offset, offset)

    def output(self, linear: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean [o] and covariance [o, o] of the layer's output, before any activation."""
        weight = linear.weight.detach().to(self.mean)
        mean = weight @ self.mean
        if linear.bias is not None:
            mean = mean + linear.bias.detach().to(mean)
        return mean, weight @ self.covariance @ weight.T


def collect_input_moments(
    network: nn.Module,
    linears: Iterable[str],
    batches: Iterable[Any],
    forward: Callable[[Any], Any] | None = None,
) -> dict[str, InputMoments]:
    """Runs the batches through the network in eval mode and returns the input moments of the named linear layers.

    `forward` takes one batch and calls the network on it (by default `network` itself). Modes and hooks are as before
    when it returns or raises. A layer that no row reaches raises BenchmarkError.
    """
    names = tuple(linears)
    moments = {name: InputMoments(int(network.get_parameter(f"{name}.weight").shape[1])) for name in names}
    modes = [(module, module.training) for module in network.modules()]
    with ExitStack() as undo, torch.no_grad():
        for module, training in modes:
            undo.callback(setattr, module, "training", training)
        for name in names:
            hook = network.get_submodule(name).register_forward_pre_hook(_observer(moments[name]))
            undo.callback(hook.remove)
        network.eval()
        for batch in batches:
            (forward or network)(batch)
    unreached = [name for name in names if moments[name].count == 0]
    if unreached:
        raise BenchmarkError(
            f"No calibration row reached {', '.join(unreached)}. AFM needs training rows that pass through every layer "
            "it compresses: give at least one batch, or leave these layers dense."
        )
    return moments


def _observer(moments: InputMoments) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def observe(module: nn.Module, args: tuple[Any, ...]) -> None:
        moments.update(args[0])

    return observe
