"""Updates in the basis of a weight's singular vectors: SALT, S-SAM, SVFit and SVFT.

All are W + U D Vt with frozen singular vectors and a matrix D [k, k] of which some entries train. A step may build that weight,
or go through the k coordinates Vt x: of a complete spectrum y = U (diag(s) + D) Vt x needs no W at all. Multiplications decide.
With n tokens, forward and backward, building takes 3 n o i + 2 o k i, coordinates 2 n k (o + i): a square layer of width w is
built from n = 2 w tokens on, one of 768 to 3072 never.

A D of low rank, D = P Q with P [k, w] and Q [w, k], has a third way. As U = W V diag(1/s), the updated weight is
W (I + V diag(1/s) P Q Vt), a change of the inputs, or (I + U P Q diag(1/s) Ut) W, of the outputs. On the narrower side, of m
features, this takes 2 n o i + 6 n m w. (Thin factors beside W x, which meet both sides, took longer than coordinates.) What s
divides loses digits: a weight that loses more than to `LOST` has no such way, nor has what is multiplied in fewer bits.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Literal

import torch
from torch import nn

from benchmarks.models.lowrank.spectrum import Pairs
from benchmarks.models.lowrank.update import MOVED, Layer, Update, acts_on_patches, applied, lift, project, tokens

Relu = Literal["full", "diag", "none"]
Init = Literal["identity", "paper"]
LOST = 1e-4
"""Relative error of what is added, by the largest singular value over the smallest: of 32 bits, 800 times as large."""
SPARED = 100
"""Entries of a residual matrix's row that take the time of reading and writing once more what thin factors make of tokens."""


