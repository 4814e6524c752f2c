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
        gates = "ioj" if first and not unused else "fioj"
        for name in [f"x{gate}" for gate in gates] + [f"h{gate}" for gate in gates if unused or not first]:
            self.add_module(f"conv_{name}", conv3(channels, channels))

    def forward(self, x: torch.Tensor, state: State | None) -> State:
        if state is None:
            cell = torch.sigmoid(self.conv_xi(x)) * torch.tanh(self.conv_xj(x))
            return torch.sigmoid(self.conv_xo(x)) * cell, cell
        h, cell = state
        forget = torch.sigmoid(self.conv_xf(x) + self.conv_hf(h))
        enter = torch.sigmoid(self.conv_xi(x) + self.conv_hi(h))
        leave = torch.sigmoid(self.conv_xo(x) + self.conv_ho(h))
        new = torch.tanh(self.conv_xj(x) + self.conv_hj(h))
        cell = forget * cell + enter * new
        return leave * torch.tanh(cell), cell
