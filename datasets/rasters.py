"""Spectral rasters: what a file says of its bands, and windows of all bands in one read.

A handle is opened by the process that reads and is never pickled; opening a file of 200 bands takes as long as reading
several windows of it, and a read band by band takes ten times as long as one of all bands.
"""

from __future__ import annotations

import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import BenchmarkError

BAD = ("0", "0.0", "0.")
"""How ENVI and others mark a bad band."""
MICROMETRES_UP_TO = 100.0
"""Centres without a unit are micrometres where all are below; no optical band has so few nanometres."""
WRAPPED_BELOW = -10_000
"""An int16 value that no reflectance takes: what was above 32767 and came back at the other end."""
METRES_PER_DEGREE = 111_195.0
"""Along a meridian of a sphere of 6,371 km."""
OPEN_FILES = 64
BLOCKS_BYTES = 2**28
"""What GDAL may keep of blocks that were read; its own choice, a twentieth of the machine's memory, grows with the file."""

SIGNATURES = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG"}


@dataclass(frozen=True)
class Header:
    """What a raster says of itself. `bands` [k] are the places from 1 of those with data; `wavelengths` and `fwhm` (NaN where
    unknown) are theirs, in nanometres, in the order of the file. `nodata` [k] is NaN where a band has none."""

    path: Path
    bands: np.ndarray
    wavelengths: np.ndarray
    fwhm: np.ndarray
    nodata: np.ndarray
    height: int
    width: int
    dtype: str
    crs: Any
    transform: Any

    @property
    def place(self) -> tuple[int, int, Any, Any]:
        """Where it lies on the ground: what labels must agree with."""
        return self.height, self.width, self.crs, self.transform

    @property
    def gsd(self) -> float | None:
        """Metres along a pixel: the root of its area, in degrees at the scene's middle; None without a place on the ground."""
        if self.crs is None or self.transform.is_identity:
            return None
        side = abs(self.transform.determinant) ** 0.5
        if self.crs.is_projected:
            return float(side * self.crs.linear_units_factor[1])
        if not self.crs.is_geographic:
            return None
        latitude = self.transform.f + (self.transform.d * self.width + self.transform.e * self.height) / 2
        return float(side * METRES_PER_DEGREE * math.cos(math.radians(latitude)) ** 0.5)


def read_header(path: Path, centres: Sequence[float] | None = None) -> Header:
    """The header of a raster whose bands have wavelengths: tags `wavelength` of GeoTIFF bands, GDAL's own metadata, or an
    ENVI header (also one beside the file); else `centres`, one for each band.

    Bands that `bbl` marks as bad by 0, in a tag or an ENVI header, are left out. Raises BenchmarkError for a file without
    wavelengths or with one band.
    """
    with opened(path) as file:
        tags = [{**file.tags(band), **_imagery(file, band)} for band in file.indexes]
        beside = _envi(path)
        centre = _numbers([tag.get("wavelength") for tag in tags], beside.get("wavelength"), file.count)
        if centre is None and centres is not None and len(centres) == file.count:
            centre = np.asarray(centres, np.float64)
        if centre is None:
            without = [band for band, tag in zip(file.indexes, tags, strict=True) if "wavelength" not in tag]
            some = 0 < len(without) < file.count
            what = f"wavelengths of bands {', '.join(map(str, without[:6]))}" if some else "wavelengths"
            raise BenchmarkError(
                f"{path} names no {what}: its {file.count} bands need a tag `wavelength` in nanometres each, or an ENVI "
                f"header {path.stem}.hdr beside it. With rasterio: file.update_tags(band, wavelength=...). A "
                "data set of such files may name a sensor of as many bands by data.of_sensor=."
            )
        fwhm = _numbers([tag.get("fwhm") for tag in tags], beside.get("fwhm"), file.count)
        fwhm = np.full(file.count, np.nan) if fwhm is None else fwhm
        unit = (tags[0].get("wavelength_units") or beside.get("wavelength units", [""])[0]).lower()
        if unit.startswith(("micro", "µm", "um")) or (not unit and centre.max() < MICROMETRES_UP_TO):
            centre, fwhm = 1000 * centre, 1000 * fwhm
        listed = beside.get("bbl", [])
        listed = listed if len(listed) == file.count else ["1"] * file.count
        marks = [tag.get("bbl", mark) for tag, mark in zip(tags, listed, strict=True)]
        good = np.array([mark.strip() not in BAD for mark in marks]) & (centre > 0) & np.isfinite(centre)
        if good.sum() < 2:
            raise BenchmarkError(
                f"{path} has {int(good.sum())} band with data and a wavelength; a spectrum takes several. "
                "Give a file of all bands."
            )
        nodata = np.array([np.nan if value is None else value for value in file.nodatavals], np.float64)
        return Header(
            path, np.array(file.indexes)[good], centre[good], fwhm[good], nodata[good], file.height, file.width,
            file.dtypes[0], file.crs, file.transform,
        )  # fmt: skip


