"""What readers of spectral scenes share: tiles that are judged, windows that are trained on, layouts as conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from benchmarks.datasets.bands import TRAINED, BandSet
from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.datasets.cubes import IGNORED, CubeColumn, CubeSource, Scaled, scaled
from benchmarks.errors import BenchmarkError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Tiles:
    """Labelled scenes cut into tiles of `side` pixels: their places [k, 3] (scene, top, left) and names [k].

    `labels` are one array a scene, uint8 [h, w], numbers of `classes`, 255 where a pixel does not count. `source` reads the
    cubes; its bands lie at `wavelengths` [c], in nanometres. `gsd` is the side of a pixel in metres, None where unknown.
    """

    source: CubeSource
    wavelengths: np.ndarray
    labels: Sequence[np.ndarray]
    classes: Sequence[str]
    places: np.ndarray
    names: np.ndarray
    side: int
    gsd: float | None = None

    def labels_at(self, places: np.ndarray, side: int) -> np.ndarray:
        """Labels of windows, uint8 [k, side, side]; beyond the edge of a scene nothing counts."""
        made = np.full((len(places), side, side), IGNORED, np.uint8)
        for row, (scene, top, left) in enumerate(places):
            part = self.labels[scene][top : top + side, left : left + side]
            made[row, : part.shape[0], : part.shape[1]] = part
        return made


@dataclass(frozen=True)
class Windows:
    """What training sees: squares of `side` pixels, `stride` apart, and no nearer than `margin` to the edge of their tile."""

    side: int
    stride: int
    margin: int = 0

    def __post_init__(self) -> None:
        if self.side < 1 or self.stride < 1 or self.margin < 0:
            raise BenchmarkError(
                f"data.window={self.side} data.stride={self.stride} data.margin={self.margin} is not valid: the first two are 1 "
                "or more, the last 0 or more. Type data.window=8 data.stride=4 data.margin=0."
            )

    def within(self, tiles: np.ndarray, side: int) -> np.ndarray:
        """Places of all windows in tiles [k, 3] of `side` pixels: [k * per tile, 3]."""
        room = side - 2 * self.margin - self.side
        if room < 0:
            raise BenchmarkError(
                f"No window of data.window={self.side} pixels fits into a tile of {side} with data.margin={self.margin}. "
                f"Type data.window={max(1, side - 2 * self.margin)} or less."
            )
        steps = self.margin + np.arange(0, room + 1, self.stride)
        offsets = np.array([(0, top, left) for top in steps for left in steps])
        return (tiles[:, None] + offsets[None]).reshape(-1, 3)


def spectral_fold(
    name: str, tiles: Tiles, sets: Mapping[str, BandSet], parts: Mapping[str, np.ndarray], windows: Windows
) -> Fold:
    """The fold whose train, val and test tiles are numbers of `parts`.

    Columns: `cube`, standardised windows (see `CubeColumn`) with bands at `bands` float32 [n, width] nanometres, NaN behind
    the last; `label` uint8 [n, side, side], 255 where nothing counts; `classes` [n], how many there are. Training and
    validation have the layout `id` alone; a test tile is there once for every set of bands, which is its condition.
    Statistics of all bands are of the training tiles' pixels with data, which takes no label.
    """
    if empty := [part for part in PARTS if not len(parts[part])]:
        raise BenchmarkError(f"There is no tile for {', '.join(empty)} among {len(tiles.places)} tiles.")
    listed = list(sets.values())
    known = scaled(tiles.source, tiles.places[parts["train"]], tiles.side, listed)
    trained = [one for one in known if one.bands.name == TRAINED]
    places = windows.within(tiles.places[parts["train"]], tiles.side)
    labelled = (tiles.labels_at(places, windows.side) != IGNORED).any((1, 2))
    if not labelled.any():
        raise BenchmarkError("No training window has a labelled pixel. Check that labels and scenes lie at one place.")
    places = places[labelled]
    train = _split(tiles, trained, places, windows.side, [f"{s}/{t}/{left}" for s, t, left in places.tolist()])
    val, test = (
        _split(tiles, use, tiles.places[parts[part]], tiles.side, tiles.names[parts[part]].tolist(), part == "test")
        for part, use in (("val", trained), ("test", known))
    )
    return Fold(name, TrainingData(train, val, _schema(tiles, known, windows)), test)


def _split(
    tiles: Tiles, sets: Sequence[Scaled], places: np.ndarray, side: int, names: list[str], conditions: bool = False
) -> Split:
    """Every place under every set of bands, one set after another."""
    which = np.repeat(np.arange(len(sets)), len(places))
    everywhere = np.tile(places, (len(sets), 1))
    cube = CubeColumn(tiles.source, everywhere, side, sets, which)
    bands = np.full((len(sets), cube.shape[1]), np.nan, np.float32)
    for row, one in zip(bands, sets, strict=True):
        row[: len(one.bands)] = one.bands.wavelengths
    layouts = np.array([one.bands.name for one in sets])[which]
    units = np.array(names * len(sets))
    columns = {
        "cube": cast(Any, cube),
        "bands": bands[which],
        "label": np.tile(tiles.labels_at(places, side), (len(sets), 1, 1)),
        "classes": np.full(len(which), len(tiles.classes), np.uint8),
    }
    if not conditions:
        return Split(columns, units, units)
    ids = np.char.add(np.char.add(units, "@"), layouts)
    return Split(columns, ids, units, conditions=layouts)


def _schema(tiles: Tiles, known: Sequence[Scaled], windows: Windows) -> dict[str, Any]:
    """What networks are built with, and what carries a run over to a scene of one's own."""
    by_name = {one.bands.name: one for one in known}
    whole = by_name["all"]
    return {
        "classes": list(tiles.classes),
        "window": windows.side,
        "tile": tiles.side,
        "gsd": tiles.gsd,
        "trained": by_name[TRAINED].bands.wavelengths.tolist(),
        "wavelengths": whole.bands.wavelengths.tolist(),
        "mean": whole.mean.tolist(),
        "std": whole.std.tolist(),
    }
