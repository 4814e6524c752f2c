"""Gradients of factors without that of the weight: those that autograd finds through a weight that is built."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from benchmarks.models.lowrank import update as updates
from benchmarks.models.lowrank.update import Layer, LowRankUpdate, attach
from benchmarks.models.lowrank.update_gradient import factored

LAYERS: dict[str, tuple[Layer, tuple[int, ...]]] = {
    "linear": (nn.Linear(5, 7), (2, 3, 5)),
    "vector": (nn.Linear(5, 7, bias=False), (5,)),
    "pixels": (nn.Conv2d(5, 7, 1), (2, 5, 4, 3)),
    "pixels, stride": (nn.Conv2d(5, 7, 1, stride=2), (2, 5, 4, 3)),
    "kernel": (nn.Conv2d(5, 7, 3, padding=1), (2, 5, 6, 4)),
    "halved": (nn.Conv2d(5, 7, 2, stride=2, bias=False), (2, 5, 6, 4)),
    "dilated": (nn.Conv2d(5, 7, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(2, 1)), (2, 5, 9, 6)),
    "one image": (nn.Conv2d(5, 7, 3), (5, 6, 4)),
}
each_layer = pytest.mark.parametrize("name", LAYERS)
each_way = pytest.mark.parametrize("around", [False, True], ids=["built", "around"])


def parts(name: str, *, dtype: torch.dtype = torch.float64) -> tuple[Layer, Tensor, Tensor, Tensor]:
    """A layer with a frozen weight, an input and factors of width 2."""
    torch.manual_seed(0)
    layer, shape = LAYERS[name]
    layer = copy.deepcopy(layer).to(dtype)
    layer.weight.requires_grad_(False)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    up = torch.randn(7, 2, dtype=dtype, requires_grad=True)
    down = torch.randn(2, layer.weight[0].numel(), dtype=dtype, requires_grad=True)
    return layer, x, up, down


def plain(layer: Layer, x: Tensor, up: Tensor, down: Tensor) -> Tensor:
    return updates.applied(layer, layer.weight + (up @ down).view(layer.weight.shape), x)


def ours(layer: Layer, x: Tensor, up: Tensor, down: Tensor, around: bool) -> Tensor:
    weight = layer.weight if around else (layer.weight + (up @ down).view(layer.weight.shape)).detach()
    return factored(layer, x, weight, up, down, around=around)


def gradients(answer: Tensor, *of: Tensor | None) -> list[Tensor]:
    torch.manual_seed(1)
    wanted = [each for each in of if each is not None and each.requires_grad]
    return list(torch.autograd.grad(answer, wanted, torch.randn_like(answer)))


@each_layer
@each_way
@pytest.mark.parametrize("channels_last", [False, True])
def test_answers_and_gradients_are_those_of_the_built_weight(name: str, around: bool, channels_last: bool) -> None:
    layer, x, up, down = parts(name)
    if channels_last and x.ndim == 4:
        x = x.detach().to(memory_format=torch.channels_last).requires_grad_()
    expected, found = plain(layer, x, up, down), ours(layer, x, up, down, around)
    torch.testing.assert_close(found, expected)
    of = x, layer.bias, up, down
    torch.testing.assert_close(gradients(found, *of), gradients(expected, *of))


@each_way
@pytest.mark.parametrize("name", ["linear", "pixels", "kernel"])
@pytest.mark.parametrize("frozen", ["x", "up", "down", "x and up", "x and down", "bias"])
def test_what_is_frozen_has_no_gradient_and_the_rest_the_same(name: str, frozen: str, around: bool) -> None:
    layer, x, up, down = parts(name)
    of = {"x": x, "bias": layer.bias, "up": up, "down": down}
    for each in frozen.split(" and "):
        of[each].requires_grad_(False)
    expected, found = plain(layer, x, up, down), ours(layer, x, up, down, around)
    torch.testing.assert_close(gradients(found, *of.values()), gradients(expected, *of.values()))


@each_way
@pytest.mark.parametrize("name", ["linear", "pixels", "kernel"])
def test_a_gradient_of_any_layout_will_do(name: str, around: bool) -> None:
    """That of a sum is one number, expanded."""
    layer, x, up, down = parts(name)
    found, expected = [
        torch.autograd.grad(y.sum(), (x, up, down))
        for y in (ours(layer, x, up, down, around), plain(layer, x, up, down))
    ]
    torch.testing.assert_close(found, expected)


@each_way
@pytest.mark.parametrize("name", ["linear", "pixels", "kernel"])
def test_autocast_multiplies_in_its_type_and_gradients_have_their_own(name: str, around: bool) -> None:
    layer, x, up, down = parts(name, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(layer, x, up, down, around)
    assert found.dtype == torch.bfloat16
    of = x, layer.bias, up, down
    exact = gradients(plain(layer, x, up, down), *of)
    for ours_, theirs in zip(gradients(found.float(), *of), exact, strict=True):
        assert ours_.dtype == torch.float32
        assert (ours_ - theirs).norm() < 0.03 * theirs.norm()


@each_way
@pytest.mark.parametrize("name", ["linear", "pixels", "kernel"])
def test_a_batch_of_none_and_what_has_no_memory_pass_through(name: str, around: bool) -> None:
    layer, x, up, down = parts(name)
    empty = x.detach()[:0].requires_grad_()
    found = gradients(ours(layer, empty, up, down, around), empty, layer.bias, up, down)
    assert [each.shape for each in found] == [empty.shape, layer.bias.shape, up.shape, down.shape]
    assert not any(each.any() for each in found)
    layer, (x, up, down) = layer.to("meta"), (each.detach().to("meta").requires_grad_() for each in (x, up, down))
    answer = ours(layer, x, up, down, around)
    answer.sum().backward()
    assert answer.is_meta
    assert up.grad.shape == up.shape


@each_way
def test_a_second_derivative_is_refused(around: bool) -> None:
    layer, x, up, down = parts("linear")
    (first,) = torch.autograd.grad(ours(layer, x, up, down, around).square().sum(), up, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def updated(width: int = 6) -> tuple[nn.Conv2d, LowRankUpdate]:
    torch.manual_seed(0)
    layer = nn.Conv2d(24, 32, 1).to(torch.float64)
    attach({"": layer}, lambda _, weight: LowRankUpdate(weight, width, 0.5))
    (update,) = layer.parametrizations.weight
    nn.init.normal_(update.up)
    return layer, update


@pytest.mark.parametrize(
    ("width", "side", "call", "way"), [(2, 40, 0, False), (2, 3, 0, True), (20, 40, 0, None), (2, 40, 10**9, None)]
)
def test_costs_decide_and_a_step_is_the_same(width: int, side: int, call: int, way: bool | None, monkeypatch) -> None:
    """Twice as well, in a network that uses the layer twice, one time of it under checkpointing."""
    taken = []
    monkeypatch.setattr(updates, "CALL", call)
    monkeypatch.setattr(updates, "MOVED", 0)
    monkeypatch.setattr(
        updates, "factored", lambda *given, around: taken.append(around) or factored(*given, around=around)
    )
    layer, update = updated(width)
    x = torch.randn(1, 24, side, side, dtype=torch.float64, requires_grad=True)

    def step(answer) -> list[Tensor]:
        y = answer(x)
        again = checkpoint(answer, y[:, :24], use_reentrant=False)
        return [again.detach(), *gradients(again, x, layer.bias, update.up, update.down)]

    found = step(layer)
    weight = layer.parametrizations.weight.original
    expected = step(lambda x: updates.applied(layer, update(weight), x))
    torch.testing.assert_close(found, expected)
    assert set(taken) == (set() if way is None else {way})
