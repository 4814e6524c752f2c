"""Weights of a DeepFM that was trained elsewhere, so that a reader can check this one against it."""

from __future__ import annotations

from os import PathLike

import numpy as np
import torch

from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.weights import require_fit


def load_reference_deepfm(network: DeepFM, npz_path: str | PathLike[str]) -> None:
    """Fills `network` with the reference weights for Frappe (embedding_dim 10, hidden_units 400, 400, 400).

    The file holds arrays named as in the state dict of a flat network (`emb`, `lin`, `mlp.<4 i>` linear,
    `mlp.<4 i + 1>` BatchNorm, `out`); it has no global bias, so that of `network` becomes zero. A network of other
    shapes raises BenchmarkError and stays as it was.
    """
    ours = {"emb": "embedding", "lin": "first_order", "out": "mlp.out"}
    for layer in range(len(network.mlp.hidden)):
        ours[f"mlp.{4 * layer}"] = f"mlp.hidden.{layer}.linear"
        ours[f"mlp.{4 * layer + 1}"] = f"mlp.hidden.{layer}.norm"

    state = {"bias": torch.zeros(1)}
    with np.load(npz_path, allow_pickle=False) as arrays:
        for key in arrays.files:
            module, _, tensor = key.rpartition(".")
            state[f"{ours.get(module, module)}.{tensor}"] = torch.from_numpy(arrays[key])

    require_fit(
        "The reference weights do not fit this DeepFM",
        state,
        network.state_dict(),
        "They belong to Frappe with embedding_dim=10, hidden_units=[400,400,400] and batch_norm=true.",
    )
    network.load_state_dict(state)
