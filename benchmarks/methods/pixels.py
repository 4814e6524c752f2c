"""What methods on single pixels share: the spectra that training has a label for, each once."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.hyperspectral.task import Hyperspectral
from benchmarks.method import Workbench

UNLABELLED = 255
AT_ONCE = 64
"""Windows that are read at a time."""


def labelled_spectra(bench: Workbench) -> tuple[np.ndarray, np.ndarray]:
    """Spectra float64 [n, c] of labelled training pixels as the task shows them, in order of wavelength, and their classes [n].

    Windows of training overlap; a pixel that several show is there once. Raises BenchmarkError where there is one class.
    """
    task, columns = cast(Hyperspectral, bench.task), bench.data.train.columns
    label = np.asarray(columns["label"])
    parts = []
    for start in range(0, len(label), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        counts = label[rows] != UNLABELLED
        shown = task.seen(torch.from_numpy(columns["cube"][rows])).numpy()
        values = np.moveaxis(shown, 1, -1)[counts]
        parts.append(np.concatenate((values, label[rows][counts][:, None]), 1))
    # Equal spectra of one class are one pixel in several windows: sensors of 12 bits or more hardly repeat one.
    both = np.unique(np.concatenate(parts), axis=0).astype(np.float64)
    spectra, classes = both[:, :-1], both[:, -1].astype(np.int64)
    if len(np.unique(classes)) < 2:
        raise BenchmarkError("The training pixels are all of one class. Take data of several, or method=majority.")
    return spectra, classes
