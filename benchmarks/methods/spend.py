"""A share of a network's parameters to be trained: what always trains of it, and what is left for updates of layers."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.attach import layers_of
from benchmarks.methods.small import is_depthwise, small_parameters
from benchmarks.models.lowrank.update import Layer
from benchmarks.models.size import unique_parameters

SMALL_NETWORK = 1_000_000
"""Parameters below which a network is small: biases, norms and depthwise kernels are then a large part of it."""
SHARE, SHARE_OF_SMALL = 0.07, 0.2
"""The shares of a network that train where none is asked for: the paper's, and what leaves small ones something for updates."""
ROOM = 1.5
"""And at least so many times what always trains, where that is much of a network."""


@dataclass(frozen=True, eq=False)
class Spending:
    """`layers` may be updated, `always` names what trains in any case; `small` of `total` parameters that is, and `left` is
    what updates may have. `share` is what was asked for."""

    layers: dict[str, Layer]
    always: set[str]
    total: int
    small: int
    left: int
    share: float


def spending(network: nn.Module, share: float | None) -> Spending:
    """What may be spent of `share`, or where it is None of 0.07, of 0.2 in networks of less than a million parameters, and of
    half as much again as always trains where that is more.

    Raises BenchmarkError where what always trains leaves nothing.
    """
    patterns = getattr(network, "always_trained", ())
    always = small_parameters(network) | {
        name for name, _ in network.named_parameters() if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    layers = {name: layer for name, layer in adapted_layers(network).items() if f"{name}.weight" not in always}
    total = unique_parameters(network)
    small = sum(parameter.numel() for name, parameter in network.named_parameters() if name in always)
    if share is None:
        share = max(SHARE_OF_SMALL if total < SMALL_NETWORK else SHARE, min(1.0, ROOM * small / total))
    left = int(share * total) - small
    if not layers or left < min(layer.weight.shape[0] + layer.weight[0].numel() for layer in layers.values()):
        least = small + min((layer.weight.shape[0] + layer.weight[0].numel() for layer in layers.values()), default=0)
        raise BenchmarkError(
            f"method.share={share:g} of {total:,} parameters is {int(share * total):,}, and what always trains (biases, norms, "
            f"other vectors, depthwise kernels, heads) has {small:,}: nothing is left for updates. "
            f"Type method.share={-(-least * 100 // total) / 100:g} or more, or method=small."
        )
    return Spending(layers, always, total, small, left, share)


def adapted_layers(network: nn.Module) -> dict[str, Layer]:
    """The layers that may be updated in the order of the network, without depthwise convolutions."""
    found = layers_of(network)
    return {name: found[name] for name, module in network.named_modules() if name in found and not is_depthwise(module)}
