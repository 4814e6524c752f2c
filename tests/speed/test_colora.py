"""Speed of CoLoRA, compared within one process: `uv run pytest tests/speed --benchmark-only -p no:cacheprovider`.

NAFNet of width 32, on one thread, in turns; times are those that the processor spent on this process. A step is forward,
backward and AdamW in the layout of SIDD, on two squares of 128 pixels: it spares the gradients of weights of many channels, and
pays for building those of few. Medians and ratios are in `extra_info`, and the ratio at nafnet_small's own training size, where a
step is short and its many small calls weigh more: told, and not asserted.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.methods.colora import apply_plan
from benchmarks.methods.spend import spending
from benchmarks.models.lowrank.contribution import Batch, contributions
from benchmarks.models.lowrank.rank_plan import Matrix, even_scores, ranks_within
from benchmarks.models.lowrank.update import matrix_shape
from benchmarks.models.restoration.nafnet import NAFNet
from benchmarks.models.size import unique_parameters

SHARE, ROUNDS = 0.07, 5


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def nafnet(*blocks: object, width: int = 32) -> NAFNet:
    """Of which nothing is the identity any more."""
    torch.manual_seed(0)
    network = NAFNet(width, *blocks)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith((".beta", ".gamma")):
                parameter.fill_(0.3)
    return network


def with_updates(network: nn.Module, share: float | None) -> nn.Module:
    spent = spending(network, share)
    layers = {name: Matrix(*matrix_shape(layer.weight)) for name, layer in spent.layers.items()}
    apply_plan(network, ranks_within(layers, even_scores(layers), spent.left), spent, seed=0)
    return network


def loss(network: nn.Module, batch: Batch) -> Tensor:
    return (network(batch["image"]) - batch["clean"]).square().mean()


def given(n: int, side: int) -> Batch:
    return {"image": torch.rand(n, 3, side, side), "clean": torch.rand(n, 3, side, side)}


def step(network: nn.Module) -> Callable[[Batch], None]:
    trains = [parameter for parameter in network.train().parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trains, 1e-4, fused=True)

    def run(batch: Batch) -> None:
        optimizer.zero_grad()
        loss(network, batch).backward()
        optimizer.step()

    return run


def steps(full: NAFNet, share: float | None, batch: Batch, rounds: int) -> dict[str, float]:
    """Median processor seconds of a step of all parameters, and of one of CoLoRA's `share`."""
    forms = {"colora": step(with_updates(copy.deepcopy(full), share)), "full": step(full)}
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for round_ in range(rounds + 1):
        for name, form in forms.items():
            started = time.process_time()
            form(batch)
            if round_:
                taken[name].append(time.process_time() - started)
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def test_a_step_takes_no_longer_than_one_of_full_fine_tuning(benchmark) -> None:
    medians = steps(nafnet(), SHARE, given(2, 128), ROUNDS)
    small = steps(nafnet((1, 1, 2), 2, (1, 1, 1), width=16), None, given(4, 64), 8 * ROUNDS)
    ratio = medians["colora"] / medians["full"]
    benchmark.extra_info |= {f"{name}, ms": 1000 * median for name, median in medians.items()}
    benchmark.extra_info |= {"ratio": ratio, "ratio, small": small["colora"] / small["full"]}
    benchmark.pedantic(step(with_updates(nafnet(), SHARE)), (given(2, 128),), rounds=1)
    assert ratio <= 1, f"{ratio:.2f} times as long: {medians}"


def test_contributions_take_hardly_longer_than_their_gradients(benchmark) -> None:
    network = nafnet((1, 1, 1), 1, (1, 1, 1)).eval()
    target = {name: parameter.detach() * 1.01 for name, parameter in network.named_parameters()}
    of = {f"{name}.weight" for name in spending(network, SHARE).layers}
    images, points = [given(1, 64) for _ in range(2)], 10
    plain = copy.deepcopy(network)
    forms = {
        "contributions": lambda: contributions(network, target, loss, images, of=of, points=points),
        "gradients": lambda: [loss(plain, image).backward() for image in images for _ in range(points)],
    }
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for round_ in range(4):
        for name, form in forms.items():
            started = time.process_time()
            form()
            if round_:
                taken[name].append(time.process_time() - started)
    medians = {name: float(np.median(seconds)) for name, seconds in taken.items()}
    ratio = medians["contributions"] / medians["gradients"]
    benchmark.extra_info |= medians | {"ratio": ratio, "parameters": unique_parameters(network)}
    benchmark.pedantic(forms["contributions"], rounds=1)
    assert ratio <= 1.3, f"{ratio:.2f} times as long: {medians}"
