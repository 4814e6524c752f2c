"""Published weights of RPCANet and RPCANet++, in the format of the authors: a pickled dict of tensors, read as such."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.sparse_object.contrast import factorised
from benchmarks.models.sparse_object.rpcanet_pp import with_unused, without_unused


def load_published(network: nn.Module, path: Path) -> None:
    """Fills `network` strictly with a .pkl or .pt file; no code of the file is run.

    Parameters of the first stage that never act may be there or not. A network with `dcpm=lowrank` takes the best
    approximations of dense kernels. Anything else that does not fit raises BenchmarkError
    and leaves the network as it was.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        sizes = {name: tuple(value.shape) for name, value in state.items()}
    except (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError) as error:
        raise BenchmarkError(f"{path} holds no plain state dict of tensors: {str(error).splitlines()[0]}") from error
    has_unused = with_unused({}, network)
    state = factorised(with_unused(state, network) if has_unused else without_unused(state), network)
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    sizes = {name: tuple(value.shape) for name, value in state.items()}
    wrong = sorted(name for name in wanted.keys() | sizes.keys() if wanted.get(name) != sizes.get(name))
    if wrong:
        first = wrong[0]
        raise BenchmarkError(
            f"The weights {path} do not fit this {type(network).__name__}: {first} is {sizes.get(first, 'absent')} in the file "
            f"and {wanted.get(first, 'absent')} in the network ({len(wanted)} entries, {len(wrong)} differ). Choose model= and "
            "model.stages= as they were trained."
        )
    network.load_state_dict(state)
