"""Infrared small targets out of one archive of images and masks, with the lists of the community's split."""

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


def read(
    files: Mapping[str, Path], *, lists: str = "NUDT-SIRST", size: int = 256, seed: int = 2021
) -> tuple[Fold, ...]:
    """One fold by the files `train_LISTS.txt` and `test_LISTS.txt`; a fifth of train, drawn by `seed`, is validation.

    The archive `LISTS.zip` holds `NAME.png` in folders called `images` and `masks`, wherever these are. Raises
    BenchmarkError for a file that is no such archive, and with the first name that it lacks.
    """
    train, test = (files[f"{part}_{lists}.txt"].read_text(encoding="utf-8").split() for part in ("train", "test"))
    archive = files[f"{lists}.zip"]
    drawn = np.random.default_rng(seed).permutation(train).tolist()
    cut = round(VAL_SHARE * len(drawn))
    try:
        with zipfile.ZipFile(archive) as opened:
            places = {tuple(PurePosixPath(name).parts[-2:]): name for name in opened.namelist()}

            def member(folder: str, name: str) -> bytes:
                place = places.get((folder, f"{name}.png"))
                if place is None:
                    raise BenchmarkError(
                        f"{archive} holds no {folder}/{name}.png, which the lists name. It must hold a PNG for every "
                        "name in folders called images and masks."
                    )
                return opened.read(place)

            def pair(name: str) -> Pair:
                return member("images", name), member("masks", name)

            parts = [split_of(sorted(names), pair, size) for names in (drawn[cut:], drawn[:cut], test)]
    except zipfile.BadZipFile as error:
        raise BenchmarkError(f"{archive} is no zip archive: {error}.") from error
    return fold_of(*parts)
