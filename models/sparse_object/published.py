"""Published weights of RPCANet and RPCANet++, in the format of the authors: a pickled dict of tensors, read as such."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from benchmarks.models.sparse_object.contrast import factorised
from benchmarks.models.sparse_object.rpcanet_pp import with_unused, without_unused
from benchmarks.models.weights import plain_state, require_fit


def load_published(network: nn.Module, path: Path) -> None:
    """Fills `network` strictly with a .pkl or .pt file; no code of the file is run.

    Parameters of the first stage that never act may be there or not. A network with `dcpm=lowrank` takes the best
    approximations of dense kernels. Anything else that does not fit raises BenchmarkError
    and leaves the network as it was.
    """
    state = plain_state(path)
    has_unused = with_unused({}, network)
    state = factorised(with_unused(state, network) if has_unused else without_unused(state), network)
    require_fit(
        f"The weights {path} do not fit this {type(network).__name__}",
        state,
        network.state_dict(),
        "Choose model= and model.stages= as they were trained.",
    )
    network.load_state_dict(state)
