"""The pull towards an observation: two forms of one gradient, plain renderings of each term, and weights of variation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.models.hsi_restoration.guidance import Guidance, variation_weights
from benchmarks.models.hsi_restoration.observation import Observation
from benchmarks.models.hsi_restoration.operators import lowered
from benchmarks.models.hsi_restoration.subspace import coefficients, truncated

BANDS, HEIGHT, WIDTH = 8, 12, 16


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def observation(kind: str) -> Observation:
    if kind == "sr":
        return Observation(draw(BANDS, HEIGHT // 2, WIDTH // 2), factor=2)
    if kind == "denoise":
        return Observation(draw(BANDS, HEIGHT, WIDTH))
    observed = draw(1 if kind == "pixels" else BANDS, HEIGHT, WIDTH, seed=5).expand(BANDS, -1, -1) > 0.6
    return Observation(draw(BANDS, HEIGHT, WIDTH) * observed, observed)


def guided(kind: str, form: str, eta2: float = 0.0) -> Guidance:
    seen = observation(kind)
    return Guidance(seen, coefficients(seen.noisy)[0], 16.0, eta2, form)


@pytest.mark.parametrize("kind", ["denoise", "sr", "pixels"])
def test_the_subspace_has_the_gradient_of_the_whole_cube(kind: str) -> None:
    small, full = guided(kind, "subspace"), guided(kind, "full")
    assert small.subspace
    assert not full.subspace
    reduced = draw(3, HEIGHT, WIDTH, seed=1)
    torch.testing.assert_close(small.gradient(reduced), full.gradient(reduced), atol=1e-9, rtol=1e-9)
    other = draw(3, HEIGHT, WIDTH, seed=2)
    differences = [each.value(reduced) - each.value(other) for each in (small, full)]
    torch.testing.assert_close(*differences, atol=1e-7, rtol=1e-9)


def test_masks_that_differ_by_band_have_the_full_form_alone() -> None:
    assert not guided("entries", "subspace").subspace


@pytest.mark.parametrize("kind", ["denoise", "sr", "entries"])
def test_the_value_is_the_sum_of_its_terms_written_out(kind: str) -> None:
    guidance = guided(kind, "full", eta2=10.0)
    reduced = draw(3, HEIGHT, WIDTH, seed=3)
    cube = torch.einsum("ck,khw->chw", guidance.coefficients, reduced)
    seen = guidance.observation
    share = HEIGHT * WIDTH / 65536
    if kind == "entries":
        assert seen.observed is not None
        data = ((seen.noisy - cube)[seen.observed] ** 2).mean()
        variation = sum(np.abs(np.diff(cube.numpy(), axis=axis)).mean() for axis in range(3))
    else:
        model = lowered(cube, 2) if kind == "sr" else cube
        data = ((seen.noisy - model) ** 2).sum() / cube.numel()
        weights = variation_weights(seen.noisy) if kind == "denoise" else [1.0] * 3
        parts = zip(weights, (-2, -1, -3), strict=True)
        variation = sum(float((w * (cube.roll(-1, axis) - cube).abs()).mean()) for w, axis in parts)
    expected = share * (16 * 256 * 64 * data + 10 * 8 * 64 * variation)
    assert float(guidance.value(reduced)) == pytest.approx(float(expected), rel=1e-9)


def test_the_gradient_is_that_of_finite_differences() -> None:
    guidance = guided("denoise", "subspace", eta2=10.0)
    reduced = draw(3, HEIGHT, WIDTH, seed=4)
    gradient = guidance.gradient(reduced)
    for place in ((0, 0, 0), (1, 5, 7), (2, 11, 15)):
        step = torch.zeros_like(reduced)
        step[place] = 1e-6
        numeric = (guidance.value(reduced + step) - guidance.value(reduced - step)) / 2e-6
        assert float(gradient[place]) == pytest.approx(float(numeric), rel=1e-3, abs=1e-6)


def test_weights_of_variation_are_from_a_third_to_one_and_small_at_edges() -> None:
    cube = torch.full((6, 10, 12), 0.2, dtype=torch.float64) + 1e-3 * draw(6, 10, 12)
    cube[:, :, 6:] += 0.5
    rows, columns, bands = variation_weights(cube)
    assert isinstance(rows, torch.Tensor)
    assert isinstance(columns, torch.Tensor)
    for weight in (rows, columns):
        assert float(weight.min()) >= 1 / 3 - 1e-9
        assert float(weight.max()) <= 1
    assert columns[:, 5].max() < 0.4 < 0.9 < columns[:, 2].min()
    assert (torch.as_tensor(bands) == torch.as_tensor(bands).flatten()[0]).all()
    copy = truncated(cube, 3)
    size = (copy.roll(-1, 2) - copy).mean(0).abs()
    expected = size.max() / (size + size.max() / 2) / 2
    torch.testing.assert_close(columns, expected, rtol=1e-2, atol=0)
