"""Magnitude pruning: the smallest weights of the hidden layers are dropped, and stay dropped while the rest is fine-tuned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Self

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Compress, Workbench
from benchmarks.methods.budget import Budget, Sized
from benchmarks.methods.factorize import BYTES_PER_PARAMETER
from benchmarks.models.lowrank.pruned import PrunedLinear, stored_bytes
from benchmarks.models.lowrank.surgery import replace_module, whole_linear_units
from benchmarks.models.size import stored_bytes as network_bytes


@dataclass(frozen=True)
class Prune(Compress, Sized):
    """Every linear layer keeps the `keep` share of its weights that is largest in magnitude.

    Also the one that reads a table's rows, which factorisations leave to the table.

    What is counted is what is stored: the kept weights and a bitmap of their places. Operations and latency are those of the
    dense product, which unstructured zeros do not shorten.
    """

    keep: Annotated[float, Meta(gt=0, lt=1)] = 0.25
    budget: Budget | None = None

    def check(self, bench: Workbench) -> None:
        self._kept(bench.fresh(), bench)

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        for name, (linear, kept) in self._kept(network, bench).items():
            replace_module(network, name, PrunedLinear.of(linear, kept))
        return network

    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        return [replace(self, keep=k / 1000, budget=None) for k in range(1, 961)]

    def size(self, base: nn.Module, bench: Workbench) -> int:
        dense = ((linear.weight.numel(), kept) for linear, kept in self._kept(base, bench).values())
        saved = sum(BYTES_PER_PARAMETER * weights - stored_bytes(weights, kept) for weights, kept in dense)
        return network_bytes(base) - saved

    def _kept(self, network: nn.Module, bench: Workbench) -> dict[str, tuple[nn.Linear, int]]:
        """The layers that may be pruned and how many weights each keeps, at least one; none where the budget holds all."""
        layers = whole_linear_units(network)
        if not layers:
            raise BenchmarkError(f"The network has no linear layer that may be pruned: {type(network).__name__}.")
        fitted = self.fitted(network, bench)
        if fitted is None:
            return {}
        kept = {name: max(1, round(fitted.keep * linear.weight.numel())) for name, linear in layers.items()}
        for name, linear in layers.items():
            weights = linear.weight.numel()
            dense, small = BYTES_PER_PARAMETER * weights, stored_bytes(weights, kept[name])
            if small >= dense:
                raise BenchmarkError(
                    f"method.keep={self.keep} does not make {name} smaller: its {weights:,} weights have {dense:,} bytes dense "
                    f"and {small:,} as {kept[name]:,} weights with a bitmap. Shares up to 0.96 pay; type method.keep=0.5."
                )
        return {name: (linear, kept[name]) for name, linear in layers.items()}
