"""What networks are shown of a spectrum: its numbers as they are, or its shape alone."""

from __future__ import annotations

from torch import Tensor

SHOWN = ("standardised", "snv")
LEAST_DEVIATION = 0.02
"""Of standardised spectra, whose numbers lie between 0 and 1: below it there is noise, or no data."""


def standard_normal_variate(cube: Tensor) -> Tensor:
    """Cubes [n, c, h, w] with mean 0 and deviation 1 over the bands of every pixel.

    Neighbouring bands mostly rise and fall together, with light and shade, so that what tells materials apart is a small part
    of standardised spectra; here it is most of what is left. Barnes et al., Applied Spectroscopy 43(5), 1989. Raises
    ValueError for one band, which has no shape.
    """
    if cube.shape[1] < 2:
        raise ValueError(f"a spectrum of {cube.shape[1]} bands has no shape")
    shape = cube - cube.mean(1, keepdim=True)
    return shape / shape.square().mean(1, keepdim=True).sqrt().clamp(min=LEAST_DEVIATION)
