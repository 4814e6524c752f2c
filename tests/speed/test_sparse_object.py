"""Speed of unfolded networks and of PCP, compared within one process on one thread:
`uv run pytest tests/speed/test_sparse_object.py --benchmark-only -p no:cacheprovider`.

Forms answer in turn, so that whatever else the machine does disturbs them alike. What is asserted is the ratio of processor
times, which for one thread is that of wall times on an idle machine; both are in `extra_info`, written by
`--benchmark-json=FILE`. The plain form is the network as the authors run it; the suite's own, with the channels of a pixel side
by side, is told beside it, since it is the harder rival.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.models.sparse_object.build import build
from benchmarks.models.sparse_object.fused import fuse
from benchmarks.models.sparse_object.lowrankness import low_rankness
from benchmarks.models.sparse_object.pcp import PCP
from benchmarks.models.wide_conv import WideConv2d
from benchmarks.sparse_object.interpretation import interpret

SIDE = 256
LEAST = {"rpcanet": 1.5, "rpcanet_pp": 2.0}
"""How many times as fast as the plain form the fused one has to be."""
ROUNDS = {"rpcanet": 3, "rpcanet_pp": 2}
PASSES = 5.0
"""How many times as fast as a pass for every part of a stage one pass for all has to be."""

Forms = dict[str, Callable[[], object]]


class Seconds(NamedTuple):
    """Medians over rounds."""

    wall: float
    processor: float


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@torch.inference_mode()
def alternately(forms: Forms, rounds: int) -> dict[str, Seconds]:
    """Each form once a round, one after another."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            started = time.perf_counter(), time.process_time()
            form()
            taken[name].append((time.perf_counter() - started[0], time.process_time() - started[1]))
    return {name: Seconds(*np.median(times, 0).tolist()) for name, times in taken.items()}


def told(benchmark, medians: dict[str, Seconds], ours: str) -> dict[str, float]:
    """Ratios of processor times to that of `ours`; all of them go to `extra_info`."""
    ratios = {name: seconds.processor / medians[ours].processor for name, seconds in medians.items() if name != ours}
    benchmark.extra_info |= {f"{name}, processor s": seconds.processor for name, seconds in medians.items()}
    benchmark.extra_info |= {f"{name}, wall s": seconds.wall for name, seconds in medians.items()}
    benchmark.extra_info |= {f"{name} / {ours}, processor": ratio for name, ratio in ratios.items()}
    benchmark.extra_info |= {
        f"{name} / {ours}, wall": medians[name].wall / medians[ours].wall for name in medians if name != ours
    }
    return ratios


