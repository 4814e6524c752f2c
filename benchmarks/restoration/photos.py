"""A user's own photograph: colours to be restored, and what of the file comes back beside them (gray, alpha, colour profile)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.datasets.readers.object_masks import require_one_frame
from benchmarks.errors import BenchmarkError

if TYPE_CHECKING:
    from PIL import Image

JPEG = (".jpg", ".jpeg")
SUFFIXES = ("", ".png", *JPEG)
DEEP = ("I", "F")
"""How Pillow's names of modes begin that have more than eight bits a channel."""
DEPTH = 24
"""The byte of a PNG file that says how many bits a channel has."""
BITS_PER_SAMPLE = 258
"""The tag of a TIFF file that lists how many bits each channel has."""
COLOURED = ("RGB", "RGBA", "P")
"""Modes whose colour profile is one of red, green and blue, as the answer's must be; that of CMYK is of inks."""
QUALITY = 95


@dataclass(frozen=True)
class Photo:
    """Colours uint8 [h, w, 3] as they are seen, whether the file is gray, its opacity uint8 [h, w] and its colour profile."""

    colours: np.ndarray
    gray: bool = False
    alpha: np.ndarray | None = None
    profile: bytes | None = None


def read_photo(path: Path) -> Photo:
    """A photograph of any format that Pillow reads, turned as its camera notes say.

    Networks have seen gray levels from 0 to 255. Raises BenchmarkError for more bits a channel, which would come back coarser
    than they are, for several frames, and for what cannot be read.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings(), Image.open(path) as file:
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # size is what tiles are for
            if file.mode.startswith(DEEP) or _deep_png(path, file.format) or _deep_tiff(file) or _deep_portable(file):
                raise BenchmarkError(
                    f"{path} has more than 8 bits a channel, and restored images have 8. Convert a copy of it to 8 bits first."
                )
            require_one_frame(file, path)
            image = ImageOps.exif_transpose(file)
            alpha = np.array(image.convert("RGBA").getchannel("A")) if image.has_transparency_data else None
            gray = image.mode in ("1", "L", "LA")
            profile = file.info.get("icc_profile") if image.mode in COLOURED else None
            return Photo(np.array(image.convert("RGB")), gray, alpha, profile)
    except Image.DecompressionBombError as error:
        raise BenchmarkError(f"{path} is too large: {error}. Cut it into smaller files.") from error
    except (UnidentifiedImageError, OSError) as error:
        raise BenchmarkError(f"{path} cannot be read as an image: {error}.") from error


def write_photo(path: Path, photo: Photo, restored: np.ndarray) -> None:
    """Restored colours uint8 [h, w, 3] as PNG or, where the name ends so, JPEG; gray files stay gray, opacity is kept.

    `path` may have an ending of its own behind that of the image. Raises BenchmarkError for other formats, and for JPEG of what
    is transparent.
    """
    from PIL import Image

    suffix = next((each for each in reversed(path.suffixes) if each != ".partial"), "").lower()
    if suffix not in SUFFIXES:
        raise BenchmarkError(f"Restored images are written as .png or .jpg, not as {suffix}.")
    image = Image.fromarray(restored)
    if photo.gray:
        image = Image.fromarray(np.rint(restored.mean(-1)).astype(np.uint8))
    kept: dict[str, Any] = {"icc_profile": photo.profile} if photo.profile else {}
    if suffix in JPEG:
        if photo.alpha is not None:
            raise BenchmarkError("A JPEG has no transparency, and the image has. Name the answer .png.")
        image.save(path, "JPEG", quality=QUALITY, subsampling="4:4:4", **kept)
        return
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    image.save(path, "PNG", **kept)


def _deep_png(path: Path, kind: str | None) -> bool:
    """Whether it is a PNG of 16 bits a channel, which Pillow would make coarser without a word where it has colours."""
    if kind != "PNG":
        return False
    with path.open("rb") as file:
        return file.read(DEPTH + 1)[DEPTH] > 8


def _deep_tiff(file: Image.Image) -> bool:
    """Whether it is a TIFF of more than 8 bits a channel, of which Pillow shows the upper 8 where it has colours."""
    tags = getattr(file, "tag_v2", {}) if file.format == "TIFF" else {}
    return max(tags.get(BITS_PER_SAMPLE, (1,))) > 8


def _deep_portable(file: Image.Image) -> bool:
    """Whether it is a PPM whose header allows values above 255, which Pillow scales down to them."""
    given = [tile[3] for tile in getattr(file, "tile", [])] if file.format == "PPM" else []
    return any(isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255 for args in given)
