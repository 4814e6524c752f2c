"""What holds for every adapter on every kind of layer; a new method is checked by being registered."""

from __future__ import annotations

import copy
import itertools
from typing import ClassVar

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from benchmarks import registry
from benchmarks.errors import BenchmarkError
from benchmarks.method import Method
from benchmarks.methods.attach import Attach
from benchmarks.models.lowrank import spectrum
from benchmarks.models.lowrank.update import attach, merge_updates

Layer = nn.Linear | nn.Conv2d
KINDS = {
    name: entry.load(Method)
    for name, entry in registry.entries("method").items()
    if entry.header("kind") == "adapt" and issubclass(entry.load(Method), Attach)
}
LAYERS = {
    "linear": lambda: nn.Linear(20, 16),
    "1x1": lambda: nn.Conv2d(20, 16, 1),
    "3x3": lambda: nn.Conv2d(5, 16, 3, padding=1),
    "stride 2": lambda: nn.Conv2d(5, 16, (3, 2), stride=2, padding=(1, 0), dilation=2, bias=False),
    "grouped": lambda: nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=2),
}
SIZES = {"rank": (1, 2, 3), "band": (1, 2, 3), "coefficients": (1, 2, 3), "bases": (1, 2, 3), "block": (2, 3, 4)}
"""Settings that say how much trains, with values that rise."""
EVERY = [pytest.param(method, layer, id=f"{method}, {layer}") for method in KINDS for layer in LAYERS]


def method_of(name: str, **changes: object) -> Attach:
    """With settings that leave something of each small layer to be trained: the defaults are for wide ones."""
    small = {"salt": {"top": 0.5, "rank": 2}}
    return KINDS[name](**{**small.get(name, {}), **changes})


def size_setting(method: str) -> str:
    """The first of SIZES that a method has, or nothing."""
    return next((name for name in SIZES if name in registry.entry("method", method).settings), "")


def base_of(kind: str, seed: int = 0) -> Layer:
    torch.manual_seed(seed)
    return LAYERS[kind]()


def adapted(method: str, kind: str, seed: int = 0, **changes: object) -> Layer:
    layer = base_of(kind, seed).requires_grad_(False)
    attach({"layer": layer}, method_of(method, **changes).update)
    return layer


def inputs(layer: Layer, seed: int = 1, n: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (n, 4, layer.in_features) if isinstance(layer, nn.Linear) else (n, layer.in_channels, 9, 8)
    return torch.randn(shape, generator=generator)


def trained(layer: Layer, steps: int = 4, rate: float = 0.05) -> Layer:
    optimizer = torch.optim.Adam([p for p in layer.parameters() if p.requires_grad], rate)
    for step in range(steps):
        optimizer.zero_grad()
        (layer(inputs(layer, 10 + step)) - 1).square().mean().backward()
        optimizer.step()
    return layer


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_a_layer_starts_as_its_base(method: str, kind: str) -> None:
    layer, base = adapted(method, kind), base_of(kind)
    x = inputs(base)
    torch.testing.assert_close(layer(x), base(x), atol=1e-5, rtol=1e-4)
    assert torch.equal(layer.weight, base.weight)
    with torch.no_grad():
        assert torch.equal(layer.eval()(x), base(x))


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_gradients_reach_all_that_trains_within_two_steps(method: str, kind: str) -> None:
    layer, reached = adapted(method, kind), set()
    trains = {name for name, parameter in layer.named_parameters() if parameter.requires_grad}
    optimizer = torch.optim.SGD([p for p in layer.parameters() if p.requires_grad], 0.1)
    for step in range(2):
        optimizer.zero_grad()
        (layer(inputs(layer, step)) - 1).square().mean().backward()
        reached |= {name for name, p in layer.named_parameters() if p.grad is not None and p.grad.any()}
        optimizer.step()
    assert trains
    assert reached == trains


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_training_moves_the_outputs_and_no_byte_of_what_is_frozen(method: str, kind: str) -> None:
    layer, start = adapted(method, kind), adapted(method, kind)
    trains = {name for name, parameter in layer.named_parameters() if parameter.requires_grad}
    ours, theirs = trained(layer).state_dict(), start.state_dict()
    assert not torch.allclose(layer(inputs(layer)), start(inputs(layer)), atol=1e-3)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs.keys() - trains)
    assert not any(torch.equal(ours[name], theirs[name]) for name in trains)


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_a_merged_layer_is_one_of_the_base_and_answers_the_same(method: str, kind: str) -> None:
    layer, base = trained(adapted(method, kind)), base_of(kind)
    x = inputs(base)
    stepwise = layer(x).detach()
    with torch.no_grad():
        kept = layer.eval()(x)
    merged = merge_updates(nn.Sequential(layer))[0]
    assert merged is layer
    assert type(merged) is type(base)
    assert {name: value.shape for name, value in merged.state_dict().items()} == {
        name: value.shape for name, value in base.state_dict().items()
    }
    torch.testing.assert_close(merged(x).detach(), stepwise, atol=1e-5, rtol=1e-4)
    assert torch.equal(merged(x), kept)


