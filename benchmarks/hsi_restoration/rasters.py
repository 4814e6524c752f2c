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
from benchmarks.datasets.rasters import opened
from benchmarks.errors import BenchmarkError
from benchmarks.models.hsi_restoration.observation import estimated_sigma
from benchmarks.models.hsi_restoration.subspace import truncated

LARGEST = 1_000_000
"""Pixels of a scene that is restored in one piece: the network holds some hundred numbers for each."""
LITTLE = 0.01
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
    """A raster and its cube as a split of one sample on a scale from 0 to 1 (see `signal_range`), the same for all bands.

    Entries without data (nodata, masks, NaN) are marked as not observed, so that they are filled; pixels without any are
    not. The level of noise is left to the solver. Raises BenchmarkError for files without data and for scenes too large.
    """
    with opened(path) as file:
        if file.width * file.height > LARGEST:
            raise BenchmarkError(
                f"{path} has {file.width} x {file.height} pixels; scenes of up to {LARGEST:,} are restored in one piece. Cut it "
                "into parts that overlap, for example by `gdal_translate -srcwin`."
            )
        values, seen = file.read(), file.read_masks() > 0
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
        tags, gcps = file.tags(), file.gcps if file.gcps[0] else None
    if np.iscomplexobj(values):
        raise BenchmarkError(f"{path} holds complex numbers. Give their magnitude.")
    seen &= np.isfinite(values)
    if not seen.any():
        raise BenchmarkError(f"{path} has no pixel with data (nodata is {profile['nodata']}).")
    counts = seen.sum((1, 2))
    if (absent := np.flatnonzero(counts == 0)).size:
        raise BenchmarkError(
            f"{path}: band {absent[0] + 1} ({absent.size} such) has no data at all. Leave it out of the file, for example by "
            "`rio stack --bidx`."
        )
    # Means of bands in what has no data move no spectrum that is there.
    mean = np.where(seen, values, 0).sum((1, 2), dtype=np.float64) / counts
    cube = np.where(seen, values, mean[:, None, None])
    if (least := cube.min()) == cube.max():
        raise BenchmarkError(f"{path} holds the value {least:g} alone, so that there is nothing to restore.")
    low, high = signal_range(cube)
    scaled = ((cube - low) / (high - low)).astype(np.float32)
    raster = Raster(profile, bands, tags, gcps, low, high, ~seen.any(0), factor)
    return raster, _split(path, scaled, seen, raster.empty, factor)


def signal_range(cube: np.ndarray) -> tuple[float, float]:
    """The smallest and largest value of a cube [c, h, w] as they would be without its noise.

    Weights of guidance belong to a clean cube on a scale from 0 to 1, and noise can double the range of a noisy one. The
    extremes of noise are taken off, but not beyond those of a rank-3 copy; noise below a hundredth of the range takes no room.
    """
    from scipy.stats import norm

    least, most = float(cube.min()), float(cube.max())
    tensor = torch.from_numpy(np.ascontiguousarray(cube, np.float64))
    noise = float(estimated_sigma(tensor).mean())
    if min(cube.shape[1:]) < 2 or noise < LITTLE * (most - least):
        return least, most
    reach = noise * float(norm.isf(1 / cube.size))
    copy = truncated(tensor, min(3, len(cube)))
    low = max(least, min(least + reach, float(copy.min())))
    high = min(most, max(most - reach, float(copy.max())))
    return (low, high) if low < high else (least, most)


def _split(path: Path, cube: np.ndarray, seen: np.ndarray, empty: np.ndarray, factor: int) -> Split:
    """One sample, in which pixels without any data are no gaps."""
    columns = {
        "noisy": cube[None],
        "sigma": np.full(1, np.nan, np.float32),
        "factor": np.full(1, factor, np.int64),
        "place": np.zeros((1, 2), np.int64),
    }
    lacking = ~(seen | empty)
    if lacking.any():
        if factor > 1:
            raise BenchmarkError(
                f"{path} lacks single entries, which a run that raises resolution cannot fill. Fill them first."
            )
        columns["observed"] = ~lacking[None]
    name = np.array([path.stem])
    return Split(columns, name, name)


def write_raster(path: Path, raster: Raster, outputs: Mapping[str, np.ndarray]) -> None:
    """A GeoTIFF in the file's type and units: what had no data in any band has none, whole numbers are rounded.

    Band descriptions, tags (wavelengths), scales, offsets and units are kept. Where resolution rises pixels become as much
    smaller. Of a reduced model the coefficients go with it, so that three bands and they are the whole product.
    """
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    cube = outputs["restored"][0].astype(np.float64) * (raster.high - raster.low) + raster.low
    kind = np.dtype(raster.profile["dtype"])
    whole = np.issubdtype(kind, np.integer)
    if whole:
        cube = np.rint(cube).clip(np.iinfo(kind).min, np.iinfo(kind).max)
    values = cube.astype(kind)
    nodata = raster.profile["nodata"]
    empty = raster.empty.repeat(raster.factor, 0).repeat(raster.factor, 1)
    if nodata is not None:
        if not np.isnan(nodata):
            # A restored value that happens to be the mark of no data would be lost.
            values = np.where(values == kind.type(nodata), _beside(kind, nodata), values)
        values[:, empty] = kind.type(nodata)
    elif empty.any():
        values[:, empty] = np.nan if not whole else 0
    _, height, width = values.shape
    place = {"crs": raster.profile["crs"], "transform": raster.profile["transform"]}
    if raster.factor > 1:
        place["transform"] = place["transform"] * rasterio.Affine.scale(1 / raster.factor)
    known = {key: value for key, value in place.items() if value is not None and value != rasterio.Affine.identity()}
    tiles = {"tiled": True, "blockxsize": TILE, "blockysize": TILE} if min(height, width) >= TILE else {}
    predictor = INTEGER_PREDICTOR if whole else FLOAT_PREDICTOR
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=len(values), dtype=kind.name,
                           nodata=nodata, compress="deflate", predictor=predictor, interleave="band", bigtiff="IF_SAFER",
                           **tiles, **known) as file:  # fmt: skip
            file.write(values)
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
    if "bands" in outputs:
        made["REDUCED_BANDS"] = json.dumps([int(band) + 1 for band in outputs["bands"][0]])
    return made
