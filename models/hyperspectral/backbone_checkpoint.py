"""Weights of a user's own for a backbone: state dicts in the layout of timm, which torchgeo's are in, of any set of bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.models.hyperspectral.backbone import Backbone
from benchmarks.models.weights import plain_state, require_fit

WRAPPERS = ("state_dict", "model")
"""Keys under which trainers keep the tensors."""
PREFIXES = ("module.", "model.", "backbone.")
"""What trainers put before timm's names, in any order."""


def load_checkpoint(network: Backbone, path: Path) -> None:
    """Fills the backbone strictly with a .pth or .safetensors file, and leaves the head at random; no code of the file is run.

    Heads and what was cut off of the network are left out. The first convolution is made for the network's bands (see
    `for_bands`). Raises BenchmarkError with all names that are missing, left over or of another shape, and leaves the network
    as it was.
    """
    state = _unprefixed(_tensors(path), path)
    own = network.body.state_dict()
    config = network.body.pretrained_cfg
    first, heads = (_names(config.get(key)) for key in ("first_conv", "classifier"))
    for name in (f"{name}.weight" for name in first):
        if name in state and name in own and state[name].ndim == 4:
            state[name] = _for_network(network, state[name], path)
    ignored = tuple(f"{name}." for name in heads)
    used = {
        name: value
        for name, value in state.items()
        if name in own or not (name in network.cut_off or name.startswith(ignored))
    }
    require_fit(
        f"The checkpoint {path} does not fit timm's {network.name}",
        used,
        own,
        "Type model.network= as the file was made, or model.checkpoint=null to begin at random.",
    )
    network.body.load_state_dict(used)


def for_bands(kernel: Tensor, given: Sequence[float], own: Sequence[float]) -> Tensor:
    """Kernels [out, len(given), y, x] of bands at wavelengths `given` -> [out, len(own), y, x], for those at `own`.

    Each band has the kernel of the nearest one, times len(given) / len(own), so that sums over bands keep their scale.
    """
    apart = (torch.tensor(own, dtype=torch.float64)[:, None] - torch.tensor(given, dtype=torch.float64)).abs()
    return kernel[:, apart.argmin(1)] * (len(given) / len(own))


def _for_network(network: Backbone, kernel: Tensor, path: Path) -> Tensor:
    given, count, own = network.checkpoint_bands, kernel.shape[1], len(network.bands)
    if given is None and count == own:
        return kernel
    if given is None:
        raise BenchmarkError(
            f"The checkpoint {path} was made for {count} bands, and the network is trained on {own}. Type the wavelengths of the "
            f"{count} in nm, in the file's order: model.checkpoint_bands=[490,560,665,...]. Every band of training then begins "
            "with the kernel of the nearest one."
        )
    if len(given) != count:
        raise BenchmarkError(
            f"model.checkpoint_bands has {len(given)} wavelengths, and the checkpoint {path} was made for {count} bands. Type "
            f"{count} of them, in nm and in the file's order."
        )
    return for_bands(kernel, given, network.bands.own.tolist())


def _tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".safetensors":
        return plain_state(path, WRAPPERS)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise BenchmarkError(f"{path} is no safetensors file: {error}.") from error


def _unprefixed(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors by timm's own names."""
    found: dict[str, Tensor] = {}
    for given, value in state.items():
        name = given
        while name.startswith(PREFIXES):
            name = name.partition(".")[2]
        if name in found:
            raise BenchmarkError(
                f"The checkpoint {path} has two tensors that are '{name}' without {', '.join(PREFIXES)} in front. Save the "
                "state dict of the backbone alone."
            )
        found[name] = value
    return found


def _names(given: str | Sequence[str] | None) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())
