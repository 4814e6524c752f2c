"""How far two outlines lie apart: the 95 % Hausdorff distance, as MONAI defines it."""

from __future__ import annotations

import numpy as np

PERCENTILE = 95


def hausdorff95(detected: np.ndarray, mask: np.ndarray) -> float:
    """Of two masks bool [h, w], in pixels: the larger of the 95th percentiles of distances from either outline to the other.

    The outline of a mask is what an erosion by a cross takes away, pixels at the edge of the image included. Two empty masks
    are 0 apart, an empty and another one the diagonal of the image.
    """
    from scipy.ndimage import distance_transform_edt

    if not detected.any() or not mask.any():
        return float(np.hypot(*mask.shape)) if detected.any() or mask.any() else 0.0
    box = _box(detected | mask)
    one, two = outline(detected[box]), outline(mask[box])
    ways = ((one, two), (two, one))
    return float(max(np.percentile(distance_transform_edt(~to)[of], PERCENTILE) for of, to in ways))


def outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask that touch its outside by a side."""
    from scipy.ndimage import binary_erosion

    return mask & ~binary_erosion(mask)


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    """The smallest window that holds a mask: beyond it nothing is nearer."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
