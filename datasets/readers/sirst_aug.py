"""SIRST-Aug: infrared small targets out of one archive with the folders trainval and test, each of images and masks."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.object_masks import Pair, fold_of, split_of
from benchmarks.errors import BenchmarkError

VERSION = 1
VAL_SHARE = 0.2


def read(files: Mapping[str, Path], *, size: int = 256, seed: int = 2021) -> tuple[Fold, ...]:
    """One fold by the archive's folders; a fifth of `trainval`, drawn by `seed`, is validation.

    `sirst_aug.zip` holds `PART/images/NAME.png` and `PART/masks/NAME.png` with PART trainval and test, wherever these are.
    Raises BenchmarkError for a file that is no such archive, and for an image without a mask.
    """
    archive = files["sirst_aug.zip"]
    try:
        with zipfile.ZipFile(archive) as opened:
            places = {PurePosixPath(name).parts[-3:]: name for name in opened.namelist() if name.endswith(".png")}

            def members(part: str) -> list[str]:
                found = sorted(PurePosixPath(place[2]).stem for place in places if place[:2] == (part, "images"))
                if not found:
                    raise BenchmarkError(f"{archive} holds no {part}/images/NAME.png.")
                return found

            def pair_of(part: str, name: str) -> Pair:
                masked = places.get((part, "masks", f"{name}.png"))
                if masked is None:
                    raise BenchmarkError(f"{archive} holds {part}/images/{name}.png and no mask of it in {part}/masks.")
                return opened.read(places[part, "images", f"{name}.png"]), opened.read(masked)

            drawn = np.random.default_rng(seed).permutation(members("trainval")).tolist()
            cut = round(VAL_SHARE * len(drawn))
            named = (("trainval", drawn[cut:]), ("trainval", drawn[:cut]), ("test", members("test")))
            # Names may repeat between the folders, and a sample's id names one image of the data set.
            parts = [
                split_of(
                    sorted(f"{part}/{name}" for name in names),
                    lambda name: pair_of(*name.split("/")),
                    size,
                )
                for part, names in named
            ]
    except zipfile.BadZipFile as error:
        raise BenchmarkError(f"{archive} is no zip archive: {error}.") from error
    return fold_of(*parts)
