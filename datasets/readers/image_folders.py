"""Folders images/ and masks/ with a table of the parts, as SALT's data sets are laid out: also for images of one's own.

`data_split.csv` has columns `imgs`, the name of a file in images/, and `split`: train, val or test, and may have `subject`.
The mask of NAME.png is masks/NAME_mask.png, or masks/NAME.png: black and another level or, of several classes, their numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.readers.image_archive import Images, images_of
from benchmarks.datasets.readers.object_masks import fold_of, read_colours, read_gray
from benchmarks.errors import BenchmarkError, unknown

VERSION = 1
TABLE = "data_split.csv"
PARTS = ("train", "val", "test")
MOST_CLASSES = 255
SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".bmp", ".gif", ".ppm", ".pgm")
LAYOUT = f"It must hold {TABLE} (columns imgs and split), images/NAME.png and masks/NAME_mask.png."


def read(
    files: Mapping[str, Path],
    *,
    archive: str = "",
    colour: bool = True,
    crop: int = 0,
    shrink: int = 1,
    classes: int = 1,
) -> tuple[Fold, ...]:
    """One fold of the parts that the table names; a subject is what its column `subject` says, else an image.

    Masks are black where there is no object, and bool; of several `classes` they are uint8, their numbers from 1. Images are
    uint8 [n, h, w, 3], or [n, h, w] without `colour`, and have one size. Raises BenchmarkError for a part without images, a
    subject in two parts, sizes that differ, masks that are not of two levels or have numbers beyond the classes, and files
    that are absent.
    """
    if not 1 <= classes <= MOST_CLASSES:
        raise BenchmarkError(
            f"data.classes={classes} is not valid: it must be 1 to {MOST_CLASSES}. Type data.classes=1."
        )
    with images_of(files, archive, LAYOUT) as images:
        rows = _table(images)
        parts = [_split(images, [row for row in rows if row["split"] == part], colour, classes) for part in PARTS]
    shapes = {part.columns["image"].shape[1:] for part in parts}
    if len(shapes) > 1:
        raise BenchmarkError(f"The images of train, val and test have several sizes: {sorted(shapes)}. Give them one.")
    return fold_of(*parts, crop=crop, shrink=shrink, classes=classes)


def _table(images: Images) -> list[dict[str, str]]:
    """The lines of the table, checked before any image is opened."""
    source = images[TABLE]
    try:
        text = (source if isinstance(source, bytes) else source.read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BenchmarkError(
            f"{TABLE} is no UTF-8 text: {error.reason} at byte {error.start}. Save it as such."
        ) from error
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not {"imgs", "split"} <= rows[0].keys():
        raise BenchmarkError(
            f"{TABLE} must have the columns imgs and split; it has {', '.join(rows[0]) if rows else 'no line'}."
        )
    seen: dict[str, str] = {}
    for line, row in enumerate(rows, 2):
        if not row["imgs"] or not row["split"]:
            raise BenchmarkError(
                f"{TABLE}, line {line}: an image and its part must stand there, found {list(row.values())}."
            )
        if row["split"] not in PARTS:
            raise unknown(f"part of {TABLE}:", row["split"], PARTS)
        whose = row.get("subject") or row["imgs"]
        if seen.setdefault(whose, row["split"]) != row["split"]:
            raise BenchmarkError(
                f"{TABLE}: '{whose}' is in {seen[whose]} and in {row['split']}; parts must be disjoint."
            )
    counts = {part: sum(row["split"] == part for row in rows) for part in PARTS}
    if empty := [part for part, count in counts.items() if not count]:
        raise BenchmarkError(
            f"{TABLE} names no image of part {', '.join(empty)} ({len(rows)} images); each part needs one."
        )
    return rows


def _split(images: Images, rows: list[dict[str, str]], colour: bool, classes: int) -> Split:
    pictures: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    for row in rows:
        name = row["imgs"]
        picture = (read_colours if colour else read_gray)(images[f"images/{name}"])
        levels = read_gray(_mask(images, name))
        mask = two_levels(levels, name) if classes == 1 else numbered(levels, name, classes)
        if picture.shape[:2] != mask.shape:
            raise BenchmarkError(
                f"Image '{name}' is {picture.shape[:2]} and its mask {mask.shape}; they must have one size."
            )
        if pictures and pictures[0].shape != picture.shape:
            raise BenchmarkError(
                f"Image '{name}' is {picture.shape}, '{rows[0]['imgs']}' is {pictures[0].shape}. Give them one size."
            )
        pictures.append(picture)
        masks.append(mask)
    ids = np.array([row["imgs"] for row in rows])
    return Split(
        {"image": np.stack(pictures), "mask": np.stack(masks)},
        ids,
        np.array([row.get("subject") or row["imgs"] for row in rows]),
    )


def _mask(images: Images, name: str) -> Path | bytes:
    """The mask of an image: its name with `_mask`, or as it is, in any of the usual formats."""
    stem = name.rpartition(".")[0] or name
    for ending in ("_mask", ""):
        for suffix in SUFFIXES:
            if f"masks/{stem}{ending}{suffix}" in images.places:
                return images[f"masks/{stem}{ending}{suffix}"]
    return images[f"masks/{stem}_mask.png"]


def two_levels(mask: np.ndarray, name: str) -> np.ndarray:
    """A mask of black and one other level as bool [h, w]; an empty one is none. More levels raise BenchmarkError."""
    found = np.unique(mask)
    if len(found) > 2 or (len(found) == 2 and found[0] != 0):
        shown = ", ".join(map(str, found[:6])) + (" ..." if len(found) > 6 else "")
        raise BenchmarkError(
            f"The mask of image '{name}' has the levels {shown}; it must be 0 beside objects and one other level on them."
        )
    return mask > 0


def numbered(mask: np.ndarray, name: str, classes: int) -> np.ndarray:
    """A mask of the numbers of classes, uint8 [h, w], 0 beside objects; higher ones raise BenchmarkError."""
    if mask.max() > classes:
        beyond = ", ".join(map(str, np.unique(mask[mask > classes])[:6]))
        raise BenchmarkError(
            f"The mask of image '{name}' has the levels {beyond}; with data.classes={classes} it must be 0 beside objects and "
            f"1 to {classes} on them."
        )
    return mask
