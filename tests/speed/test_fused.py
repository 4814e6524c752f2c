"""Speed of fused click networks, compared within one process: `uv run pytest tests/speed --benchmark-only -p no:cacheprovider`.

A DeepFM over 26 fields of 40,000 ids (embedding_dim 16, three layers of 400), dense and with tables of rank 2 and layers of
rank 64, on one thread. All forms answer the same fresh ids in turn, so that whatever else the machine does disturbs them
alike; medians and ratios are in `extra_info`, written by `--benchmark-json=FILE`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from benchmarks.models.ctr.build import build
from benchmarks.models.ctr.fused import fuse
from benchmarks.models.lowrank.layers import LowRankFieldEmbedding, LowRankLinear
from benchmarks.models.lowrank.surgery import linear_units, replace_module

CARDINALITIES = [40_000] * 26
DIM, WIDTHS, TABLE_RANK, LAYER_RANK = 16, (400, 400, 400), 2, 64
ROUNDS = {1: 3000, 256: 200, 4096: 24}
"""Timed rounds of each batch size, after a tenth as many that are not."""
LEAST = {1: 1.0, 256: 2.5, 4096: 2.5}
"""How many times as fast as the fused dense form the fused low-rank one has to be."""

Forms = dict[str, Callable[[torch.Tensor], torch.Tensor]]


@pytest.fixture(scope="module")
def forms() -> Iterator[Forms]:
    """Dense and low-rank, as they are trained and fused."""
    torch.manual_seed(0)
    dense, low_rank = (build("deepfm", CARDINALITIES, embedding_dim=DIM, hidden_units=WIDTHS).eval() for _ in range(2))
    replace_module(low_rank, "embedding", LowRankFieldEmbedding(CARDINALITIES, DIM, TABLE_RANK, centred=True))
    for name, linear in linear_units(low_rank, low_rank.keep_dense).items():
        replace_module(low_rank, name, LowRankLinear(linear.in_features, linear.out_features, LAYER_RANK))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {"dense": dense, "low rank": low_rank, "fused dense": fuse(dense), "fused low rank": fuse(low_rank)}
    torch.set_num_threads(threads)


@pytest.mark.parametrize("batch", ROUNDS)
def test_a_fused_low_rank_network_is_faster_than_a_fused_dense_one(benchmark, forms: Forms, batch: int) -> None:
    benchmark.group = f"a DeepFM at batch {batch}, one thread"
    medians = alternately(forms, batch, ROUNDS[batch])
    fresh = torch.randint(CARDINALITIES[0], (64, batch, len(CARDINALITIES))).unbind()
    calls = iter(range(2**62))
    with torch.inference_mode():
        benchmark(lambda: forms["fused low rank"](fresh[next(calls) % len(fresh)]))
    ratio = medians["fused dense"] / medians["fused low rank"]
    benchmark.extra_info |= {f"{name}, ms": 1000 * median for name, median in medians.items()} | {"ratio": ratio}
    assert ratio >= LEAST[batch], f"only {ratio:.2f} times as fast: {medians}"


@torch.inference_mode()
def alternately(forms: Forms, batch: int, rounds: int) -> dict[str, float]:
    """Median seconds of each form, each round on ids that none of them has seen."""
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for round_ in range(rounds + rounds // 10):
        ids = torch.randint(CARDINALITIES[0], (batch, len(CARDINALITIES)))
        for name, form in forms.items():
            started = time.perf_counter()
            form(ids)
            if round_ >= rounds // 10:
                taken[name].append(time.perf_counter() - started)
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}
