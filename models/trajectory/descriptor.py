"""Few numbers for a path: orthonormal bases of vec(path), learnt by SVD or spanned by a family of curves.

vec(path) of T points is (x0, y0, x1, y1, ...). All bases are float64 matrices [2T, k] with orthonormal columns U: the
descriptor of a path is U^T vec(path), its reconstruction U c.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError, unknown
from benchmarks.models.lowrank.factors import canonical_signs

CHUNK = 16384


def svd_basis(paths: Tensor, rank: int, *, mirrored: bool = False) -> tuple[Tensor, Tensor]:
    """The leading left singular vectors [2T, rank] of the paths [M, T, 2] as columns, and all singular values [2T].

    The mean is not subtracted. Singular values below 1e-7 of the first are rounding. `mirrored` adds a copy of every path
    with y negated. EigenTrajectory, arXiv 2307.09306, section 3.2. No path, or a rank that is not from 1 to 2T, raises
    BenchmarkError.
    """
    _require_rank(rank, 2 * paths.shape[1])
    energies, vectors = _eigh(gram(paths, mirrored=mirrored))
    return vectors[:, :rank], energies.sqrt()


def gram(paths: Tensor, *, mirrored: bool = False) -> Tensor:
    """The sum of vec(path) vec(path)^T over paths [M, T, 2] in float64; Gram matrices of parts of the data add up."""
    if not len(paths):
        raise BenchmarkError(
            "A basis cannot be learnt from no path. Give training paths; where they are split by speed, choose a static "
            "distance that leaves some on both sides."
        )
    size = 2 * paths.shape[1]
    total = torch.zeros(size, size, dtype=torch.float64, device=paths.device)
    for chunk in paths.split(CHUNK):
        rows = chunk.reshape(len(chunk), size).to(torch.float64)
        total.addmm_(rows.T, rows)
    if not mirrored:
        return total
    # The products of an x with a y change sign in the mirror, and so cancel.
    return total.view(size // 2, 2, size // 2, 2).mul(2 * torch.eye(2).to(total)[:, None]).view(size, size)


@dataclass(frozen=True, eq=False)
class JointBasis:
    """Bases of past and future from one decomposition of both, and what the past says of the future.

    `obs` [16, k] and `pred` [24, k] (for 8 and 12 points) are orthonormal bases of the two parts of the leading joint
    singular vectors; within each the coefficients are uncorrelated over the training paths, largest energy first.
    `regression` [k, k] is the linear map with the least squared error from observed to future coefficients, which for
    Gaussian coefficients is their conditional mean. `singular_values` [40] are those of the joint decomposition.
    """

    obs: Tensor
    pred: Tensor
    regression: Tensor
    singular_values: Tensor

    def predict(self, obs: Tensor) -> Tensor:
        """The mean future [N, 12, 2] of local observed paths [N, 8, 2]."""
        matrix = self.pred @ self.regression @ self.obs.T
        return (obs.flatten(1) @ matrix.T.to(obs)).unflatten(1, (-1, 2))


def joint_basis(obs: Tensor, pred: Tensor, rank: int, *, mirrored: bool = False) -> JointBasis:
    """Decomposes whole local paths, observed [M, 8, 2] with future [M, 12, 2], and splits the result.

    A direction that the training paths do not use predicts nothing. `mirrored` as in `svd_basis`. No path, or a rank
    that is not from 1 to the smaller of 16 and 24, raises BenchmarkError.
    """
    cut = 2 * obs.shape[1]
    _require_rank(rank, min(cut, 2 * pred.shape[1]))
    products = gram(torch.cat((obs, pred), dim=1), mirrored=mirrored)
    energies, vectors = _eigh(products)
    past, energy = _principal(vectors[:cut, :rank], products[:cut, :cut])
    future, _ = _principal(vectors[cut:, :rank], products[cut:, cut:])
    used = energy > torch.finfo(energy.dtype).eps * cut * energy[0]
    regression = torch.where(used, future.T @ products[cut:, :cut] @ past / torch.where(used, energy, 1), 0)
    return JointBasis(past, future, regression, energies.sqrt())


def curve(name: str, steps: int, **options: int) -> Tensor:
    """The matrix [steps, m] that maps m control points (or coefficients) to a curve's points, float64.

    `linear` has no option, `bezier` a `degree`, `bspline` a `degree` and `control_points`, `dct` and `legendre` have
    `coefficients`. An unknown name or option, or one that the curve cannot have, raises BenchmarkError.
    """
    if name not in CURVES:
        raise unknown("curve", name, CURVES)
    build, needed = CURVES[name]
    if set(options) != set(needed):
        raise BenchmarkError(
            f"The curve '{name}' was given {_listed(options)}. It takes {_listed(needed)}; for example "
            f"curve({', '.join([repr(name), str(steps), *(f'{option}=3' for option in needed)])})."
        )
    return build(steps, **options)


def orthonormal(curve: Tensor) -> Tensor:
    """An orthonormal basis [2T, 2m] of the paths that a curve [T, m] can draw with m control points in the plane.

    A curve whose m columns are not independent, as with more control points than points, raises BenchmarkError.
    """
    steps, size = curve.shape
    if size > steps or torch.linalg.matrix_rank(curve) < size:
        raise BenchmarkError(
            f"{size} control points are not determined by {steps} points on this curve. Give {steps} or fewer, and a lower "
            "degree where that is not enough."
        )
    # A single column counts as contiguous however its rows are strided, which `kron` does not take: hence the copy.
    basis = torch.linalg.qr(curve)[0].clone(memory_format=torch.contiguous_format)
    return torch.kron(basis, torch.eye(2).to(curve))


def _linear(steps: int) -> Tensor:
    t = _unit_times(steps)
    return torch.stack((t, t.flip(0)), dim=1)


def _bezier(steps: int, degree: int) -> Tensor:
    """Bernstein polynomials at equal times."""
    _require_positive("degree", degree)
    t = _unit_times(steps)
    return torch.stack([math.comb(degree, j) * t**j * (1 - t) ** (degree - j) for j in range(degree + 1)], dim=1)


def _bspline(steps: int, degree: int, control_points: int) -> Tensor:
    """B-splines on clamped uniform knots at equal times, by the recursion of Cox and de Boor."""
    _require_positive("degree", degree)
    if control_points <= degree:
        raise BenchmarkError(
            f"A B-spline of degree {degree} was given {control_points} control points. Give control_points="
            f"{degree + 1} or more."
        )
    t = _unit_times(steps)
    inner = _unit_times(control_points - degree + 1)
    knots = torch.cat((inner.new_zeros(degree), inner, inner.new_ones(degree)))
    # The last interval is closed, so that the curve ends on its last control point.
    interval = (torch.searchsorted(inner, t, right=True) - 1).clamp(max=len(inner) - 2) + degree
    values = torch.nn.functional.one_hot(interval, len(knots) - 1).to(t)
    for p in range(1, degree + 1):
        width = knots[p:] - knots[:-p]
        rising = torch.where(width > 0, (t[:, None] - knots[:-p]) / torch.where(width > 0, width, 1), 0)
        values = rising[:, :-1] * values[:, :-1] + (1 - rising[:, 1:]) * values[:, 1:]
    return values


def _dct(steps: int, coefficients: int) -> Tensor:
    """The lowest frequencies of the orthonormal cosine transform (type II)."""
    _require_positive("coefficients", coefficients)
    t, j = torch.arange(steps, dtype=torch.float64), torch.arange(coefficients, dtype=torch.float64)
    waves = torch.cos(torch.pi / steps * (t[:, None] + 0.5) * j) * math.sqrt(2 / steps)
    waves[:, 0] /= math.sqrt(2)
    return waves


def _legendre(steps: int, coefficients: int) -> Tensor:
    """Legendre polynomials at equal times from -1 to 1, by Bonnet's recursion."""
    _require_positive("coefficients", coefficients)
    x = 2 * _unit_times(steps) - 1
    columns = [torch.ones_like(x), x]
    for n in range(1, coefficients - 1):
        columns.append(((2 * n + 1) * x * columns[n] - n * columns[n - 1]) / (n + 1))
    return torch.stack(columns[:coefficients], dim=1)


