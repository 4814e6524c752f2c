"""Forecasts in the space of a descriptor: observed coefficients in, corrections to anchors out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from benchmarks.models.trajectory.frame import Frame, speed

STATIC, MOVING = 0, 1


@dataclass(frozen=True)
class Observation:
    """What a predictor sees of each pedestrian of a batch.

    `obs` [B, T, 2] in world metres and `frame`, the pedestrian's own; `coefficients` [B, k] of the observed path in the
    descriptor's space; `moving` [B] (bool); `speed` [B] in metres a step; `group` [B], equal for those of one window.
    """

    obs: Tensor
    frame: Frame
    coefficients: Tensor
    moving: Tensor
    speed: Tensor
    group: Tensor

    def own(self) -> Tensor:
        """What is known of a pedestrian without its neighbours: [B, k + 2]."""
        return torch.cat([self.coefficients, self.moving[:, None].float(), self.speed[:, None].log1p()], 1)

    def offset(self) -> Tensor:
        """From the mean position of the window to the pedestrian, in metres of its own frame: [B, 2]."""
        last = self.obs[:, -1]
        sums = last.new_zeros(len(last), 3).index_add(0, self.group, torch.cat([last, torch.ones_like(last[:, :1])], 1))
        mean = sums[self.group]
        return self.frame.rotate(last - mean[:, :2] / mean[:, 2:])


class Predictor(Protocol):
    """A network from observations to corrections of all anchors and one logit each: [B, S * k + S]."""

    keep_dense: tuple[str, ...]

    def __call__(self, seen: Observation) -> Tensor: ...


class Forecaster(nn.Module):
    """Frame, descriptor, anchors and predictor: obs [B, T, 2], group [B] -> forecasts [B, S, P, 2], probabilities [B, S].

    Everything but the predictor is constant and held in buffers, one set for each of `classes`: with two, standing and
    moving pedestrians have bases and anchors of their own, and moving ones are scaled to steps of length one. Without a
    predictor the anchors are the forecast. Bae, Oh and Jeon, EigenTrajectory, ICCV 2023.
    """

    def __init__(
        self,
        predictor: nn.Module | None,
        *,
        obs_len: int,
        pred_len: int,
        obs_rank: int,
        rank: int,
        samples: int,
        classes: int,
    ) -> None:
        super().__init__()
        self.predictor = predictor
        self.samples, self.rank, self.pred_len = samples, rank, pred_len
        self.keep_dense = (
            tuple(f"predictor.{name}" for name in cast(Predictor, predictor).keep_dense) if predictor else ()
        )
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("obs_basis", torch.zeros(classes, 2 * obs_len, obs_rank))
        self.register_buffer("basis", torch.zeros(classes, 2 * pred_len, rank))
        self.register_buffer("anchors", torch.zeros(classes, samples, rank))
        self.register_buffer("popularity", torch.zeros(classes, samples))

    threshold: Tensor
    obs_basis: Tensor
    basis: Tensor
    anchors: Tensor
    popularity: Tensor

    def forward(self, obs: Tensor, group: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.observe(obs, group)
        coefficients, logits = self.refine(seen)
        return seen.frame.to_world(self.paths(seen, coefficients)), logits.softmax(1)

    def observe(self, obs: Tensor, group: Tensor) -> Observation:
        """The observed paths in their own frames and in the descriptor's space."""
        pace = speed(obs)
        moving = pace > self.threshold if len(self.basis) > 1 else torch.zeros_like(pace, dtype=torch.bool)
        frame = Frame.of(obs, moving)
        basis = self.obs_basis[self._class(moving)]
        coefficients = torch.bmm(frame.to_local(obs).flatten(1)[:, None], basis)[:, 0]
        return Observation(obs, frame, coefficients, moving, pace, group)

    def refine(self, seen: Observation) -> tuple[Tensor, Tensor]:
        """Coefficients [B, S, k] of the forecasts and logits [B, S] of their probabilities."""
        chosen = self._class(seen.moving)
        coefficients, logits = self.anchors[chosen], self.popularity[chosen]
        if self.predictor is None:
            return coefficients, logits
        changes = self.predictor(seen)
        corrections = changes[:, : self.samples * self.rank].unflatten(1, (self.samples, self.rank))
        return coefficients + corrections, logits + changes[:, self.samples * self.rank :]

    def paths(self, seen: Observation, coefficients: Tensor) -> Tensor:
        """The paths [B, S, P, 2] that coefficients [B, S, k] stand for, in each pedestrian's own frame."""
        basis = self.basis[self._class(seen.moving)]
        return torch.bmm(coefficients, basis.mT).unflatten(2, (self.pred_len, 2))

    def describe(self, seen: Observation, pred: Tensor) -> tuple[Tensor, Tensor]:
        """True futures [B, P, 2] in each pedestrian's own frame, and their coefficients [B, k]."""
        local = seen.frame.to_local(pred)
        basis = self.basis[self._class(seen.moving)]
        return local, torch.bmm(local.flatten(1)[:, None], basis)[:, 0]

    def use_coordinates(self) -> None:
        """Plain coordinates in place of a descriptor, and no anchors: what a low-rank space is compared with."""
        self.obs_basis.copy_(torch.eye(self.obs_basis.shape[1]))
        self.basis.copy_(torch.eye(self.basis.shape[1]))

    def _class(self, moving: Tensor) -> Tensor:
        return moving.long() if len(self.basis) > 1 else torch.zeros_like(moving, dtype=torch.long)
