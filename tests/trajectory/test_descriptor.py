from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.interpolate
import scipy.stats
import torch
from numpy.polynomial import legendre

from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.models.trajectory import descriptor
from benchmarks.models.trajectory.descriptor import curve, gram, joint_basis, orthonormal, svd_basis
from benchmarks.models.trajectory.frame import Frame


def walks(pedestrians: int = 60, steps: int = 12, seed: int = 0) -> torch.Tensor:
    """Random walks with a drift, from the origin."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(pedestrians, steps, 2, generator=generator, dtype=torch.float64)
    return (noise + torch.tensor([2.0, 0.5])).cumsum(1)


def projector(basis: torch.Tensor | np.ndarray) -> np.ndarray:
    """What two bases of one span have in common, whatever their signs and order."""
    basis = np.asarray(basis)
    return basis @ basis.T


def test_svd_basis_spans_the_leading_left_singular_vectors() -> None:
    paths = walks()
    U, S, _ = np.linalg.svd(paths.flatten(1).numpy().T, full_matrices=False)
    for rank in (1, 6, 24):
        basis, values = svd_basis(paths, rank)
        np.testing.assert_allclose(projector(basis), projector(U[:, :rank]), atol=1e-8)
        np.testing.assert_allclose(values.numpy(), S, rtol=1e-8)
        torch.testing.assert_close(basis.T @ basis, torch.eye(rank, dtype=torch.float64))


def test_rows_of_a_basis_are_x_and_y_in_turn() -> None:
    paths = torch.zeros(1, 4, 2)
    paths[0, 2, 1] = 3.0
    basis, values = svd_basis(paths, 1)
    assert basis.abs().argmax() == 5
    assert values[0] == 3


def test_gram_matrices_of_chunks_and_of_parts_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = walks().float()
    whole = gram(paths)
    monkeypatch.setattr(descriptor, "CHUNK", 7)
    torch.testing.assert_close(gram(paths), whole)
    torch.testing.assert_close(gram(paths[:13]) + gram(paths[13:]), whole)
    assert whole.dtype == torch.float64


def test_mirrored_paths_count_as_if_they_had_been_appended() -> None:
    paths = walks()
    both = torch.cat((paths, paths * torch.tensor([1.0, -1.0])))
    torch.testing.assert_close(gram(paths, mirrored=True), gram(both))
    for found, expected in zip(svd_basis(paths, 5, mirrored=True), svd_basis(both, 5), strict=True):
        torch.testing.assert_close(found, expected)


def test_fewer_paths_than_the_rank_still_give_an_orthonormal_basis() -> None:
    basis, values = svd_basis(walks(3), 6)
    torch.testing.assert_close(basis.T @ basis, torch.eye(6, dtype=torch.float64))
    np.testing.assert_allclose(values[3:].numpy(), 0, atol=1e-6 * values[0].item())


@pytest.mark.parametrize("rank", [0, 25])
def test_a_rank_that_a_path_does_not_have_is_refused(rank: int) -> None:
    with pytest.raises(BenchmarkError, match=rf"rank {rank} .* from 1 to 24"):
        svd_basis(walks(), rank)


def test_no_path_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="no path"):
        svd_basis(torch.zeros(0, 12, 2), 6)


@pytest.mark.parametrize("steps", [8, 12])
@pytest.mark.parametrize(("degree", "control_points"), [(1, 3), (1, 6), (2, 3), (2, 6), (3, 4), (3, 6), (3, 7)])
def test_b_splines_are_those_of_scipy_on_clamped_uniform_knots(steps: int, degree: int, control_points: int) -> None:
    inner = np.linspace(0, 1, control_points - degree + 1)
    knots = np.concatenate((np.zeros(degree), inner, np.ones(degree)))
    expected = scipy.interpolate.BSpline.design_matrix(np.linspace(0, 1, steps), knots, degree).toarray()
    found = curve("bspline", steps, degree=degree, control_points=control_points)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("degree", [1, 2, 5])
def test_bezier_curves_are_binomial_probabilities_and_splines_without_inner_knots(degree: int) -> None:
    found = curve("bezier", 12, degree=degree)
    t = np.linspace(0, 1, 12)[:, None]
    np.testing.assert_allclose(found.numpy(), scipy.stats.binom.pmf(np.arange(degree + 1), degree, t), atol=1e-12)
    torch.testing.assert_close(found, curve("bspline", 12, degree=degree, control_points=degree + 1))


def test_linear_curves_run_evenly_between_two_points() -> None:
    ends = torch.tensor([[4.0, 1.0], [1.0, 7.0]], dtype=torch.float64)
    expected = [[1, 7], [2, 5], [3, 3], [4, 1]]
    np.testing.assert_allclose((curve("linear", 4) @ ends).numpy(), expected, atol=1e-12)


def test_cosines_are_the_rows_of_the_orthonormal_transform_of_scipy() -> None:
    expected = scipy.fft.dct(np.eye(12), type=2, norm="ortho", axis=0)[:5].T
    np.testing.assert_allclose(curve("dct", 12, coefficients=5).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("coefficients", [1, 2, 6])
def test_legendre_polynomials_are_those_of_numpy(coefficients: int) -> None:
    expected = legendre.legvander(np.linspace(-1, 1, 12), coefficients - 1)
    np.testing.assert_allclose(curve("legendre", 12, coefficients=coefficients).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("linear", {}),
        ("bezier", {"degree": 5}),
        ("bspline", {"degree": 2, "control_points": 6}),
        ("dct", {"coefficients": 4}),
        ("legendre", {"coefficients": 4}),
        ("legendre", {"coefficients": 1}),
        ("dct", {"coefficients": 1}),
    ],
)
def test_orthonormal_bases_draw_the_same_paths_as_their_curves(name: str, options: dict[str, int]) -> None:
    matrix = curve(name, 8, **options)
    basis = orthonormal(matrix)
    assert basis.shape == (16, 2 * matrix.shape[1])
    torch.testing.assert_close(basis.T @ basis, torch.eye(basis.shape[1], dtype=torch.float64))
    control = torch.randn(matrix.shape[1], 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    drawn = (matrix @ control).flatten()
    torch.testing.assert_close(basis @ (basis.T @ drawn), drawn)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("besier", {"degree": 2}, "Did you mean 'bezier'"),
        ("bezier", {}, "given no option. It takes degree"),
        ("linear", {"degree": 1}, "It takes no option"),
        ("bezier", {"degree": 0}, "Give degree=1 or more"),
        ("bspline", {"degree": 3, "control_points": 3}, "Give control_points=4 or more"),
        ("dct", {"coefficients": 0}, "Give coefficients=1 or more"),
    ],
)
def test_a_curve_that_does_not_exist_is_refused(name: str, options: dict[str, int], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        curve(name, 8, **options)


@pytest.mark.parametrize("matrix", [curve("bezier", 8, degree=8), curve("linear", 8)[:, [0, 0]]])
def test_a_curve_with_dependent_control_points_has_no_basis(matrix: torch.Tensor) -> None:
    with pytest.raises(BenchmarkError, match="not determined by 8 points"):
        orthonormal(matrix)


def test_joint_bases_span_the_parts_of_the_joint_singular_vectors() -> None:
    paths = walks(steps=20)
    obs, pred = paths[:, :8], paths[:, 8:]
    U, S, _ = np.linalg.svd(paths.flatten(1).numpy().T, full_matrices=False)
    joint = joint_basis(obs, pred, 6)
    np.testing.assert_allclose(joint.singular_values.numpy(), S, rtol=1e-7)
    for basis, part in ((joint.obs, U[:16, :6]), (joint.pred, U[16:, :6])):
        np.testing.assert_allclose(projector(basis), part @ np.linalg.pinv(part), atol=1e-7)
        torch.testing.assert_close(basis.T @ basis, torch.eye(6, dtype=torch.float64))


def test_joint_coefficients_are_uncorrelated_and_the_regression_is_that_of_least_squares() -> None:
    paths = walks(steps=20)
    joint = joint_basis(paths[:, :8], paths[:, 8:], 5)
    given, wanted = paths[:, :8].flatten(1) @ joint.obs, paths[:, 8:].flatten(1) @ joint.pred
    products = given.T @ given
    torch.testing.assert_close(products, products.diagonal().diag(), atol=1e-6, rtol=0)
    assert (products.diagonal().diff() <= 0).all()
    expected = np.linalg.lstsq(given.numpy(), wanted.numpy(), rcond=None)[0]
    np.testing.assert_allclose(joint.regression.T.numpy(), expected, atol=1e-8)
    torch.testing.assert_close(joint.predict(paths[:, :8]).flatten(1), wanted_mean(joint, given))


def wanted_mean(joint: descriptor.JointBasis, given: torch.Tensor) -> torch.Tensor:
    return given @ joint.regression.T @ joint.pred.T


def test_a_joint_basis_of_straight_paths_goes_on_straight_and_ignores_unused_directions() -> None:
    velocity = torch.randn(30, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    paths = velocity * torch.arange(-7, 13, dtype=torch.float64)[:, None]
    joint = joint_basis(paths[:, :8], paths[:, 8:], 6)
    assert torch.isfinite(joint.regression).all()
    torch.testing.assert_close(joint.predict(paths[:, :8]), paths[:, 8:])
    assert joint.predict(paths[:, :8].float()).dtype == torch.float32


def test_a_joint_rank_above_the_size_of_the_observed_part_is_refused() -> None:
    paths = walks(steps=20)
    with pytest.raises(BenchmarkError, match="from 1 to 16"):
        joint_basis(paths[:, :8], paths[:, 8:], 17)


def test_singular_values_of_the_real_test_paths_are_the_published_ones(mirror: Path) -> None:
    expected = {
        "eth": ([100.522, 8.798, 2.384], [184.413, 26.252, 14.566]),
        "hotel": ([109.106, 9.268, 2.660], [234.320, 33.278, 7.281]),
        "univ": ([481.740, 71.893, 25.348], [967.914, 311.601, 71.562]),
        "zara1": ([232.941, 19.453, 6.830], [491.407, 86.264, 16.936]),
        "zara2": ([282.277, 29.147, 8.860], [581.436, 128.056, 29.152]),
    }
    for fold in open_bundle("eth_ucy", progress=False).folds:
        obs, pred = (torch.as_tensor(np.asarray(fold.test.columns[name])) for name in ("obs", "pred"))
        frame = Frame.of(obs)
        for part, values in zip((obs, pred), expected[fold.name], strict=True):
            found = svd_basis(frame.to_local(part), 3)[1][:3].numpy()
            # The reference decomposed in single precision, which shows in its sixth digit where columns are many.
            np.testing.assert_allclose(found, values, rtol=1e-5, atol=6e-4)
