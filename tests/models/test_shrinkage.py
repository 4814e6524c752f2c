"""Iterative soft shrinkage: the small numbers shrink after every step, chosen anew, and are zero in the end."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from benchmarks.methods.iss_delta import ISSDelta
from benchmarks.models.lowrank.shrinkage import ShrunkUpdate
from benchmarks.models.lowrank.update import attach


def update(values: torch.Tensor, kept: int, **settings: float) -> ShrunkUpdate:
    made = ShrunkUpdate(torch.ones(values.numel(), 1), kept, **settings)
    with torch.no_grad():
        made.delta.copy_(values)
    return made.train()


def test_without_a_rate_what_is_small_is_a_power_of_the_factor_and_what_is_large_stays() -> None:
    values = torch.tensor([3.0, -0.5, 2.0, 0.1, -1.0])
    made = update(values, kept=2)
    for step in range(7):
        made.after_step(0.01 * step)
    torch.testing.assert_close(made.delta.detach(), values * torch.tensor([1, 0.95**7, 1, 0.95**7, 0.95**7]))


def test_what_was_small_may_come_back() -> None:
    made = update(torch.tensor([3.0, 0.5, 2.0]), kept=1)
    made.after_step(0.1)
    assert made.largest().tolist() == [True, False, False]
    with torch.no_grad():
        made.delta += torch.tensor([0.0, 4.0, 0.0])  # a step of the optimiser
    before = made.delta.detach().clone()
    made.after_step(0.2)
    assert made.largest().tolist() == [False, True, False]
    torch.testing.assert_close(made.delta.detach(), before * torch.tensor([0.95, 1.0, 0.95]))


def test_from_the_given_share_on_the_set_is_fixed_and_the_others_stay_zero() -> None:
    made = update(torch.tensor([3.0, 0.5, -2.0, 0.1]), kept=2, hard_from=0.6)
    made.after_step(0.59)
    assert made.delta.count_nonzero() == 4
    made.after_step(0.6)
    assert made.delta.tolist() == [3.0, 0.0, -2.0, 0.0]
    with torch.no_grad():
        made.delta += torch.tensor([-2.9, 9.0, 0.0, 9.0])  # momentum
    made.after_step(0.7)
    assert made.delta.tolist() == pytest.approx([0.1, 0.0, -2.0, 0.0])
    assert made.largest().tolist() == [True, False, True, False]


def test_outside_of_training_no_more_numbers_count_than_are_kept() -> None:
    made = update(torch.tensor([3.0, 0.5, -2.0, 0.1]), kept=2)
    base = torch.ones(4, 1)
    assert made(base).flatten().tolist() == pytest.approx([4.0, 1.5, -1.0, 1.1])
    assert made.eval()(base).flatten().tolist() == [4.0, 1.0, -1.0, 1.0]
    assert {name: value.tolist() for name, value in made.parts().items()} == {"values": [3.0, -2.0], "places": [0, 2]}


def test_the_set_changes_between_steps_of_training_and_ends_sparse() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(30, 20))
    attach({"0": network[0]}, lambda _, weight: ShrunkUpdate(weight, 60))
    made, sets = network[0].parametrizations.weight[0], []
    optimizer = torch.optim.Adam([made.delta], 0.01)
    goal = torch.randn(20, 30)
    steps = 40
    for step in range(steps):
        x = torch.randn(16, 30)
        optimizer.zero_grad()
        (network(x) - x @ goal.T).square().mean().backward()
        assert made.delta.grad.count_nonzero() == 600  # no mask on gradients
        optimizer.step()
        made.after_step((step + 1) / steps)
        sets.append(made.largest())
    hard = int(0.6 * steps) - 1
    assert sum(not torch.equal(a, b) for a, b in pairwise(sets[: hard + 1])) > 5
    assert all(torch.equal(sets[hard], later) for later in sets[hard:])
    assert made.delta.count_nonzero() <= 60


def test_all_kept_is_a_full_update() -> None:
    values = torch.randn(5)
    made = update(values, kept=9)
    made.after_step(0.1)
    made.after_step(0.9)
    assert torch.equal(made.delta.detach(), values)
    assert torch.equal(made.eval()(torch.zeros(5, 1)).flatten(), values)


def test_every_layer_keeps_the_same_share() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(50, 40), nn.Conv2d(10, 20, 3))
    method = ISSDelta(share=0.1)
    _, kept = method._attach(network)
    counts = [layer.parametrizations.weight[0].kept_numbers for layer in network]
    total = 2000 + 40 + 1800 + 20
    assert sum(counts) == kept
    assert counts[0] / 2000 == pytest.approx(counts[1] / 1800, abs=1e-3)
    assert 0 <= int(0.1 * total) - 60 - kept < 2
