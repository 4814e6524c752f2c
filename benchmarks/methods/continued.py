"""The control row: without it, the gain of a few more epochs would pass for a gain of compression."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.method import Compress, Workbench


@dataclass(frozen=True)
class Continued(Compress):
    """The base, trained on for as long as compressed networks are fine-tuned."""

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        return network
