"""The diffusion prior itself, trained on colour images or loaded: what hir_diff begins with, and a denoiser in one step."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Train, Workbench
from benchmarks.solver import NetworkSolver, Solver


@dataclass(frozen=True)
class Prior(Train):
    """The configured U-Net; it has seen no cube, whatever it is tested on."""

    def build(self, bench: Workbench) -> nn.Module:
        if "image" not in bench.data.train.columns:
            raise BenchmarkError(
                "method=prior trains on colour images, and this data set has none. Type data=rgb_photos, or method=hir_diff, "
                "which trains its prior there where the store lacks it."
            )
        return bench.fresh()

    def produce(self, bench: Workbench) -> Solver:
        network = bench.pretrained()
        return NetworkSolver(bench.task, network, bench.data.schema) if network is not None else super().produce(bench)
