"""Sets of bands that a network is trained and judged on: layouts of one sensor, and other sensors by spectral response."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.errors import BenchmarkError

TRAINED = "id"
"""The layout that training and validation see."""
LAYOUTS = (TRAINED, "shifted", "complement", "all")
VISIBLE_END = 1000.0
"""Nanometres from which a band counts as short-wave infrared, where a second spectrometer mostly begins."""
SIGMAS_PER_FWHM = 2.355
LEAST_WEIGHT = 1e-3
"""Response below which a band is taken to contribute nothing."""


@dataclass(frozen=True)
class BandSet:
    """What is made of a cube's bands: some of them (`rows`), or weighted sums of them (`weights` [k, c]).

    `wavelengths` [k] are the centres of what comes out, in nanometres.
    """

    name: str
    wavelengths: np.ndarray
    rows: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.wavelengths)

    def take(self, cube: np.ndarray) -> np.ndarray:
        """[n, c, ...] -> [n, k, ...]; a sum has no data (NaN) where one of its bands has none."""
        if self.weights is None:
            return cube[:, self.rows]
        weights = self.weights.astype(cube.dtype)
        seen = np.isfinite(cube)
        sums = np.tensordot(weights, np.where(seen, cube, 0), axes=(1, 1))
        if not seen.all():
            sums[np.tensordot(weights > 0, ~seen, axes=(1, 1)) > 0] = np.nan
        return np.moveaxis(sums, 0, 1)


def chosen(name: str, wavelengths: np.ndarray, rows: np.ndarray) -> BandSet:
    """The bands at `rows` of a sensor with those `wavelengths` [c], from short to long ones."""
    rows = np.asarray(rows)[np.argsort(np.asarray(wavelengths)[rows], kind="stable")]
    return BandSet(name, np.asarray(wavelengths, np.float64)[rows], rows=rows)


def spread_layouts(
    wavelengths: np.ndarray, visible: int = 16, infrared: int = 8, boundary: float = VISIBLE_END
) -> dict[str, np.ndarray]:
    """Four layouts of any sensor, as places in `wavelengths` [c]: by rule, where no publication fixes them.

    `id`: so many bands below `boundary` nanometres and so many above, evenly spread; `complement`: all others; `shifted`: of
    the others, with the two numbers exchanged; `all`. Raises BenchmarkError for a sensor that has too few bands on either side.
    """
    wavelengths = np.asarray(wavelengths)
    if len(wavelengths) < 2:
        raise BenchmarkError("The data have one band: no layout can hold any back. Give a cube of several bands.")
    sides = [np.flatnonzero(side) for side in (wavelengths < boundary, wavelengths >= boundary)]
    if not all(map(len, sides)):
        middle = round(float(wavelengths.min() + wavelengths.max()) / 2)
        raise BenchmarkError(
            f"All bands of the data, {wavelengths.min():g} to {wavelengths.max():g} nm, lie on one side of data.boundary="
            f"{boundary:g}. Layouts exchange numbers of bands across it: type data.boundary={middle}."
        )
    counts = (visible, infrared)
    if min(counts) < 0 or sum(counts) == 0:
        raise BenchmarkError(
            f"data.visible={visible} data.infrared={infrared} leaves no band to train on. Give at least one of them a band."
        )
    for side, count, other, where in zip(sides, counts, reversed(counts), ("below", "from"), strict=True):
        if count + other > len(side):
            raise BenchmarkError(
                f"data.visible={visible} data.infrared={infrared} needs {visible + infrared} bands {where} {boundary:.0f} nm, "
                f"for layouts id and shifted that share none; the data have {len(side)}. Type smaller numbers, such as "
                f"data.visible={max(1, min(map(len, sides)) // 2)} data.infrared={min(map(len, sides)) // 3}."
            )
    trained = _spread(sides, counts, wavelengths)
    rest = [np.setdiff1d(side, trained) for side in sides]
    shifted = _spread(rest, (infrared, visible), wavelengths)
    return {
        TRAINED: trained,
        "shifted": shifted,
        "complement": np.concatenate(rest),
        "all": np.arange(len(wavelengths)),
    }


def _spread(sides: list[np.ndarray], counts: tuple[int, int], wavelengths: np.ndarray) -> np.ndarray:
    """So many bands of each side, at even distances in the order of their wavelengths."""
    found = []
    for side, count in zip(sides, counts, strict=True):
        ordered = side[np.argsort(wavelengths[side], kind="stable")]
        found.append(ordered[np.linspace(0, len(ordered) - 1, count).round().astype(np.int64)])
    return np.concatenate(found)


def every(rows: np.ndarray, wavelengths: np.ndarray, step: int) -> np.ndarray:
    """Each `step`th of the bands at `rows`, in the order of their wavelengths, from the middle of the first ones."""
    ordered = np.asarray(rows)[np.argsort(np.asarray(wavelengths)[rows], kind="stable")]
    return ordered[(step - 1) // 2 :: step] if step < len(ordered) else ordered[len(ordered) // 2 :][:1]


def response(
    centre: np.ndarray, fwhm: np.ndarray, wavelengths: np.ndarray, name: str = "the sensor"
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian spectral response of bands (`centre`, `fwhm` [k]) on those of a cube (`wavelengths` [c]), all in nanometres.

    Returns which of the k bands the cube supports and their weights [kept, c], rows that sum to one. Sigma is FWHM / 2.355;
    weights below 1e-3 of the peak are zero. A band without any weight is left out, with a warning that names it.
    """
    distance = (np.asarray(wavelengths)[None] - np.asarray(centre)[:, None]) / (
        np.asarray(fwhm)[:, None] / SIGMAS_PER_FWHM
    )
    weights = np.exp(-0.5 * distance**2)
    weights[weights < LEAST_WEIGHT] = 0.0
    kept = np.flatnonzero(weights.any(1))
    if len(kept) < len(weights):
        lost = ", ".join(f"{nm:g}" for nm in np.delete(np.asarray(centre), kept))
        warnings.warn(f"Bands of {name} at {lost} nm lie beyond those of the data and are left out.", stacklevel=2)
    return kept, weights[kept] / weights[kept].sum(1, keepdims=True)


def resampled(name: str, wavelengths: np.ndarray, centre: np.ndarray, fwhm: np.ndarray) -> BandSet:
    """A cube with bands at `wavelengths` [c] as a sensor with bands (`centre`, `fwhm`) would see it (see `response`).

    Raises BenchmarkError where the two have nothing in common.
    """
    kept, weights = response(centre, fwhm, wavelengths, name)
    if not len(kept):
        raise BenchmarkError(
            f"No band of {name} lies within those of the data, {np.min(wavelengths):g} to {np.max(wavelengths):g} nm."
        )
    order = np.argsort(np.asarray(centre)[kept], kind="stable")
    return BandSet(name, np.asarray(centre, np.float64)[kept][order], weights=weights[order])


def band_sets(wavelengths: np.ndarray, layouts: Mapping[str, np.ndarray], sensors: str = "") -> dict[str, BandSet]:
    """Layouts (places in `wavelengths`) as sets of bands, and after them other sensors by name, comma-separated."""
    from benchmarks.datasets.sensor import sensor

    sets = {name: chosen(name, wavelengths, rows) for name, rows in layouts.items()}
    for name in filter(None, (part.strip() for part in sensors.split(","))):
        other = sensor(name)
        sets[name] = resampled(name, wavelengths, np.array(other.centre), np.array(other.fwhm))
    return sets
