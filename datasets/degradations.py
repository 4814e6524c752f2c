"""What sensors do to a clean cube: noise of several kinds, a lower resolution, missing entries.

Cubes are [h, w, c] on a scale from 0 to 1, deviations are given in levels of 255. Mixed noise follows the conventions of the
HSIR toolbox: noise that differs by band everywhere, and stripes, dead lines or impulses on a third of the bands.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.errors import BenchmarkError, unknown

KINDS = ("gaussian", "noniid", "stripes", "deadlines", "impulse", "mixture", "sr2", "sr4", "inpaint")
LEVELS = 255.0
BAND_SIGMAS = (10.0, 70.0)
"""Between which the deviation of each band lies where it differs by band."""
LINES = (0.05, 0.15)
"""Share of the columns of a band that stripes and dead lines take."""
IMPULSES = (0.1, 0.3, 0.5, 0.7)
"""Share of the pixels of a band that impulses take, one of these."""
BLUR_STD, BLUR_REACH = float(np.sqrt(16 / (8 * np.log(2)))), 4
"""Deviation and reach of the Gaussian, 9 x 9 pixels, before resolution is lowered."""


@dataclass(frozen=True)
class Degraded:
    """What was seen: `noisy` float32 [h / factor, w / factor, c]; `observed` bool [h, w, c] or None for all; `sigma` the
    deviation of Gaussian noise on the scale of the cube, NaN where it is not known."""

    noisy: np.ndarray
    observed: np.ndarray | None
    sigma: float
    factor: int = 1


@dataclass(frozen=True)
class Degradation:
    """One of `KINDS`, with its numbers.

    `sigma` is that of kind gaussian, `rate` the share of entries that inpaint lacks, `sigma_after` Gaussian noise on top of
    a lower resolution or of what is left of the entries. Equal seeds give equal noise, whatever the cube's values.
    """

    kind: str = "gaussian"
    sigma: float = 50.0
    rate: float = 0.8
    sigma_after: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("degradation", self.kind, KINDS)
        if min(self.sigma, self.sigma_after) < 0 or not 0 <= self.rate < 1 or self.seed < 0:
            raise BenchmarkError(
                f"data.sigma={self.sigma} data.sigma_after={self.sigma_after} data.rate={self.rate} data.seed={self.seed} is not "
                "valid: deviations and the seed are 0 or more, and rate is a share from 0 to below 1."
            )

    @property
    def factor(self) -> int:
        """By how much resolution is lower."""
        return int(self.kind[2:]) if self.kind.startswith("sr") else 1

    def apply(self, clean: np.ndarray) -> Degraded:
        """The degraded cube of a clean one float32 [h, w, c], whose sides are multiples of `factor`."""
        random = np.random.default_rng(self.seed)
        if self.kind == "gaussian":
            return Degraded(_noisy(clean, self.sigma / LEVELS, random), None, self.sigma / LEVELS)
        after = self.sigma_after / LEVELS
        if self.factor > 1:
            return Degraded(_noisy(lowered(clean, self.factor), after, random), None, after, self.factor)
        if self.kind == "inpaint":
            observed = random.random(clean.shape) >= self.rate
            return Degraded(np.where(observed, _noisy(clean, after, random), np.float32(0)), observed, after)
        return Degraded(self._mixed(clean, random), None, float("nan"))

    def _mixed(self, clean: np.ndarray, random: np.random.Generator) -> np.ndarray:
        noisy = _noisy(clean, random.uniform(*BAND_SIGMAS, clean.shape[2]) / LEVELS, random)
        kinds = ("stripes", "deadlines", "impulse") if self.kind == "mixture" else (self.kind,)
        for kind in kinds:
            if kind == "noniid":
                continue
            for band in random.permutation(clean.shape[2])[: clean.shape[2] // 3]:
                _SPOILS[kind](noisy[..., band], random)
        return noisy


def _noisy(cube: np.ndarray, deviation: float | np.ndarray, random: np.random.Generator) -> np.ndarray:
    noise = random.normal(0, 1, cube.shape).astype(np.float32)
    return (cube + np.asarray(deviation, np.float32) * noise).astype(np.float32)


def _lines(width: int, random: np.random.Generator) -> np.ndarray:
    low, high = (max(1, round(share * width)) for share in LINES)
    return random.permutation(width)[: random.integers(low, high + 1)]


def _stripes(band: np.ndarray, random: np.random.Generator) -> None:
    columns = _lines(band.shape[1], random)
    band[:, columns] += random.uniform(-0.25, 0.25, len(columns)).astype(np.float32)


def _deadlines(band: np.ndarray, random: np.random.Generator) -> None:
    band[:, _lines(band.shape[1], random)] = 0


def _impulse(band: np.ndarray, random: np.random.Generator) -> None:
    hit = random.random(band.shape) < random.choice(IMPULSES)
    band[hit] = random.integers(0, 2, int(hit.sum()))


_SPOILS = {"stripes": _stripes, "deadlines": _deadlines, "impulse": _impulse}


def lowered(cube: np.ndarray, factor: int) -> np.ndarray:
    """Blur by the 9 x 9 Gaussian with zeros around the cube, then MATLAB's bicubic imresize to 1 / `factor`, [h, w, c]."""
    taps = np.exp(-0.5 * (np.arange(-BLUR_REACH, BLUR_REACH + 1) / BLUR_STD) ** 2)
    taps /= taps.sum()
    made = cube.astype(np.float64)
    for axis in (0, 1):
        size = made.shape[axis]
        around = [(BLUR_REACH, BLUR_REACH) if each == axis else (0, 0) for each in range(3)]
        padded = np.pad(made, around)
        made = sum(tap * padded.take(range(at, at + size), axis) for at, tap in enumerate(taps))
    for axis in (0, 1):
        made = _imresize(made, factor, axis)
    return made.astype(np.float32)


def _imresize(cube: np.ndarray, factor: int, axis: int) -> np.ndarray:
    """One axis made shorter: the cubic of a = -0.5 stretched by `factor` (antialiasing), edges mirrored with the edge pixel."""
    size, reach = cube.shape[axis], 2 * factor
    mirrored = np.concatenate([np.arange(size), np.arange(size)[::-1]])
    rows = []
    for place in range(-(-size // factor)):
        centre = (place + 0.5) * factor - 0.5
        taken = np.arange(int(np.floor(centre - reach)), int(np.ceil(centre + reach)) + 1)
        weights = _cubic((centre - taken) / factor)
        values = cube.take(mirrored[taken % (2 * size)], axis)
        rows.append(np.tensordot(weights / weights.sum(), values, ([0], [axis])))
    return np.stack(rows, axis)


def _cubic(x: np.ndarray) -> np.ndarray:
    x = np.abs(x)
    near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
