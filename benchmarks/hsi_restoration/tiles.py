"""Observations of whole cubes out of a batch of tiles, and restored cubes cut into the same tiles."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.models.hsi_restoration.observation import Observation, Restoration, Surroundings
from benchmarks.task import Batch, Outputs


def groups_of(batch: Batch) -> list[Tensor]:
    """The rows of each cube of a batch; without groups every row is one."""
    count = len(batch["noisy"])
    group = batch.get("group", torch.arange(count))
    return [(group == number).nonzero().flatten() for number in group.unique(sorted=True)]


def observation_of(batch: Batch, rows: Tensor) -> Observation:
    """The cube of some rows (see `datasets.readers.cube_tiles.split_of` for their columns)."""
    factor = int(batch["factor"][rows[0]])
    place = batch["place"][rows] - batch["place"][rows].amin(0)
    noisy = _joined(batch["noisy"][rows], place // factor)
    kept = noisy.isfinite()
    bands, height, width = (int(kept.amax(axes).sum()) for axes in ((1, 2), (0, 2), (0, 1)))
    observed = None
    if "observed" in batch:
        observed = _joined(batch["observed"][rows].float(), place)[:bands, : height * factor, : width * factor] > 0
    scene = None
    if "inner" in batch:
        top, left = batch["place"][rows[0]].tolist()
        scene = Surroundings(batch["inner"][rows[0]], float(batch["lacking"][rows[0]]), (top, left))
    return Observation(noisy[:bands, :height, :width], observed, float(batch["sigma"][rows[0]]), factor, scene)


def outputs_of(batch: Batch, groups: Sequence[Tensor], restored: Sequence[Restoration]) -> Outputs:
    """The columns of an answer: `restored` [n, c, t, t] NaN beyond a cube, where its tiles lie, and of a reduced model the
    coefficients [n, c, k], the bands [n, k], the images after every step [n, s, k, t, t] and the spread of samples [n, t, t]; of
    a prior by itself `estimate` [n, c, t, t] and `deviation` [n] (see `Restoration`)."""
    count, width = batch["noisy"].shape[:2]
    made: Outputs = {"place": batch["place"], "factor": batch["factor"]}
    for rows, one in zip(groups, restored, strict=True):
        factor = int(batch["factor"][rows[0]])
        side = (factor * batch["noisy"].shape[-2], factor * batch["noisy"].shape[-1])
        place = batch["place"][rows] - batch["place"][rows].amin(0)
        parts = {"restored": _cut(one.cube, place, side, width)}
        if one.coefficients is not None:
            filled = one.cube.new_full((width, one.coefficients.shape[1]), torch.nan)
            filled[: len(one.coefficients)] = one.coefficients
            parts["coefficients"] = filled.expand(len(rows), -1, -1)
        if one.bands:
            parts["bands"] = one.cube.new_tensor(one.bands).expand(len(rows), -1)
        if one.steps is not None:
            flat = _cut(one.steps.flatten(0, 1), place, side, one.steps.shape[:2].numel())
            parts["steps"] = flat.unflatten(1, one.steps.shape[:2])
        if one.estimate is not None:
            parts["estimate"] = _cut(one.estimate, place, side, width)
            parts["deviation"] = one.cube.new_full((len(rows),), one.deviation)
        if one.spread is not None:
            parts["spread"] = _cut(one.spread[None], place, side, 1)[:, 0]
        for name, part in parts.items():
            column = made.setdefault(name, part.new_full((count, *part.shape[1:]), torch.nan))
            column[rows] = part
    return made


def reduced_outputs_of(batch: Batch, restored: Sequence[Restoration]) -> Outputs:
    """The columns of an answer to tiles of a scene that is too large to be held as a cube: `reduced` [n, k, t, t], the same
    `coefficients` [n, c, k] and `bands` [n, k] for all, and `place`. Raises BenchmarkError for what has no reduced image."""
    made: dict[str, list[Tensor]] = {"reduced": [], "coefficients": [], "bands": []}
    for one in restored:
        if one.reduced is None or one.coefficients is None:
            raise BenchmarkError(
                "Scenes of this size are restored tile by tile as a few images and their coefficients, which this method does "
                "not make. Take a run of method=hir_diff, dps, diffpir, svd_truncate, svd_tv or svd_bm3d, or cut the scene into "
                "smaller files."
            )
        made["reduced"].append(one.reduced)
        made["coefficients"].append(one.coefficients)
        made["bands"].append(one.reduced.new_tensor(one.bands))
    return {"place": batch["place"], **{name: torch.stack(column) for name, column in made.items()}}


def _joined(tiles: Tensor, place: Tensor) -> Tensor:
    """Tiles [n, c, t, t] at their places, [c, h, w]; NaN where there is none."""
    height, width = tiles.shape[-2:]
    farthest = place.amax(0).tolist()
    made = tiles.new_full((tiles.shape[1], farthest[0] + height, farthest[1] + width), torch.nan)
    for tile, (row, column) in zip(tiles, place.tolist(), strict=True):
        made[:, row : row + height, column : column + width] = tile
    return made


def _cut(cube: Tensor, place: Tensor, shape: tuple[int, int], bands: int) -> Tensor:
    """Tiles [n, bands, *shape] of [c, h, w], NaN beyond it."""
    made = cube.new_full((len(place), bands, *shape), torch.nan)
    for tile, (row, column) in zip(made, place.tolist(), strict=True):
        part = cube[:, row : row + shape[0], column : column + shape[1]]
        tile[: part.shape[0], : part.shape[1], : part.shape[2]] = part
    return made
