"""The linear predictor: the conditional mean of the future's coefficients, in closed form."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.models.trajectory.forecaster import Observation


class RidgePredictor(nn.Module):
    """One affine map for each class, the same change for all anchors; logits stay those of the anchors."""

    keep_dense = ()

    def __init__(self, obs_rank: int, rank: int, samples: int, classes: int, penalty: float = 1e-3) -> None:
        super().__init__()
        self.samples, self.penalty = samples, penalty
        self.register_buffer("weight", torch.zeros(classes, obs_rank + 1, rank))

    weight: Tensor

    def forward(self, seen: Observation) -> Tensor:
        chosen = seen.moving.long() if len(self.weight) > 1 else torch.zeros_like(seen.moving, dtype=torch.long)
        change = torch.bmm(_with_one(seen.coefficients)[:, None], self.weight[chosen])
        change = change.expand(-1, self.samples, -1).flatten(1)
        return torch.cat([change, change.new_zeros(len(change), self.samples)], 1)

    def fit(self, index: int, given: Tensor, wanted: Tensor) -> Tensor:
        """Least squares with a penalty of `penalty` times the mean square of an input; returns what is predicted.

        given [M, obs_rank], wanted [M, rank], of the class `index`.
        """
        x, y = _with_one(given.double()), wanted.double()
        gram = x.T @ x
        if self.penalty > 0:
            weight = torch.linalg.solve(gram + self.penalty * gram.diagonal().mean() * torch.eye(len(gram)), x.T @ y)
        else:  # local paths end in the origin, so that inputs of full rank are not independent
            weight = torch.linalg.pinv(gram, hermitian=True) @ (x.T @ y)
        self.weight[index] = weight
        return (x @ weight).to(wanted.dtype)


def _with_one(given: Tensor) -> Tensor:
    return torch.cat([given, torch.ones_like(given[:, :1])], 1)
