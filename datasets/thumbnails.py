"""Whether two sets of photographs share pictures, however these were cut down in quality or turned."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SIDE = 16
ALIKE = 4.0
"""Gray levels by which thumbnails of one picture differ at most on average; compression and noise of a file stay far below."""


def thumbnail(image: np.ndarray) -> np.ndarray:
    """Means of gray levels over 16 x 16 tiles of an image uint8 [h, w, 3], float64 [16, 16]."""
    gray = image.mean(2)
    rows, columns = (np.arange(SIDE) * size // SIDE for size in gray.shape)
    heights, widths = (
        np.diff(np.append(starts, size)) for starts, size in zip((rows, columns), gray.shape, strict=True)
    )
    return np.add.reduceat(np.add.reduceat(gray, rows, 0), columns, 1) / (heights[:, None] * widths)


def shared(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> list[tuple[str, str]]:
    """Pairs of names, one of each set, whose images uint8 [h, w, 3] show the same, be they turned by 90 degrees or mirrored."""
    from scipy.spatial.distance import cdist

    if not first or not second:
        return []
    left = np.stack([thumbnail(image).ravel() for image in first.values()])
    right = [thumbnail(image) for image in second.values()]
    views = [[np.rot90(one[::step], turn).ravel() for one in right] for step in (1, -1) for turn in range(4)]
    distance = np.min([cdist(left, np.stack(view), "cityblock") for view in views], axis=0) / SIDE**2
    names, others = list(first), list(second)
    return [(names[row], others[column]) for row, column in np.argwhere(distance < ALIKE)]
