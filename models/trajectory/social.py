"""A predictor that looks at every neighbour: attention over the set of pedestrians in the window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.mlp import MLP
from benchmarks.models.trajectory.forecaster import Observation


class SocialPredictor(nn.Module):
    """Each pedestrian asks its neighbours; the answer and its own coefficients give corrections and logits.

    A neighbour is seen from the pedestrian's own frame: where it is, how it moves, and how near the two come if both
    walk on. Nothing depends on the order of pedestrians, and no window sees another. A learned entry stands for nobody,
    so that a pedestrian alone has something to attend to.
    """

    keep_dense = ("own.hidden.0.linear", "pair")

    def __init__(
        self,
        in_features: int,
        out_features: int,
        zero_start: bool = True,
        width: int = 64,
        heads: int = 4,
        hidden_units: Sequence[int] = (192, 192),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.depth = heads, per_head(width, heads)
        self.own = MLP(in_features + 2, (width,), dropout, batch_norm=False, out_features=width)
        self.pair = nn.Linear(7, width)
        self.keys_values = nn.Linear(width, 2 * width)
        self.nobody = nn.Parameter(torch.zeros(2, width))
        self.mlp = MLP(2 * width, hidden_units, dropout, batch_norm=False, out_features=out_features)
        if zero_start:
            nn.init.zeros_(self.mlp.out.weight)

    def forward(self, seen: Observation) -> Tensor:
        own = self.own(seen.own())
        return self.mlp(torch.cat([own, self.attend(own, seen)], 1))

    def attend(self, query: Tensor, seen: Observation) -> Tensor:
        """Per head a softmax over the pairs of each pedestrian, which are few beside all pairs of the batch: [B, width]."""
        one, other = pairs(seen.group)
        keys, values = self.keys_values(torch.relu(self.pair(encounter(seen, one, other)))).chunk(2, 1)
        nobody = self.nobody[:, None].expand(2, len(query), -1)
        owner = torch.cat([one, torch.arange(len(query), device=query.device)])
        keys, values = (
            torch.cat(both).unflatten(1, (self.heads, self.depth)) for both in ((keys, nobody[0]), (values, nobody[1]))
        )
        scores = (query.unflatten(1, (self.heads, self.depth))[owner] * keys).sum(2) / self.depth**0.5
        # Subtracting the largest score of each pedestrian keeps the exponentials finite and changes no weight.
        largest = scores.new_full((len(query), self.heads), -torch.inf)
        largest = largest.scatter_reduce(0, owner[:, None].expand(-1, self.heads), scores.detach(), "amax")
        weights = (scores - largest[owner]).exp()
        total = weights.new_zeros(len(query), self.heads).index_add(0, owner, weights)
        mixed = values.new_zeros(len(query), *values.shape[1:]).index_add(0, owner, weights[..., None] * values)
        return (mixed / total[..., None]).flatten(1)


def per_head(width: int, heads: int) -> int:
    """Numbers that each head of attention works on; BenchmarkError where heads do not share them evenly."""
    if not 1 <= heads <= width or width % heads:
        raise BenchmarkError(
            f"width={width} cannot be shared evenly by {heads} heads. Give model.width and model.heads with model.width a "
            "multiple of model.heads, for example 64 and 4."
        )
    return width // heads


def pairs(group: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of all ordered pairs of different pedestrians of one window: two tensors [pairs]."""
    together = group[:, None] == group[None]
    one, other = (together & ~torch.eye(len(group), dtype=torch.bool, device=group.device)).nonzero(as_tuple=True)
    return one, other


def encounter(seen: Observation, one: Tensor, other: Tensor) -> Tensor:
    """What `one` sees of `other`, in its own frame: [pairs, 7].

    Relative position and velocity (metres, metres a step), nearness, time to the nearest point in horizons of twelve
    steps, and nearness then, if both keep their velocity.
    """
    place = seen.obs[other, -1] - seen.obs[one, -1]
    velocity = seen.obs[:, -1] - seen.obs[:, -2]
    relative = velocity[other] - velocity[one]
    steps = (-(place * relative).sum(1) / relative.square().sum(1).clamp_min(1e-6)).clamp(0, 12)
    nearest = (place + steps[:, None] * relative).norm(dim=1)
    turned = [seen.frame.rotate(vector, one) for vector in (place, relative)]
    nearness = [1 / (1 + place.norm(dim=1)), steps / 12, 1 / (1 + nearest)]
    return torch.cat([0.1 * turned[0], turned[1], torch.stack(nearness, 1)], 1)
