"""The memory of RPCANet++: a convolutional LSTM whose steps are the stages, each with weights of its own."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.sparse_object.blocks import conv3

State = tuple[torch.Tensor, torch.Tensor]
"""Hidden state h and cell c, each [n, channels, height, width]."""


class ConvLSTM(nn.Module):
    """One step: x [n, c, h, w] and the state of the stage before -> the new state, whose first part is the output.

    The first stage has no state, so that its forget gate and its convolutions of h are never asked; with `unused` they are
    there all the same, as in published weights, and have no gradient. There h = o c, without the tanh of later stages.
    """

    def __init__(self, channels: int, first: bool, unused: bool = False) -> None:
        super().__init__()
        self.first = first
        gates = "ioj" if first and not unused else "fioj"
        for name in [f"x{gate}" for gate in gates] + [f"h{gate}" for gate in gates if unused or not first]:
            self.add_module(f"conv_{name}", conv3(channels, channels))

    def forward(self, x: torch.Tensor, state: State | None) -> State:
        if state is None:
            cell = torch.sigmoid(self._conv("xi", x)) * torch.tanh(self._conv("xj", x))
            return torch.sigmoid(self._conv("xo", x)) * cell, cell
        h, cell = state
        forget, enter, leave, new = (self._conv(f"x{gate}", x) + self._conv(f"h{gate}", h) for gate in "fioj")
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        return torch.sigmoid(leave) * torch.tanh(cell), cell

    def _conv(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return self.get_submodule(f"conv_{name}")(x)
