"""Spectral rasters: files of any GDAL format, opened with an error that says what is wrong with them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A raster for reading; raises BenchmarkError where it is none. One without a place on the ground is as good."""
    import rasterio

    try:
        with _unreferenced_too(), rasterio.open(path) as file:
            yield file
    except rasterio.RasterioIOError as error:
        raise BenchmarkError(f"{path} cannot be read as a raster: {error}.") from error


@contextmanager
def _unreferenced_too() -> Iterator[None]:
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
