"""What data sets of retinal vessels share: gray levels, standardised, with squares in training and zeros around; or colours."""

from __future__ import annotations

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.readers.object_masks import fold_of, standard_scale
from benchmarks.errors import BenchmarkError, unknown

OFFICIAL = {
    "drive": (83.59488677978516, 54.175140380859375),
    "stare": (98.16558837890625, 52.33002853393555),
    "chase_db1": (59.87125015258789, 46.84417724609375),
}
"""Centre and spread of the official code of RPCANet: means over all images of a data set, those of the test split included."""
CONSTANTS = ("train", "upstream")


def require_colour(colour: bool, shrink: int) -> None:
    """Raises BenchmarkError where images that are not in colour are to be seen smaller: no task does so."""
    if shrink != 1 and not colour:
        raise BenchmarkError("data.shrink is for images in colour. Type data.colour=true, or data.shrink=1.")


def vessel_fold(
    data_set: str,
    parts: tuple[Split, Split, Split],
    constants: str,
    crop: int,
    multiple: int,
    name: str = "all",
    shrink: int = 1,
) -> tuple[Fold, ...]:
    """The fold of train, val and test with gray levels standardised by `constants`: of train alone, or `upstream`.

    Images in colour are left as they were taken, and networks are to see them smaller by `shrink`.
    """
    if parts[0].columns["image"].ndim == 4:
        return fold_of(*parts, crop=crop, shrink=shrink, name=name)
    if constants not in CONSTANTS:
        raise unknown(f"constants of {data_set}:", constants, CONSTANTS)
    scale = OFFICIAL[data_set] if constants == "upstream" else standard_scale(parts[0])
    return fold_of(*parts, scale=scale, crop=crop, multiple=multiple, name=name)
