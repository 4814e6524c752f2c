"""A sparse update of every layer, learnt by iterative soft shrinkage: the peer of low-rank ones at an equal number of values.

Wang et al., Iterative Soft Shrinkage Learning for Efficient Image Super-Resolution, ICCV 2023, sparsify a network that is
trained from scratch. Here the same is done to what is added to a frozen one, so that none of their figures is reproduced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor, nn

from benchmarks.method import Adapt, Workbench
from benchmarks.methods.spend import Spending, spending
from benchmarks.models.lowrank.shrinkage import ShrunkUpdate
from benchmarks.models.lowrank.update import attach, merge_updates


@dataclass(frozen=True)
class ISSDelta(Adapt):
    """Ends with `share` of the network's parameters changed: small ones, and the same share of every layer's weights.

    Where it is null, it is that of `colora`.
    All of the updates train meanwhile, so that training takes the memory of full fine-tuning. An answer outside of training,
    validation included, is that of the sparse update.
    """

    share: Annotated[float, Meta(gt=0, le=1)] | None = None
    factor: Annotated[float, Meta(ge=0, lt=1)] = 0.95
    hard_from: Annotated[float, Meta(ge=0, le=1)] = 0.6

    def check(self, bench: Workbench) -> None:
        self._attach(bench.fresh().to("meta"))

    def adapt(self, network: nn.Module, bench: Workbench) -> nn.Module:
        spent, kept = self._attach(network)
        bench.note(
            f"{spent.small + kept:,} numbers of {spent.total:,} are changed in the end ({kept:,} of sparse updates, whose "
            "places are stored as well), all of them while training."
        )
        network.adapted = {"share": spent.share, "trained": spent.small + kept}  # type: ignore[assignment]
        return network

    def merged(self, network: nn.Module) -> nn.Module:
        return merge_updates(network)

    def _attach(self, network: nn.Module) -> tuple[Spending, int]:
        """And how many numbers of the updates are left in the end."""
        spent = spending(network, self.share)
        weights = sum(layer.weight.numel() for layer in spent.layers.values())
        kept = {
            name: min(layer.weight.numel(), spent.left * layer.weight.numel() // weights)
            for name, layer in spent.layers.items()
        }
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in spent.always)

        def update(name: str, weight: Tensor) -> ShrunkUpdate:
            return ShrunkUpdate(weight, kept[name], self.factor, self.hard_from)

        attach(spent.layers, update)
        return spent, sum(kept.values())
