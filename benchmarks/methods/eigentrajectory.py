"""EigenTrajectory: singular vectors of the paths as their descriptor."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from benchmarks.methods.descriptor import Count, Descriptor
from benchmarks.models.trajectory.descriptor import svd_basis


@dataclass(frozen=True)
class EigenTrajectory(Descriptor):
    """The `rank` first left singular vectors of all training paths (Bae, Oh and Jeon 2023, section 3)."""

    rank: Count = 6

    def sizes(self) -> tuple[int, int]:
        return self.rank, self.rank

    def bases(self, obs: Tensor, pred: Tensor) -> tuple[Tensor, Tensor]:
        return svd_basis(obs, self.rank)[0], svd_basis(pred, self.rank)[0]
