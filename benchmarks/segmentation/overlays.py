"""What was detected in some images: found, missed and wrong pixels in three colours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.canvas import BLUE, SOFT, TEXT, TITLE, VERMILLION, Canvas, Stroke
from benchmarks.segmentation.pixels import detections, pixel_counts

EDGE, GAP, HEADER = 10, 12, 24
PANEL = 256
"""Pixels of a panel's longer side, about."""
MISSED = "#f0e442"
"""A yellow that is told from blue and vermillion."""


def typical(samples: Mapping[str, np.ndarray]) -> list[int]:
    """Up to four images, of the lowest, a low, the middle and the highest IoU among those with objects."""
    counts = pixel_counts(detections(samples), samples["mask"])
    objects = counts["tp"] + counts["fn"]
    quality = counts["tp"] / np.maximum(objects + counts["fp"], 1)
    ranked = sorted(np.flatnonzero(objects).tolist() or range(len(quality)), key=lambda index: quality[index])
    places = (0.0, 0.25, 0.5, 1.0)
    return list(dict.fromkeys(ranked[round(place * (len(ranked) - 1))] for place in places))


def draw_detections(path: Path, images: np.ndarray, samples: Mapping[str, np.ndarray], chosen: list[int]) -> None:
    """Each chosen image [n, h, w] or [n, h, w, 3] as it is and, below, with what was detected, missed and detected wrongly."""
    zoom, step = fit(images.shape[1:3], PANEL)
    height, width = (zoom * -(-size // step) for size in images.shape[1:3])
    picture = Canvas(2 * EDGE + len(chosen) * (width + GAP) - GAP, 2 * EDGE + 52 + HEADER + 2 * height + GAP)
    picture.text((EDGE, EDGE + 18), "Detections, from the image with the lowest IoU to that with the highest", TITLE)
    strokes = [
        Stroke(words, [colour], 6)
        for words, colour in (("found", BLUE), ("false alarm", VERMILLION), ("missed", MISSED))
    ]
    picture.legend((EDGE, EDGE + 42), strokes)
    hard = detections(samples)
    for number, index in enumerate(chosen):
        found, mask = hard[index], samples["mask"][index].astype(bool)
        x, y = EDGE + number * (width + GAP), EDGE + 52
        union = (found | mask).sum()
        quality = f"IoU {(found & mask).sum() / union:.2f}" if union else "no object"
        picture.text((x, y + 16), f"{samples['id'][index]}: {quality}", TEXT, SOFT)
        image = images[index]
        shown = image.copy() if image.ndim == 3 else np.repeat(image[..., None], 3, 2)
        picture.image((x, y + HEADER), shown[::step, ::step], zoom)
        for part, colour in ((found & mask, BLUE), (found & ~mask, VERMILLION), (mask & ~found, MISSED)):
            shown[part] = tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))
        picture.image((x, y + HEADER + height + GAP), shown[::step, ::step], zoom)
    picture.save(path)


def fit(shape: tuple[int, ...], panel: int) -> tuple[int, int]:
    """How much larger a pixel is shown, or which pixels of a large image are, so that its longer side is about `panel`."""
    longest = max(shape)
    return max(1, panel // longest), max(1, round(longest / panel))
