"""Rasters of one's own: a cube out of any GDAL file, and the restored one at the same place, in the same units and type."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.datasets.bundle import Split
from benchmarks.datasets.rasters import BLOCKS_BYTES, opened
from benchmarks.errors import BenchmarkError
from benchmarks.hsi_restoration.ranges import signal_range
from benchmarks.hsi_restoration.surveyed import check_range, check_seen, survey
from benchmarks.hsi_restoration.tiled import OVERLAP, blended, tiles_of
from benchmarks.models.hsi_restoration.observation import estimated_sigma

WHOLE, LEAST_BANDS = 2**26, 64
"""Numbers of a scene that is restored in one piece, larger ones are in tiles; a pixel counts as so many bands at least, which is
what a network makes of it."""
TILE = 256
FLOAT_PREDICTOR, INTEGER_PREDICTOR = 3, 2


@dataclass(frozen=True)
class Raster:
    """What a file is beside its numbers, to be written again; `low` and `high` are the values that became 0 and 1.

    `empty` bool [h, w] are pixels without data in any band: they stay so. `factor` is by how much resolution will rise.
    """

    profile: dict[str, Any]
    bands: list[dict[str, Any]]
    tags: dict[str, str]
    gcps: Any
    low: float
    high: float
    empty: np.ndarray
    factor: int


def read_raster(path: Path, factor: int = 1) -> tuple[Raster, Split]:
    """A raster and its cube as a split of one sample on a scale from 0 to 1 (see `signal_range`), the same for all bands; a
    large one (`WHOLE`) as a split of tiles that are read one by one.

    Entries without data (nodata, masks, NaN) are marked as not observed, so that they are filled; pixels without any are
    not. The level of noise is left to the solver; of tiles it is that of the scene, and of a cube with such pixels that of the
    others. Raises BenchmarkError for files without data.
    """
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=BLOCKS_BYTES), opened(path) as file:
        if any("complex" in kind for kind in file.dtypes):
            raise BenchmarkError(f"{path} holds complex numbers. Give their magnitude.")
        described = _described(file)
        if file.width * file.height * max(file.count, LEAST_BANDS) > WHOLE:
            known = survey(file, path)
            _check_gaps(path, known.lacking > 0, factor)
            raster = Raster(*described, known.low, known.high, known.empty, factor)
            return raster, tiles_of(path, known, factor)
        values, seen = file.read(), file.read_masks() > 0
    seen &= np.isfinite(values)
    counts = seen.sum((1, 2))
    check_seen(path, counts, described[0]["nodata"])
    # Means of bands in what has no data move no spectrum that is there.
    mean = np.where(seen, values, 0).sum((1, 2), dtype=np.float64) / counts
    cube = np.where(seen, values, mean[:, None, None])
    check_range(path, float(cube.min()), float(cube.max()))
    low, high = signal_range(cube, seen)
    scaled = ((cube - low) / (high - low)).astype(np.float32)
    raster = Raster(*described, low, high, ~seen.any(0), factor)
    return raster, _split(path, scaled, seen, raster.empty, factor)


def _described(file: Any) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, str], Any]:
    """Profile, bands, tags and ground control points of a file."""
    profile = {key: file.profile[key] for key in ("dtype", "nodata", "crs", "transform")}
    bands = [
        {
            "description": file.descriptions[index - 1],
            "tags": file.tags(index),
            "imagery": file.tags(index, ns="IMAGERY"),
            "unit": file.units[index - 1],
            "scale": file.scales[index - 1],
            "offset": file.offsets[index - 1],
        }
        for index in file.indexes
    ]
    return profile, bands, file.tags(), file.gcps if file.gcps[0] else None


def _split(path: Path, cube: np.ndarray, seen: np.ndarray, empty: np.ndarray, factor: int) -> Split:
    """One sample, in which pixels without any data are no gaps."""
    sigma = np.nan
    if empty.any():  # a solver does not know which pixels hold no noise
        sigma = float(estimated_sigma(torch.from_numpy(cube), torch.from_numpy(seen)).mean())
    columns = {
        "noisy": cube[None],
        "sigma": np.full(1, sigma, np.float32),
        "factor": np.full(1, factor, np.int64),
        "place": np.zeros((1, 2), np.int64),
    }
    lacking = ~(seen | empty)
    if lacking.any():
        _check_gaps(path, True, factor)
        columns["observed"] = ~lacking[None]
    name = np.array([path.stem])
    return Split(columns, name, name)


def _check_gaps(path: Path, lacking: bool, factor: int) -> None:
    if lacking and factor > 1:
        raise BenchmarkError(
            f"{path} lacks single entries, which a run that raises resolution cannot fill. Fill them first."
        )


def write_raster(path: Path, raster: Raster, outputs: Mapping[str, np.ndarray]) -> None:
    """A GeoTIFF in the file's type and units, written window by window: what had no data in any band has none, whole numbers
    are rounded.

    Band descriptions, tags (wavelengths), scales, offsets and units are kept. Where resolution rises pixels become as much
    smaller. Of a reduced model the coefficients go with it, so that three bands and they are the whole product. Of tiles the
    reduced images are blended, and the cube is made of them where it is written.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.windows import Window

    height, width = (raster.factor * side for side in raster.empty.shape)
    if "restored" not in outputs:
        reduced = blended(outputs["reduced"], outputs["place"], (height, width), raster.factor * OVERLAP)
    place = {"crs": raster.profile["crs"], "transform": raster.profile["transform"]}
    if raster.factor > 1:
        place["transform"] = place["transform"] * rasterio.Affine.scale(1 / raster.factor)
    known = {key: value for key, value in place.items() if value is not None and value != rasterio.Affine.identity()}
    tiled = height * width >= TILE**2
    tiles = {"tiled": True, "blockxsize": TILE, "blockysize": TILE} if tiled else {}
    kind = np.dtype(raster.profile["dtype"])
    predictor = INTEGER_PREDICTOR if np.issubdtype(kind, np.integer) else FLOAT_PREDICTOR
    with warnings.catch_warnings(), rasterio.Env(GDAL_CACHEMAX=BLOCKS_BYTES, GDAL_TIFF_INTERNAL_MASK=True):
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=len(raster.bands), dtype=kind.name,
                           nodata=raster.profile["nodata"], compress="deflate", predictor=predictor, interleave="band",
                           bigtiff="IF_SAFER", **tiles, **known) as file:  # fmt: skip
            # Tags come before pixels: a header that grows afterwards is written a second time at the end of the file.
            _describe(file, raster, outputs)
            for top in range(0, height, TILE):
                for left in range(0, width, TILE if tiled else width):
                    where = np.s_[top : min(top + TILE, height), left : min(left + TILE, width) if tiled else width]
                    if "restored" in outputs:
                        cube = outputs["restored"][0][(slice(None), *where)]
                    else:
                        cube = np.tensordot(outputs["coefficients"][0], reduced[(slice(None), *where)], 1).clip(0, 1)
                    file.write(_values(raster, cube, where), window=Window.from_slices(*where))
            if raster.profile["nodata"] is None and np.issubdtype(kind, np.integer) and raster.empty.any():
                file.write_mask(~raster.empty.repeat(raster.factor, 0).repeat(raster.factor, 1))


