"""What a restorer is given of a cube, and what it gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError

LEAST_BANDS = 3
"""Bands that a model of three reduced images needs."""
FEW = 0.1
"""Share of entries that a cube may lack and still have noise for its first trouble."""
MAD = 0.6745
"""Median absolute deviation of a normal variable of deviation one."""


@dataclass(frozen=True)
class Surroundings:
    """What a tile knows of the scene that it is cut from, so that all tiles are restored alike.

    `inner` float64 [c, c] are the inner products of the scene's bands, `lacking` the share of its entries that were not
    measured, `place` the row and column of the tile in the restored scene.
    """

    inner: Tensor
    lacking: float = 0.0
    place: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Observation:
    """A degraded cube `noisy` [c, h, w], about from 0 to 1, and how it came about; never the clean one.

    `observed` bool [c, h * factor, w * factor] says which entries were measured, None all. `sigma` is the deviation of the
    noise, NaN where it is not known. Resolution is lower by `factor`. A tile of a larger scene has its `scene`.
    """

    noisy: Tensor
    observed: Tensor | None = None
    sigma: float = math.nan
    factor: int = 1
    scene: Surroundings | None = None

    def __post_init__(self) -> None:
        if self.noisy.ndim != 3 or len(self.noisy) < LEAST_BANDS:
            raise BenchmarkError(
                f"A cube must be [bands, rows, columns] with {LEAST_BANDS} bands or more; given: {tuple(self.noisy.shape)}. "
                "An image of fewer bands has no low-rank model to restore it by."
            )
        if self.observed is not None and tuple(self.observed.shape) != self.shape:
            raise BenchmarkError(
                f"The mask of what was measured is {tuple(self.observed.shape)}, the cube is {self.shape}; they must be equal."
            )
        wrong = ~torch.isfinite(self.noisy)
        if wrong.any():
            raise BenchmarkError(
                f"The cube has {int(wrong.sum())} entries that are no finite numbers, the first in band "
                f"{int(wrong.nonzero()[0, 0])}. Mark them as not measured (nodata of a file) instead."
            )
        if self.scene is not None:
            return  # a tile of water or cloud may well be constant
        flat = self.noisy.flatten(1)
        if (constant := (flat.amax(1) == flat.amin(1)).nonzero().flatten()).numel():
            raise BenchmarkError(
                f"Band {int(constant[0])} (counted from 0; {constant.numel()} such) holds one value everywhere, so that nothing "
                "can be said of it. Leave it out of the file."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Bands, rows and columns of the restored cube."""
        bands, height, width = self.noisy.shape
        return bands, height * self.factor, width * self.factor

    @property
    def kind(self) -> str:
        """What is to be undone: denoise, sr or inpaint. A cube that lacks few entries is one to denoise."""
        if self.factor > 1:
            return "sr"
        if self.scene is not None:
            lacking = self.scene.lacking
        else:
            lacking = 0.0 if self.observed is None else 1 - float(self.observed.float().mean())
        return "inpaint" if lacking > FEW else "denoise"

    @property
    def inner(self) -> Tensor | None:
        """The inner products that the subspace is taken from, where they are not those of this cube."""
        return None if self.scene is None else self.scene.inner

    @property
    def noise(self) -> float:
        """The deviation of the noise: as it is known, else estimated."""
        return self.sigma if math.isfinite(self.sigma) else float(estimated_sigma(self.noisy, self.observed).mean())


@dataclass(frozen=True)
class Restoration:
    """A restored `cube` [c, h, w] and, of a reduced model, `coefficients` [c, k], the chosen `bands`, the reduced image after
    every step `steps` [s, k, h, w], and the deviation over several samples, `spread` [h, w], the mean over bands. A prior that
    says the noise of the cube itself has `estimate` [c, h, w], the cube less that noise and not clipped, and its `deviation`."""

    cube: Tensor
    coefficients: Tensor | None = None
    bands: tuple[int, ...] = ()
    reduced: Tensor | None = None
    steps: Tensor | None = None
    spread: Tensor | None = None
    estimate: Tensor | None = None
    deviation: float = math.nan


def estimated_sigma(cube: Tensor, seen: Tensor | None = None) -> Tensor:
    """The deviation of the noise in each band of [c, h, w], from its finest diagonal Haar coefficients (Donoho and Johnstone
    1994); the edges of a scene enter as well, so that it is rather too large.

    Entries that are not `seen` [c, h, w] hold no noise, so squares of four with one of them are left out. 0 without any square.
    """
    parts = [
        cube[:, top : cube.shape[1] // 2 * 2 : 2, left : cube.shape[2] // 2 * 2 : 2]
        for top in (0, 1)
        for left in (0, 1)
    ]
    detail = ((parts[0] - parts[1] - parts[2] + parts[3]) / 2).flatten(1).abs()
    if not detail.numel():
        return cube.new_zeros(len(cube))
    if seen is None or bool(seen.all()):
        return detail.median(1).values / MAD
    whole = seen[:, : cube.shape[1] // 2 * 2, : cube.shape[2] // 2 * 2].unfold(1, 2, 2).unfold(2, 2, 2).all(-1).all(-1)
    found = torch.where(whole.flatten(1), detail, torch.nan).nanmedian(1).values / MAD
    return torch.where(found.isnan(), found.nanmean().nan_to_num(0.0), found)  # a band without a square, as the others
