"""Scenes of one's own: a raster of any size and sensor in, classes at the same place on the ground out, tile by tile."""

from __future__ import annotations

import colorsys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from benchmarks.datasets.bands import chosen
from benchmarks.datasets.bundle import Split
from benchmarks.datasets.cubes import CubeColumn, Scaled
from benchmarks.datasets.rasters import Header, RasterSource, read_header
from benchmarks.datasets.tiling import tile_starts
from benchmarks.errors import BenchmarkError

NO_DATA = 255
"""What an answer holds where a scene has no data in its first, middle and last band."""
WINDOWS = 8
"""Windows along a tile, so that those at its edge are few."""
OVERLAP = 0.5
"""Share of a window that every side of a tile shows beyond what is kept of it."""
BEYOND = 50.0
"""Nanometres beyond the bands of training for which its statistics still speak."""
BLOCK = 256


@dataclass(frozen=True)
class Scene:
    """A raster, the tiles [k, 2] (top, left) that it is answered by, and the names of what may be answered.

    Of every tile of `side` pixels the inner part is kept, `margin` from its edges but where those are the scene's.
    """

    header: Header
    source: RasterSource
    tiles: np.ndarray
    side: int
    margin: int
    classes: list[str]


def read_scene(path: Path, schema: Mapping[str, Any]) -> tuple[Scene, Split]:
    """The scene and a sample for each tile of it; nothing is read before a tile is asked for.

    Its bands are standardised by the training statistics at their wavelengths, between bands linearly: numbers must mean what
    they meant in training (reflectance times 10,000, for instance). Raises BenchmarkError for a scene without wavelengths or
    without any band near those of training.
    """
    header = read_header(path)
    scaled = _scaled(header, schema)
    source = RasterSource([header])
    side, margin = schema["window"] * WINDOWS, int(schema["window"] * OVERLAP)
    tops, lefts = (tile_starts(size, side, side - 2 * margin) for size in (header.height, header.width))
    tiles = np.array([(top, left) for top in tops for left in lefts])
    places = np.concatenate((np.zeros((len(tiles), 1), np.int64), tiles), 1)
    cube = CubeColumn(source, places, side, [scaled], np.zeros(len(tiles), np.int64))
    bands = np.tile(scaled.bands.wavelengths.astype(np.float32), (len(tiles), 1))
    names = np.array([f"{path.stem}_{top}_{left}" for top, left in tiles])
    scene = Scene(header, source, tiles, side, margin, list(schema["classes"]))
    return scene, Split({"cube": cast(Any, cube), "bands": bands}, names, names)


def write_scene(path: Path, scene: Scene, prediction: np.ndarray) -> None:
    """A GeoTIFF of bytes: the class of every pixel by its number from 0, with names and colours; 255 without data.

    Raises BenchmarkError for a scene without data in any pixel, which is only known when all was read.
    """
    import rasterio
    from rasterio.windows import Window

    header = scene.header
    place = {"crs": header.crs, "transform": header.transform}
    # A transform that was not in the file reads as the identity; written, it would be one.
    known = {key: value for key, value in place.items() if value is not None and value != rasterio.Affine.identity()}
    # A pixel without data mostly has none in all bands, and reading all again would take as long as answering.
    ends = np.unique([0, len(header.bands) // 2, len(header.bands) - 1])
    tiled = (
        {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK} if min(header.height, header.width) >= BLOCK else {}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", height=header.height, width=header.width, count=1, dtype="uint8",
                           nodata=NO_DATA, compress="deflate", photometric="palette", **tiled, **known) as file:  # fmt: skip
            file.write_colormap(1, colours(len(scene.classes)))
            file.descriptions = ("class",)
            file.update_tags(1, **{f"class_{number}": name for number, name in enumerate(scene.classes)})
            anywhere = False
            for (top, left), classes in zip(scene.tiles.tolist(), prediction, strict=True):
                rows, columns = _kept(top, scene, header.height), _kept(left, scene, header.width)
                answer = classes[slice(*rows), slice(*columns)].astype(np.uint8)
                where = np.array([[0, top + rows[0], left + columns[0]]])
                seen = scene.source.windows(where, max(answer.shape), ends)[0, :, : answer.shape[0], : answer.shape[1]]
                there = np.isfinite(seen).any(0)
                anywhere = anywhere or bool(there.any())
                answer = np.where(there, answer, NO_DATA)
                window = Window(left + columns[0], top + rows[0], answer.shape[1], answer.shape[0])
                file.write(answer, 1, window=window)
    if not anywhere:
        raise BenchmarkError(
            f"{header.path} has no data in any pixel of its first, middle and last band: nodata everywhere "
            f"({header.nodata[0]:g}). Check the nodata value that it names."
        )


def colours(classes: int) -> dict[int, tuple[int, int, int, int]]:
    """A colour for each class, red, green, blue and opacity: hues around the circle, every other one darker."""
    made = {}
    for number in range(classes):
        hue, value = (number * 0.618034) % 1.0, 0.95 if number % 2 == 0 else 0.7
        made[number] = (*(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.65, value)), 255)
    return cast(dict[int, tuple[int, int, int, int]], made)


def _scaled(header: Header, schema: Mapping[str, Any]) -> Scaled:
    """The scene's bands near those of training, from short to long, with the statistics of training at their wavelengths."""
    known = np.array(schema["wavelengths"])
    near = (header.wavelengths >= known.min() - BEYOND) & (header.wavelengths <= known.max() + BEYOND)
    if not near.any():
        raise BenchmarkError(
            f"{header.path} has bands from {header.wavelengths.min():g} to {header.wavelengths.max():g} nm; the run was trained "
            f"on {known.min():g} to {known.max():g} nm. Check the unit of its wavelengths, or take another run."
        )
    bands = chosen("scene", header.wavelengths, np.flatnonzero(near))
    mean, std = (np.interp(bands.wavelengths, known, np.array(schema[name])) for name in ("mean", "std"))
    return Scaled(bands, mean, std)


def _kept(start: int, scene: Scene, size: int) -> tuple[int, int]:
    """Which pixels of a tile along an axis are kept: all but a margin on sides where another tile goes on."""
    end = min(scene.side, size - start)
    return (scene.margin if start > 0 else 0), (end - scene.margin if start + end < size else end)
