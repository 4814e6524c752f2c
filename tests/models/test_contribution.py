"""Contributions add up to what the loss fell by, and are absolute per image and entry only after the path is summed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from benchmarks.models.lowrank.contribution import (
    Batch,
    change_scores,
    contributions,
    gradient_scores,
    group_score,
)


def convnet(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.GELU(), nn.GroupNorm(2, 6), nn.Conv2d(6, 3, 3, padding=1)]
    return nn.Sequential(*layers).double().eval()


def images(n: int = 3, side: int = 12) -> list[Batch]:
    generator = torch.Generator().manual_seed(3)
    return [
        {name: torch.rand(1, 3, side, side, generator=generator, dtype=torch.float64) for name in ("x", "y")}
        for _ in range(n)
    ]


def squares(network: nn.Module, batch: Batch) -> Tensor:
    return (network(batch["x"]) - batch["y"]).square().sum()


def tuned(network: nn.Module) -> dict[str, Tensor]:
    """The parameters after some steps on other images."""
    other = copy.deepcopy(network)
    optimizer = torch.optim.Adam(other.parameters(), 0.01)
    for batch in images(8)[3:] * 12:
        optimizer.zero_grad()
        squares(other, batch).backward()
        optimizer.step()
    return {name: parameter.detach() for name, parameter in other.named_parameters()}


@torch.no_grad()
def fall(network: nn.Module, target: dict[str, Tensor], batch: Batch) -> float:
    return float(squares(network, batch) - squares(with_parameters(network, target), batch))


def with_parameters(network: nn.Module, values: dict[str, Tensor]) -> nn.Module:
    other = copy.deepcopy(network)
    other.load_state_dict(values, strict=False)
    return other


def oracle(network: nn.Module, target: dict[str, Tensor], batches: list[Batch], points: int) -> dict[str, Tensor]:
    """Each image's attributions [images, ...], by loading a network at every point, as the authors of FAIG do."""
    found: dict[str, list[Tensor]] = {name: [] for name in target}
    for batch in batches:
        sums = {name: torch.zeros_like(value) for name, value in target.items()}
        for m in range(points):
            alpha = (m + 0.5) / points
            start = dict(network.named_parameters())
            there = with_parameters(
                network, {name: alpha * start[name].detach() + (1 - alpha) * target[name] for name in target}
            )
            squares(there, batch).backward()
            for name, parameter in there.named_parameters():
                sums[name] += (start[name].detach() - target[name]) * parameter.grad
        for name in target:
            found[name].append(sums[name] / points)
    return {name: torch.stack(values) for name, values in found.items()}


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_scores_are_those_of_a_plain_loop(at_once: int) -> None:
    network, batches = convnet(), images()
    target = tuned(network)
    expected = oracle(network, target, batches, points=4)
    found = contributions(network, target, squares, batches, points=4, at_once=at_once)
    for name, value in expected.items():
        assert found.scores[name] == pytest.approx(float(value.abs().mean()), rel=1e-9)
    signed = sum(value.flatten(1).sum(1) for value in expected.values())
    assert found.signed == pytest.approx(signed.tolist(), rel=1e-9)


def test_ten_midpoints_are_complete_within_two_percent_and_better_than_four() -> None:
    network, batches = convnet(), images()
    target = tuned(network)
    exact = [fall(network, target, batch) for batch in batches]
    ten, four = (contributions(network, target, squares, batches, points=m).signed for m in (10, 4))
    assert ten == pytest.approx(exact, rel=0.02)
    assert max(abs(a - b) for a, b in zip(ten, exact, strict=True)) < max(
        abs(a - b) for a, b in zip(four, exact, strict=True)
    )


def test_a_layer_that_was_not_tuned_contributes_exactly_nothing() -> None:
    network = convnet()
    target = tuned(network) | {
        name: p.detach().clone() for name, p in network.named_parameters() if name.startswith("3.")
    }
    scores = contributions(network, target, squares, images()).scores
    assert scores["3.weight"] == scores["3.bias"] == 0.0
    assert scores["0.weight"] > 0
    assert scores["2.weight"] > 0


