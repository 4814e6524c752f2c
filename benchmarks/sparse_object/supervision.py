"""What may be asked of the stages before the last: objects of their own, and backgrounds of low rank."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.sparse_object.rpcanet import Decomposition


def stages_of(network: nn.Module, image: Tensor) -> list[Decomposition]:
    """What every stage of an unfolded network makes of images [n, 1, h, w]; BenchmarkError for one without stages."""
    if not hasattr(network, "decompose"):
        raise BenchmarkError(
            f"{type(network).__name__} has no stages to supervise. Leave task.deep_supervision and task.lowrank_penalty at 0, "
            "or type model=rpcanet or model=rpcanet_pp."
        )
    return cast(Any, network).decompose(image)


def earlier_objects(stages: Sequence[Decomposition], weight: float, loss: Callable[[Tensor], Tensor]) -> Tensor:
    """The losses of the objects of all stages but the last, times `weight` for each stage that lies between it and the end.

    With S stages stage k counts weight^(S - k), as the last one counts 1.
    """
    losses = [weight**distance * loss(stage.objects) for distance, stage in enumerate(reversed(stages)) if distance]
    return torch.stack(losses).sum() if losses else stages[-1].objects.new_zeros(())


def nuclear_share(background: Tensor) -> Tensor:
    """The nuclear norm of images [n, 1, h, w] over the largest that their Frobenius norm allows, the mean over images.

    From 1 / sqrt(min(h, w)) at rank one to 1 where all singular values are equal; a factor of the image changes nothing,
    which a penalty on the norm itself could be satisfied by. Zeros have 0.
    """
    values = torch.linalg.svdvals(background[:, 0].float())
    norm = values.square().sum(1).sqrt().clamp(min=torch.finfo(values.dtype).tiny)
    return (values.sum(1) / norm).mean() / values.shape[1] ** 0.5
