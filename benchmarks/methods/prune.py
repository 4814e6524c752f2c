"""Magnitude pruning: the smallest weights of the hidden layers are dropped, and stay dropped while the rest is fine-tuned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Compress, Workbench
from benchmarks.methods.factorize import BYTES_PER_PARAMETER
from benchmarks.models.lowrank.pruned import PrunedLinear, stored_bytes
from benchmarks.models.lowrank.surgery import linear_units, replace_module


@dataclass(frozen=True)
class Prune(Compress):
    """Every linear layer keeps the `keep` share of its weights that is largest in magnitude.

    What is counted is what is stored: the kept weights and a bitmap of their places. Operations and latency are those of the
    dense product, which unstructured zeros do not shorten.
    """

    keep: Annotated[float, Meta(gt=0, lt=1)] = 0.25

    def check(self, bench: Workbench) -> None:
        self._kept(bench.fresh())

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        for name, (linear, kept) in self._kept(network).items():
            replace_module(network, name, PrunedLinear.of(linear, kept))
        return network

    def _kept(self, network: nn.Module) -> dict[str, tuple[nn.Linear, int]]:
        """The layers that may be pruned and how many weights each keeps, at least one."""
        layers = linear_units(network, getattr(network, "keep_dense", ()))
        if not layers:
            raise BenchmarkError(f"The network has no linear layer that may be pruned: {type(network).__name__}.")
        kept = {name: max(1, round(self.keep * linear.weight.numel())) for name, linear in layers.items()}
        for name, linear in layers.items():
            weights = linear.weight.numel()
            dense, small = BYTES_PER_PARAMETER * weights, stored_bytes(weights, kept[name])
            if small >= dense:
                raise BenchmarkError(
                    f"method.keep={self.keep} does not make {name} smaller: its {weights:,} weights have {dense:,} bytes dense "
                    f"and {small:,} as {kept[name]:,} weights with a bitmap. Shares up to 0.96 pay; type method.keep=0.5."
                )
        return {name: (linear, kept[name]) for name, linear in layers.items()}
