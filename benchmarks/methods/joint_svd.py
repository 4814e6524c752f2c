"""Singular vectors of whole paths as the descriptor: directions in which past and future move together."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchmarks.methods.descriptor import Count, Descriptor
from benchmarks.models.trajectory.descriptor import joint_basis


@dataclass(frozen=True)
class JointSVD(Descriptor):
    """The `rank` first singular vectors of whole paths, cut in two where the observation ends."""

    rank: Count = 6

    def sizes(self) -> tuple[int, int]:
        return self.rank, self.rank

    def bases(self, obs: Tensor, pred: Tensor) -> tuple[Tensor, Tensor]:
        joint = joint_basis(obs, pred, self.rank)
        return joint.obs, joint.pred