@pytest.mark.parametrize(("method", "kind"), EVERY)
def test_a_saved_adapter_answers_the_same_where_singular_pairs_have_other_signs(
    method: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = trained(adapted(method, kind))
    saved = {name: value.clone() for name, value in layer.state_dict().items()}

    def flipped(matrix: torch.Tensor) -> tuple[torch.Tensor, ...]:
        U, s, Vt = torch.linalg.svd(matrix, full_matrices=False)
        signs = torch.where(torch.arange(len(s)) % 2 == 0, -1.0, 1.0).to(Vt) * Vt[:, 0].sign()
        return U * signs, s, signs[:, None] * Vt

    monkeypatch.setattr(spectrum, "thin_svd", flipped)
    monkeypatch.setattr(spectrum, "_KEPT", {})
    other = adapted(method, kind)
    other.load_state_dict(saved)
    x = inputs(layer)
    assert torch.equal(other(x), layer(x))
    with torch.no_grad():
        assert torch.equal(other.eval()(x), layer.eval()(x))


@pytest.mark.parametrize("method", [name for name in KINDS if size_setting(name)])
@pytest.mark.parametrize("kind", LAYERS)
def test_what_trains_grows_with_the_rank(method: str, kind: str) -> None:
    setting = size_setting(method)
    sizes = [
        sum(
            parameter.numel()
            for parameter in adapted(method, kind, **{setting: size}).parameters()
            if parameter.requires_grad
        )
        for size in SIZES[setting]
    ]
    bias = base_of(kind).bias is not None
    assert sizes[0] > 0
    assert sizes[0] < sizes[1] < sizes[2], f"with{'' if bias else 'out'} bias: {sizes}"


@pytest.mark.parametrize("method", KINDS)
def test_an_adapter_for_another_base_is_refused(method: str) -> None:
    saved = trained(adapted(method, "linear")).state_dict()
    update = {name: value for name, value in saved.items() if ".original" not in name}
    with pytest.raises(BenchmarkError, match=r"another base: at .* sha256 [0-9a-f]{12}\.\.\., the one here"):
        nn.ModuleDict({"head": adapted(method, "linear", seed=5)}).load_state_dict(
            {f"head.{name}": value for name, value in update.items()}, strict=False
        )
    same = adapted(method, "linear")
    same.load_state_dict(update, strict=False)
    assert torch.equal(same.weight, merge_updates(nn.Sequential(trained(adapted(method, "linear"))))[0].weight)


@pytest.mark.parametrize("method", KINDS)
def test_in_evaluation_a_weight_is_built_once_and_anew_when_something_was_written(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = trained(adapted(method, "3x3")).eval()
    update, built = layer.parametrizations.weight[0], []
    real = type(update).forward
    monkeypatch.setattr(type(update), "forward", lambda self, weight: built.append(1) or real(self, weight))
    x = inputs(layer)
    with torch.no_grad():
        first = layer(x)
        assert torch.equal(layer(x), first)
        assert len(built) == 1
        next(p for p in update.parameters()).mul_(1.5)
        assert not torch.equal(layer(x), first)
        assert len(built) == 2
        twin = copy.deepcopy(layer)
        assert torch.equal(twin(x), layer(x))
        assert len(built) == 3
    trained(layer.train())
    with torch.inference_mode():
        expected = layer.eval()(x)
    assert torch.equal(expected, merge_updates(nn.Sequential(layer))[0](x))


@pytest.mark.parametrize("method", KINDS)
def test_a_check_needs_shapes_alone(method: str) -> None:
    layer = nn.Linear(600, 400, device="meta").requires_grad_(False)
    attach({"layer": layer}, method_of(method).update)
    assert all(value.is_meta for value in layer.state_dict().values())
    assert parametrize.is_parametrized(layer, "weight")


def test_layers_of_too_low_a_rank_train_as_a_whole() -> None:
    class Bench:
        notes: ClassVar[list[str]] = []

        def note(self, text: str) -> None:
            self.notes.append(text)

    def network(*widths: int) -> nn.Sequential:
        torch.manual_seed(0)
        return nn.Sequential(*(nn.Conv2d(*pair, 3, padding=1) for pair in itertools.pairwise(widths)))

    bench = Bench()
    made = method_of("lora", rank=4).adapt(network(8, 6, 3), bench)  # type: ignore[arg-type]
    assert "as a whole: 1" in bench.notes[0]
    assert {name for name, parameter in made.named_parameters() if parameter.requires_grad} == {
        "0.parametrizations.weight.0.up", "0.parametrizations.weight.0.down", "1.weight",
    }  # fmt: skip
    with pytest.raises(BenchmarkError, match="Rank 4 is no low rank for an update of 0"):
        method_of("lora", rank=4).adapt(network(8, 4, 3), bench)  # type: ignore[arg-type]
