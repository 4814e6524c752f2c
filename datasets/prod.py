"""PROD: clean photographs under a random selection of five degradations, one after the other in random order.

A restorer that undoes them is a start for real degradations of which there are few pairs (Park, Kim and Chun, ECCV 2024). The
paper's ranges are not public; those below are our own and are what its ablation names are read as here.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks.errors import BenchmarkError, unknown

DEGRADATIONS = ("blur", "noise", "rain", "jpeg", "motion")
"""In the order of the paper's figure 2, which is also that of the mode `fixed`."""
MODES = ("prod", "single", "fixed", "none")
LEVELS = 255.0
BLUR_SIGMA = (0.3, 3.0)
NOISE_SIGMA = (1.0, 50.0)
"""In gray levels of 255."""
BY_CHANNEL = 0.6
"""Probability that noise is independent in red, green and blue; else it is one field for all three."""
QUALITY = (15, 95)
MOTION_HALF = (2, 10)
"""A line of motion is 2 n + 1 pixels long."""
RAIN_HALF = (4, 12)
RAIN_DENSITY = (0.005, 0.04)
RAIN_TILT = 0.6
"""Radians that rain is off the vertical at most."""
RAIN_GAIN = (0.3, 0.9)
RAIN_SOFT = 0.6
"""Standard deviation in pixels by which streaks are smoothed."""
RAIN_SHARE = (0.4, 0.9)
TRUNCATE = 4.0
"""Standard deviations at which Gaussian kernels end."""
SMALLEST = 1e-9
"""Weight below which a pixel beside a line is none of it."""


@dataclass(frozen=True)
class Step:
    """One degradation and what was drawn for it: sigma, quality, length and angle, density, gain and share."""

    name: str
    settings: Mapping[str, float] = field(default_factory=dict)


Recipe = tuple[Step, ...]
"""What was done to an image, in this order."""


def prod_sample(
    clean: np.ndarray, seed: int, index: int, mode: str = "prod", only: str = ""
) -> tuple[np.ndarray, Recipe]:
    """Sample `index` of the stream `seed`: `clean` float32 [h, w, 3] from 0 to 1, degraded likewise, and its recipe.

    The same seed, index and image give the same sample, whatever was drawn before. `mode` is `prod` (a random number, selection
    and order), `single` (one of the five), `fixed` (all five in the order of `DEGRADATIONS`) or `none`; `only` is the one
    degradation to take. The answer is not rounded to gray levels, but within JPEG. Raises BenchmarkError for another mode or
    shape.
    """
    if clean.ndim != 3 or clean.shape[2] != 3 or min(clean.shape[:2]) < 1:
        raise BenchmarkError(f"PROD degrades images [height, width, 3]; given: {list(clean.shape)}.")
    random = keyed(seed, index)
    recipe = draw(random, mode, only)
    image = np.asarray(clean, np.float32)
    for step in recipe:
        image = APPLY[step.name](image, step.settings, random)
    return image if recipe else image.copy(), recipe


def keyed(*key: int) -> np.random.Generator:
    """The generator of a key, such as (seed, index of a sample); negative numbers are no keys."""
    return np.random.default_rng(key)


def draw(random: np.random.Generator, mode: str = "prod", only: str = "") -> Recipe:
    """Which degradations, in which order and how strong; fields of noise and rain are drawn later from the same generator."""
    if mode not in MODES:
        raise unknown("degradations", mode, MODES)
    if only and only not in DEGRADATIONS:
        raise unknown("degradation", only, DEGRADATIONS)
    count, order = int(random.integers(1, len(DEGRADATIONS) + 1)), random.permutation(len(DEGRADATIONS))
    drawn = [DEGRADATIONS[number] for number in order]
    names = {"prod": drawn[:count], "single": drawn[:1], "fixed": list(DEGRADATIONS), "none": []}[mode]
    return tuple(Step(name, DRAW[name](random)) for name in ([only] if only else names))


def _draw_blur(random: np.random.Generator) -> dict[str, float]:
    return {"sigma": random.uniform(*BLUR_SIGMA)}


def _draw_noise(random: np.random.Generator) -> dict[str, float]:
    return {"sigma": random.uniform(*NOISE_SIGMA), "by_channel": float(random.random() < BY_CHANNEL)}


def _draw_rain(random: np.random.Generator) -> dict[str, float]:
    return {
        "density": random.uniform(*RAIN_DENSITY),
        "length": 2.0 * random.integers(RAIN_HALF[0], RAIN_HALF[1] + 1) + 1,
        "angle": math.pi / 2 + random.uniform(-RAIN_TILT, RAIN_TILT),
        "gain": random.uniform(*RAIN_GAIN),
        "share": random.uniform(*RAIN_SHARE),
    }


def _draw_jpeg(random: np.random.Generator) -> dict[str, float]:
    return {"quality": float(random.integers(QUALITY[0], QUALITY[1] + 1))}


