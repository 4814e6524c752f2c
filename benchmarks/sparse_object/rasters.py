"""Georeferenced images: gray levels out of a GeoTIFF, and a mask of objects at the same place on the ground."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.datasets.rasters import format_of, unreadable
from benchmarks.datasets.readers.object_masks import luminance
from benchmarks.errors import BenchmarkError

SUFFIXES = (".tif", ".tiff")
NO_DATA = 255
"""What both bands of an answer hold where the image has no data."""
LARGE = 1000
"""Rows or columns from which answers are written in tiles."""


@dataclass(frozen=True)
class Raster:
    """Gray levels uint8 [h, w], which pixels have data, and how the file lies on the ground."""

    levels: np.ndarray
    valid: np.ndarray
    place: dict[str, Any]


def is_raster(path: Path) -> bool:
    """Whether a file is to be read as one, by its name."""
    return path.suffix.lower() in SUFFIXES


def read_raster(path: Path) -> Raster:
    """One band, or red, green and blue as luminance. Bytes are taken as they are, wider types stretched over their range,
    numbers of a palette are looked up in it, and those of few bits a level span the range of a byte.

    Pixels without data (nodata value, mask, alpha) are black. Raises BenchmarkError for other bands and unreadable files.
    """
    import rasterio
    from rasterio.enums import ColorInterp

    try:
        with _unreferenced_too(), rasterio.open(path, driver=format_of(path)) as file:
            colours = [file.colorinterp.index(each) + 1 for each in _RGB(ColorInterp) if each in file.colorinterp]
            others = [each for each in file.colorinterp if each != ColorInterp.alpha]
            if len(colours) != 3 and len(others) != 1:
                raise BenchmarkError(
                    f"{path} has {len(others)} bands that are not red, green and blue. Give a file of one band, for example "
                    f"by `rio stack {path.name} --bidx 1 one.tif`."
                )
            chosen = colours if len(colours) == 3 else [file.colorinterp.index(others[0]) + 1]
            bands = file.read(chosen)
            if others[0] == ColorInterp.palette:
                bands = _looked_up(bands, file.colormap(chosen[0]))
            elif bits := file.tags(chosen[0], ns="IMAGE_STRUCTURE").get("NBITS"):
                bands = _widened(bands, int(bits))
            valid = file.dataset_mask() > 0
            place = {"crs": file.crs, "transform": file.transform, "gcps": file.gcps if file.gcps[0] else None}
    except unreadable() as error:
        raise BenchmarkError(f"{path} cannot be read as an image: {error}.") from error
    if np.issubdtype(bands.dtype, np.floating):
        valid &= np.isfinite(bands).all(0)
    if np.iscomplexobj(bands):
        raise BenchmarkError(f"{path} holds complex numbers. Give their magnitude.")
    levels = bands if bands.dtype == np.uint8 else _stretched(bands, valid)
    gray = luminance(levels.transpose(1, 2, 0)) if len(levels) == 3 else levels[0]
    return Raster(np.where(valid, gray, 0).astype(np.uint8), valid, place)


def write_raster(path: Path, raster: Raster, probability: np.ndarray, threshold: float) -> None:
    """A GeoTIFF of two bands of bytes at the place of the image, 255 where it has no data.

    `mask` is 1 where the probability [h, w] of an object is above `threshold`, else 0; `percent` is the probability.
    """
    import rasterio

    height, width = raster.levels.shape
    mask = np.where(raster.valid, probability > threshold, NO_DATA).astype(np.uint8)
    percent = np.where(raster.valid, np.rint(100 * probability.clip(0, 1)), NO_DATA).astype(np.uint8)
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256} if min(height, width) >= LARGE else {}
    place = {"crs": raster.place["crs"], "transform": raster.place["transform"]}
    # A transform that was not in the file reads as the identity; written, it would be one.
    referenced = {
        key: value for key, value in place.items() if value is not None and value != rasterio.Affine.identity()
    }
    with (
        _unreferenced_too(),
        rasterio.open(path, "w", driver="GTiff", height=height, width=width, count=2, dtype="uint8", nodata=NO_DATA,
                      compress="deflate", **tiles, **referenced) as file,
    ):  # fmt: skip
        file.write(np.stack([mask, percent]))
        file.descriptions = ("mask", "percent")
        if raster.place["gcps"] is not None:
            file.gcps = raster.place["gcps"]


def _looked_up(bands: np.ndarray, palette: Mapping[int, Sequence[int]]) -> np.ndarray:
    """Numbers of a palette as its gray levels."""
    colours = np.zeros((1, 1 + max(max(palette), int(bands.max(initial=0))), 3), np.uint8)
    for number, colour in palette.items():
        colours[0, number] = colour[:3]
    return luminance(colours)[0][bands]


def _widened(bands: np.ndarray, bits: int) -> np.ndarray:
    """Bytes of which a level has less than eight bits, with its largest level as 255."""
    return (bands.astype(np.uint16) * 255 // (2**bits - 1)).astype(np.uint8) if bits < 8 else bands


def _stretched(bands: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Numbers of any type [b, h, w] as bytes: the smallest with data becomes 0, the largest 255."""
    seen = bands[:, valid].astype(np.float64)
    low, high = (seen.min(), seen.max()) if seen.size else (0.0, 0.0)
    share = (np.where(valid, bands, low).astype(np.float64) - low) / ((high - low) or 1.0)
    return np.rint(255 * share).astype(np.uint8)


def _RGB(kinds: Any) -> tuple[Any, Any, Any]:  # noqa: N802
    return kinds.red, kinds.green, kinds.blue


@contextmanager
def _unreferenced_too() -> Iterator[None]:
    """A TIFF without a place on the ground is an image as well: no warning."""
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
