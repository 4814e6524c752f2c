from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from benchmarks.errors import BenchmarkError
from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.ctr.published import load_reference_deepfm


@pytest.fixture
def frappe() -> Path:
    folder = Path(os.environ.get("BENCH_MIRROR", "")) / "frappe"
    if not (folder / "deepfm_frappe_x1r_ref_weights.npz").is_file():
        pytest.skip("BENCH_MIRROR names no folder with frappe/deepfm_frappe_x1r_ref_weights.npz")
    return folder


def test_reference_weights_reach_their_test_auc(frappe: Path) -> None:
    data = np.load(frappe / "frappe_x1r.npz", allow_pickle=False)
    network = DeepFM(data["cardinality"].tolist())
    load_reference_deepfm(network, frappe / "deepfm_frappe_x1r_ref_weights.npz")
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network(ids) for ids in torch.from_numpy(data["test_x"]).split(4096)])
    assert roc_auc_score(data["test_y"], logits.numpy()) == pytest.approx(0.983132, abs=1e-5)


def test_flat_names_are_mapped_and_the_bias_is_zero(tmp_path: Path) -> None:
    network = DeepFM((3, 2), embedding_dim=2, hidden_units=(4,))
    with torch.no_grad():
        network.bias.fill_(5)
    flat = {"embedding": "emb", "first_order": "lin", "mlp.hidden.0.linear": "mlp.0", "mlp.hidden.0.norm": "mlp.1"}
    flat["mlp.out"] = "out"
    arrays: dict[str, Any] = {}
    for name, tensor in network.state_dict().items():
        module, _, leaf = name.rpartition(".")
        if module:
            arrays[f"{flat[module]}.{leaf}"] = np.full(tuple(tensor.shape), 2, tensor.numpy().dtype)
    np.savez(tmp_path / "weights.npz", **arrays)
    load_reference_deepfm(network, tmp_path / "weights.npz")
    assert network.bias.item() == 0
    assert all((tensor == 2).all() for name, tensor in network.state_dict().items() if name != "bias")


def test_a_network_of_other_shapes_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"emb.weight": np.zeros((7, 2), np.float32)}
    np.savez(tmp_path / "weights.npz", **arrays)
    network = DeepFM((3, 2), embedding_dim=2, hidden_units=(4,))
    before = network.embedding.weight.clone()
    with pytest.raises(BenchmarkError, match=r"embedding\.weight \(7, 2\) for \(5, 2\)"):
        load_reference_deepfm(network, tmp_path / "weights.npz")
    assert torch.equal(network.embedding.weight, before)
