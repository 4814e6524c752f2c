"""Speed, compared within one process: `uv run pytest tests/speed --benchmark-only -p no:cacheprovider`.

Each group holds the layer of the suite and what it replaces; read the ratio of the medians, never a time on its own.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.models.dropout import FastDropout
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.layers import LowRankLinear

BATCH, WIDTH, FIELDS, ROWS, DIM = 4096, 400, 26, 40_000, 16


@pytest.mark.parametrize("layer", [nn.Dropout(0.2), FastDropout(0.2)], ids=["nn.Dropout", "FastDropout"])
def test_dropout(benchmark, layer):
    benchmark.group = "dropout, forward and backward"
    x = torch.randn(BATCH, WIDTH, requires_grad=True)
    benchmark(lambda: layer.train()(x).sum().backward())


@pytest.mark.parametrize("rank", [None, 64, 16])
def test_linear(benchmark, rank):
    benchmark.group = f"linear {WIDTH} to {WIDTH} at batch {BATCH}"
    layer = nn.Linear(WIDTH, WIDTH) if rank is None else LowRankLinear(WIDTH, WIDTH, rank)
    x = torch.randn(BATCH, WIDTH)
    with torch.inference_mode():
        benchmark(layer, x)


@pytest.mark.parametrize("batch", [1, 256])
@pytest.mark.parametrize("fused", [False, True], ids=["a table a field", "one table"])
def test_lookup(benchmark, batch, fused):
    benchmark.group = f"{FIELDS} lookups at batch {batch}"
    ids = torch.randint(0, ROWS, (batch, FIELDS))
    tables = nn.ModuleList(nn.Embedding(ROWS, DIM) for _ in range(0 if fused else FIELDS))
    table = FieldEmbedding([ROWS] * FIELDS, DIM) if fused else None
    with torch.inference_mode():
        if table is not None:
            benchmark(table, ids)
        else:
            benchmark(lambda: torch.stack([each(ids[:, field]) for field, each in enumerate(tables)], dim=1))