def _values(raster: Raster, cube: np.ndarray, where: tuple[slice, slice]) -> np.ndarray:
    """A window of the restored cube [c, h, w] in the file's type and units, with its marks of no data."""
    kind = np.dtype(raster.profile["dtype"])
    whole = np.issubdtype(kind, np.integer)
    scaled = cube.astype(np.float64) * (raster.high - raster.low) + raster.low
    if whole:
        scaled = np.rint(scaled).clip(np.iinfo(kind).min, np.iinfo(kind).max)
    values = scaled.astype(kind)
    nodata = raster.profile["nodata"]
    rows, columns = (np.arange(part.start, part.stop) // raster.factor for part in where)
    empty = raster.empty[np.ix_(rows, columns)]
    if nodata is not None:
        if not np.isnan(nodata):
            # A restored value that happens to be the mark of no data would be lost.
            values = np.where(values == kind.type(nodata), _beside(kind, nodata), values)
        values[:, empty] = kind.type(nodata)
    elif empty.any():
        values[:, empty] = np.nan if not whole else 0
    return values


def _describe(file: Any, raster: Raster, outputs: Mapping[str, np.ndarray]) -> None:
    """What the file said beside its numbers, and how it was restored."""
    file.update_tags(**raster.tags, **_product(outputs))
    for index, band in enumerate(raster.bands, 1):
        file.update_tags(index, **band["tags"])
        file.update_tags(index, ns="IMAGERY", **band["imagery"])
    file.descriptions = [band["description"] for band in raster.bands]
    file.units = [band["unit"] for band in raster.bands]
    file.scales = [band["scale"] for band in raster.bands]
    file.offsets = [band["offset"] for band in raster.bands]
    if raster.gcps is not None and raster.factor == 1:
        file.gcps = raster.gcps


def _beside(kind: np.dtype, value: float) -> Any:
    """The nearest other number of a type."""
    if np.issubdtype(kind, np.integer):
        return kind.type(value + 1 if value < np.iinfo(kind).max else value - 1)
    return np.nextafter(kind.type(value), kind.type(np.inf))


def _product(outputs: Mapping[str, np.ndarray]) -> dict[str, str]:
    """What the tags of the file say of how it was made."""
    made = {"RESTORED_BY": "lowrank-benchmarks task=hsi_restoration"}
    if "coefficients" in outputs:
        made["COEFFICIENTS"] = json.dumps(np.round(outputs["coefficients"][0].astype(float), 6).tolist())
    if "bands" in outputs and outputs["bands"].shape[1]:
        made["REDUCED_BANDS"] = json.dumps([int(band) + 1 for band in outputs["bands"][0]])
    return made
