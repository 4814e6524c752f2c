"""Speed of adapters, compared within one process: `uv run pytest tests/speed --benchmark-only -p no:cacheprovider`.

One linear layer of a ViT-B's MLP, 768 to 3072, on one thread, in turns. Times are those that the processor spent on this
process, so that a busy machine disturbs little. SALT has the published 50 top values there and rank 8; LoRA, of as many trained
numbers, goes around its updated weight as well. A step is forward, backward to the input and to all that trains. Medians and
ratios are in `extra_info`. Told and not asserted are .85 of the values on top, the suite's default, beside LoRA of rank 1, and a
square layer, whose singular values go too far down to be divided by, and singular coordinates cost twice the plain layer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.methods.salt import SALT
from benchmarks.models.lowrank import spectrum
from benchmarks.models.lowrank.spectral import SaltUpdate
from benchmarks.models.lowrank.spectrum import singular_pairs
from benchmarks.models.lowrank.surgery import whole_linear_units
from benchmarks.models.lowrank.update import LowRankUpdate, Update, attach, merge_updates
from benchmarks.models.medseg.litemedsam import LiteMedSAM
from benchmarks.models.size import unique_parameters

WIDE, NARROW, TOP, RANK = 3072, 768, 50, 8
VIT_TOKENS = 196
ROUNDS = 15


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Rebuilt(SaltUpdate):
    """SALT as it is published: every step builds the weight."""

    def output(self, layer, weight, x):
        return None


def adapted(make: Callable[[torch.Tensor], Update], out: int = WIDE) -> nn.Linear:
    torch.manual_seed(0)
    layer = nn.Linear(NARROW, out).requires_grad_(False)
    attach({"layer": layer}, lambda _, weight: make(weight))
    return layer


def salt(top: int, kind: type[SaltUpdate] = SaltUpdate, out: int = WIDE) -> nn.Linear:
    return adapted(lambda weight: kind(weight, singular_pairs(weight), top, RANK), out)


def lora_like(layer: nn.Linear) -> nn.Linear:
    """With at least as many trained numbers."""
    trained = sum(parameter.numel() for parameter in layer.parameters() if parameter.requires_grad)
    width = layer.in_features + layer.out_features
    return adapted(lambda weight: LowRankUpdate(weight, -(-trained // width), 1.0), layer.out_features)


def alternately(
    forms: dict[str, Callable[[torch.Tensor], object]], shape: tuple[int, ...], rounds: int = ROUNDS
) -> dict[str, float]:
    """Median processor seconds of each form, after a round that does not count."""
    taken: dict[str, list[float]] = {name: [] for name in forms}
    for round_ in range(rounds + 1):
        x = torch.randn(shape)
        for name, form in forms.items():
            started = time.process_time()
            form(x)
            if round_:
                taken[name].append(time.process_time() - started)
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def step(layer: nn.Module) -> Callable[[torch.Tensor], None]:
    def run(x: torch.Tensor) -> None:
        layer(x.requires_grad_()).sum().backward()

    return run


def note(benchmark, medians: dict[str, float], **ratios: float) -> None:
    benchmark.extra_info |= {f"{name}, ms": 1000 * median for name, median in medians.items()} | ratios


def test_a_step_of_salt_takes_hardly_longer_than_one_of_lora(benchmark) -> None:
    layers = {"published": salt(TOP), "default": salt(int(0.85 * NARROW)), "square": salt(TOP, out=NARROW)}
    ratios = {}
    for name, layer in layers.items():
        forms = {"salt": step(layer), "lora": step(lora_like(layer))}
        medians = alternately(forms, (2, VIT_TOKENS, NARROW))
        ratios[name] = medians["salt"] / medians["lora"]
        note(benchmark, {f"{name} {form}": median for form, median in medians.items()}, **{name: ratios[name]})
    benchmark.pedantic(forms["salt"], (torch.randn(2, VIT_TOKENS, NARROW),), rounds=3)
    assert ratios["published"] <= 1.15, f"times as long: {ratios}"


def test_a_step_of_a_network_with_salt_takes_hardly_longer_than_one_with_lora(benchmark) -> None:
    """LiteMedSAM on two crops of 112 pixels, SALT as it is by default, LoRA of rank 1: 30,528 and 29,696 trained numbers."""
    networks, trained = {}, {}
    for name, make in {"salt": SALT().update, "lora": lambda _, weight: LowRankUpdate(weight, 1, 1.0)}.items():
        torch.manual_seed(0)
        network = LiteMedSAM().requires_grad_(False)
        attach(whole_linear_units(network), make)
        networks[name] = network.train()
        trained[name] = unique_parameters(network, trainable=True)
    medians = alternately({name: step(network) for name, network in networks.items()}, (2, 3, 112, 112), rounds=9)
    ratio = medians["salt"] / medians["lora"]
    note(benchmark, medians, ratio=ratio, **trained)
    benchmark.pedantic(step(networks["salt"]), (torch.randn(2, 3, 112, 112),), rounds=1)
    assert trained == {"salt": 30_528, "lora": 29_696}
    assert ratio <= 1.15, f"{ratio:.2f} times as long: {medians}"


@pytest.mark.parametrize("tokens", [1, VIT_TOKENS])
def test_a_step_of_salt_is_faster_than_by_its_weight(benchmark, tokens: int) -> None:
    forms = {"salt": step(salt(TOP)), "rebuilt": step(salt(TOP, Rebuilt))}
    medians = alternately(forms, (2, tokens, NARROW))
    ratio = medians["rebuilt"] / medians["salt"]
    note(benchmark, medians, ratio=ratio)
    benchmark.pedantic(forms["salt"], (torch.randn(2, tokens, NARROW),), rounds=3)
    assert ratio >= 1.5, f"only {ratio:.2f} times as fast: {medians}"


def test_inference_takes_as_long_as_the_base_merged_or_not(benchmark) -> None:
    base, merged = nn.Linear(NARROW, WIDE), merge_updates(nn.Sequential(salt(TOP)))[0]
    forms = {"base": base.eval(), "merged": merged.eval(), "kept": salt(TOP).eval()}
    with torch.inference_mode():
        medians = alternately(forms, (2, VIT_TOKENS, NARROW))
        benchmark.pedantic(merged, (torch.randn(2, VIT_TOKENS, NARROW),), rounds=3)
    ratios = {name: medians[name] / medians["base"] for name in ("merged", "kept")}
    note(benchmark, medians, **ratios)
    assert all(ratio <= 1.1 for ratio in ratios.values()), f"{ratios}: {medians}"


def test_building_from_pairs_on_disk_takes_less_than_a_second(benchmark, tmp_path: Path, monkeypatch) -> None:
    """The four linear layers of a block; those of a ViT-B are twelve times as many."""
    monkeypatch.setattr("benchmarks.methods.attach.folder", lambda: tmp_path)
    shapes = [(3 * NARROW, NARROW), (NARROW, NARROW), (WIDE, NARROW), (NARROW, WIDE)]

    def build() -> float:
        torch.manual_seed(0)
        block = {str(index): nn.Linear(i, o) for index, (o, i) in enumerate(shapes)}
        spectrum._KEPT.clear()
        started = time.process_time()
        attach(block, SALT(top=TOP, rank=RANK).update)
        return time.process_time() - started

    first = build()
    monkeypatch.setattr(spectrum, "thin_svd", None)
    again = min(build() for _ in range(3))
    note(benchmark, {"decomposed": first, "read": again}, ratio=first / again)
    benchmark.pedantic(build, rounds=1)
    assert again < 1
