"""What the adapters share: which layers get an update, what else trains, and the merging afterwards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor, nn

from benchmarks.datasets import cache
from benchmarks.errors import BenchmarkError
from benchmarks.method import Adapt, Workbench
from benchmarks.methods.bias_norm import freeze_matrices
from benchmarks.methods.norms import freeze_all_but_norms
from benchmarks.models.lowrank.spectrum import Pairs, singular_pairs
from benchmarks.models.lowrank.surgery import conv_units, whole_linear_units
from benchmarks.models.lowrank.update import Layer, RankError, Update, attach, merge_updates


@dataclass(frozen=True)
class Attach(Adapt):
    """Attaches an update to every layer that may be compressed, and to convolutions with groups, and merges it afterwards.

    A layer whose matrix has no rank above that of the update, as one with three channels at its end, trains as a whole.
    With `vectors`, biases, norms and other vectors of the network train as well (see `bias_norm`), or its layer and group
    norms alone (see `norms`). Batch normalisation gathers new statistics in either case, as it does wherever a network is
    trained.
    """

    vectors: bool | Literal["norms"] = False

    @abstractmethod
    def update(self, name: str, weight: Tensor) -> Update:
        """The update of a layer by its name and its weight; raises BenchmarkError where the settings do not fit it."""

    def check(self, bench: Workbench) -> None:
        # Shapes decide; a decomposition of weights that are not the base's would be for nothing.
        network = bench.fresh().to("meta")
        layers = layers_of(network)
        self._freeze(network)
        self._updates(layers)

    def adapt(self, network: nn.Module, bench: Workbench) -> nn.Module:
        if whole := self._attach(network):
            named = ", ".join(whole[:3]) + (f" and {len(whole) - 3} more" if len(whole) > 3 else "")
            bench.note(f"Layers of too low a rank for an update train as a whole: {named}.")
        return network

    def merged(self, network: nn.Module) -> nn.Module:
        return merge_updates(network)

    def _attach(self, network: nn.Module) -> list[str]:
        """And the names of layers that train as a whole; raises BenchmarkError where that would be all of them."""
        layers = layers_of(network)
        self._freeze(network)
        made, whole = self._updates(layers)
        attach({name: layers[name] for name in made}, lambda name, _: made[name])
        for name in whole:
            layers[name].weight.requires_grad_(True)
        return whole

    def _freeze(self, network: nn.Module) -> None:
        """All but what `vectors` trains; raises BenchmarkError where there is nothing of that."""
        if self.vectors == "norms":
            freeze_all_but_norms(network)
        elif self.vectors:
            freeze_matrices(network)
        else:
            network.requires_grad_(False)

    def _updates(self, layers: Mapping[str, Layer]) -> tuple[dict[str, Update], list[str]]:
        """The update of every layer that gets one, and the names of those that train as a whole."""
        made: dict[str, Update] = {}
        small: dict[str, RankError] = {}
        for name, layer in layers.items():
            try:
                made[name] = self.update(name, layer.weight.detach())
            except RankError as error:
                small[name] = error
        if not made:
            raise next(iter(small.values()))
        return made, list(small)


def layers_of(network: nn.Module) -> dict[str, Layer]:
    """The layers that may be updated, by name; a network without any raises BenchmarkError."""
    layers = whole_linear_units(network) | conv_units(network, getattr(network, "keep_dense", ()), every=True)
    if not layers:
        raise BenchmarkError(
            f"The network has no linear layer or convolution that may be updated: {type(network).__name__}."
        )
    return layers


def pairs_of(weight: Tensor) -> Pairs:
    """The singular pairs of a weight; those of large ones are kept below the data cache."""
    return singular_pairs(weight, folder())


def folder() -> Path:
    """Where singular pairs lie, by the sha256 of the weight; it may be removed at any time."""
    return cache.root() / "singular_pairs"
