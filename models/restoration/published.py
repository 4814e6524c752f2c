"""Checkpoints of restoration networks as their authors write them, out of what wraps them, loaded strictly."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from benchmarks.models.weights import plain_state, require_fit

WRAPPERS = ("params_ema", "params", "state_dict")
"""Keys under which BasicSR (NAFNet, Restormer) and others keep the tensors; a moving average comes first."""
PREFIX = "module."


def load_published(network: nn.Module, path: Path) -> None:
    """Fills `network` strictly with a .pth file; no code of the file is run.

    Raises BenchmarkError with all names that are missing, left over or of another shape, and leaves the network as it was.
    """
    state = {name.removeprefix(PREFIX): value for name, value in plain_state(path, WRAPPERS).items()}
    require_fit(
        f"The checkpoint {path} does not fit this {type(network).__name__}",
        state,
        network.state_dict(),
        "Choose model= as it was trained, and set its layout (model.width, model.encoder, ...).",
    )
    network.load_state_dict(state)
