"""OFT: inputs are rotated in small blocks before the weight acts on them."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.lowrank.update import Update, at_least_single


class RotationUpdate(Update):
    """W R, where R is block diagonal with orthogonal blocks (I + S)(I - S)^-1 of skew-symmetric S (Cayley).

    What trains are the entries of each S above its diagonal, row by row: `angles` [blocks, block (block - 1) / 2], and `rest`
    where the last block is smaller. They start at zero. Angles between rows of W, and their norms, stay. Qiu et al.,
    Controlling Text-to-Image Diffusion by Orthogonal Finetuning, NeurIPS 2023; on inputs as in Liu et al., BOFT, ICLR 2024.
    """

    def __init__(self, weight: torch.Tensor, block: int) -> None:
        super().__init__(weight)
        self.block = min(block, self.columns)
        blocks, self.left_over = divmod(self.columns, self.block)
        self.angles = nn.Parameter(weight.new_zeros(blocks, self.block * (self.block - 1) // 2))
        # A block of one input has nothing to rotate.
        self.rest = (
            nn.Parameter(weight.new_zeros(1, self.left_over * (self.left_over - 1) // 2))
            if self.left_over > 1
            else None
        )

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        matrix = weight.flatten(1)
        whole, last = matrix.split([self.columns - self.left_over, self.left_over], dim=1)
        parts = [_turn(whole, self.angles, self.block)]
        if self.rest is not None:
            parts.append(_turn(last, self.rest, self.left_over))
        elif self.left_over:
            parts.append(torch.zeros_like(last))
        return weight + torch.cat(parts, 1).view(weight.shape)


def _turn(matrix: torch.Tensor, angles: torch.Tensor, block: int) -> torch.Tensor:
    """W R - W of blocks of columns side by side: R - I = 2 S (I - S)^-1, which is exactly zero where S is."""
    angles = at_least_single(angles)
    upper = torch.triu_indices(block, block, 1, device=angles.device)
    S = angles.new_zeros(len(angles), block, block)
    S[:, upper[0], upper[1]] = angles
    S = S - S.mT
    change = torch.linalg.solve(torch.eye(block, device=S.device, dtype=S.dtype) - S, 2 * S, left=False)
    turned = torch.einsum("onb,nbc->onc", matrix.unflatten(1, (-1, block)).to(change.dtype), change)
    return turned.flatten(1).to(matrix.dtype)
