"""The decoder alone trains: the control that spends its numbers on the network's last part instead of on chosen layers.

A control of Park et al., Contribution-based Low-Rank Adaptation with Pre-training Model for Real Image Restoration, ECCV 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.choose import Choose


@dataclass(frozen=True)
class DecoderOnly(Choose):
    """What the network names in `decoder_parameters` (patterns of its parameters' names) trains."""

    def freeze(self, network: nn.Module) -> None:
        patterns = getattr(network, "decoder_parameters", ())
        chosen = {
            name for name, _ in network.named_parameters() if any(fnmatchcase(name, pattern) for pattern in patterns)
        }
        if not chosen:
            raise BenchmarkError(
                f"The network names no decoder in `decoder_parameters`: {type(network).__name__}. Type method=small."
            )
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in chosen)
