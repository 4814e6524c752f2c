"""What the curve descriptors share: a family of curves spans the paths, whatever the data."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from torch import Tensor

from benchmarks.methods.descriptor import Descriptor
from benchmarks.models.trajectory.descriptor import curve, orthonormal


@dataclass(frozen=True)
class Curve(Descriptor):
    """Least-squares fits of curves, written in an orthonormal basis of the curves' span; anchors are learnt as ever."""

    @abstractmethod
    def family(self) -> tuple[str, dict[str, int]]:
        """The name of the curve and its options (see `models.trajectory.descriptor.curve`)."""

    @property
    def control_points_used(self) -> int:
        """Control points of one path; each has two coordinates."""
        name, options = self.family()
        return curve(name, 64, **options).shape[1]

    def sizes(self) -> tuple[int, int]:
        return 2 * self.control_points_used, 2 * self.control_points_used

    def bases(self, obs: Tensor, pred: Tensor) -> tuple[Tensor, Tensor]:
        name, options = self.family()
        return orthonormal(curve(name, obs.shape[1], **options)), orthonormal(curve(name, pred.shape[1], **options))