CURVES: dict[str, tuple[Callable[..., Tensor], tuple[str, ...]]] = {
    "linear": (_linear, ()),
    "bezier": (_bezier, ("degree",)),
    "bspline": (_bspline, ("degree", "control_points")),
    "dct": (_dct, ("coefficients",)),
    "legendre": (_legendre, ("coefficients",)),
}


def _unit_times(steps: int) -> Tensor:
    return torch.linspace(0, 1, steps, dtype=torch.float64)


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues, descending and not negative, and eigenvectors as columns."""
    values, vectors = torch.linalg.eigh(matrix)
    vectors = vectors.flip(1)
    return values.flip(0).clamp(min=0), vectors * canonical_signs(vectors)


def _principal(span: Tensor, products: Tensor) -> tuple[Tensor, Tensor]:
    """The orthonormal basis of a span in which coefficients are uncorrelated under `products`, and their energies."""
    Q = torch.linalg.qr(span)[0]
    energies, turn = _eigh(Q.T @ products @ Q)
    basis = Q @ turn
    return basis * canonical_signs(basis), energies


def _require_rank(rank: int, largest: int) -> None:
    if not 1 <= rank <= largest:
        raise BenchmarkError(f"A basis of rank {rank} is not possible here. Give a rank from 1 to {largest}.")


def _require_positive(name: str, value: int) -> None:
    if value < 1:
        raise BenchmarkError(f"A curve was given {name}={value}. Give {name}=1 or more.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "no option"
