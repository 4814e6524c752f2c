"""Social-STGCNN: graph convolutions over the window, then convolutions that take coefficients for time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.trajectory.forecaster import Observation
from benchmarks.models.trajectory.mlp import METRES


class STGCNNPredictor(nn.Module):
    """One graph convolution, then `layers` that extrapolate: 2,372 parameters for 6 coefficients and 20 anchors.

    As in EigenTrajectory, coefficients and the place in the window stand for the time steps of one channel, and every
    anchor is a channel; a row more than there are coefficients gives the logits. Repaired against the official code:
    nothing is convolved along the index of pedestrians, whose order is arbitrary; time and channels change places by a
    transposition, not by another view of the same memory; every layer is used, there the last is not; the place is in the
    pedestrian's own frame; the distance on the ground is one graph, there its parts along the axes of the world are two;
    an edge weighs 1 / (1 + d), since 1 / d goes to infinity and then to 0 where two are alike; the adjacency is that of
    the paper, not its Laplacian; and there is no batch normalisation, so that no window sees another.
    Mohamed, Qian, Elhoseiny and Claudel, Social-STGCNN, CVPR 2020, arXiv 2002.11927, section 4.
    """

    keep_dense = ()

    def __init__(
        self,
        in_features: int,
        out_features: int,
        zero_start: bool = True,
        samples: int = 20,
        layers: int = 5,
    ) -> None:
        super().__init__()
        rows, steps = in_features + 2, out_features // samples
        self.graph = nn.Conv1d(in_features + 1, samples, 1)
        self.graph_act = nn.PReLU()
        self.temporal = nn.Conv1d(samples, samples, 3, padding=1)
        self.residual = nn.Conv1d(1, samples, 1)
        self.act = nn.PReLU()
        self.extrapolate = Extrapolation(nn.Conv1d, rows, steps, layers)
        self.out = nn.Conv1d(steps, steps, 3, padding=1)
        if zero_start:
            for parameter in self.out.parameters():
                nn.init.zeros_(parameter)

    def forward(self, seen: Observation) -> Tensor:
        rows = torch.cat([seen.coefficients, METRES * seen.offset()], 1)
        x = self.temporal(self.graph_act(self.graph(mix(rows, seen))))
        x = self.act(x + self.residual(rows[:, None])).mT
        return by_sample(self.out(self.extrapolate(x)))


class Extrapolation(nn.Module):
    """Convolutions with rows for channels: [B, rows, ...] -> [B, steps, ...]; all but the first have a residual.

    Without a layer BenchmarkError is raised.
    """

    def __init__(self, convolution: type[nn.Conv1d] | type[nn.Conv2d], rows: int, steps: int, layers: int) -> None:
        super().__init__()
        if layers < 1:
            raise BenchmarkError(
                f"layers={layers} leads from no coefficient to a forecast. Give model.layers=1 or more."
            )
        self.layers = nn.ModuleList(convolution(steps if i else rows, steps, 3, padding=1) for i in range(layers))
        self.acts = nn.ModuleList(nn.PReLU() for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        for index, (layer, act) in enumerate(zip(self.layers, self.acts, strict=True)):
            x = act(layer(x)) + x if index else act(layer(x))
        return x


def mix(rows: Tensor, seen: Observation) -> Tensor:
    """Sums of `rows` [B, rows] over the neighbours in one graph for each coefficient and one for the place: [B, k + 1, rows].

    The edge between two pedestrians is 1 / (1 + difference), which is 1 to oneself, over the roots of both degrees.
    """
    one, other = encounters(seen.group)
    apart = (seen.coefficients[one] - seen.coefficients[other]).abs()
    distance = (seen.obs[one, -1] - seen.obs[other, -1]).norm(dim=1)
    near = 1 / (1 + torch.cat([apart, distance[:, None]], 1))
    root = sum_over(near, one, len(rows)).sqrt()
    edges = near / (root[one] * root[other])
    return sum_over(edges[:, :, None] * rows[other, None], one, len(rows))


def encounters(group: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of all ordered pairs of pedestrians of one window, each with itself included: two tensors [pairs]."""
    one, other = (group[:, None] == group[None]).nonzero(as_tuple=True)
    return one, other


def sum_over(values: Tensor, one: Tensor, count: int) -> Tensor:
    """Sums of values [pairs, ...] over the pairs of each of `count` pedestrians."""
    return values.new_zeros(count, *values.shape[1:]).index_add(0, one, values)


def by_sample(x: Tensor) -> Tensor:
    """Rows [B, k + 1, S] as corrections, anchor by anchor, and logits from the last row: [B, S * k + S]."""
    return torch.cat([x[:, :-1].mT.flatten(1), x[:, -1]], 1)
