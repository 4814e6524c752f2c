"""Spectral rasters of one's own: images/NAME.tif with all bands, labels/NAME.tif with class numbers, in an archive."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.archive import extract
from benchmarks.datasets.bands import VISIBLE_END, band_sets, spread_layouts
from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.cubes import IGNORED
from benchmarks.datasets.rasters import Header, RasterSource, by_wavelength, read_header, read_labels
from benchmarks.datasets.readers.spectral_tiles import PARTS, Tiles, Windows, spectral_fold
from benchmarks.datasets.sensor import sensor
from benchmarks.errors import BenchmarkError, unknown

VERSION = 1
TABLE = "data_split.csv"
SAME = 0.5
"""Nanometres by which the wavelengths of two scenes may differ."""
SAME_SIZE = 0.05
"""Share by which pixels of two scenes may differ in size: those in degrees do, by latitude."""
DEALT = ("test", "val", "train", "train", "train")
"""The part of a tile by (row + 2 column) modulo 5, where no table says: no two neighbours are of one and the same fifth."""


def read(
    files: Mapping[str, Path], store: Path, *, archive: str = "rasters.zip", tile: int = 64, window: int = 8, stride: int = 8,
    ignore: int = 0, names: str = "", visible: int = 16, infrared: int = 8, of_sensor: str = "", sort: bool = False,
    sensors: str = "", boundary: float = VISIBLE_END,
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold of tiles of `tile` pixels. With a table `data_split.csv` (columns `imgs` and `split`) whole scenes are train, val
    or test; without, every scene's tiles are dealt, three fifths to train.

    Label `ignore` does not count, nor do labels without data. `names` are the classes of the other labels in their order,
    comma-separated. `of_sensor` gives the wavelengths of files that name none; `sort` orders bands of spectrometers that
    overlap. `visible` and `infrared` count bands on either side of `boundary` nanometres, which a camera without short-wave
    infrared needs lower. The archive is unpacked once beside the data; windows are read from the files when they are needed.
    """
    if tile < 1:
        raise BenchmarkError(f"data.tile={tile} is no side of a tile. Type for example data.tile=32.")
    folder = _unpacked(files[archive], store)
    scenes = sorted(folder.glob("images/*.tif*"))
    if not scenes:
        raise BenchmarkError(f"{archive} holds no images/NAME.tif. It must hold images/NAME.tif and labels/NAME.tif.")
    centres = sensor(of_sensor).centre if of_sensor else None
    headers = [read_header(path, centres) for path in scenes]
    order = by_wavelength(headers[0], sort)
    _alike(headers)
    numbers = [
        read_labels(_labels_of(folder, path), header, ignore) for path, header in zip(scenes, headers, strict=True)
    ]
    found = [
        int(number) for number in np.unique(np.concatenate([np.unique(each) for each in numbers])) if number != ignore
    ]
    classes = _named(names, found)
    lookup = np.full(256, IGNORED, np.uint8)
    lookup[found] = np.arange(len(found))
    places = np.array(
        [
            (scene, top, left)
            for scene, header in enumerate(headers)
            for top in range(0, header.height, tile)
            for left in range(0, header.width, tile)
        ]
    )
    tiles = Tiles(
        RasterSource(headers, order),
        headers[0].wavelengths[order],
        [lookup[each] for each in numbers],
        classes,
        places,
        np.array([f"{scenes[scene].stem}_{top}_{left}" for scene, top, left in places]),
        tile,
        _common_gsd(headers),
    )
    part = _parts(folder / TABLE, scenes, places, tile)
    labelled = (tiles.labels_at(places, tile) != IGNORED).any((1, 2))
    parts = {name: np.flatnonzero((part == name) & labelled) for name in PARTS}
    wavelengths = tiles.wavelengths
    sets = band_sets(wavelengths, spread_layouts(wavelengths, visible, infrared, boundary), sensors)
    return (spectral_fold("all", tiles, sets, parts, Windows(window, stride)),)


def _unpacked(archive: Path, store: Path) -> Path:
    """The folder in the archive's copy beside the data that holds images/."""
    place = store / "scenes"
    if not place.is_dir():
        extract(archive, place)
    inner = [place, *sorted(path for path in place.iterdir() if path.is_dir())]
    return next((folder for folder in inner if (folder / "images").is_dir()), place)


def _alike(headers: list[Header]) -> None:
    first = headers[0]
    for header in headers[1:]:
        same = len(header.bands) == len(first.bands)
        if not same or np.abs(header.wavelengths - first.wavelengths).max() > SAME:
            raise BenchmarkError(
                f"{header.path.name} has other bands than {first.path.name} ({len(header.bands)} and {len(first.bands)} with "
                "data). All scenes need the same ones."
            )


def _common_gsd(headers: list[Header]) -> float | None:
    """The side of a pixel in metres; None where a scene does not say, or two differ."""
    known = [header.gsd for header in headers if header.gsd is not None]
    alike = len(known) == len(headers) and max(known) <= (1 + SAME_SIZE) * min(known)
    return float(np.mean(known)) if alike else None


def _labels_of(folder: Path, scene: Path) -> Path:
    for path in (folder / "labels" / scene.name, *sorted((folder / "labels").glob(f"{scene.stem}.*"))):
        if path.is_file():
            return path
    raise BenchmarkError(f"There is no labels/{scene.name} for images/{scene.name}.")


def _named(names: str, found: list[int]) -> list[str]:
    """Classes by name, or by their number; raises BenchmarkError where there are not as many names as labels."""
    given = [name.strip() for name in names.split(",") if name.strip()]
    if len(found) < 2:
        raise BenchmarkError(
            f"The labels hold {len(found)} class beside the ignored one; telling classes apart takes two."
        )
    if given and len(given) != len(found):
        raise BenchmarkError(f"data.names has {len(given)} names, but the labels are {found}. Give one name for each.")
    return given or [f"class {number}" for number in found]


def _parts(table: Path, scenes: list[Path], places: np.ndarray, tile: int) -> np.ndarray:
    """The part of every tile [k], by the table's word on its scene or dealt."""
    if not table.is_file():
        row, column = places[:, 1] // tile, places[:, 2] // tile
        return np.array(DEALT)[(row + 2 * column + places[:, 0]) % len(DEALT)]
    with table.open(newline="", encoding="utf-8-sig") as file:
        said = {Path(row["imgs"]).stem: row["split"] for row in csv.DictReader(file) if row.get("imgs")}
    for scene in scenes:
        if said.get(scene.stem) not in PARTS:
            raise unknown(f"part of images/{scene.name} in {TABLE}:", str(said.get(scene.stem)), PARTS)
    return np.array([said[scenes[scene].stem] for scene in places[:, 0]])
