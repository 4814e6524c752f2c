"""Images with masks of objects: decoding, resizing as OpenCV does it, and splits of one size."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from PIL.Image import Image

Source = Path | bytes | IO[bytes]
Pair = tuple[Source, Source]
"""An image and the mask of its objects."""
WIDE = ("I", "F")
"""How the names of Pillow's modes of more than a byte begin."""
LIBPNG = np.array([9798, 19235, 3735])
"""Red, green and blue in luminance, times 2^15."""
ASPECT = 0.01
"""By how much the ratio of height to width of a mask may differ from that of its image, as a share."""


def read_gray(source: Source) -> np.ndarray:
    """An image of any mode as luminance, uint8 [h, w] (ITU-R 601; transparency is ignored, wider levels become bytes).

    Fractions of a PNG's colours are cut off and those of other formats rounded, as in the readers that published weights
    were trained with (libpng and Pillow).
    """
    with _opened(source) as image:
        if image.mode.startswith(WIDE):
            return narrowed(np.asarray(image))
        if image.format != "PNG" or image.mode in ("L", "1"):
            return np.array(image.convert("L"))
        return luminance(np.asarray(image.convert("RGB")))


def read_colours(source: Source) -> np.ndarray:
    """An image of any mode as red, green and blue, uint8 [h, w, 3] (transparency is ignored, wider levels become bytes)."""
    with _opened(source) as image:
        if not image.mode.startswith(WIDE):
            return np.array(image.convert("RGB"))
    return np.repeat(read_gray(source)[..., None], 3, 2)


def read_alike(sources: Sequence[Source]) -> list[np.ndarray]:
    """Images as `read_colours` gives them, but wider levels of all on one scale: what one adds to another stays that."""
    found: list[np.ndarray] = []
    for source in sources:
        with _opened(source) as image:
            wide = image.mode.startswith(WIDE)
            found.append(np.asarray(image) if wide else np.array(image.convert("RGB")))
    wider = [index for index, levels in enumerate(found) if levels.ndim == 2]
    if wider:
        joined = narrowed(np.concatenate([found[index].ravel() for index in wider]))
        ends = np.cumsum([found[index].size for index in wider])[:-1]
        for index, levels in zip(wider, np.split(joined, ends), strict=True):
            found[index] = np.repeat(levels.reshape(found[index].shape)[..., None], 3, 2)
    return found


@contextmanager
def _opened(source: Source) -> Iterator[Image]:
    """An image, turned as its camera notes say. Whatever Pillow runs into in a damaged one, which each format tells in errors of
    its own, is one error; so are several frames, of which nobody said which is meant."""
    import PIL.Image
    from PIL.ImageOps import exif_transpose

    named = source if isinstance(source, Path) else "a file"
    try:
        with PIL.Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            require_one_frame(image, named)
            exif_transpose(image, in_place=True)
            yield image
    except (MemoryError, BenchmarkError):
        raise
    except Exception as error:
        raise BenchmarkError(f"{named} cannot be read as an image: {error}.") from error


def require_one_frame(image: Image, named: Path | str) -> None:
    """Raises BenchmarkError for several frames; further views that phones put behind a photograph (MPO) are none."""
    if image.format != "MPO" and (frames := getattr(image, "n_frames", 1)) > 1:
        raise BenchmarkError(f"{named} has {frames} frames. Give one image a file.")


