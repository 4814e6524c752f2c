"""The pedestrian's own frame: where it stands, where it is heading and how far it steps, from the observation alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame a pedestrian: `origin` [N, 2] in metres, unit `heading` [N, 2] and `scale` [N], 1/m for the moving.

    A local path is (p - origin) in axes along and to the left of the heading, times the scale. EigenTrajectory,
    arXiv 2307.09306, section 3.1.
    """

    origin: Tensor
    heading: Tensor
    scale: Tensor

    @classmethod
    def of(cls, obs: Tensor, moving: Tensor | None = None) -> Frame:
        """The frames of observed paths [N, T, 2], T of 3 or more.

        The heading is that of the last two steps. Pedestrians that `moving` (bool [N]) marks are scaled so that these
        steps have a mean length of 1, all others and, where it is None, everybody stay in metres. Who has not been
        displaced keeps the axes of the world and the scale of 1.
        """
        displacement = _last_two_steps(obs)
        length = displacement.norm(dim=-1)
        displaced = length > 0
        dx, dy = (displacement / torch.where(displaced, length, 1)[:, None]).unbind(-1)
        heading = torch.stack((torch.where(displaced, dx, 1), dy), dim=-1)
        if moving is None:
            return cls(obs[:, -1], heading, torch.ones_like(length))
        scaled = displaced & moving
        return cls(obs[:, -1], heading, torch.where(scaled, 2 / torch.where(scaled, length, 1), 1))

    def to_local(self, paths: Tensor) -> Tensor:
        """World metres to local: [N, T, 2] or [N, S, T, 2]."""
        origin, heading, scale = self._against(paths)
        return _turn_back(paths - origin, heading) * scale

    def to_world(self, paths: Tensor) -> Tensor:
        """Local to world metres, the inverse of `to_local`."""
        origin, heading, scale = self._against(paths)
        (x, y), (cos, sin) = (paths / scale).unbind(-1), heading.unbind(-1)
        return torch.stack((cos * x - sin * y, sin * x + cos * y), dim=-1) + origin

    def rotate(self, vectors: Tensor, rows: Tensor | None = None) -> Tensor:
        """World vectors [N, 2] in axes along and to the left of the heading, in metres; `rows` says whose heading."""
        return _turn_back(vectors, self.heading if rows is None else self.heading[rows])

    def _against(self, paths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Origin, heading and scale, shaped to meet paths of either rank."""
        ones = (1,) * (paths.ndim - 2)
        return self.origin.view(-1, *ones, 2), self.heading.view(-1, *ones, 2), self.scale.view(-1, *ones, 1)


def speed(obs: Tensor) -> Tensor:
    """Mean length [N] of the last two steps of [N, T, 2], end to end, in metres a step."""
    return _last_two_steps(obs).norm(dim=-1) / 2


def _turn_back(vectors: Tensor, heading: Tensor) -> Tensor:
    (x, y), (cos, sin) = vectors.unbind(-1), heading.unbind(-1)
    return torch.stack((cos * x + sin * y, cos * y - sin * x), dim=-1)


def _last_two_steps(obs: Tensor) -> Tensor:
    return obs[:, -1] - obs[:, -3]
