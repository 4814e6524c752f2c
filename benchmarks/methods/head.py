"""The head alone trains: how far the features of a pretrained network carry as they are."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.choose import Choose


@dataclass(frozen=True)
class Head(Choose):
    """Only what the network names in `always_trained` trains, which every adapter trains beside its own."""

    def freeze(self, network: nn.Module) -> None:
        patterns = getattr(network, "always_trained", ())
        if not any(fnmatchcase(name, pattern) for name, _ in network.named_parameters() for pattern in patterns):
            raise BenchmarkError(
                f"The network names no head that every adapter trains: {type(network).__name__}. Type method=bias_norm."
            )
        # Adapt.attached turns the head on, as it does for every adapter.
        network.requires_grad_(False)
