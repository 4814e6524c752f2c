"""Training large tables by the rows that a batch touches: one number of optimiser state a row, in place of two an entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from benchmarks.models.embedding import FieldEmbedding


class RowwiseAdagrad(torch.optim.Optimizer):
    """Adagrad with one accumulator a row: rows without a gradient are neither read nor written.

    Of a row's gradient g [d] (with `weight_decay` times the row added), mean(g^2) is added to the row's accumulator s, and
    the row moves by -lr g / (sqrt(s) + eps). Gradients must be sparse, as those of a lookup with sparse=True. Mudigere et
    al., Software-Hardware Co-design for Fast and Scalable Training of Deep Learning Recommendation Models, ISCA 2022.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 1e-2,
        weight_decay: float = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for table in group["params"]:
                if table.grad is not None:
                    self._update(table, group)
        return loss

    def _update(self, table: nn.Parameter, group: dict[str, Any]) -> None:
        state = self.state[table]
        if not state:
            state["sum"] = table.new_zeros(len(table))
        gradient = table.grad.coalesce()  # type: ignore[union-attr]
        rows, g = gradient.indices()[0], gradient.values()
        if group["weight_decay"]:
            g = g.add(table[rows], alpha=group["weight_decay"])
        total = state["sum"][rows] + g.square().mean(dim=1)
        state["sum"][rows] = total
        table.index_add_(0, rows, g / (total.sqrt() + group["eps"])[:, None], alpha=-group["lr"])


class Together(torch.optim.Optimizer):
    """Several optimisers that step as one, over the groups of all."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        # The parts' own dictionaries, so that a schedule that sets a rate here sets it there.
        self.param_groups = [group for part in parts for group in part.param_groups]

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def train_by_rows(network: nn.Module) -> list[nn.Parameter]:
    """Makes every plain table of a network give sparse gradients, and returns these tables."""
    tables = [module for module in network.modules() if isinstance(module, FieldEmbedding)]
    for table in tables:
        table.sparse = True
    return [table.weight for table in tables if table.weight.requires_grad]


def row_groups(network: nn.Module) -> list[dict[str, Any]]:
    """The tables that train by rows as groups of an optimiser: one that no regulariser acts on has no decay."""
    tables = [module for module in network.modules() if isinstance(module, FieldEmbedding) and module.sparse]
    trained = [table for table in tables if table.weight.requires_grad]
    decaying = [table.weight for table in trained if table.decays]
    others = [table.weight for table in trained if not table.decays]
    groups: list[dict[str, Any]] = [{"params": decaying}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


@torch.no_grad()
def clip_with_rows(parameters: Iterable[nn.Parameter], largest: float) -> None:
    """Scales all gradients so that their joint norm is `largest` at most; those of tables may be sparse."""
    gradients = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.coalesce()
            gradients.append(parameter.grad._values())
        elif parameter.grad is not None:
            gradients.append(parameter.grad)
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    scale = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(scale)
