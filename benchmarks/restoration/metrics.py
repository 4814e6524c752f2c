"""How restored images are judged: by PSNR and SSIM of whole levels in colour, and beside them by other habits of the field.

Samples are images: `clean` uint8 [n, h, w, 3] and `restored`, of the same type or float from 0 to 1, which is rounded here,
half to even. Every figure is a mean of those of the images, and never of an error that was averaged first. Figures of luminance
(`*_y`) lie two to five dB above those of colours, NAFNet's SSIM far above that of windows in a plane: each has its own column.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.metric import Metric, Samples, Statistic, mean_of
from benchmarks.restoration.similarity import PEAK, similarity, volume_similarity

UNIT = "scenes"
MOST = 100.0
"""The PSNR of an image without any error, in dB: without this bound one such image would decide the mean."""
LUMA, BLACK = np.array([65.481, 128.553, 24.966]) / 255, 16.0
"""Red, green and blue in luminance, and where it begins (ITU-R BT.601, in steps of 219)."""


def levels(image: np.ndarray) -> np.ndarray:
    """Whole levels from 0 to 255 as float64: uint8 as it is, floats from 0 to 1 rounded half to even."""
    if image.dtype == np.uint8:
        return image.astype(np.float64)
    return np.rint(PEAK * image.astype(np.float64).clip(0, 1))


def luminance(image: np.ndarray) -> np.ndarray:
    """Y of levels [..., 3], from 16 to 235 and not rounded."""
    return BLACK + image @ LUMA


def decibels(mean_square: np.ndarray | float) -> np.ndarray:
    """PSNR of mean squared errors of levels, at most 100 dB."""
    with np.errstate(divide="ignore"):
        return np.minimum(10 * np.log10(PEAK**2 / np.asarray(mean_square, np.float64)), MOST)


def _per_image(
    measure: Callable[[np.ndarray, np.ndarray], float], samples: Samples, *, luma: bool = False
) -> np.ndarray:
    """A measure of each clean and restored image, [n]; of their luminance where asked for."""
    see = (lambda image: luminance(levels(image))) if luma else levels
    pairs = zip(samples["clean"], samples["restored"], strict=True)
    return np.array([measure(see(clean), see(restored)) for clean, restored in pairs])


def mean_square(clean: np.ndarray, restored: np.ndarray) -> float:
    """Over all pixels and channels of an image."""
    return float(np.square(clean - restored).mean())


def psnr(samples: Samples, *, luma: bool = False) -> Statistic:
    """10 log10(255^2 / MSE) of each image, all channels together."""
    return mean_of(decibels(_per_image(mean_square, samples, luma=luma)))


def gain(samples: Samples) -> Statistic:
    """PSNR less that of the degraded image, of which the samples keep the MSE (`input_mse`)."""
    if "input_mse" not in samples:
        return _undefined(samples, "the samples do not tell how good the degraded images are")
    before = decibels(samples["input_mse"])
    return mean_of(decibels(_per_image(mean_square, samples)) - before)


def ssim(samples: Samples, *, luma: bool = False) -> Statistic:
    """SSIM of Gaussian windows, each channel alone."""
    return _of_windows(_per_image(similarity, samples, luma=luma), samples)


def ssim_nafnet(samples: Samples) -> Statistic:
    """SSIM across colours, as NAFNet's code has it."""
    return mean_of(_per_image(volume_similarity, samples))


def _of_windows(values: np.ndarray, samples: Samples) -> Statistic:
    if np.isnan(values).any():
        return _undefined(samples, "an image of fewer than 11 pixels a side has no window")
    return mean_of(values)


def _undefined(samples: Samples, reason: str) -> Statistic:
    return Statistic(lambda weights: float("nan"), len(samples["id"]), reason=reason)


DECIBELS, SHARE = (0.0, MOST), (-1.0, 1.0)

METRICS = (
    Metric("psnr", 1, "dB", "max", "mean_of_samples", psnr,
           "Mean over images of PSNR in RGB, levels rounded; an image without error counts 100 dB", DECIBELS, perfect=MOST),
    Metric("ssim", 1, "", "max", "mean_of_samples", ssim,
           "SSIM, Gaussian windows of 11 x 11 within the image, mean of channels", SHARE, perfect=1.0),
    Metric("gain", 1, "dB", "max", "mean_of_samples", gain, "PSNR less that of the degraded image", (-MOST, MOST)),
    Metric("psnr_y", 1, "dB", "max", "mean_of_samples", partial(psnr, luma=True),
           "PSNR of luminance (16 to 235), the habit of deraining; two to five dB above psnr", DECIBELS, perfect=MOST),
    Metric("ssim_y", 1, "", "max", "mean_of_samples", partial(ssim, luma=True), "SSIM of luminance", SHARE, perfect=1.0),
    Metric("ssim_nafnet", 1, "", "max", "mean_of_samples", ssim_nafnet,
           "SSIM as NAFNet's code has it: windows of 11 x 11 x 11 across colours, edges repeated", SHARE, intervals=False,
           perfect=1.0),
)  # fmt: skip
