"""SSF: outputs of every layer are scaled and shifted, which its weight and bias take up afterwards.

Lian et al., Scaling & Shifting Your Features: A New Baseline for Efficient Model Tuning, NeurIPS 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from benchmarks.methods.attach import Attach, layers_of
from benchmarks.models.lowrank.scaling import ScaleUpdate
from benchmarks.models.lowrank.update import Update


@dataclass(frozen=True)
class SSF(Attach):
    """Scales one number an output of each layer; shifts are trained as the bias that they merge into.

    A layer without bias gets no shift, so that what is merged has the form of the base. Norms have a scale and a shift of
    their own, which train as well.
    """

    def update(self, name: str, weight: Tensor) -> Update:
        return ScaleUpdate(weight)

    def _attach(self, network: nn.Module) -> list[str]:
        layers = layers_of(network)
        whole = super()._attach(network)
        for name, module in network.named_modules():
            if (name in layers or _is_norm(module)) and isinstance(getattr(module, "bias", None), nn.Parameter):
                module.bias.requires_grad_(True)
            if _is_norm(module) and isinstance(getattr(module, "weight", None), nn.Parameter):
                module.weight.requires_grad_(True)
        return whole


def _is_norm(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()
