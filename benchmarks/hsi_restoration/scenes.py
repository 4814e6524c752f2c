"""Cubes out of the samples that were kept of them: tiles with what was restored, and statistics over their tiles.

A cube of which some tiles are drawn twice by the bootstrap, and others not at all, is judged by sums over tiles: everything
that a metric needs of a tile is added up with the weights of the tiles, and the metric is then that of the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from benchmarks.metric import Samples, Statistic

OTHERS = ("coefficients", "steps", "estimate", "deviation")
"""Columns beside the cubes that some metrics read."""

Value = Callable[[np.ndarray], float]
"""The metric of one cube under weights of its tiles."""


@dataclass(frozen=True)
class Scene:
    """The tiles of one cube: `clean` and `restored` float64 [n, c, t, t] with its own bands alone, NaN beyond its edges.

    `others` are the columns of the samples that metrics of a reduced model read.
    """

    rows: np.ndarray
    clean: np.ndarray
    restored: np.ndarray
    place: np.ndarray
    factor: int
    others: Samples

    @property
    def inside(self) -> np.ndarray:
        """Pixels that the cube has, bool [n, t, t]."""
        return np.isfinite(self.clean[:, 0])

    def whole(self, tiles: np.ndarray) -> np.ndarray:
        """Tiles [n, c, t, t] put together, [c, h, w]; where there is no tile it is NaN."""
        side = tiles.shape[-1]
        place = self.place - self.place.min(0)
        made = np.full((tiles.shape[1], *(place.max(0) + side)), np.nan)
        for tile, (row, column) in zip(tiles, place, strict=True):
            made[:, row : row + side, column : column + side] = tile
        kept = np.asarray(np.isfinite(made).any(0))
        return made[:, : int(np.flatnonzero(kept.any(1)).max()) + 1, : int(np.flatnonzero(kept.any(0)).max()) + 1]

    def tiles(self, cube: np.ndarray) -> np.ndarray:
        """A cube [c, h, w] cut as the samples are, NaN beyond its edges."""
        side = self.clean.shape[-1]
        made = np.full((len(self.rows), len(cube), side, side), np.nan)
        for tile, (row, column) in zip(made, self.place - self.place.min(0), strict=True):
            part = cube[:, row : row + side, column : column + side]
            tile[:, : part.shape[1], : part.shape[2]] = part
        return made


def scenes(samples: Samples) -> Iterator[Scene]:
    """The cubes of some samples, each of its group; without groups each sample is a cube."""
    names = samples["group"] if "group" in samples else np.arange(len(samples["id"]))
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        clean = samples["clean"][rows]
        bands = np.isfinite(clean).any((0, 2, 3))
        yield Scene(
            rows,
            clean[:, bands].astype(np.float64),
            samples["restored"][rows][:, bands].astype(np.float64),
            samples["place"][rows].astype(np.int64),
            int(samples["factor"][rows[0]]),
            {
                name: column[rows]
                for name, column in samples.items()
                if name in ("coefficients", "steps", "estimate", "deviation")
            },
        )


def over_scenes(samples: Samples, prepare: Callable[[Scene], Value | None], absent: str = "") -> Statistic:
    """A metric of each cube, averaged over cubes in proportion to how often their tiles were drawn.

    Where `prepare` has nothing to say of a cube the metric is undefined, because of `absent`.
    """
    parts = [(scene.rows, prepare(scene)) for scene in scenes(samples)]
    lacking = any(value is None for _, value in parts)

    def value(weights: np.ndarray | None) -> float:
        if lacking:
            return float("nan")
        total = mass = 0.0
        for rows, of_scene in parts:
            drawn = np.ones(len(rows)) if weights is None else weights[rows].astype(np.float64)
            if (share := drawn.mean()) > 0:
                assert of_scene is not None
                total += share * of_scene(drawn)
                mass += share
        return float(total / mass) if mass else float("nan")

    reason = absent if lacking else None
    if not lacking and np.isinf(value(None)):
        reason = "some band is exactly that of the clean cube, and the logarithm of no error is infinite"
    return Statistic(value, len(samples["id"]), reason=reason)


def enlarged(tiles: np.ndarray, factor: int) -> np.ndarray:
    """Tiles [n, c, h, w] in pixels as many times as large."""
    return tiles.repeat(factor, 2).repeat(factor, 3)