def narrowed(levels: np.ndarray) -> np.ndarray:
    """Levels of any range as bytes, uint8 of the same shape.

    Fractions are stretched, the smallest to 0 and the largest to 255; what is not finite is 0. Whole numbers up to 255 stay,
    and larger ones lose what they have beyond eight bits: of 12, as detectors have them, where none is above 4095, else of 16.
    """
    if np.issubdtype(levels.dtype, np.floating):
        seen = levels[np.isfinite(levels)].astype(np.float64)
        low, high = (seen.min(), seen.max()) if seen.size else (0.0, 0.0)
        share = (np.nan_to_num(levels.astype(np.float64), nan=low, posinf=low, neginf=low) - low) / (
            (high - low) or 1.0
        )
        return np.rint(255 * share).astype(np.uint8)
    whole, most = levels.astype(np.int64), levels.max(initial=0)
    return (whole if most <= 255 else whole // 16 if most <= 4095 else whole // 257).clip(0, 255).astype(np.uint8)


def luminance(colours: np.ndarray) -> np.ndarray:
    """Red, green and blue uint8 [h, w, 3] as gray levels, as libpng does: uint8 [h, w]."""
    return (colours.astype(np.int64) @ LIBPNG >> 15).astype(np.uint8)


def resize_bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [h, w] -> uint8 [height, width], as OpenCV's INTER_LINEAR: four neighbours, no smoothing before shrinking.

    Also its whole numbers are OpenCV's, shares in 1/2048 and cut-off bits between the two directions: published weights were
    trained on such images, and a quarter of a gray level moves their IoU on SIRST by .002.
    """
    if image.shape == (height, width):
        return image
    near_row, far_row, first, second = _neighbours(image.shape[0], height)
    near, far, left, right = _neighbours(image.shape[1], width)
    levels = image.astype(np.int64)
    rows = (levels[:, left] * near + levels[:, right] * far) >> 4
    mixed = (near_row[:, None] * rows[first] >> 16) + (far_row[:, None] * rows[second] >> 16)
    return ((mixed + 2) >> 2).astype(np.uint8)


def _neighbours(size: int, wanted: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shares in 1/2048 and indices of the two pixels between which each new one lies; centres of pixels are at a half."""
    place = ((np.arange(wanted) + 0.5) * (size / wanted) - 0.5).astype(np.float32)
    first = np.floor(place).astype(np.int64)
    share = np.where((first < 0) | (first >= size - 1), np.float32(0), place - first.astype(np.float32))
    first = first.clip(0, size - 1)
    near, far = (np.rint(part * 2048).astype(np.int64) for part in (1 - share, share))
    return near, far, first, np.minimum(first + 1, size - 1)


def resize_nearest(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """[h, w] -> [height, width] without new values, as OpenCV's INTER_NEAREST: the pixel at or before each place.

    Bilinear masks would let targets of a few pixels vanish or grow.
    """
    rows = np.floor(np.arange(height) * (mask.shape[0] / height)).astype(np.int64)
    columns = np.floor(np.arange(width) * (mask.shape[1] / width)).astype(np.int64)
    return mask[rows[:, None], columns]


def split_of(
    names: Sequence[str],
    pair: Callable[[str], Pair],
    size: int,
    threshold: int = 127,
    field: Callable[[str], Source] | None = None,
    colour: bool = False,
    unit: Callable[[str], str] | None = None,
) -> Split:
    """Images `image` uint8 [n, h, w] and masks `mask` bool [n, h, w] by name, one image a unit.

    All are resized to `size` x `size`; with 0 they are left as they are and must have one size. A mask is what lies above
    `threshold`; it may be of another size than its image (one of SIRST is) where it is of the same shape and both are
    resized. With `field`, masks of what the camera sees, the split has a column `field` bool [n, h, w], outside of which
    nothing counts. With `colour`, images are uint8 [n, h, w, 3] and keep their size; `unit` tells of whom an image is, where
    several are of one. Raises BenchmarkError for images and masks that do not fit.
    """
    images: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    for name in names:
        first, second = pair(name)
        image, mask = (read_colours if colour else read_gray)(first), read_gray(second)
        aspects = [found.shape[0] / found.shape[1] for found in (image, mask)]
        if image.shape[:2] != mask.shape and not (size and abs(aspects[0] / aspects[1] - 1) < ASPECT):
            raise BenchmarkError(f"Image '{name}' is {image.shape} and its mask {mask.shape}; they must have one size.")
        if colour and size and image.shape[:2] != (size, size):
            raise BenchmarkError(f"Image '{name}' is {image.shape}: colours are not resized. Type data.size=0.")
        height, width = (size, size) if size else image.shape[:2]
        if images and images[0].shape[:2] != (height, width):
            raise BenchmarkError(
                f"Image '{name}' is {image.shape}, others are {images[0].shape}. Type data.size=256 to resize all."
            )
        images.append(image if colour else resize_bilinear(image, height, width))
        masks.append(resize_nearest(mask > threshold, height, width))
    ids = np.array(names)
    columns = {"image": np.stack(images), "mask": np.stack(masks)}
    if field is not None:
        height, width = images[0].shape[:2]
        columns["field"] = np.stack([resize_nearest(read_gray(field(name)) > 127, height, width) for name in names])
    return Split(columns, ids, ids if unit is None else np.array([unit(name) for name in names]))


def fold_of(
    train: Split,
    val: Split,
    test: Split,
    *,
    scale: tuple[float, float] = (0.0, 255.0),
    crop: int = 0,
    multiple: int = 1,
    shrink: int = 1,
    classes: int = 1,
    name: str = "all",
) -> tuple[Fold, ...]:
    """One fold; its schema says how networks see gray levels, and what training crops to.

    With `scale` (centre, spread) they see (level - centre) / spread, and zeros at the bottom and right that make height and
    width multiples of `multiple`. `shrink` is by how much a network is to see them smaller, for tasks that do so. Of several
    `classes` masks are their numbers.
    """
    height, width = train.columns["image"].shape[1:3]
    if crop > min(height, width):
        raise BenchmarkError(f"data.crop={crop} is larger than the images, {height} x {width}. Type data.crop=0.")
    if multiple < 1:
        raise BenchmarkError(f"data.multiple={multiple} is not valid: it must be 1 or more. Type data.multiple=1.")
    centre, spread = scale
    schema = {"height": height, "width": width, "centre": centre, "spread": spread, "crop": crop, "multiple": multiple}
    if shrink < 1:
        raise BenchmarkError(f"data.shrink={shrink} is not valid: it must be 1 or more. Type data.shrink=1.")
    schema |= {"shrink": shrink} if shrink > 1 else {}
    schema |= {"classes": classes} if classes > 1 else {}
    schema |= {"colour": True} if train.columns["image"].ndim == 4 else {}
    return (Fold(name, TrainingData(train, val, schema), test),)


def standard_scale(train: Split) -> tuple[float, float]:
    """The means over images of their mean and standard deviation."""
    levels = train.columns["image"].reshape(len(train), -1).astype(np.float64)
    return float(levels.mean(1).mean()), float(levels.std(1).mean())
