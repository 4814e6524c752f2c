"""How much each parameter contributed to what a fine-tuned network gained: gradients integrated along the way to it.

FAIG, Xie et al., Finding Discriminative Filters for Specific Degradations in Blind Super-Resolution, NeurIPS 2021, by the
midpoint rule in place of the left one, which needs ten times the points for the same error, and per parameter in place of
per filter and difference of degradations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

Batch = dict[str, Tensor]
Loss = Callable[[nn.Module, Batch], Tensor]
POINTS = 10


@dataclass(frozen=True)
class Attribution:
    """`scores` by parameter: the mean over images of the mean over entries of |attr|, of one image and entry each

        attr_j = (a_j - t_j) * mean over alpha of dL/dtheta_j at theta = alpha a + (1 - alpha) t.

    `signed` [images] are the sums of attr without the absolute value; over all parameters they are, but for the error of the
    rule, what the loss fell by, L(a) - L(t).
    """

    scores: dict[str, float]
    signed: list[float]


def contributions(
    network: nn.Module,
    target: Mapping[str, Tensor],
    loss: Loss,
    images: Sequence[Batch],
    *,
    of: Collection[str] | None = None,
    points: int = POINTS,
    seed: int = 0,
    at_once: int = 1,
) -> Attribution:
    """Attributes the fall of `loss` from `network` (a) to the parameters `target` (t, by name) on images, each a batch of one.

    All parameters move along the way, while buffers and mode stay those of `network`; `of` names those that are scored, all
    where None. What the loss draws at random is the same at all points of an image. With `at_once` above 1 so many images go
    through together, by vmap, where the loss allows that; they then need that many gradients' memory.
    """
    base = {name: parameter.detach() for name, parameter in network.named_parameters()}
    names = [name for name in base if of is None or name in of]
    away = {name: base[name] - target[name].to(base[name]) for name in base}
    alphas = [(m + 0.5) / points for m in range(points)]
    totals, signed = dict.fromkeys(names, 0.0), []
    for found in _sums(network, lambda alpha: _at(base, away, alpha), loss, images, names, alphas, seed, at_once):
        attributed = {name: away[name] * found[name] / points for name in names}
        means = torch.stack([each.abs().mean() for each in attributed.values()]).tolist()
        signed.append(float(torch.stack([each.sum() for each in attributed.values()]).sum()))
        for name, mean in zip(names, means, strict=True):
            totals[name] += mean / len(images)
    return Attribution(totals, signed)


def gradient_scores(
    network: nn.Module, loss: Loss, images: Sequence[Batch], *, of: Collection[str], seed: int = 0, at_once: int = 1
) -> dict[str, float]:
    """By parameter: the mean over images of the mean over entries of |dL/dtheta| at the network as it is."""
    base = {name: parameter.detach() for name, parameter in network.named_parameters()}
    names = [name for name in base if name in of]
    scores = dict.fromkeys(names, 0.0)
    for found in _sums(network, lambda _: base, loss, images, names, [1.0], seed, at_once):
        for name in names:
            scores[name] += float(found[name].abs().mean()) / len(images)
    return scores


def change_scores(network: nn.Module, target: Mapping[str, Tensor], *, of: Collection[str]) -> dict[str, float]:
    """By parameter: the mean over entries of |t - a|."""
    return {
        name: float((target[name].to(parameter) - parameter.detach()).abs().mean())
        for name, parameter in network.named_parameters()
        if name in of
    }


def group_score(scores: Mapping[str, float], network: nn.Module, names: Collection[str]) -> float:
    """The mean over the entries of several parameters that were scored."""
    sizes = {name: parameter.numel() for name, parameter in network.named_parameters() if name in names}
    return sum(scores[name] * size for name, size in sizes.items()) / sum(sizes.values())


class _Loss(nn.Module):
    """The loss as a module's call, so that the network's parameters may be handed in."""

    def __init__(self, network: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, batch: Batch) -> Tensor:
        return self.loss(self.network, batch)


def _at(base: Mapping[str, Tensor], away: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    return {name: value - (1 - alpha) * away[name] for name, value in base.items()}


def _sums(
    network: nn.Module,
    place: Callable[[float], Mapping[str, Tensor]],
    loss: Loss,
    images: Sequence[Batch],
    names: Sequence[str],
    alphas: Sequence[float],
    seed: int,
    at_once: int,
) -> Iterator[dict[str, Tensor]]:
    """For every image the gradients summed over the places of all alphas."""
    call, start = _Loss(network, loss), 0
    while start < len(images):
        part = images[start : start + at_once]
        found = _together(call, place, part, names, alphas, seed + start) if len(part) > 1 else None
        if found is None:
            part, at_once = part[:1], 1
            found = [_alone(call, place, part[0], names, alphas, seed + start)]
        yield from found
        start += len(part)


def _alone(
    call: _Loss,
    place: Callable[[float], Mapping[str, Tensor]],
    image: Batch,
    names: Sequence[str],
    alphas: Sequence[float],
    seed: int,
) -> dict[str, Tensor]:
    sums: dict[str, Tensor] = {}
    for alpha in alphas:
        there = {name: value.detach() for name, value in place(alpha).items()}
        wanted = [there[name].requires_grad_() for name in names]
        with _same_draws(seed, wanted[0].device), torch.enable_grad():
            answer = functional_call(call, {f"network.{name}": value for name, value in there.items()}, (image,))
            found = torch.autograd.grad(answer, wanted, allow_unused=True, materialize_grads=True)
        for name, value in zip(names, found, strict=True):
            sums[name] = value if name not in sums else sums[name].add_(value)
    return sums


def _together(
    call: _Loss,
    place: Callable[[float], Mapping[str, Tensor]],
    images: Sequence[Batch],
    names: Sequence[str],
    alphas: Sequence[float],
    seed: int,
) -> list[dict[str, Tensor]] | None:
    """The same for several images in one go, or None where vmap cannot take the loss, or memory does not suffice."""
    if any(image[key].shape != images[0][key].shape for image in images for key in image):
        return None
    stacked = {key: torch.stack([image[key] for image in images]) for key in images[0]}
    sums: dict[str, Tensor] = {}

    def at(wanted: Mapping[str, Tensor], rest: Mapping[str, Tensor], image: Batch) -> Tensor:
        given = {f"network.{name}": value for name, value in {**rest, **wanted}.items()}
        return functional_call(call, given, (image,))

    try:
        for alpha in alphas:
            there = place(alpha)
            wanted = {name: there[name] for name in names}
            rest = {name: value for name, value in there.items() if name not in wanted}
            with _same_draws(seed, next(iter(there.values())).device):
                found = vmap(grad(at), in_dims=(None, None, 0), randomness="different")(wanted, rest, stacked)
            for name, value in found.items():
                sums[name] = value if name not in sums else sums[name].add_(value)
    except RuntimeError:  # torch says so of what vmap cannot do, and of memory
        return None
    return [{name: value[index] for name, value in sums.items()} for index in range(len(images))]


@contextmanager
def _same_draws(seed: int, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
