"""MATLAB files in the layout of HIR-Diff's authors: cubes that were degraded beforehand, each with the clean one beside it.

SET/test/FOLDER/NAME.mat with `input` and `gt` [h, w, c], `sigma`, and `mask` [h, w, c] of what was measured or `scale`, by
which resolution is lower; FOLDER is gauss_SIGMA, gauss_sr_SCALE or gauss_inpainting_RATE.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np

from benchmarks.datasets.bundle import Fold, TrainingData
from benchmarks.datasets.degradations import LEVELS, Degraded
from benchmarks.datasets.matlab import read_mat
from benchmarks.datasets.readers.cube_tiles import Scene, split_of
from benchmarks.datasets.readers.image_archive import Images, images_of
from benchmarks.errors import BenchmarkError, unknown

VERSION = 1
ARCHIVE = "hir_diff_data.zip"
LAYOUT = "It must hold SET/test/FOLDER/NAME.mat, for example Houston/test/gauss_50/Houston_cropped.mat."
ROUNDING = 0.01
"""By how much a clean cube may leave the range from 0 to 1."""


def read(
    files: Mapping[str, Path], *, folder: str = "gauss_50", sets: str = "", crop: int = 0, tile: int = 16
) -> tuple[Fold, ...]:
    """One fold, whose test split are the cubes of a folder of all `sets` or of those that are named; there is nothing to train
    or to tune on.

    `crop` takes the top left square of so many pixels, 0 the whole. Raises BenchmarkError for a folder or set that is not
    there, and for files of another layout.
    """
    if crop < 0 or tile < 1:
        raise BenchmarkError(f"data.crop={crop} data.tile={tile} is not valid. Type data.crop=0 data.tile=16.")
    with images_of(files, ARCHIVE, LAYOUT) as members:
        names = _members(members, folder, sets)
        scenes = [_scene(str(members.where), name, members[name], crop) for name in names]
    if len(factors := {scene.seen.factor for scene in scenes}) > 1:
        raise BenchmarkError(
            f"Cubes of {folder} are of resolutions lower by {sorted(factors)}; name sets of one, as data.sets=WDC."
        )
    test = split_of(scenes, tile)
    schema = {"bands": test.columns["clean"].shape[1], "factor": factors.pop()}
    none = test.take(slice(0, 0))
    return (Fold("all", TrainingData(none, none, schema), test),)


def _members(members: Images, folder: str, sets: str) -> list[str]:
    """SET/test/folder/NAME.mat of the archive, sorted."""
    found = [PurePosixPath(path).parts for path in members.places if path.endswith(".mat")]
    layout = [parts for parts in found if len(parts) == 4 and parts[1] == "test"]
    if not layout:
        raise BenchmarkError(f"{members.where} holds no such files. {LAYOUT}")
    if not (of_folder := [parts for parts in layout if parts[2] == folder]):
        raise unknown("folder for data.folder:", folder, {parts[2] for parts in layout})
    wanted = {name.strip() for name in sets.split(",") if name.strip()}
    for name in sorted(wanted - {parts[0] for parts in of_folder}):
        raise unknown("set for data.sets:", name, {parts[0] for parts in of_folder})
    return sorted("/".join(parts) for parts in of_folder if not wanted or parts[0] in wanted)


def _scene(archive: str, name: str, member: Path | bytes, crop: int) -> Scene:
    """A cube and what was seen of it; its set is the row that it is reported in."""
    where = f"{archive}: {name}"
    content = read_mat(member, where)
    try:
        clean, seen = (np.asarray(np.squeeze(content[key]), np.float32) for key in ("gt", "input"))
        sigma = np.ravel(content["sigma"]).astype(np.float64)
        scale = float(np.ravel(content["scale"])[0]) if "scale" in content else 1.0
    except (KeyError, ValueError, TypeError) as error:
        raise BenchmarkError(f"{where} must hold input, gt and sigma as numbers: {error}.") from error
    factor = round(1 / scale) if 0 < scale <= 1 else round(scale)
    if clean.ndim != 3 or seen.shape != (
        clean.shape[0] // max(1, factor),
        clean.shape[1] // max(1, factor),
        clean.shape[2],
    ):
        raise BenchmarkError(
            f"{where}: gt is {clean.shape} and input {seen.shape}; with scale {scale:g} input must be as many times smaller, and "
            "both [rows, columns, bands]."
        )
    if clean.min() < -ROUNDING or clean.max() > 1 + ROUNDING:
        raise BenchmarkError(
            f"{where}: gt goes from {clean.min():g} to {clean.max():g}; cubes of this layout are on a scale from 0 to 1."
        )
    observed = None
    if "mask" in content:
        observed = np.squeeze(content["mask"]) > 0
        if observed.shape != clean.shape:
            raise BenchmarkError(f"{where}: mask is {observed.shape} and gt {clean.shape}; they must be equal.")
        seen = np.where(observed, seen, np.float32(0))
    height, width = (min(size, crop or size) // factor * factor for size in clean.shape[:2])
    clean, seen = clean[:height, :width], seen[: height // factor, : width // factor]
    observed = None if observed is None else observed[:height, :width]
    set_name = name.split("/")[0]
    return Scene(PurePosixPath(name).stem, set_name, clean, Degraded(seen, observed, _deviation(sigma), factor))


def _deviation(sigma: np.ndarray) -> float:
    """On the scale of the cube: above 1 it is given in levels of 255; one that differs by band is not one."""
    if sigma.size != 1:
        return float("nan")
    return float(sigma[0] / LEVELS if sigma[0] > 1 else sigma[0])
