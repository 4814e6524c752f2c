"""Restorers without a prior: what was seen, rank truncation, and denoisers of images on the images of a subspace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from benchmarks.models.hsi_restoration.block_matching import block_matching
from benchmarks.models.hsi_restoration.fill import filled
from benchmarks.models.hsi_restoration.observation import Observation, Restoration
from benchmarks.models.hsi_restoration.subspace import principal
from benchmarks.models.hsi_restoration.total_variation import denoise_tv


class Restorer(nn.Module, ABC):
    """Restores every cube by itself."""

    counted = True
    """Whether torch computes what costs most, so that its count of operations says something."""

    def restore(self, observations: Sequence[Observation]) -> list[Restoration]:
        return [self.one(observation) for observation in observations]

    @abstractmethod
    def one(self, observation: Observation) -> Restoration:
        """The restoration of one cube."""


class Noisy(Restorer):
    """The cube as it was seen, enlarged and with its gaps filled where need be, clipped to the range from 0 to 1."""

    def one(self, observation: Observation) -> Restoration:
        return Restoration(filled(observation).clamp(0, 1))


class SVDTruncate(Restorer):
    """The best approximation of rank `rank`. In `eigenimages` a subclass makes something of its images."""

    def __init__(self, rank: int = 3) -> None:
        super().__init__()
        self.rank = rank

    def one(self, observation: Observation) -> Restoration:
        cube = filled(observation)
        vectors = principal(cube, self.rank, observation.inner).to(cube.dtype)
        images = self.eigenimages(torch.einsum("ck,chw->khw", vectors, cube), observation)
        return Restoration(torch.einsum("ck,khw->chw", vectors, images).clamp(0, 1), vectors, reduced=images)

    def eigenimages(self, images: Tensor, observation: Observation) -> Tensor:
        """What becomes of the images [k, h, w] of the subspace, whose noise has the deviation of the cube's."""
        return images


class SVDTV(SVDTruncate):
    """Total variation on the images of the subspace: one `weight` of all on the images as they are."""

    def __init__(self, rank: int = 3, weight: float = 0.15) -> None:
        super().__init__(rank)
        self.weight = weight

    def eigenimages(self, images: Tensor, observation: Observation) -> Tensor:
        return torch.stack([denoise_tv(image.double(), self.weight).to(image.dtype) for image in images])


class SVDBM3D(SVDTruncate):
    """BM3D on the images of the subspace, told the deviation of the noise (the idea of FastHyDe).

    `search` is the side in pixels of the window in which blocks are matched, `stages` see `block_matching`.
    """

    counted = False

    def __init__(self, rank: int = 3, search: int = 39, stages: int = 2) -> None:
        super().__init__(rank)
        self.denoise = block_matching("bm3d", search, stages)

    def eigenimages(self, images: Tensor, observation: Observation) -> Tensor:
        deviation = observation.noise
        if deviation <= 0:
            return images
        made = [torch.from_numpy(self.denoise(image.double().cpu().numpy(), deviation)) for image in images]
        return torch.stack(made).to(images)


class BM4D(Restorer):
    """BM4D on the whole cube as a volume, told the deviation of the noise (Maggioni et al., IEEE TIP 22, 2013).

    `reach` is how many voxels away blocks are matched, in every direction, `stages` see `block_matching`.
    """

    counted = False

    def __init__(self, reach: int = 7, stages: int = 2) -> None:
        super().__init__()
        self.denoise = block_matching("bm4d", (reach,) * 3, stages)

    def one(self, observation: Observation) -> Restoration:
        cube, deviation = filled(observation), observation.noise
        if deviation > 0:
            volume = cube.movedim(0, -1).double().cpu().numpy()
            cube = torch.from_numpy(self.denoise(volume, deviation)).movedim(-1, 0).to(cube)
        return Restoration(cube.clamp(0, 1))
