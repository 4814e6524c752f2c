"""What data sets of retinal vessels share: standardised gray levels, squares in training, zeros around whole images."""

from __future__ import annotations

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.readers.object_masks import fold_of, standard_scale
from benchmarks.errors import unknown

OFFICIAL = {
    "drive": (83.59488677978516, 54.175140380859375),
    "stare": (98.16558837890625, 52.33002853393555),
    "chase_db1": (59.87125015258789, 46.84417724609375),
}
"""Centre and spread of the official code of RPCANet: means over all images of a data set, those of the test split included."""
CONSTANTS = ("train", "upstream")


def vessel_fold(
    data_set: str, parts: tuple[Split, Split, Split], constants: str, crop: int, multiple: int, name: str = "all"
) -> tuple[Fold, ...]:
    """The fold of train, val and test with gray levels standardised by `constants`: of train alone, or `upstream`."""
    if constants not in CONSTANTS:
        raise unknown(f"constants of {data_set}:", constants, CONSTANTS)
    scale = OFFICIAL[data_set] if constants == "upstream" else standard_scale(parts[0])
    return fold_of(*parts, scale=scale, crop=crop, multiple=multiple, name=name)