def _draw_motion(random: np.random.Generator) -> dict[str, float]:
    half = random.integers(MOTION_HALF[0], MOTION_HALF[1] + 1)
    return {"length": 2.0 * half + 1, "angle": random.uniform(0, math.pi)}


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """An image [h, w, ...] under an isotropic Gaussian of `sigma` pixels, mirrored about its outermost pixels."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, sigma, mode="mirror", truncate=TRUNCATE, axes=(0, 1))


def moved(image: np.ndarray, length: int, angle: float) -> np.ndarray:
    """The mean of an image [h, w, ...] over a line of `length` pixels (odd) around each pixel, mirrored likewise."""
    reach = length // 2 + 1
    around = [(reach, reach)] * 2 + [(0, 0)] * (image.ndim - 2)
    return _along(np.pad(image, around, "reflect"), length, angle)


def line(length: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """A line of `length` pixels (odd) at `angle` from the rows, counterclockwise: places [k, 2] from its middle, weights [k].

    Its points lie a pixel apart and are shared among the four pixels around each; the weights sum to 1.
    """
    steps = np.arange(length) - length // 2
    points = np.stack([-steps * math.sin(angle), steps * math.cos(angle)], 1)
    corner = np.floor(points).astype(np.int64)
    share = points - corner
    reach = length // 2 + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = np.abs(1 - row - share[:, 0]) * np.abs(1 - column - share[:, 1])
        np.add.at(kernel, (corner[:, 0] + row + reach, corner[:, 1] + column + reach), weight)
    places = np.argwhere(kernel > SMALLEST)
    weights = kernel[tuple(places.T)]
    return places - reach, weights / weights.sum()


def rain(random: np.random.Generator, shape: tuple[int, int], settings: Mapping[str, float]) -> np.ndarray:
    """Bright streaks float32 [*shape] from 0 to `share`: random points, drawn out along a line and softened."""
    from scipy.ndimage import gaussian_filter

    length = int(settings["length"])
    reach = length // 2 + 1
    # Points beyond the border, so that streaks come into the picture as well.
    field = (shape[0] + 2 * reach, shape[1] + 2 * reach)
    points = random.random(field, np.float32) < settings["density"]
    streaks = _along(points.astype(np.float32), length, settings["angle"]) * np.float32(length * settings["gain"])
    soft = gaussian_filter(streaks, RAIN_SOFT, mode="mirror", truncate=TRUNCATE)
    return soft.clip(0, 1) * np.float32(settings["share"])


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    """An image [h, w, 3] from 0 to 1 as JPEG of that quality with halved colour (4:2:0) gives it back."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(levels(image)).save(buffer, "JPEG", quality=quality, subsampling="4:2:0")
    return np.asarray(Image.open(buffer), np.float32) / np.float32(LEVELS)


def levels(image: np.ndarray) -> np.ndarray:
    """Values from 0 to 1 as gray levels uint8: what lies beyond is cut, halves go to the even one."""
    return np.rint(LEVELS * image.clip(0, 1)).astype(np.uint8)


def _along(padded: np.ndarray, length: int, angle: float) -> np.ndarray:
    """Means along a line where the image reaches far enough: [h + 2 reach, w + 2 reach, ...] -> [h, w, ...]."""
    reach = length // 2 + 1
    height, width = (size - 2 * reach for size in padded.shape[:2])
    made = np.zeros((height, width, *padded.shape[2:]), np.float32)
    for (row, column), weight in zip(*line(length, angle), strict=True):
        top, left = reach - row, reach - column
        made += np.float32(weight) * padded[top : top + height, left : left + width]
    return made


def _blur(image: np.ndarray, settings: Mapping[str, float], random: np.random.Generator) -> np.ndarray:
    return blurred(image, settings["sigma"])


def _noise(image: np.ndarray, settings: Mapping[str, float], random: np.random.Generator) -> np.ndarray:
    channels = 3 if settings["by_channel"] else 1
    noise = random.standard_normal((*image.shape[:2], channels), np.float32)
    return (image + np.float32(settings["sigma"] / LEVELS) * noise).clip(0, 1)


def _rain(image: np.ndarray, settings: Mapping[str, float], random: np.random.Generator) -> np.ndarray:
    return (image + rain(random, (image.shape[0], image.shape[1]), settings)[..., None]).clip(0, 1)


def _jpeg(image: np.ndarray, settings: Mapping[str, float], random: np.random.Generator) -> np.ndarray:
    return compressed(image, int(settings["quality"]))


def _motion(image: np.ndarray, settings: Mapping[str, float], random: np.random.Generator) -> np.ndarray:
    return moved(image, int(settings["length"]), settings["angle"])


DRAW: Mapping[str, Callable[[np.random.Generator], dict[str, float]]] = {
    "blur": _draw_blur,
    "noise": _draw_noise,
    "rain": _draw_rain,
    "jpeg": _draw_jpeg,
    "motion": _draw_motion,
}
APPLY: Mapping[str, Callable[[np.ndarray, Mapping[str, float], np.random.Generator], np.ndarray]] = {
    "blur": _blur,
    "noise": _noise,
    "rain": _rain,
    "jpeg": _jpeg,
    "motion": _motion,
}
