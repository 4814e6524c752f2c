from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.models.mlp import MLP


def test_modules_have_readable_names() -> None:
    names = [
        name for name, module in MLP(6, (5, 4), 0.1).named_modules() if isinstance(module, nn.Linear | nn.BatchNorm1d)
    ]
    assert names == ["hidden.0.linear", "hidden.0.norm", "hidden.1.linear", "hidden.1.norm", "out"]


def test_evaluation_equals_the_layers_written_out() -> None:
    torch.manual_seed(0)
    mlp, x = MLP(6, (5,), dropout=0.5, out_features=2), torch.randn(8, 6)
    mlp(x)
    mlp.eval()
    state = mlp.state_dict()
    h = x @ state["hidden.0.linear.weight"].T + state["hidden.0.linear.bias"]
    h = (h - state["hidden.0.norm.running_mean"]) / (state["hidden.0.norm.running_var"] + 1e-5).sqrt()
    torch.testing.assert_close(mlp(x), h.relu() @ state["out.weight"].T + state["out.bias"])


def test_weights_start_xavier_normal_and_biases_zero() -> None:
    torch.manual_seed(0)
    linear = MLP(300, (500,)).hidden[0].linear
    assert linear.weight.std().item() == pytest.approx((2 / 800) ** 0.5, rel=0.02)
    assert not linear.bias.any()


def test_normalisation_and_activation_are_options() -> None:
    mlp = MLP(6, (5,), batch_norm=False, act_layer=nn.SiLU)
    kinds = {type(module) for module in mlp.modules()}
    assert nn.BatchNorm1d not in kinds
    assert nn.SiLU in kinds


def test_without_hidden_layers_it_is_linear() -> None:
    mlp, x = MLP(6, ()), torch.randn(3, 6)
    assert torch.equal(mlp(x), mlp.out(x))