def read_labels(path: Path, like: Header, ignore: int = 0) -> np.ndarray:
    """The first band of a raster of class numbers [h, w], at the place of a scene, `ignore` where it has no data; raises
    BenchmarkError for another place, size or type."""
    with opened(path) as file:
        found = (file.height, file.width, file.crs, file.transform)
        if found[:2] != like.place[:2]:
            raise BenchmarkError(
                f"The labels {path} are {found[0]} x {found[1]} pixels and the scene {like.path.name} "
                f"{like.height} x {like.width}; they must have one size."
            )
        if found[2] != like.crs or not found[3].almost_equals(like.transform, 1e-6 * abs(like.transform.a)):
            raise BenchmarkError(
                f"The labels {path} lie elsewhere than the scene {like.path.name}: CRS {found[2]} and {like.crs}, transform "
                f"{tuple(found[3])[:6]} and {tuple(like.transform)[:6]}. Warp one to the other, for example by `rio warp --like`."
            )
        values = file.read(1)
        mask = file.read_masks(1) > 0
    whole = np.where(mask & np.isfinite(values), values, ignore)
    numbers = whole.astype(np.int64)
    if (numbers != whole).any() or numbers.min() < 0 or numbers.max() > 254:
        raise BenchmarkError(
            f"The labels {path} must be whole numbers from 0 to 254; they go from {values.min()} to {values.max()}."
        )
    return numbers


class RasterSource:
    """Windows of raster files (see `datasets.cubes.CubeSource`); every process opens the files for itself."""

    def __init__(self, headers: Sequence[Header], order: np.ndarray | None = None) -> None:
        self.headers = list(headers)
        self.order = np.arange(len(headers[0].bands)) if order is None else order
        self._forget()

    def __getstate__(self) -> dict[str, Any]:
        return {"headers": self.headers, "order": self.order}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    def windows(self, places: np.ndarray, side: int, bands: np.ndarray | None = None) -> np.ndarray:
        """float32 [k, c, side, side]; raises BenchmarkError for files that cannot be read and numbers that have wrapped."""
        chosen = self.order if bands is None else self.order[bands]
        made = np.full((len(places), len(chosen), side, side), np.nan, np.float32)
        for row, (scene, top, left) in enumerate(np.asarray(places).tolist()):
            part = self._read(scene, chosen, top, left, side)
            made[row, :, : part.shape[1], : part.shape[2]] = part
        return made

    def _read(self, scene: int, chosen: np.ndarray, top: int, left: int, side: int) -> np.ndarray:
        import rasterio
        from rasterio.enums import MaskFlags
        from rasterio.windows import Window

        header = self.headers[scene]
        window = Window(left, top, min(side, header.width - left), min(side, header.height - top))
        try:
            with rasterio.Env(GDAL_CACHEMAX=BLOCKS_BYTES):
                file, bands = self._handle(scene), header.bands[chosen].tolist()
                values = file.read(bands, window=window)
                masked = any(file.mask_flag_enums[band - 1] != [MaskFlags.all_valid] for band in bands)
                hidden = file.read_masks(bands, window=window) == 0 if masked else False
        except unreadable() as error:
            raise BenchmarkError(f"{header.path} cannot be read at row {top}, column {left}: {error}.") from error
        nodata = header.nodata[chosen][:, None, None]
        absent = (values == nodata) | hidden
        if values.dtype == np.int16 and (values[~absent] < WRAPPED_BELOW).any():
            raise BenchmarkError(
                f"{header.path} holds {int(values[~absent].min())} at row {top}, column {left}: int16 ends at 32767, and larger "
                "numbers come back as negative ones. Write it as uint16 or float32, or name the value as nodata."
            )
        return np.where(absent, np.float32(np.nan), values).astype(np.float32)

    def _handle(self, scene: int) -> Any:
        import rasterio

        if self._owner != os.getpid():  # a forked worker must not share a file position with its parent
            self._forget()
        if scene not in self._handles:
            while len(self._handles) >= OPEN_FILES:
                self._handles.pop(next(iter(self._handles))).close()
            path = self.headers[scene].path
            with _unreferenced_too():
                self._handles[scene] = rasterio.open(path, driver=format_of(path))
        return self._handles[scene]

    def _forget(self) -> None:
        self._handles: dict[int, Any] = {}
        self._owner = os.getpid()


