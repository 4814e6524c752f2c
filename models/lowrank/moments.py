"""Mean and covariance of what enters a linear layer or convolution, gathered in one pass over calibration batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from benchmarks.errors import BenchmarkError

PLACES = 2**14
"""Pixels of a batch at which a convolution's output is looked at: moments of 32 channels need no more, and all pixels of
256 images of 256 x 256 would take longer than the passes through the network."""


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


class OutputMoments(InputMoments):
    """Moments of what a layer puts out, gathered there: good for the weights that it had, and for no others."""

    def update_from(self, images: torch.Tensor) -> None:
        """Adds the pixels of [n, features, h, w]; of more than PLACES so many, drawn by what was seen before."""
        pixels = images.detach().flatten(2)
        total = pixels.shape[0] * pixels.shape[2]
        if total <= PLACES:
            return self.update(pixels.movedim(1, -1))
        drawn = torch.randint(total, (PLACES,), generator=torch.Generator().manual_seed(self.count)).to(pixels.device)
        return self.update(pixels[drawn // pixels.shape[2], :, drawn % pixels.shape[2]])

    def output(self, linear: nn.Linear) -> tuple[torch.Tensor, torch.Tensor]:
        return self.mean, self.covariance


def collect_input_moments(
    network: nn.Module,
    linears: Iterable[str],
    batches: Iterable[Any],
    forward: Callable[[Any], Any] | None = None,
) -> dict[str, InputMoments]:
    """Runs the batches through the network in eval mode and returns the input moments of the named layers.

    Those of a convolution are gathered where they are needed, in its output: a patch has many times as many numbers.

    `forward` takes one batch and calls the network on it (by default `network` itself). Modes and hooks are as before
    when it returns or raises. A layer that no row reaches raises BenchmarkError.
    """
    names = tuple(linears)
    layers = {name: network.get_submodule(name) for name in names}
    moments = {name: _moments_of(layer) for name, layer in layers.items()}
    modes = [(module, module.training) for module in network.modules()]
    with ExitStack() as undo, torch.no_grad():
        for module, training in modes:
            undo.callback(setattr, module, "training", training)
        for name in names:
            hook = _observe(layers[name], moments[name])
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


def _moments_of(layer: nn.Module) -> InputMoments:
    if isinstance(layer, nn.Conv2d):
        return OutputMoments(layer.out_channels)
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    return InputMoments(weight.shape[1])


def _observe(layer: nn.Module, moments: InputMoments) -> RemovableHandle:
    """Has a layer tell its moments whatever enters it, or of a convolution what it puts out, a row a pixel (see PLACES)."""
    if isinstance(moments, OutputMoments):
        return layer.register_forward_hook(lambda module, args, output: moments.update_from(output))
    return layer.register_forward_pre_hook(lambda module, args: moments.update(args[0]))
