"""Convolutions by wide kernels that learn in parts against nn.Conv2d."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.models.lowrank.surgery import conv_units
from benchmarks.models.wide_conv import MOST_COLUMNS, WideConv2d

FORMS = {
    "seventeen": {"kernel_size": 17, "padding": 8, "bias": False},
    "even and strided": {"kernel_size": (3, 16), "padding": (1, 5), "stride": (1, 3)},
    "dilated in groups": {"kernel_size": (2, 15), "padding": 7, "dilation": (1, 2), "groups": 2},
    "three parts": {"kernel_size": (1, 2 * MOST_COLUMNS + 1)},
    "narrow": {"kernel_size": 3, "padding": 1},
    "circular": {"kernel_size": 17, "padding": 8, "padding_mode": "circular"},
    "by name": {"kernel_size": 17, "padding": "same"},
}


def pair(**form: object) -> tuple[WideConv2d, nn.Conv2d]:
    torch.manual_seed(0)
    wide = WideConv2d(4, 6, **form).double()
    plain = nn.Conv2d(4, 6, **form).double()
    plain.load_state_dict(wide.state_dict())
    return wide, plain


@pytest.mark.parametrize("form", FORMS)
def test_it_answers_and_learns_as_the_plain_one(form: str) -> None:
    wide, plain = pair(**FORMS[form])
    x = torch.randn(2, 4, 20, 41, dtype=torch.float64)
    inputs, answers = [], []
    for conv in (wide, plain):
        inputs.append(x.clone().requires_grad_(True))
        answers.append(conv(inputs[-1]))
        answers[-1].square().sum().backward()
    torch.testing.assert_close(*answers)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    for ours, theirs in zip(wide.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_without_gradients_it_is_the_plain_one_bit_by_bit() -> None:
    wide, plain = pair(**FORMS["seventeen"])
    with torch.no_grad():
        x = torch.randn(1, 4, 30, 30, dtype=torch.float64)
        assert torch.equal(wide(x), plain(x))


def test_it_is_a_convolution_to_whatever_compresses_and_adapts() -> None:
    network = nn.Sequential(WideConv2d(3, 3, 17), nn.ReLU(), nn.Conv2d(3, 3, 1))
    assert list(conv_units(network)) == ["0", "2"]
