"""Cubes as samples: tiles that do not overlap are samples and units, a cube is the group that a solver sees whole.

A cube is restored as one, so no batch cuts one; but there are few cubes, and what an interval needs is many parts of an image
that err apart. Cubes of several shapes stand in the same columns: what a tile has not (bands of a longer spectrum, pixels
beyond the edge of its cube) is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets.bundle import Split
from benchmarks.datasets.degradations import Degraded
from benchmarks.errors import BenchmarkError


@dataclass(frozen=True)
class Scene:
    """A clean cube [h, w, c] and what a sensor would have seen of it; `condition` is the row that it is reported in."""

    name: str
    condition: str
    clean: np.ndarray
    seen: Degraded
    unit: str = ""
    """What the bootstrap resamples, where that is not each tile alone."""


def split_of(scenes: Sequence[Scene], tile: int) -> Split:
    """A split of all tiles of some scenes, one scene after another, row by row.

    Columns: `noisy` float32 [n, c, t, t], of lower resolution [n, c, t / factor, t / factor]; `clean` [n, c, t, t]; `observed`
    bool [n, c, t, t], what was measured, where some scene has missing entries; `sigma` float32 [n], the known deviation of
    Gaussian noise or NaN; `factor` int64 [n]; `place` int64 [n, 2], row and column of a tile's first pixel in the clean cube.
    """
    factors = {scene.seen.factor for scene in scenes}
    if wrong := [factor for factor in factors if tile % factor]:
        raise BenchmarkError(
            f"data.tile={tile} is no multiple of {wrong[0]}, by which resolution is lower. Type data.tile=16."
        )
    bands = max(scene.clean.shape[2] for scene in scenes)
    parts = [list(_tiles(scene, tile)) for scene in scenes]
    masked = any(scene.seen.observed is not None for scene in scenes)
    columns: dict[str, list[np.ndarray]] = {"noisy": [], "clean": [], **({"observed": []} if masked else {})}
    for scene, places in zip(scenes, parts, strict=True):
        cubes = {"noisy": scene.seen.noisy, "clean": scene.clean}
        if masked:
            cubes["observed"] = np.ones(scene.clean.shape, bool) if scene.seen.observed is None else scene.seen.observed
        for name, cube in cubes.items():
            step = scene.seen.factor if name == "noisy" else 1
            columns[name] += [_cut(cube, row // step, column // step, tile // step, bands) for row, column in places]
    counts = [len(places) for places in parts]

    def of_each(values: Sequence[object], dtype: type | None = None) -> np.ndarray:
        return np.repeat(np.array(values, dtype), counts)

    names = of_each([scene.name for scene in scenes])
    place = np.array([each for part in parts for each in part], np.int64)
    ids = np.array([f"{name} {row},{column}" for name, (row, column) in zip(names, place.tolist(), strict=True)])
    units = of_each([scene.unit for scene in scenes])
    made = {name: np.stack(column) for name, column in columns.items()}
    made |= {
        "sigma": of_each([scene.seen.sigma for scene in scenes], np.float32),
        "factor": of_each([scene.seen.factor for scene in scenes], np.int64),
        "place": place,
    }
    conditions = of_each([scene.condition for scene in scenes])
    return Split(made, ids, np.where(units == "", ids, units), conditions, names)


def _tiles(scene: Scene, tile: int) -> Iterable[tuple[int, int]]:
    height, width, _ = scene.clean.shape
    return ((row, column) for row in range(0, height, tile) for column in range(0, width, tile))


def _cut(cube: np.ndarray, row: int, column: int, side: int, bands: int) -> np.ndarray:
    """A tile [bands, side, side] of a cube [h, w, c]; what is not there is NaN, or False."""
    part = cube[row : row + side, column : column + side].transpose(2, 0, 1)
    made = (
        np.zeros((bands, side, side), bool) if cube.dtype == bool else np.full((bands, side, side), np.nan, np.float32)
    )
    made[: part.shape[0], : part.shape[1], : part.shape[2]] = part
    return made
