"""The per-pedestrian predictor: what remains of EigenTrajectory's best baseline once its unused parts are gone."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.models.mlp import MLP
from benchmarks.models.trajectory.forecaster import Observation

METRES = 0.1
"""Positions in a window span tens of metres; the other inputs are near one."""


class MLPPredictor(nn.Module):
    """Observed coefficients, class, speed and the place in the window -> corrections and logits.

    The neighbours count by their mean position only. That position is turned into the pedestrian's own frame, as its
    coefficients are; the official code feeds it in world axes. `zero_start` makes the anchors the first forecast.
    """

    keep_dense = ("mlp.hidden.0.linear",)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        zero_start: bool = True,
        hidden_units: Sequence[int] = (256, 256),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.mlp = MLP(in_features + 4, hidden_units, dropout, batch_norm=False, out_features=out_features)
        if zero_start:
            nn.init.zeros_(self.mlp.out.weight)

    def forward(self, seen: Observation) -> Tensor:
        return self.mlp(torch.cat([seen.own(), METRES * seen.offset()], 1))
