"""Where tokens are: rotations and sums against complex numbers and plain loops, perception fields against counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from benchmarks.models.hyperspectral.perception import perception_mask
from benchmarks.models.hyperspectral.position import (
    Rotation,
    rotate,
    sincos_embedding,
    spatial_rotation,
    spectral_rotation,
)

RANGE = (418.24, 2445.53)
CPU = torch.device("cpu")


def turned(x: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """The first half of x as real parts and the second as imaginary ones, multiplied by exp(2 pi i turns)."""
    half = x.shape[-1] // 2
    z = (x[..., :half] + 1j * x[..., half:]) * np.exp(2j * np.pi * turns)
    return np.concatenate((z.real, z.imag), -1)


def test_bands_are_turned_by_their_place_in_the_stated_range() -> None:
    wavelengths = torch.tensor([[418.24, 900.0, 2445.53]])
    x = torch.randn(1, 2, 4, 6, generator=torch.Generator().manual_seed(0))
    place = 2 * (wavelengths[0].numpy() - RANGE[0]) / (RANGE[1] - RANGE[0]) - 1
    turns = np.stack([place / 100 ** (2 * k / 6) for k in range(3)], -1)
    found = rotate(x, spectral_rotation(wavelengths, RANGE, 6))
    np.testing.assert_allclose(found[:, :, 1:].numpy(), turned(x[:, :, 1:].numpy(), turns), atol=1e-5)
    torch.testing.assert_close(found[:, :, 0], x[:, :, 0], rtol=0, atol=0)


def test_positions_are_turned_by_row_and_by_column() -> None:
    x = torch.randn(1, 1, 7, 8, generator=torch.Generator().manual_seed(0))
    turns = np.array([
        [(2 * (row + 0.5) / 2 - 1) / 100 ** (2 * k / 4) for k in range(2)]
        + [(2 * (column + 0.5) / 3 - 1) / 100 ** (2 * k / 4) for k in range(2)]
        for row in range(2) for column in range(3)
    ])  # fmt: skip
    found = rotate(x, spatial_rotation((2, 3), 8, None, CPU))
    np.testing.assert_allclose(found[0, 0, 1:].numpy(), turned(x[0, 0, 1:].numpy(), turns), atol=1e-5)
    torch.testing.assert_close(found[:, :, 0], x[:, :, 0], rtol=0, atol=0)
    some = spatial_rotation((2, 3), 8, torch.tensor([[1, 4], [0, 5]]), CPU)
    whole = spatial_rotation((2, 3), 8, None, CPU)
    torch.testing.assert_close(some.cos[1], whole.cos[0][[0, 1, 6]], rtol=0, atol=0)


def test_a_band_is_turned_alike_in_any_set_of_bands() -> None:
    wavelengths = torch.linspace(430, 2400, 202)[None]
    whole, some = (spectral_rotation(bands, RANGE, 4) for bands in (wavelengths, wavelengths[:, 50:60]))
    torch.testing.assert_close(some.sin[:, 1:], whole.sin[:, 51:61], rtol=0, atol=0)


def test_what_is_first_made_in_inference_mode_also_serves_training() -> None:
    with torch.inference_mode():
        spatial_rotation((5, 7), 12, None, CPU)
        sincos_embedding(torch.tensor([[500.0]]), (5, 7), 3.0, 8)
        perception_mask((5, 7), 3, 1.5, 9.0)
    x = torch.randn(1, 1, 36, 12, requires_grad=True)
    turns = spatial_rotation((5, 7), 12, None, CPU)
    rotate(x, turns).sum().backward()
    assert x.grad is not None
    assert not perception_mask((5, 7), 3, 1.5, 9.0).is_inference()


def test_heads_that_cannot_be_turned_are_refused() -> None:
    with pytest.raises(ValueError, match="channel_dim is even"):
        spectral_rotation(torch.tensor([[500.0]]), RANGE, 3)
    with pytest.raises(ValueError, match="multiple of 4"):
        spatial_rotation((2, 2), 6, None, CPU)


def test_sines_and_cosines_are_those_of_nanometres_and_metres() -> None:
    wavelengths, grid, gsd, width = [442.7, 2202.4], (2, 3), 10.0, 8

    def waves(value: float, size: int) -> list[float]:
        angles = [value * 10_000 ** (-k / (size / 2)) for k in range(size // 2)]
        return [math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles]

    expected = np.zeros((3, 7, width))
    for band, wavelength in enumerate(wavelengths, 1):
        expected[band] += np.array(waves(wavelength, width)) / 2
    for row in range(2):
        for column in range(3):
            place = waves(column * gsd, width // 2) + waves(row * gsd, width // 2)
            expected[:, 1 + 3 * row + column] += np.array(place) / 2
    found = sincos_embedding(torch.tensor([wavelengths], dtype=torch.float64), grid, gsd, width)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-6)
    some = sincos_embedding(torch.tensor([wavelengths]), grid, gsd, width, torch.tensor([[4]]))
    torch.testing.assert_close(some[0, :, 1], found[0, :, 5], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("grid", "patch", "gsd", "radius", "cls", "true"),
    [
        ((8, 8), 16, 10, 640, False, 1964),
        ((8, 8), 16, 10, 640, True, 2093),
        ((4, 4), 16, 30, 640, True, 97),
        ((8, 8), 4, 30, 360, True, 1445),
        ((6, 6), 8, 10, 113, False, 156),
    ],
)
def test_perception_fields_are_in_metres_and_hold_their_rim(
    grid: tuple[int, int], patch: int, gsd: float, radius: float, cls: bool, true: int
) -> None:
    mask = perception_mask(grid, patch, gsd, radius, cls)
    assert int(mask.sum()) == true
    assert torch.equal(mask, mask.T)


def test_a_rotation_keeps_lengths() -> None:
    x = torch.randn(2, 3, 5, 8)
    rotation = spatial_rotation((2, 2), 8, None, CPU)
    assert isinstance(rotation, Rotation)
    torch.testing.assert_close(rotate(x, rotation).norm(dim=-1), x.norm(dim=-1))