class Line(nn.Module):
    """x times two numbers that meet nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.swings, self.drifts = (nn.Parameter(torch.zeros(1, dtype=torch.float64)) for _ in range(2))


def there_and_back(network: nn.Module, batch: Batch) -> Tensor:
    """Along the way from 0 to 1 the loss rises and falls by `swings`, and hardly falls by `drifts`."""
    return batch["x"] * torch.sin(2 * torch.pi * network.swings).sum() - 0.1 * network.drifts.sum()


def test_absolute_values_are_taken_after_the_path_is_summed() -> None:
    network = Line()
    target = {name: torch.ones(1, dtype=torch.float64) for name, _ in network.named_parameters()}
    one = [{"x": torch.tensor(1.0, dtype=torch.float64)}]
    found = contributions(network, target, there_and_back, one, points=10).scores
    assert found["swings"] == pytest.approx(0, abs=1e-9)
    assert found["drifts"] == pytest.approx(0.1)
    # Taken at every point, or from the gradient alone, the ranking is the other one.
    at_points = {"swings": 0.0, "drifts": 0.0}
    for m in range(10):
        values = {name: torch.full((1,), (m + 0.5) / 10, dtype=torch.float64) for name in target}
        there = with_parameters(network, values)
        there_and_back(there, one[0]).backward()
        at_points = {name: at_points[name] + float(p.grad.abs()) / 10 for name, p in there.named_parameters()}
    assert at_points["swings"] > at_points["drifts"]
    gradients = gradient_scores(network, there_and_back, one, of=target)
    assert gradients["swings"] > gradients["drifts"]


def test_images_that_contradict_each_other_both_count() -> None:
    network = Line()
    target = {"swings": torch.full((1,), 0.25, dtype=torch.float64), "drifts": torch.zeros(1, dtype=torch.float64)}
    two = [{"x": torch.tensor(sign, dtype=torch.float64)} for sign in (1.0, -1.0)]
    found = contributions(network, target, there_and_back, two, points=40)
    assert found.scores["swings"] == pytest.approx(1.0, rel=1e-3)
    assert sum(found.signed) == pytest.approx(0, abs=1e-9)


def drawn(network: nn.Module, batch: Batch) -> Tensor:
    """A crop at a random place, as losses of tasks take them: no number that vmap could follow."""
    row = int(torch.randint(5, ()))
    return squares(network, {name: value[:, :, row : row + 8] for name, value in batch.items()})


def test_what_a_loss_draws_is_the_same_along_the_way_and_the_generator_is_left_alone() -> None:
    network, batches = convnet(), images()
    target = tuned(network)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one = contributions(network, target, drawn, batches, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    exact = []
    for index, batch in enumerate(batches):
        torch.manual_seed(5 + index)
        row = int(torch.randint(5, ()))
        cut = {name: value[:, :, row : row + 8] for name, value in batch.items()}
        exact.append(fall(network, target, cut))
    assert one.signed == pytest.approx(exact, rel=0.02)
    assert contributions(network, target, drawn, batches, seed=5, at_once=3) == one  # vmap cannot, the loop does
    assert contributions(network, target, drawn, batches, seed=6) != one


def test_only_what_is_asked_for_is_scored_and_groups_are_means_of_entries() -> None:
    network, batches = convnet(), images()
    target = tuned(network)
    whole = contributions(network, target, squares, batches).scores
    part = contributions(network, target, squares, batches, of={"0.bias", "3.bias"}).scores
    assert part == pytest.approx({name: whole[name] for name in ("0.bias", "3.bias")})
    assert group_score(part, network, {"0.bias", "3.bias"}) == pytest.approx(
        (6 * part["0.bias"] + 3 * part["3.bias"]) / 9
    )
    assert change_scores(network, target, of={"0.bias"}) == pytest.approx(
        {"0.bias": float((target["0.bias"] - network[0].bias).abs().mean())}
    )
    assert all(parameter.grad is None for parameter in network.parameters())