def trained_like(name: str, **options: object) -> nn.Module:
    """Six stages whose normalisations do something, as the plain form has them."""
    torch.manual_seed(0)
    network = build(name, **options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("name", ROUNDS)
def test_the_fused_form_is_faster_and_answers_the_same(benchmark, name: str) -> None:
    benchmark.group = f"{name}, six stages, one image of {SIDE} x {SIDE}"
    plain = trained_like(name)
    networks = {
        "plain": plain,
        "channels last": copy.deepcopy(plain).to(memory_format=torch.channels_last),
        "fused": fuse(plain),
    }
    image = torch.rand(1, 1, SIDE, SIDE)
    answers: dict[str, tuple[torch.Tensor, ...]] = {}

    def call(form: str) -> None:
        answers[form] = networks[form](image)

    medians = alternately({form: lambda form=form: call(form) for form in networks}, ROUNDS[name])
    for ours, theirs in zip(answers["fused"], answers["plain"], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * theirs.abs().max().item())
    benchmark.pedantic(call, args=("fused",), rounds=1)
    ratios = told(benchmark, medians, "fused")
    assert ratios["plain"] >= LEAST[name], f"only {ratios['plain']:.2f} times as fast: {medians}"
    assert ratios["channels last"] > 0.9, f"slower than the suite's own form: {medians}"


def test_wide_kernels_are_faster_by_fourier_transforms_and_at_low_rank(benchmark) -> None:
    benchmark.group = f"one stage of rpcanet_pp, one image of {SIDE} x {SIDE}, channels last"
    forms = {
        "direct": {"dcpm": "direct"},
        "fft": {"dcpm": "fft"},
        "rank 8": {"dcpm": "lowrank", "dcpm_rank": 8},
    }
    networks = {
        form: trained_like("rpcanet_pp", stages=1, **options).to(memory_format=torch.channels_last)
        for form, options in forms.items()
    }
    networks["fft"].load_state_dict(networks["direct"].state_dict())
    image = torch.rand(1, 1, SIDE, SIDE)
    with torch.inference_mode():
        direct, fourier = (networks[form](image)[0] for form in ("direct", "fft"))
    torch.testing.assert_close(fourier, direct, rtol=0, atol=1e-4 * direct.abs().max().item())
    medians = alternately({form: lambda form=form: networks[form](image) for form in forms}, 3)
    benchmark.pedantic(lambda: networks["fft"](image), rounds=1)
    ratios = told(benchmark, medians, "fft")
    assert ratios["direct"] > 1.3, f"only {ratios['direct']:.2f} times as fast: {medians}"


def test_wide_kernels_learn_faster_in_parts(benchmark) -> None:
    benchmark.group = "a step of 32 to 32 channels of 17 x 17 on four squares of 48 x 48"
    convs = {"plain": nn.Conv2d(32, 32, 17, padding=8), "in parts": WideConv2d(32, 32, 17, padding=8)}
    convs["in parts"].load_state_dict(convs["plain"].state_dict())
    image = torch.randn(4, 32, 48, 48, requires_grad=True)

    def step(form: str) -> None:
        with torch.inference_mode(False), torch.enable_grad():
            convs[form](image).square().sum().backward()

    medians = alternately({form: lambda form=form: step(form) for form in convs}, 5)
    benchmark.pedantic(step, args=("in parts",), rounds=1)
    ratios = told(benchmark, medians, "in parts")
    assert ratios["plain"] > 1.3, f"only {ratios['plain']:.2f} times as fast: {medians}"


def test_one_pass_tells_of_all_stages_sooner_than_a_pass_a_stage(benchmark) -> None:
    """Upstream's protocol: for every stage and part a hook and a forward pass of its own, 3 S of them, or S for one part."""
    benchmark.group = "interpretability of six stages"
    network, image = trained_like("rpcanet"), torch.rand(1, 1, 128, 128)
    passes = {"one pass": 0, "a pass a stage": 0, "a pass a part": 0}
    doing = "one pass"
    network.decos[0].register_forward_hook(lambda *_: passes.update({doing: passes[doing] + 1}))

    def hooked(parts: tuple[str, ...]) -> list[float]:
        found = []
        for stage in network.decos:
            for part in parts:
                taken: list[torch.Tensor] = []
                handle = stage.get_submodule(part).register_forward_hook(
                    lambda _, __, out, taken=taken: taken.append(out)
                )
                network(image)
                handle.remove()
                found.append(low_rankness(taken[0][0, 0].numpy()).nuclear)
        return found

    found: dict[str, list[float]] = {}

    def run(name: str) -> None:
        nonlocal doing
        doing = name
        if name == "one pass":
            found[name] = [report.nuclear for report in interpret(network, image)]
        else:
            found[name] = hooked(("lowrank",) if name == "a pass a stage" else ("lowrank", "sparse", "merge"))

    medians = alternately({name: lambda name=name: run(name) for name in passes}, 1)
    assert list(passes.values()) == [1, 6, 18]
    np.testing.assert_allclose(found["one pass"], found["a pass a stage"], rtol=1e-4)
    np.testing.assert_allclose(found["one pass"], found["a pass a part"][::3], rtol=1e-4)
    benchmark.pedantic(run, args=("one pass",), rounds=1)
    ratios = told(benchmark, medians, "one pass")
    assert ratios["a pass a part"] >= PASSES, f"only {ratios['a pass a part']:.2f} times as fast: {medians}"


def test_pursuit_of_a_batch_is_told_beside_that_of_its_images(benchmark) -> None:
    """On a CPU decompositions are made one by one anyway; the batch must at least cost nothing. It is meant for GPUs."""
    benchmark.group = "PCP of 86 images of 64 x 64"
    torch.manual_seed(0)
    lowrank = torch.rand(86, 64, 4) @ torch.rand(86, 4, 64)
    images = (lowrank + 3 * (torch.rand(86, 64, 64) < 0.02))[:, None]
    solver, found = PCP(), {}

    def batch() -> None:
        found["batch"] = solver.answer(images)["probability"]

    def one_by_one() -> None:
        found["one by one"] = torch.cat([solver.answer(image[None])["probability"] for image in images])

    medians = alternately({"batch": batch, "one by one": one_by_one}, 2)
    torch.testing.assert_close(found["batch"], found["one by one"], rtol=0, atol=1e-6)
    benchmark.pedantic(batch, rounds=1)
    ratios = told(benchmark, medians, "batch")
    assert ratios["one by one"] > 0.7, f"a batch costs more than its images: {medians}"
