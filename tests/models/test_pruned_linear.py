from __future__ import annotations

import json
import math

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.pruned import PrunedLinear, stored_bytes


def pruned(kept: int = 11, bias: bool = True) -> tuple[nn.Linear, PrunedLinear]:
    torch.manual_seed(0)
    linear = nn.Linear(7, 5, bias=bias)
    return linear, PrunedLinear.of(linear, kept)


@pytest.mark.parametrize("bias", [True, False])
def test_the_weights_of_largest_magnitude_are_kept(bias: bool) -> None:
    linear, layer = pruned(bias=bias)
    weight = linear.weight.detach()
    threshold = weight.abs().flatten().sort(descending=True).values[10]
    expected = torch.where(weight.abs() >= threshold, weight, 0.0)
    x = torch.randn(4, 3, 7)
    assert torch.equal(layer.dense(), expected)
    assert torch.equal(layer(x), nn.functional.linear(x, expected, linear.bias))


def test_training_moves_what_was_kept_and_nothing_else() -> None:
    _, layer = pruned()
    before = layer.dense().detach()
    optimizer = torch.optim.AdamW(layer.parameters(), 0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.randn(8, 7)).square().sum().backward()
        optimizer.step()
    after = layer.dense().detach()
    assert torch.equal(after == 0, before == 0)
    assert (after != before).sum() == 11


def test_stored_are_the_values_and_one_bit_a_weight() -> None:
    _, layer = pruned(bias=False)
    state = layer.state_dict()
    assert {name: (value.dtype, value.numel()) for name, value in state.items()} == {
        "values": (torch.float32, 11),
        "bitmap": (torch.uint8, 5),
    }
    assert sum(value.nbytes for value in state.values()) == stored_bytes(35, 11)


@pytest.mark.parametrize("kept", [1, 11, 34, 35])
def test_blueprint_and_state_rebuild_the_layer(kept: int) -> None:
    _, layer = pruned(kept)
    again = PrunedLinear(**json.loads(json.dumps(layer.blueprint())))
    again.load_state_dict(layer.state_dict())
    assert again.blueprint() == layer.blueprint()
    assert torch.equal(again.dense(), layer.dense())


def test_no_weight_and_a_broken_one_are_refused() -> None:
    linear, _ = pruned()
    for kept in (0, 36):
        with pytest.raises(BenchmarkError, match="give 1 to 35"):
            PrunedLinear.of(linear, kept)
    with torch.no_grad():
        linear.weight[0, 0] = math.nan
    with pytest.raises(BenchmarkError, match="NaN or infinity"):
        PrunedLinear.of(linear, 3)
