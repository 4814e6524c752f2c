"""Restorers without a prior: what was seen, rank truncation, and denoisers of images on the images of a subspace."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
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
    """BM3D on the images of the subspace, told the deviation of the noise (the idea of FastHyDe)."""

    counted = False

    def __init__(self, rank: int = 3) -> None:
        super().__init__(rank)
        bm3d_of()

    def eigenimages(self, images: Tensor, observation: Observation) -> Tensor:
        deviation = observation.noise
        if deviation <= 0:
            return images
        denoise = bm3d_of()
        made = [torch.from_numpy(denoise(image.double().cpu().numpy(), deviation)) for image in images]
        return torch.stack(made).to(images)


class BM4D(Restorer):
    """BM4D on the whole cube as a volume, told the deviation of the noise (Maggioni et al., IEEE TIP 22, 2013)."""

    counted = False

    def __init__(self) -> None:
        super().__init__()
        bm4d_of()

    def one(self, observation: Observation) -> Restoration:
        cube, deviation = filled(observation), observation.noise
        if deviation > 0:
            volume = cube.movedim(0, -1).double().cpu().numpy()
            cube = torch.from_numpy(bm4d_of()(volume, deviation)).movedim(-1, 0).to(cube)
        return Restoration(cube.clamp(0, 1))


Denoiser = Callable[[Any, float], Any]
"""Of an array and the deviation of its noise."""


def bm3d_of() -> Denoiser:
    """The package's function of an image [h, w], on one thread, so that equal images have equal answers; raises BenchmarkError
    where it is not installed."""
    try:
        from bm3d import BM3DProfile, bm3d
    except ImportError as error:
        raise lacking("bm3d", error) from error
    profile = BM3DProfile()
    profile.num_threads = 1
    return lambda image, deviation: bm3d(image, deviation, profile=profile)


def bm4d_of() -> Denoiser:
    """The same of a volume [h, w, c]."""
    try:
        from bm4d import BM4DProfile, bm4d
    except ImportError as error:
        raise lacking("bm4d", error) from error
    profile = BM4DProfile()
    profile.num_threads = 1
    return lambda volume, deviation: bm4d(volume, deviation, profile=profile)


def lacking(package: str, error: ImportError) -> BenchmarkError:
    """What is said where a package for non-commercial use is not installed."""
    return BenchmarkError(
        f"{package.upper()} needs the package {package}, for non-commercial use ({error}). "
        f"Type: pip install 'lowrank-benchmarks[{package}]'"
    )