class SpectralUpdate(Update):
    """W + U D Vt; the pairs are saved with it, because what D means depends on their signs."""

    U: torch.Tensor
    s: torch.Tensor
    Vt: torch.Tensor

    def __init__(self, weight: torch.Tensor, pairs: Pairs) -> None:
        super().__init__(weight)
        for name, value in vars(pairs).items():
            self.register_buffer(name, value.contiguous())
        self.complete = len(pairs.s) == min(self.rows, self.columns)

    @abstractmethod
    def left(self) -> torch.Tensor:
        """U D [o, k]."""

    @abstractmethod
    def mixed(self, layer: Layer, z: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        """(diag(s) + D) z for coordinates z that `project` gave, in as few passes over them as there are."""

    def costs(self, n: int) -> dict[str, int]:
        """Multiplications of a step on n tokens, for each way to take it."""
        o, i, k = self.rows, self.columns, len(self.s)
        through = 2 * n * k * (o + i) + (0 if self.complete else 2 * n * o * i)
        return {"built": 3 * n * o * i + 2 * o * k * i, "coordinates": through}

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight + (self.left() @ self.Vt).view(weight.shape)

    def output(self, layer: Layer, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        if not acts_on_patches(layer):
            return None
        costs = self.costs(tokens(layer, x))
        return self.way(min(costs, key=lambda way: costs[way]), layer, weight, x)

    def way(self, name: str, layer: Layer, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        """The answer by one of the ways of `costs`; None for the built weight."""
        if name == "built":
            return None
        z = project(layer, x, self.Vt)
        if self.complete:
            return lift(layer, self.mixed(layer, z, self.s), self.U, layer.bias)
        return applied(layer, weight, x) + lift(layer, self.mixed(layer, z, torch.zeros_like(self.s)), self.U)


class SaltUpdate(SpectralUpdate):
    """Sigma' = blockdiag(diag(A s_r + B), diag(s_q) + X Y) in the place of Sigma; the `top` r values and the other q = k - r.

    `scale` is A - 1 and `shift` is B, so that weight decay pulls towards the base. `X` [q, rank] is drawn and `Y` [rank, q]
    zero; from a rank of q / 2 on one matrix `M` [q, q] holds no more numbers and stands in their place. With `top` = k there
    is no residual, and this is S-SAM. A `relu` acts on all of Sigma' (`full`, as published: it also cuts every negative entry
    of X Y), on its diagonal, or on nothing. init `paper` draws X and Y both from N(0, 0.01^2), so that the network does not
    start as its base, and keeps both at any rank. Jha et al., SALT: Singular Value Adaptation with Low-Rank Transformation,
    BMVC 2025 (relu full); Paranjape et al., S-SAM: SVD-based Fine-tuning of Segment Anything Model, MICCAI 2024.
    """

    def __init__(
        self, weight: torch.Tensor, pairs: Pairs, top: int, rank: int, relu: Relu = "diag", init: Init = "identity"
    ) -> None:
        super().__init__(weight, pairs)
        self.top, self.relu = top, relu
        q = len(pairs.s) - top
        self.scale = nn.Parameter(weight.new_zeros(top))
        self.shift = nn.Parameter(weight.new_zeros(top))
        # Not where all entries pass a ReLU: those of a whole matrix of zeros would never get a gradient beside the diagonal.
        self.dense = 2 * rank >= q and init == "identity" and relu != "full"
        if q and self.dense:
            self.M = nn.Parameter(weight.new_zeros(q, q))
        elif q:
            self.X = nn.Parameter(weight.new_empty(q, rank))
            self.Y = nn.Parameter(weight.new_zeros(rank, q))
            if init == "paper":
                nn.init.normal_(self.X, std=0.01)
                nn.init.normal_(self.Y, std=0.01)
            else:
                nn.init.kaiming_uniform_(self.X, a=math.sqrt(20))
        self.by_inputs = self.columns <= self.rows and self.columns == weight.shape[1]
        self.divides = not weight.is_meta and bool(torch.finfo(weight.dtype).eps * pairs.s[0] < LOST * pairs.s[-1])

    @property
    def q(self) -> int:
        """Singular values that the residual block has."""
        return len(self.s) - self.top

    def diagonal(self) -> torch.Tensor:
        """What is added to the top values [r]."""
        s = self.s[: self.top]
        added = self.scale * s + self.shift
        return added if self.relu == "none" else added + torch.relu(-(s + added))

    def residual(self) -> torch.Tensor:
        """What is added to the residual block [q, q]."""
        core = self.M if self.dense else self.X @ self.Y
        if self.relu == "full":
            block = torch.diag(self.s[self.top :])
            return torch.relu(block + core) - block
        return core if self.relu == "none" else core + torch.diag(self.cut(core.diagonal()))

    def cut(self, diagonal: torch.Tensor) -> torch.Tensor:
        """What has to be added [q] so that no residual value becomes negative: mostly zeros, which pass no gradient."""
        return torch.relu(-(self.s[self.top :] + diagonal))

    def left(self) -> torch.Tensor:
        U, top = self.U, self.U[:, : self.top] * self.diagonal()
        if not self.q:
            return top
        if self.dense or self.relu == "full":
            return torch.cat([top, U[:, self.top :] @ self.residual()], dim=1)
        rest = U[:, self.top :]
        low = (rest @ self.X) @ self.Y
        if self.relu == "diag":
            low = low + rest * self.cut((self.X * self.Y.T).sum(1))
        return torch.cat([top, low], dim=1)

    def mixed(self, layer: Layer, z: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        axis = channel_axis(layer)
        first, rest = z.split([self.top, self.q], dim=axis)
        large, small = s.split([self.top, self.q])
        first = scaled(layer, first, large + self.diagonal())
        if not self.q:
            return first
        if self.dense or self.relu == "full" or self.q <= 2 * len(self.Y) + SPARED:
            return torch.cat([first, lift(layer, rest, torch.diag(small) + self.residual())], dim=axis)
        if self.relu == "diag":
            small = small + self.cut((self.X * self.Y.T).sum(1))
        return torch.cat([first, scaled(layer, rest, small) + lift(layer, lift(layer, rest, self.Y), self.X)], dim=axis)

    def costs(self, n: int) -> dict[str, int]:
        costs = super().costs(n)
        if self.dense or self.relu == "full":
            costs["coordinates"] += 3 * n * self.q**2
        elif self.q:
            rank, m = len(self.Y), self.columns if self.by_inputs else self.rows
            costs["coordinates"] += 6 * n * self.q * rank
            # An accelerator may multiply in fewer bits, and would have to be waited for to learn whether something is cut.
            if self.divides and self.s.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
                factors = 4 * m * self.q * (rank + MOVED)
                costs["side"] = 2 * n * self.rows * self.columns + 6 * n * m * (self.top + rank) + factors
        return costs

    def way(self, name: str, layer: Layer, weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor | None:
        if name == "side" and self.relu == "diag" and self.cut((self.X * self.Y.T).sum(1)).any():
            name = "coordinates"
        if name != "side":
            return super().way(name, layer, weight, x)
        down, up = self.on_one_side()
        if self.by_inputs:
            return applied(layer, weight, x + lift(layer, lift(layer, x, down), up))
        y = project(layer, x, weight.flatten(1))
        return y + lift(layer, lift(layer, y, down), up, layer.bias)

    def on_one_side(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Factors [w, m] and [m, w] of what is added to inputs, or else to outputs, where nothing is cut."""
        large, small = self.s.split([self.top, self.q])
        first, rest = (self.Vt if self.by_inputs else self.U.T).split([self.top, self.q])
        X, Y = (self.X / small[:, None], self.Y) if self.by_inputs else (self.X, self.Y / small)
        up = torch.cat([first * (self.diagonal() / large)[:, None], X.T @ rest])
        return torch.cat([first, Y @ rest]), up.T


class TopValuesUpdate(SpectralUpdate):
    """The leading singular values train, the rest of the weight stays: W + U_r diag(shift) V_r^T.

    Sun et al., SVFit: Parameter-Efficient Fine-Tuning of Large Pre-Trained Models Using Singular Values, 2024.
    """

    def __init__(self, weight: torch.Tensor, pairs: Pairs, rank: int) -> None:
        super().__init__(weight, Pairs(pairs.U[:, :rank], pairs.s[:rank], pairs.Vt[:rank]))
        self.complete = False
        self.shift = nn.Parameter(weight.new_zeros(rank))

    def left(self) -> torch.Tensor:
        return self.U * self.shift

    def mixed(self, layer: Layer, z: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        return scaled(layer, z, s + self.shift)


class BandUpdate(SpectralUpdate):
    """D holds the main diagonal and `band` more on each side, all zero at first.

    Lingam et al., SVFT: Parameter-Efficient Fine-Tuning with Singular Vectors, NeurIPS 2024: `plain` is a band of 0.
    """

    def __init__(self, weight: torch.Tensor, pairs: Pairs, band: int) -> None:
        super().__init__(weight, pairs)
        k = len(pairs.s)
        self.offsets = range(-min(band, k - 1), min(band, k - 1) + 1)
        self.diagonals = nn.ParameterList(weight.new_zeros(k - abs(offset)) for offset in self.offsets)

    def core(self) -> torch.Tensor:
        """D."""
        core = torch.diag(self.diagonals[-self.offsets.start])
        for offset, values in zip(self.offsets, self.diagonals, strict=True):
            if offset:
                core = core + torch.diag(values, offset)
        return core

    def left(self) -> torch.Tensor:
        return self.U * self.diagonals[0] if len(self.diagonals) == 1 else self.U @ self.core()

    def mixed(self, layer: Layer, z: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
        if len(self.diagonals) == 1:
            return scaled(layer, z, s + self.diagonals[0])
        return lift(layer, z, torch.diag(s) + self.core())


def channel_axis(layer: Layer) -> int:
    """Where the features of a layer's answer lie: last, or before height and width."""
    return -1 if isinstance(layer, nn.Linear) else -3


def scaled(layer: Layer, z: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """z with its channels multiplied by `factors`."""
    return z * (factors if isinstance(layer, nn.Linear) else factors[:, None, None])
