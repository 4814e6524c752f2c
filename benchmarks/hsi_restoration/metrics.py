"""How restored cubes are judged: noise that is left, structure, spectra, and what the low-rank model could have reached.

Samples are tiles; `clean` and `restored` are [n, c, t, t] from 0 to 1, NaN where a cube has no band or pixel (see `scenes`).
Every figure is one of whole cubes: errors of a band are averaged over all pixels of the cube before the logarithm. `*_hirdiff`
are the definitions of the authors' code, which are other numbers and belong in no table with the textbook's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.hsi_restoration.scenes import Scene, Value, over_scenes
from benchmarks.hsi_restoration.structure import structural_similarity
from benchmarks.metric import Metric, Samples, Statistic

UNIT = "tiles"
RANK = 3
TINY_NORM, TINY_MEAN = 1e-8, 1e-6
"""What the authors add to a product of norms, and to a mean."""


def squared_errors(scene: Scene, restored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each tile the sum of squared errors in every band [n, c], and its number of pixels [n]."""
    errors = np.where(scene.inside[:, None], restored - scene.clean, 0.0)
    return np.einsum("nchw,nchw->nc", errors, errors), scene.inside.sum((1, 2)).astype(np.float64)


def decibels(mean_squares: np.ndarray) -> np.ndarray:
    """PSNR of a range from 0 to 1."""
    with np.errstate(divide="ignore"):
        return -10 * np.log10(mean_squares)


def band_psnr(scene: Scene, restored: np.ndarray, *, pooled: bool = False) -> Value:
    """The mean over bands of their PSNR, or the PSNR of all bands together."""
    sums, counts = squared_errors(scene, restored)

    def value(weights: np.ndarray) -> float:
        bands = weights @ sums / (weights @ counts)
        return float(decibels(bands.mean()) if pooled else decibels(bands).mean())

    return value


def mpsnr(samples: Samples) -> Statistic:
    """Mean over bands of 10 log10(1 / MSE of the band)."""
    return over_scenes(samples, lambda scene: band_psnr(scene, scene.restored))


def psnr(samples: Samples) -> Statistic:
    """10 log10(1 / MSE) over all bands together, which a few exact bands cannot raise."""
    return over_scenes(samples, lambda scene: band_psnr(scene, scene.restored, pooled=True))


def mssim(samples: Samples) -> Statistic:
    """Mean over bands of SSIM (Wang et al. 2004; windows of 7 x 7 that lie within the cube, sample covariances)."""

    def prepare(scene: Scene) -> Value | None:
        clean, restored = scene.whole(scene.clean), scene.whole(scene.restored)
        found = structural_similarity(clean, restored)
        if found is None:
            return None
        tiles = scene.tiles(found)
        sums, counts = np.nansum(tiles, (2, 3)), np.isfinite(tiles).sum((2, 3))

        def value(weights: np.ndarray) -> float:
            count = weights @ counts
            return float((weights @ sums / count).mean()) if count.all() else float("nan")

        return value

    return over_scenes(samples, prepare, "a cube of fewer than 7 pixels a side has no window")


def angles(scene: Scene, *, clamp: bool) -> np.ndarray:
    """The angle between the clean and the restored spectrum of every pixel, radians [n, t, t], NaN beyond the cube."""
    product = np.einsum("nchw,nchw->nhw", scene.clean, scene.restored)
    norms = np.sqrt(np.square(scene.clean).sum(1)) * np.sqrt(np.square(scene.restored).sum(1))
    cosine = product / (norms + TINY_NORM)
    with np.errstate(invalid="ignore"):
        return np.arccos(cosine.clip(-1, 1) if clamp else cosine)


def spectral_angle(samples: Samples, *, degrees: bool) -> Statistic:
    """SAM, the mean over pixels: in degrees with cosines cut to what they can be, or as the authors have it, in radians."""

    def prepare(scene: Scene) -> Value:
        found = angles(scene, clamp=degrees) * (180 / np.pi if degrees else 1.0)
        found = np.where(scene.inside, found, 0.0)
        sums, counts = found.sum((1, 2)), scene.inside.sum((1, 2))
        return lambda weights: float(weights @ sums / (weights @ counts))

    return over_scenes(samples, prepare)


def ergas(samples: Samples, *, official: bool) -> Statistic:
    """100 / factor times the root of the mean over bands of MSE / mean^2 (Wald 2000), the mean that of the clean band.

    The authors' divides by the mean of the restored band, not squared, and by no factor.
    """

    def prepare(scene: Scene) -> Value:
        sums, counts = squared_errors(scene, scene.restored)
        base = scene.restored if official else scene.clean
        levels = np.where(scene.inside[:, None], base, 0.0).sum((2, 3))

        def value(weights: np.ndarray) -> float:
            count = weights @ counts
            squares, means = weights @ sums / count, weights @ levels / count
            with np.errstate(divide="ignore", invalid="ignore"):
                if official:
                    return float(100 * np.sqrt((squares / (means + TINY_MEAN)).mean()))
                return float(100 / scene.factor * np.sqrt((squares / means**2).mean()))

        return value

    return over_scenes(samples, prepare)


