"""PReNet and its smaller forms (Ren et al., Progressive Image Deraining Networks, CVPR 2019), with the authors' names.

PReNet has 168,963 parameters; PReNet_r uses one residual block five times (94,979), and PRN_r has no memory beside (21,123).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

BLOCKS = 5
"""Residual blocks of an iteration."""
GATES = "ifgo"
WIDTH = 32


class PReNet(nn.Module):
    """Images [n, 3, h, w] of 0 to 1 -> the same without rain, not clipped.

    Each of `iterations` steps sees the image and the last answer, and makes the next one as the image plus what its blocks
    give. An LSTM of convolutions carries features from step to step (`lstm`); with `recursive` the blocks of a step are one.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ()

    def __init__(self, iterations: int = 6, recursive: bool = False, lstm: bool = True) -> None:
        super().__init__()
        self.iterations, self.lstm = iterations, lstm
        self.conv0 = nn.Sequential(_conv(6), nn.ReLU())
        self.names = ["res_conv1"] * BLOCKS if recursive else [f"res_conv{number + 1}" for number in range(BLOCKS)]
        for name in dict.fromkeys(self.names):
            self.add_module(name, nn.Sequential(_conv(), nn.ReLU(), _conv(), nn.ReLU()))
        for gate in GATES if lstm else "":
            self.add_module(f"conv_{gate}", nn.Sequential(_conv(2 * WIDTH), nn.Tanh() if gate == "g" else nn.Sigmoid()))
        self.conv = nn.Sequential(_conv(out=3))

    def forward(self, image: Tensor) -> Tensor:
        answer, state = image, None
        for _ in range(self.iterations):
            x = self.conv0(torch.cat((image, answer), 1))
            if self.lstm:
                x, state = self.remember(x, state)
            for name in self.names:
                x = relu(self.get_submodule(name)(x) + x)
            answer = image + self.conv(x)
        return answer

    def remember(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """A step of the memory: features [n, 32, h, w] and (hidden, cell), zeros at first, to hidden and the new pair."""
        hidden, cell = (torch.zeros_like(x), torch.zeros_like(x)) if state is None else state
        both = torch.cat((x, hidden), 1)
        enter, forget, new, leave = (self.get_submodule(f"conv_{gate}")(both) for gate in GATES)
        cell = forget * cell + enter * new
        hidden = leave * cell.tanh()
        return hidden, (hidden, cell)


def _conv(into: int = WIDTH, out: int = WIDTH) -> nn.Conv2d:
    return nn.Conv2d(into, out, 3, padding=1)
