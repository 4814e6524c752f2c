"""Scales and shifts of layer and group norms train beside the head: the little that adapters have to beat.

Zhao et al., Tuning LayerNorm in Attention: Towards Efficient Multi-Modal LLM Finetuning, ICLR 2024. The adapters that SALT is
compared with train the norms as well, so that without this row the gain of the norms would pass for theirs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.choose import Choose

KINDS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Norms(Choose):
    """Layer, group and RMS norms of the body train; biases of layers and batch norms stay, unlike with `bias_norm`."""

    def freeze(self, network: nn.Module) -> None:
        freeze_all_but_norms(network)


def freeze_all_but_norms(network: nn.Module) -> None:
    """Leaves only the norms' scales and shifts trainable, where the network does not list them in `keep_dense`.

    What adapters leave alone (patch embedding, neck, head) thus stays; without such norms BenchmarkError is raised.
    """
    keep = getattr(network, "keep_dense", ())
    norms = [
        module
        for name, module in network.named_modules()
        if isinstance(module, KINDS) and not any(fnmatchcase(name, pattern) for pattern in keep)
    ]
    if not any(list(norm.parameters()) for norm in norms):
        raise BenchmarkError(
            f"The network has no layer or group norms to train: {type(network).__name__}. Type method=bias_norm, or "
            "method.vectors=false beside an adapter."
        )
    network.requires_grad_(False)
    for norm in norms:
        norm.requires_grad_(True)
