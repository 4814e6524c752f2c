"""Layers with int8 weights: rounding bounds, storage, and what trains."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.int8_linear import Int8Linear, linear_bytes
from benchmarks.models.size import stored_bytes


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def test_every_weight_errs_by_half_a_step_of_its_row_at_most() -> None:
    linear = nn.Linear(30, 20)
    with torch.no_grad():
        linear.weight[3] *= 100
    small = Int8Linear.of(linear)
    step = linear.weight.abs().amax(dim=1, keepdim=True) / 127
    error = (small.rows * small.scale[:, None] - linear.weight).abs()
    assert bool((error <= 0.5001 * step).all())
    assert small.rows.abs().max() == 127


def test_it_answers_as_torchs_own_rounding_of_the_same_weights() -> None:
    linear, x = nn.Linear(30, 20), torch.randn(5, 7, 30)
    scale = linear.weight.detach().abs().amax(dim=1) / 127
    torchs = torch.fake_quantize_per_channel_affine(
        linear.weight, scale, torch.zeros(20, dtype=torch.int32), 0, -127, 127
    )
    torch.testing.assert_close(Int8Linear.of(linear)(x), nn.functional.linear(x, torchs, linear.bias))


def test_it_is_stored_in_a_byte_a_weight_and_a_scale_an_output() -> None:
    small = Int8Linear.of(nn.Linear(400, 100, bias=False))
    assert stored_bytes(small) == linear_bytes(400, 100) == 100 * 404
    assert list(small.parameters()) == []


def test_a_row_of_zeros_stays_zero() -> None:
    linear = nn.Linear(4, 2)
    with torch.no_grad():
        linear.weight[0] = 0
    assert not Int8Linear.of(linear).rows[0].any()


def test_a_weight_that_is_not_finite_is_refused() -> None:
    linear = nn.Linear(4, 2)
    with torch.no_grad():
        linear.weight[1, 1] = float("nan")
    with pytest.raises(BenchmarkError, match="NaN or infinity"):
        Int8Linear.of(linear)
