"""SGCN: sparse graphs over the window and over the coefficients, and graph convolutions on both in either order."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from benchmarks.models.trajectory.forecaster import Observation
from benchmarks.models.trajectory.mlp import METRES
from benchmarks.models.trajectory.social import per_head
from benchmarks.models.trajectory.stgcnn import Extrapolation, by_sample, encounters, sum_over


class SGCNPredictor(nn.Module):
    """Two sparse graphs, two branches of graph convolutions: 20,907 parameters for 6 coefficients and 20 anchors.

    As in EigenTrajectory, coefficients and the place in the window stand for the time steps of one channel, and every
    anchor is an output; a row more than there are coefficients gives the logits. Repaired against the official code: the
    convolutions of the mask between pedestrians are 1x1, since their order is arbitrary; the identity of the mask between
    rows has the size of the rows, where a 1 was added to all entries; the place is in the pedestrian's own frame; keys
    have no bias, which no softmax would see; windows share a batch and nothing else.
    Shi, Wang, Long, Zhou, Zhou, Niu and Hua, SGCN, CVPR 2021, arXiv 2104.01528, section 3.
    """

    keep_dense = ("*.embedding", "*.fuse", "*.mask.*", "before.*", "after.*", "mix_heads", "extrapolate.*", "out")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        zero_start: bool = True,
        samples: int = 20,
        width: int = 64,
        heads: int = 4,
        mask_layers: int = 7,
        layers: int = 5,
    ) -> None:
        super().__init__()
        rows, steps, depth = in_features + 2, out_features // samples, per_head(width, heads)
        self.pedestrians = PedestrianGraph(rows, width, heads, mask_layers)
        self.rows = RowGraph(width, heads, mask_layers)
        self.before = nn.ModuleList(_convolution(1, depth) for _ in range(2))
        self.after = nn.ModuleList(_convolution(depth, depth) for _ in range(2))
        self.mix_heads = nn.Linear(heads, heads, bias=False)
        self.extrapolate = Extrapolation(nn.Conv2d, rows, steps, layers)
        self.out = nn.Linear(depth, samples)
        if zero_start:
            nn.init.zeros_(self.out.weight)
            nn.init.zeros_(self.out.bias)

    def forward(self, seen: Observation) -> Tensor:
        rows = torch.cat([seen.coefficients, METRES * seen.offset()], 1)
        one, other = encounters(seen.group)
        between_pedestrians, between_rows = self.pedestrians(rows, one, other), self.rows(rows)

        def over_pedestrians(x: Tensor) -> Tensor:
            return sum_over(between_pedestrians[..., None] * x[other], one, len(rows))

        def over_rows(x: Tensor) -> Tensor:
            return torch.einsum("bhtu,buhd->bthd", between_rows, x)

        x = rows[:, :, None, None]
        heads = x.expand(-1, -1, between_rows.shape[1], -1)
        first = self.after[0](over_rows(self.before[0](over_pedestrians(x))))
        # Of one number without a bias a PReLU is a ray on either side of zero: two numbers a pair stand for all features.
        turned = over_rows(heads)
        rays = self.before[1](torch.stack([rows.new_ones(1), -rows.new_ones(1)]))
        second = self.after[1](over_pedestrians(torch.cat([turned.relu(), (-turned).relu()], 3)) @ rays)
        x = self.mix_heads(first.mT).mT + second
        return by_sample(self.out(self.extrapolate(x)).mean(2))


class PedestrianGraph(nn.Module):
    """Edges from each pedestrian to those of its window, one graph a row and head: rows [B, T] -> [pairs, T, heads]."""

    def __init__(self, rows: int, width: int, heads: int, mask_layers: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.fuse = nn.Linear(rows, rows)
        self.fuse_act = nn.PReLU()
        self.mask = nn.ModuleList(nn.Linear(heads, heads) for _ in range(mask_layers))
        self.acts = nn.ModuleList(nn.PReLU() for _ in range(mask_layers))

    def forward(self, rows: Tensor, one: Tensor, other: Tensor) -> Tensor:
        slope = self.attention(rows)
        scores = slope[one] * rows[other, :, None]
        # Subtracting the largest score of each pedestrian keeps the exponentials finite and changes no weight.
        largest = torch.full_like(slope, -torch.inf, dtype=scores.dtype)
        largest = largest.scatter_reduce(0, one[:, None, None].expand_as(scores), scores.detach(), "amax")
        dense = (scores - largest[one]).exp()
        dense = dense / sum_over(dense, one, len(rows))[one]
        mask = self.fuse_act(self.fuse(dense.mT)).mT + dense
        for layer, act in zip(self.mask, self.acts, strict=True):
            mask = act(layer(mask)) + mask
        sparse = (dense * (_sparse(mask) + (one == other)[:, None, None])).expm1().square()
        return sparse / (sum_over(sparse, one, len(rows))[one] + EPSILON)


class RowGraph(nn.Module):
    """Edges from each row of a pedestrian to its rows: [B, T] -> [B, heads, T, T]."""

    def __init__(self, width: int, heads: int, mask_layers: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.mask = nn.Sequential(*(Asymmetric(heads) for _ in range(mask_layers)))

    def forward(self, rows: Tensor) -> Tensor:
        dense = (self.attention(rows).mT[..., None] * rows[:, None, None]).softmax(3)
        itself = torch.eye(rows.shape[1], device=rows.device)
        sparse = (dense * (_sparse(self.mask(dense)) + itself)).expm1().square()
        return sparse / (sparse.sum(3, keepdim=True) + EPSILON)


class Attention(nn.Module):
    """How the score of a key rises with the number that it stands for, for each query: [B, T] -> [B, T, heads].

    Queries and keys are linear in one number each. Their product is therefore a slope times the key's number and
    something that all keys share, which the softmax removes; so no pair needs `width` numbers.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.embedding = nn.Linear(1, width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, numbers: Tensor) -> Tensor:
        queries = self.query(self.embedding(numbers[:, :, None])).unflatten(2, (self.heads, -1))
        one = linear(numbers.new_ones(1, 1), self.embedding.weight)
        keys = self.key(one).unflatten(1, (self.heads, -1))
        return (queries * keys).sum(3) / queries.shape[3] ** 0.5


class Asymmetric(nn.Module):
    """A convolution along either axis of an image, together: [B, heads, T, T] -> the same."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.column = nn.Conv2d(heads, heads, (3, 1), padding=(1, 0), bias=False)
        self.row = nn.Conv2d(heads, heads, (1, 3), padding=(0, 1))
        self.act = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.column(x) + self.row(x)) + x


EPSILON = 1e-5
"""Keeps the softmax that leaves zeros at zero from dividing by zero."""


def _convolution(in_features: int, out_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(in_features, out_features, bias=False), nn.PReLU())


def _sparse(mask: Tensor) -> Tensor:
    """What a mask lets through: its probabilities above one half."""
    probability = mask.sigmoid()
    return torch.where(probability > 0.5, probability, 0)