def by_wavelength(header: Header, sort: bool) -> np.ndarray:
    """Places of a header's bands from short to long wavelengths; raises BenchmarkError where they need `sort` and lack it."""
    falls = np.flatnonzero(np.diff(header.wavelengths) < 0)
    if len(falls) and not sort:
        first = falls[0]
        raise BenchmarkError(
            f"{header.path}: wavelengths do not rise from band {header.bands[first]} ({header.wavelengths[first]:g} nm) to band "
            f"{header.bands[first + 1]} ({header.wavelengths[first + 1]:g} nm). Where two spectrometers overlap this is right: "
            "type data.sort=true."
        )
    return np.argsort(header.wavelengths, kind="stable")


def format_of(path: Path) -> str:
    """The driver that opens a file: of PNG, JPEG or ENVI (which has a header beside it), of GeoTIFF all others.

    GDAL's own choice is not asked, since a virtual raster (VRT) leads out of its folder and into the network.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        return "GTiff"  # which says what is wrong
    found = next((driver for signature, driver in SIGNATURES.items() if start.startswith(signature)), None)
    headed = start[:2] not in (b"II", b"MM") and any(
        header.is_file() for header in (path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr"))
    )
    return found or ("ENVI" if headed else "GTiff")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A raster for reading; raises BenchmarkError where it is none. One without a place on the ground is as good."""
    import rasterio

    try:
        with _unreferenced_too(), rasterio.open(path, driver=format_of(path)) as file:
            yield file
    except unreadable() as error:
        raise BenchmarkError(f"{path} cannot be read as a raster: {error}.") from error


def unreadable() -> tuple[type[Exception], ...]:
    """What a damaged raster raises: GDAL's errors, a place on the ground that is none, words that are no text."""
    from rasterio.errors import CRSError, RasterioError

    return RasterioError, CRSError, UnicodeDecodeError


def _imagery(file: Any, band: int) -> dict[str, str]:
    """What GDAL itself calls a band's centre and width, in micrometres, as tags in nanometres."""
    tags = file.tags(band, ns="IMAGERY")
    names = {"wavelength": "CENTRAL_WAVELENGTH_UM", "fwhm": "FWHM_UM"}
    found = {name: f"{1000 * float(tags[key]):.9g}" for name, key in names.items() if key in tags}
    return {**found, "wavelength_units": "Nanometers"} if found else {}


def _numbers(tags: Sequence[str | None], listed: list[str] | None, count: int) -> np.ndarray | None:
    """One number for each band, of its tags or of a header's list; None where neither is whole."""
    for given in (tags, listed or []):
        if len(given) == count and all(given):
            try:
                return np.array([float(str(value).split()[0]) for value in given])
            except ValueError:
                continue
    return None


def _envi(path: Path) -> dict[str, list[str]]:
    """The lists and words of an ENVI header beside a file, by their names in small letters; empty where there is none."""
    for candidate in (path.with_suffix(".hdr"), path.with_name(f"{path.name}.hdr")):
        if candidate.is_file():
            text = candidate.read_text(encoding="utf-8", errors="replace")
            found = re.findall(r"^\s*([\w ]+?)\s*=\s*(\{[^}]*\}|.*)$", text, re.MULTILINE)
            return {name.lower(): [part.strip() for part in value.strip("{} \n").split(",")] for name, value in found}
    return {}


@contextmanager
def _unreferenced_too() -> Iterator[None]:
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield
