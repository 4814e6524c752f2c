"""Our DeepFM beside FuxiCTR's, in one process, alternating: training steps and latency at the sizes of Frappe.

FuxiCTR is not among our dependencies (it brings Ray along): `pip install fuxictr==2.3.10`. Its DeepFM is put together here
from its own layers and runs its own training step; batches lie in memory for both, prepared before the clock starts.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.ctr.task import CTR
from benchmarks.models.ctr.fused import fuse
from benchmarks.models.lowrank.surgery import linear_units, replace_module
from benchmarks.models.lowrank.svd import svd_linear
from benchmarks.solver import build

fuxictr = pytest.importorskip("fuxictr", reason="the peer is not installed: pip install fuxictr==2.3.10")

CARDINALITIES = [957, 4082, 7, 7, 2, 3, 2, 9, 80, 233]
FIELDS = [f"field{number}" for number in range(len(CARDINALITIES))]
SETTINGS = {"embedding_dim": 10, "hidden_units": [400, 400, 400], "dropout": 0.2, "regularizer": 0.05}
BATCH, CLIP, RATE = 4096, 10.0, 1e-3
THREADS = 2
WARM_UP, STEPS = 5, 40
ROUNDS = {1: 3000, 256: 600, 4096: 60}

Batch = dict[str, torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def batch_of(size: int) -> Batch:
    ids = torch.stack([torch.randint(rows, (size,)) for rows in CARDINALITIES], dim=1)
    return {"ids": ids, "label": torch.randint(2, (size,)).float()}


def for_peer(batch: Batch) -> Batch:
    return {name: batch["ids"][:, place] for place, name in enumerate(FIELDS)} | {"label": batch["label"]}


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """FuxiCTR's DeepFM: its feature embedding, factorisation machine and MLP, its loss, optimiser and clipping."""
    from fuxictr.features import FeatureMap
    from fuxictr.pytorch.layers import FactorizationMachine, FeatureEmbedding, MLP_Block
    from fuxictr.pytorch.models import BaseModel

    logging.getLogger().setLevel(logging.ERROR)
    features = FeatureMap("frappe", str(tmp_path_factory.mktemp("peer")))
    features.labels, features.default_emb_dim = ["label"], SETTINGS["embedding_dim"]
    features.features = OrderedDict(
        (name, {"type": "categorical", "source": "", "vocab_size": rows})
        for name, rows in zip(FIELDS, CARDINALITIES, strict=True)
    )
    features.num_fields, features.total_features = len(FIELDS), sum(CARDINALITIES)
    features.set_column_index()

    class DeepFM(BaseModel):
        def __init__(self) -> None:
            place = str(tmp_path_factory.mktemp("checkpoints"))
            super().__init__(
                features, embedding_regularizer=SETTINGS["regularizer"], verbose=0, model_root=place, metrics=[]
            )
            self.embedding_layer = FeatureEmbedding(features, SETTINGS["embedding_dim"])
            self.fm = FactorizationMachine(features)
            self.mlp = MLP_Block(
                input_dim=len(FIELDS) * SETTINGS["embedding_dim"],
                output_dim=1,
                hidden_units=SETTINGS["hidden_units"],
                hidden_activations="relu",
                dropout_rates=SETTINGS["dropout"],
                batch_norm=True,
            )
            self.compile("adam", "binary_crossentropy", RATE)
            self.reset_parameters()
            self._max_gradient_norm = CLIP

        def forward(self, inputs: Batch) -> dict[str, torch.Tensor]:
            chosen = self.get_inputs(inputs)
            embeddings = self.embedding_layer(chosen)
            logits = self.fm(chosen, embeddings) + self.mlp(embeddings.flatten(start_dim=1))
            return {"y_pred": self.output_activation(logits)}

    return DeepFM()


@pytest.fixture(scope="module")
def ours() -> nn.Module:
    return build(CTR(), "deepfm", SETTINGS, {"cardinalities": CARDINALITIES})


def step_of(network: nn.Module) -> Callable[[Batch], None]:
    """The trainer's step: loss with the whole tables' regulariser, clipping, fused Adam."""
    task, optimizer = CTR(), torch.optim.Adam(network.parameters(), RATE, fused=True)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        task.loss(network, batch).backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()

    return step


def medians(calls: dict[str, Callable[[Batch], Any]], inputs: Callable[[], dict[str, Batch]], warm: int, rounds: int):
    """Median seconds of each call, in turn on the same fresh batch."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(warm + rounds):
        batches = inputs()
        for name, call in calls.items():
            started = time.perf_counter()
            call(batches[name])
            if number >= warm:
                taken[name].append(time.perf_counter() - started)
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def test_they_have_the_same_parameters(peer: Any, ours: nn.Module) -> None:
    counts = [sum(parameter.numel() for parameter in network.parameters()) for network in (peer, ours)]
    assert counts[0] == counts[1] == 423_204


def test_a_training_step_is_one_and_a_half_times_as_fast(benchmark, peer: Any, ours: nn.Module) -> None:
    benchmark.group = f"training DeepFM, batch {BATCH}, {THREADS} threads"
    peer.train(), ours.train()

    def inputs() -> dict[str, Batch]:
        batch = batch_of(BATCH)
        return {"peer": for_peer(batch), "ours": batch}

    step = step_of(ours)
    found = medians({"peer": peer.train_step, "ours": step}, inputs, WARM_UP, STEPS)
    batch = batch_of(BATCH)
    benchmark.pedantic(step, (batch,), rounds=3)
    ratio = found["peer"] / found["ours"]
    benchmark.extra_info |= {f"{name}, ms": 1000 * median for name, median in found.items()} | {"ratio": ratio}
    assert ratio >= 1.5, found


@torch.inference_mode()
@pytest.mark.parametrize("size", ROUNDS)
def test_inference_beside_the_peers_uncompressed_network(benchmark, peer: Any, ours: nn.Module, size: int) -> None:
    benchmark.group = f"DeepFM at batch {size}, {THREADS} threads"
    peer.eval(), ours.eval()
    low_rank = build(CTR(), "deepfm", SETTINGS, {"cardinalities": CARDINALITIES}).eval()
    for name, linear in linear_units(low_rank, low_rank.keep_dense).items():
        replace_module(low_rank, name, svd_linear(linear).truncate(16))
    forms = {"ours": ours, "fused": fuse(ours), "compressed": low_rank, "compressed, fused": fuse(low_rank)}
    calls = {"peer": peer.forward} | {name: lambda batch, form=form: form(batch["ids"]) for name, form in forms.items()}

    def inputs() -> dict[str, Batch]:
        batch = batch_of(size)
        return {"peer": for_peer(batch)} | dict.fromkeys(forms, batch)

    found = medians(calls, inputs, ROUNDS[size] // 10, ROUNDS[size])
    benchmark(calls["compressed, fused"], batch_of(size))
    ratios = {f"peer / {name}": found["peer"] / found[name] for name in forms}
    benchmark.extra_info |= {f"{name}, ms": 1000 * median for name, median in found.items()} | ratios
    if size == 1:
        assert ratios["peer / fused"] >= 3, found
    if size == 256:
        assert ratios["peer / compressed, fused"] >= 2, found
