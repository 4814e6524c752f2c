"""The picture of a run: squares of some images as they were seen, restored and clean, and where the errors are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.canvas import SOFT, TEXT, TITLE, Canvas
from benchmarks.datasets.bundle import Fold
from benchmarks.restoration.metrics import decibels, levels, mean_square
from benchmarks.segmentation.overlays import EDGE, GAP, HEADER, fit

PANEL = 192
"""Pixels of a square's side at most; what is smaller is shown larger."""
STEP = 16
"""Pixels between the places where the worst square is looked for."""
ERROR = 32.0
"""The root mean squared error of a pixel over its colours, in levels, that is drawn black."""
COLUMNS = ("seen", "restored", "clean", "error before", f"error, black from {ERROR:g} levels")


def draw(fold: Fold, samples: Mapping[str, np.ndarray], folder: Path) -> dict[str, list[int]]:
    """`images.png`, after the fold's name where there are several; gives the rows of the images that it shows."""
    chosen = typical(samples)
    side = min(PANEL, *samples["clean"].shape[1:3])
    zoom, _ = fit((side, side), PANEL)
    width = zoom * side
    picture = Canvas(
        2 * EDGE + len(COLUMNS) * (width + GAP) - GAP, 2 * EDGE + 48 + len(chosen) * (width + HEADER + GAP) - GAP
    )
    picture.text((EDGE, EDGE + 18), "From the image with the lowest PSNR to that with the highest", TITLE)
    for column, title in enumerate(COLUMNS):
        picture.text((EDGE + column * (width + GAP), EDGE + 40), title, TEXT, SOFT)
    for number, row in enumerate(chosen):
        top = EDGE + 48 + number * (width + HEADER + GAP)
        seen, made, clean = (
            levels(column[row]) for column in (fold.test.columns["image"], samples["restored"], samples["clean"])
        )
        before, after = (float(decibels(mean_square(clean, image))) for image in (seen, made))
        where = f" ({samples['condition'][row]})" if "condition" in samples else ""
        picture.text(
            (EDGE, top + 16), f"{samples['id'][row]}{where}: {before:.2f} to {after:.2f} dB", TEXT, SOFT
        )  # fmt: skip
        window = worst_square(clean - seen, side)
        panels = [image[window] for image in (seen, made, clean)]
        panels += [_errors((image - clean)[window]) for image in (seen, made)]
        for column, panel in enumerate(panels):
            place = (EDGE + column * (width + GAP), top + HEADER)
            picture.image(place, np.ascontiguousarray(panel.astype(np.uint8)), zoom)
    name = "images.png" if fold.name == "all" else f"{fold.name}-images.png"
    picture.save(folder / name, colours=None)
    return {name: chosen}


def typical(samples: Mapping[str, np.ndarray]) -> list[int]:
    """Up to four images, of the lowest, a low, the middle and the highest PSNR."""
    pairs = zip(samples["clean"], samples["restored"], strict=True)
    ranked = np.argsort([-mean_square(levels(clean), levels(made)) for clean, made in pairs], kind="stable").tolist()
    return list(dict.fromkeys(ranked[round(place * (len(ranked) - 1))] for place in (0.0, 0.25, 0.5, 1.0)))


def worst_square(error: np.ndarray, side: int) -> tuple[slice, slice]:
    """The square with the largest sum of squared errors [h, w, 3], of those at every 16th pixel: where there is most to see."""
    summed = np.pad(np.square(error).sum(-1), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    inner = summed[side:, side:] - summed[:-side, side:] - summed[side:, :-side] + summed[:-side, :-side]
    row, column = (
        STEP * int(place) for place in np.unravel_index(inner[::STEP, ::STEP].argmax(), inner[::STEP, ::STEP].shape)
    )
    return slice(row, row + side), slice(column, column + side)


def _errors(error: np.ndarray) -> np.ndarray:
    """Root mean squared errors over colours as gray, [h, w, 3]: the darker the larger."""
    share = (np.sqrt(np.square(error).mean(-1)) / ERROR).clip(0, 1)
    return np.repeat(np.rint(255 * (1 - share))[..., None], 3, 2)
