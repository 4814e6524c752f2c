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


@dataclass(frozen=True, eq=False)
class Spending:
    """`layers` may be updated, `always` names what trains in any case; `small` of `total` parameters that is, and `left` is
    what updates may have."""

    layers: dict[str, Layer]
    always: set[str]
    total: int
    small: int
    left: int


def spending(network: nn.Module, share: float) -> Spending:
    """What may be spent of `share`; raises BenchmarkError where what always trains leaves nothing."""
    patterns = getattr(network, "always_trained", ())
    always = small_parameters(network) | {
        name for name, _ in network.named_parameters() if any(fnmatchcase(name, pattern) for pattern in patterns)
    }
    layers = {name: layer for name, layer in adapted_layers(network).items() if f"{name}.weight" not in always}
    total = unique_parameters(network)
    small = sum(parameter.numel() for name, parameter in network.named_parameters() if name in always)
    left = int(share * total) - small
    if not layers or left < min(layer.weight.shape[0] + layer.weight[0].numel() for layer in layers.values()):
        least = small + min((layer.weight.shape[0] + layer.weight[0].numel() for layer in layers.values()), default=0)
        raise BenchmarkError(
            f"method.share={share:g} of {total:,} parameters is {int(share * total):,}, and what always trains (biases, norms, "
            f"other vectors, depthwise kernels, heads) has {small:,}: nothing is left for updates. "
            f"Type method.share={-(-least * 100 // total) / 100:g} or more, or method=small."
        )
    return Spending(layers, always, total, small, left)


def adapted_layers(network: nn.Module) -> dict[str, Layer]:
    """The layers that may be updated in the order of the network, without depthwise convolutions."""
    found = layers_of(network)
    return {name: found[name] for name, module in network.named_modules() if name in found and not is_depthwise(module)}
