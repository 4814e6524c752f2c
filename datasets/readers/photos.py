"""Photographs of one's own, out of an archive, that a restorer is pretrained on with PROD."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.lock import locked
from benchmarks.datasets.readers.image_archive import JUNK, Archive
from benchmarks.datasets.readers.object_masks import read_colours
from benchmarks.datasets.readers.photo_crops import EVERY, checked, pretraining_fold
from benchmarks.errors import BenchmarkError

Shapes = dict[str, Sequence[int]]

VERSION = 1
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".ppm", ".webp")
PIXELS, SHAPES = "pixels.u8", "shapes.json"
FEWEST = 3


def read(
    files: Mapping[str, Path], store: Path, *, archive: str = "photos.zip", samples: int = 16000, patch: int = 128,
    degradations: str = "prod", val_samples: int = 64, seed: int = 0,
) -> tuple[Fold, ...]:  # fmt: skip
    """One fold of all pictures of the archive, whatever its folders; by name every tenth is for validation, the next is tested.

    They are decoded once, into `store`, and read from there as memory maps. Raises BenchmarkError for fewer than three, and
    for a picture that cannot be read or is smaller than `patch`.
    """
    checked(samples, patch, degradations, val_samples, seed)
    pictures = decoded(files[archive], store / "pictures")
    names = sorted(pictures)
    places = {"train": set(range(2, EVERY)), "val": {0}, "test": {1}}
    parts = (
        {name: pictures[name] for number, name in enumerate(names) if number % EVERY in chosen}
        for chosen in places.values()
    )
    return pretraining_fold(
        *parts, samples=samples, patch=patch, degradations=degradations, val_samples=val_samples, seed=seed
    )


def decoded(archive: Path, place: Path) -> dict[str, np.ndarray]:
    """The pictures of an archive by name, memory maps uint8 [h, w, 3] of one file in the folder `place`.

    One process decodes them, the others wait; what a machine that went down has left short is decoded anew.
    """
    if (shapes := _shapes(place)) is None:
        with locked(place, "the pictures"):
            if (shapes := _shapes(place)) is None:
                fresh = place.with_name(f"{place.name}.partial")
                for leftover in (place, fresh):
                    shutil.rmtree(leftover, ignore_errors=True)
                fresh.mkdir(parents=True)
                shapes = _decode(archive, fresh)
                fresh.rename(place)
    pixels = np.memmap(place / PIXELS, np.uint8, "r")
    found, start = {}, 0
    for name, shape in shapes.items():
        end = start + math.prod(shape)
        found[name] = pixels[start:end].reshape(shape)
        start = end
    return found


def _shapes(place: Path) -> Shapes | None:
    """The shapes of the decoded pictures, None where they are not there or not whole."""
    try:
        shapes: Shapes = json.loads((place / SHAPES).read_text(encoding="utf-8"))
        size = (place / PIXELS).stat().st_size
    except (OSError, ValueError):
        return None
    return shapes if size == sum(math.prod(shape) for shape in shapes.values()) else None


def _decode(archive: Path, place: Path) -> Shapes:
    opened = Archive(archive)
    shapes: Shapes = {}
    try:
        members = sorted(
            name
            for name in opened.names()
            if name.lower().endswith(SUFFIXES) and not any(part.startswith(JUNK) for part in name.split("/"))
        )
        if len(members) < FEWEST:
            raise BenchmarkError(
                f"{archive} holds {len(members)} pictures ({', '.join(SUFFIXES)}); training, validation and test take one each."
            )
        with (place / PIXELS).open("wb") as file:
            for name in members:
                try:
                    picture = read_colours(opened.read(name))
                except BenchmarkError as error:
                    raise BenchmarkError(f"{name} of {archive} cannot be read as an image. Take it out.") from error
                shapes[name] = picture.shape
                file.write(np.ascontiguousarray(picture).data)
    finally:
        opened.file.close()
    (place / SHAPES).write_text(json.dumps(shapes), encoding="utf-8")
    return shapes
