"""Speed of NAFNet's forms, compared within one process on one thread:
`uv run pytest tests/speed/test_restoration.py --benchmark-only -p no:cacheprovider`.

Forms run in turn, so that whatever else the machine does disturbs them alike. On a CPU ratios are of processor times, which for
one thread are those of wall times on an idle machine; on a GPU, where there is one, of wall times between synchronisations. All
are in `extra_info`, written by `--benchmark-json=FILE`. `authors` is the network as its authors compute it: channel by channel,
with a norm of several passes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.models.restoration.build import build
from benchmarks.models.restoration.fused import fuse
from benchmarks.models.restoration.layer_norm import LayerNorm2d

LAYOUTS = {
    "small": {"width": 16, "encoder": [1, 1, 2], "middle": 2, "decoder": [1, 1, 1]},
    "width 32": {"width": 32, "encoder": [2, 2, 4, 8], "middle": 12, "decoder": [2, 2, 2, 2]},
}
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"))]
ROUNDS = {"cpu": {"small": 9, "width 32": 4}, "cuda": {"small": 30, "width 32": 30}}

Forms = dict[str, Callable[[], object]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class AuthorsNorm(LayerNorm2d):
    """Mean and variance over dimension 1, of whatever memory format."""

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + self.eps).sqrt()
        return self.weight.view(1, -1, 1, 1) * scaled + self.bias.view(1, -1, 1, 1)


class AuthorsForm(nn.Module):
    """A NAFNet on images whose sides need no padding, in memory format NCHW throughout."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        for module in self.network.modules():
            if isinstance(module, LayerNorm2d):
                module.__class__ = AuthorsNorm

    def forward(self, image: Tensor) -> Tensor:
        net = self.network
        x, skips = net.intro(image), []
        for encoder, down in zip(net.encoders, net.downs, strict=True):
            skips.append(encoder(x))
            x = down(skips[-1])
        x = net.middle_blks(x)
        for up, decoder in zip(net.ups, net.decoders, strict=True):
            x = decoder(up(x) + skips.pop())
        return net.ending(x) + image


def alternately(forms: Forms, rounds: int, device: str) -> dict[str, float]:
    """Median seconds of each form, called once a round, one after another, and once before."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for number in range(rounds + 1):
        for name, form in forms.items():
            _wait(device)
            started = clock()
            form()
            _wait(device)
            if number:
                taken[name].append(clock() - started)
    return {name: float(np.median(times)) for name, times in taken.items()}


def told(benchmark, medians: dict[str, float], ours: str) -> dict[str, float]:
    """Ratios to the seconds of `ours`; all of them go to `extra_info`."""
    ratios = {name: seconds / medians[ours] for name, seconds in medians.items() if name != ours}
    benchmark.extra_info |= {f"{name}, s": seconds for name, seconds in medians.items()}
    benchmark.extra_info |= {f"{name} / {ours}": ratio for name, ratio in ratios.items()}
    return ratios


def trained_like(layout: str, device: str) -> nn.Module:
    torch.manual_seed(0)
    network = build("nafnet", **LAYOUTS[layout])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    return network.to(device).eval()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_forms_for_inference_answer_the_same_and_are_faster(benchmark, layout: str, device: str) -> None:
    benchmark.group = f"NAFNet, {layout}, one image of 256 x 256, {device}"
    network = trained_like(layout, device)
    image = torch.rand(1, 3, 256, 256, device=device)
    calls = {
        "authors": AuthorsForm(network),
        "plain": network,
        "fused": fuse(network),
        "fused, bfloat16": fuse(network, torch.bfloat16),
    }
    answers: dict[str, Tensor] = {}

    @torch.inference_mode()
    def call(form: str) -> None:
        answers[form] = calls[form](image)

    @torch.inference_mode()
    def autocast() -> None:
        with torch.autocast(device, torch.bfloat16):
            answers["plain, autocast"] = network(image)

    forms = {form: lambda form=form: call(form) for form in calls} | {"plain, autocast": autocast}
    medians = alternately(forms, ROUNDS[device][layout], device)
    change = (answers["authors"] - image).norm()
    for form, answer in answers.items():
        error = (answer - answers["authors"]).norm() / change
        assert error < (0.03 if "bfloat16" in form or "autocast" in form else 1e-3), f"{form}: {error}"
    benchmark.pedantic(call, args=("fused",), rounds=1)
    ratios = told(benchmark, medians, "fused")
    assert ratios["plain"] > 0.85, f"the fused form is slower than the network itself: {medians}"
    if device == "cpu":
        assert ratios["authors"] > 1.1, f"only {ratios['authors']:.2f} times as fast: {medians}"
    if layout == "width 32":
        assert ratios["fused, bfloat16"] < 1.1, f"bfloat16 is slower than float32: {medians}"


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_step_of_training_is_faster_with_the_channels_of_a_pixel_side_by_side(
    benchmark, layout: str, device: str
) -> None:
    size = (8, 3, 64, 64) if device == "cpu" else (16, 3, 128, 128)
    images, rounds = torch.rand(size, device=device), ROUNDS[device][layout]
    benchmark.group = f"NAFNet, {layout}, a step on {size}, {device}"
    plain = trained_like(layout, device).train()
    networks = {"authors": AuthorsForm(plain), "plain": plain}
    gradients: dict[str, Tensor] = {}

    def step(form: str, mixed: bool = False) -> None:
        network = networks[form]
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            restored = network(images)
        restored.float().square().mean().backward()
        intro = network.get_submodule("network.intro" if form == "authors" else "intro")
        gradients[form + " mixed" * mixed] = intro.weight.grad.clone()
        network.zero_grad()

    forms: Forms = {form: lambda form=form: step(form) for form in networks}
    if device == "cuda":
        forms |= {f"{form}, bf16-mixed": lambda form=form: step(form, True) for form in networks}
    medians = alternately(forms, rounds, device)
    torch.testing.assert_close(gradients["plain"], gradients["authors"], rtol=1e-2, atol=1e-5)
    benchmark.pedantic(step, args=("plain",), rounds=1)
    ratios = told(benchmark, medians, "plain")
    if device == "cpu":
        assert ratios["authors"] > 1.05, f"only {ratios['authors']:.2f} times as fast: {medians}"


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