def rank_ceiling(samples: Samples, rank: int) -> Statistic:
    """MPSNR of the best approximation of that rank of the clean cube: no method of that rank does better in MSE."""

    def prepare(scene: Scene) -> Value | None:
        clean = scene.whole(scene.clean)
        if rank > len(clean):
            return None
        spectra = np.nan_to_num(clean.reshape(len(clean), -1))
        return projected(scene, np.linalg.eigh(spectra @ spectra.T)[1][:, -rank:])

    return over_scenes(samples, prepare, f"a cube has fewer than {rank} bands")


def span_ceiling(samples: Samples) -> Statistic:
    """MPSNR of the clean cube projected on the spectra that the method took from the degraded one."""

    def prepare(scene: Scene) -> Value | None:
        if "coefficients" not in scene.others:
            return None
        E = scene.others["coefficients"][0].astype(np.float64)
        return projected(scene, np.linalg.qr(E[: scene.clean.shape[1]])[0])

    return over_scenes(samples, prepare, "the method has no subspace")


def projected(scene: Scene, basis: np.ndarray) -> Value:
    """The MPSNR of the clean cube projected on orthonormal spectra [c, k]."""
    return band_psnr(scene, np.einsum("ck,dk,ndhw->nchw", basis, basis, scene.clean, optimize=True))


def oracle(samples: Samples) -> Statistic:
    """MPSNR of the best of all steps by the clean cube, which no one has who needs a restorer; never to be ranked by."""

    def prepare(scene: Scene) -> Value | None:
        if "steps" not in scene.others:
            return None
        E = scene.others["coefficients"][0][: scene.clean.shape[1]].astype(np.float64)
        steps = scene.others["steps"].astype(np.float64).swapaxes(0, 1)
        made = [band_psnr(scene, np.einsum("ck,nkhw->nchw", E, step).clip(0, 1)) for step in steps]
        return lambda weights: max(value(weights) for value in made)

    return over_scenes(samples, prepare, "the method keeps no steps")


def eps_loss(samples: Samples) -> Statistic:
    """Mean squared error of the noise that a prior says, in units of its deviation: the loss of training, on images that it has
    not seen and at the levels of the test alone."""

    def prepare(scene: Scene) -> Value | None:
        if "estimate" not in scene.others or not (deviation := float(scene.others["deviation"][0])) > 0:
            return None
        bands = scene.clean.shape[1]
        sums, counts = squared_errors(scene, scene.others["estimate"][:, :bands].astype(np.float64))
        return lambda weights: float((weights @ sums / (weights @ counts)).mean() / deviation**2)

    return over_scenes(samples, prepare, "the method says no noise of the images themselves")


def _of(function: Callable[..., Statistic], **options: object) -> Callable[[Samples], Statistic]:
    return partial(function, **options)


ANGLE, POSITIVE = (0.0, 180.0), (0.0, None)

METRICS = (
    Metric("mpsnr", 1, "dB", "max", "pooled", mpsnr, "Mean over bands of the PSNR of each, range 0 to 1"),
    Metric("psnr", 1, "dB", "max", "pooled", psnr, "PSNR of all bands together"),
    Metric("mssim", 1, "", "max", "pooled", mssim, "Mean over bands of SSIM, windows of 7 x 7", (-1.0, 1.0), perfect=1.0),
    Metric("sam", 1, "deg", "min", "pooled", _of(spectral_angle, degrees=True), "Spectral angle, mean of pixels", ANGLE,
           perfect=0.0),
    Metric("ergas", 1, "", "min", "pooled", _of(ergas, official=False),
           "Relative error of the bands (Wald 2000), by the means of the clean ones", POSITIVE, perfect=0.0),
    Metric("span_ceiling", 1, "dB", "max", "pooled", span_ceiling,
           "MPSNR of the clean cube within the subspace that the method took from the degraded one", intervals=False),
    *(Metric(f"ceiling_{rank}", 1, "dB", "max", "pooled", _of(rank_ceiling, rank=rank),
             f"MPSNR of the best rank-{rank} approximation of the clean cube", intervals=False) for rank in (3, 5, 8)),
    Metric("oracle_mpsnr", 1, "dB", "max", "pooled", oracle,
           "MPSNR of the best step by the clean cube: what choosing it by the truth would claim", intervals=False),
    Metric("eps_loss", 1, "", "min", "pooled", eps_loss,
           "Mean squared error of a prior's noise, deviation 1, at the levels of the test", POSITIVE, intervals=False,
           perfect=0.0),
    Metric("sam_hirdiff", 1, "rad", "min", "pooled", _of(spectral_angle, degrees=False),
           "SAM as the authors' code has it: radians, undefined where rounding lifts a cosine above one", POSITIVE,
           intervals=False, perfect=0.0),
    Metric("ergas_hirdiff", 1, "", "min", "pooled", _of(ergas, official=True),
           "ERGAS as the authors' code has it: by the means of the restored bands, not squared", POSITIVE, intervals=False,
           perfect=0.0),
)  # fmt: skip
