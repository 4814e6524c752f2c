"""Convolutions by kernels that are wider than those of which a CPU learns fast."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.functional import conv2d, pad

MOST_COLUMNS = 14
"""A CPU's library has the gradient of kernels with so many columns as code of its own. Wider ones go through a slower one, and
where the channels of a pixel lie side by side through a loop that takes over a hundred times as long."""


class WideConv2d(nn.Conv2d):
    """nn.Conv2d that learns on a CPU as the sum of convolutions by parts of its kernel, some columns each: equal up to rounding.

    32 to 32 channels of 17 x 17 learn twice as fast that way. Answers without gradients are those of nn.Conv2d, bit by bit.
    """

    def _conv_forward(self, input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        learns = torch.is_grad_enabled() and weight.requires_grad
        plain = self.padding_mode == "zeros" and not isinstance(self.padding, str)
        if not learns or not plain or input.device.type != "cpu" or weight.shape[-1] <= MOST_COLUMNS:
            return super()._conv_forward(input, weight, bias)
        (down, right), (above, beside) = self.stride, (int(each) for each in self.padding)
        apart, columns = self.dilation[1], weight.shape[-1]
        padded = pad(input, (beside, beside, 0, 0))
        width = (padded.shape[-1] - apart * (columns - 1) - 1) // right + 1
        found: torch.Tensor | None = None
        for part in torch.arange(columns).tensor_split(math.ceil(columns / MOST_COLUMNS)):
            first, number = int(part[0]), len(part)
            start = first * apart
            seen = padded[..., start : start + (width - 1) * right + (number - 1) * apart + 1]
            own = weight[..., first : first + number]
            answer = conv2d(
                seen, own, bias if found is None else None, (down, right), (above, 0), self.dilation, self.groups
            )
            found = answer if found is None else found + answer
        assert found is not None
        return found
