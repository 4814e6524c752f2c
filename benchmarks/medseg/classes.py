"""Images with objects of several classes, no two of which overlap: as one binary image a class, and means over them. NumPy only.

`probability` [n, k, h, w] is that of each class, what is left that of the background; `mask` [n, h, w] holds their numbers from
1, and 0 for none. Of one class they are [n, h, w] and bool.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.metric import Samples


class Pieces(NamedTuple):
    """What counts of images: by class, [n, k, h, w] each; `field` [n, h, w] is where it does, all unless the data say so."""

    probability: np.ndarray
    mask: np.ndarray
    field: np.ndarray

    @property
    def detected(self) -> np.ndarray:
        """Which pixels are objects: those more probably of this class than of another one or the background."""
        return most_probable(self.probability)


def pieces(samples: Samples) -> Pieces:
    """The samples by class, with neither probability nor objects outside of the field of view, where there is one."""
    soft = by_class(samples["probability"])
    numbers = np.arange(1, soft.shape[1] + 1)[:, None, None]
    hard = samples["mask"][:, None] == numbers
    if "field" not in samples:
        return Pieces(soft, hard, np.ones(samples["mask"].shape, bool))
    field = samples["field"].astype(bool)
    return Pieces(soft * field[:, None], hard & field[:, None], field)


def by_class(probability: np.ndarray) -> np.ndarray:
    """[n, k, h, w] as it is, and [n, h, w] of one class as [n, 1, h, w]."""
    return probability[:, None] if probability.ndim == 3 else probability


def background(probability: np.ndarray) -> np.ndarray:
    """What classes [n, k, h, w] leave: [n, h, w]."""
    return 1 - probability.sum(1)


def most_probable(probability: np.ndarray) -> np.ndarray:
    """Of classes [n, k, h, w] the likeliest one at each pixel where it beats the background, bool [n, k, h, w].

    Of one class these are the pixels above one half; of equals it is the first.
    """
    best = probability.argmax(1)[:, None] == np.arange(probability.shape[1])[:, None, None]
    return best & (probability > background(probability)[:, None])


def over_classes(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Means of values [n, k] over the classes that are `present` in each image, or over all where none is: [n]."""
    counted = np.where(present.any(1, keepdims=True), present, True)
    return np.where(counted, values, 0.0).sum(1) / counted.sum(1)
