"""`python -m benchmarks.trajectory.table1`: how well families of curves describe the paths of ETH and UCY.

Table 1 of EigenTrajectory (arXiv 2307.09306): mean distance in metres between the test paths and their reconstructions,
observed / future part, in each pedestrian's frame without scale. The paper learns its bases from the test paths
themselves (`in sample` here); the rows `other scenes` take them from training and validation, as a forecaster must.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.models.trajectory.descriptor import curve, svd_basis
from benchmarks.models.trajectory.frame import Frame, speed
from benchmarks.models.trajectory.reconstruction import CRITERIA, reconstruct
from benchmarks.progress import Bar

RANKS = range(1, 13)
RANK_ELSEWHERE = 6
"""The rank of the forecaster, at which bases from other scenes are compared."""

CURVES: tuple[tuple[str, str, dict[str, int]], ...] = (
    ("linear", "linear", {}),
    *((f"Bezier, degree {degree}", "bezier", {"degree": degree}) for degree in range(2, 6)),
    *(
        (f"B-spline, degree {degree}, n={n}", "bspline", {"degree": degree, "control_points": n + 1})
        for degree in range(1, 4)
        for n in range(degree + 1, 6)
    ),
    *((f"cosines, {size}", "dct", {"coefficients": size}) for size in range(2, 7)),
    *((f"Legendre, {size}", "legendre", {"coefficients": size}) for size in range(2, 7)),
)


@dataclass(frozen=True, eq=False)
class Paths:
    """Local paths of one split, in metres: observed [N, 8, 2], future [N, 12, 2]; speeds [N] in metres a step."""

    obs: Tensor
    pred: Tensor
    speed: Tensor

    @classmethod
    def of(cls, *splits: Split) -> Paths:
        obs, pred = (
            torch.as_tensor(np.concatenate([split.columns[name] for split in splits])) for name in ("obs", "pred")
        )
        frame = Frame.of(obs)
        return cls(frame.to_local(obs), frame.to_local(pred), speed(obs))

    def take(self, rows: Tensor) -> Paths:
        return Paths(self.obs[rows], self.pred[rows], self.speed[rows])

    def parts(self) -> tuple[Tensor, Tensor]:
        return self.obs, self.pred


@dataclass(frozen=True)
class Scene:
    """What the rows read of one fold: its test paths, those of the other scenes, and the speed of the slowest mover."""

    name: str
    test: Paths
    elsewhere: Paths
    static_distance: float

    @classmethod
    def of(cls, fold: Fold) -> Scene:
        training = fold.training
        return cls(
            fold.name,
            Paths.of(fold.test),
            Paths.of(training.train, training.val),
            training.schema["static_distance"],
        )


Fit = Callable[[Scene, str], tuple[Tensor, Tensor]]
"""Distances at all points of the observed and of the future part of a scene's test paths, under a criterion."""


@dataclass(frozen=True)
class Family:
    """One line of the table: parameters a part, and where its basis comes from."""

    name: str
    parameters: int
    basis: str
    fit: Fit


def families() -> Iterator[Family]:
    """The lines of the table from top to bottom."""
    for name, kind, options in CURVES:
        size = curve(kind, 8, **options).shape[1]
        yield Family(name, 2 * size, "fixed", _fit_curve(kind, options))
    for rank in RANKS:
        yield Family(f"SVD, k={rank}", rank, "in sample", _fit_in_sample(rank))
    yield Family(f"SVD, k={RANK_ELSEWHERE}", RANK_ELSEWHERE, "other scenes", _fit_elsewhere)
    yield Family(f"SVD, k={RANK_ELSEWHERE}, moving and static", RANK_ELSEWHERE, "other scenes", _fit_split)


def errors(family: Family, scenes: Sequence[Scene], criterion: str) -> np.ndarray:
    """Mean distances [scenes + 1, 2] in metres, observed and future; the last row is the mean of the scenes."""
    found = [[part.mean().item() for part in family.fit(scene, criterion)] for scene in scenes]
    return np.array([*found, np.mean(found, axis=0)])


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table as Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trajectory.table1", description=__doc__)
    parser.add_argument("--irls", action="store_true", help="also fit to the mean distance itself, not to its square")
    criteria = CRITERIA if parser.parse_args(argv).irls else CRITERIA[:1]
    try:
        bundle = open_bundle("eth_ucy")
    except BenchmarkError as error:
        print(error, file=sys.stderr)
        return 1
    scenes = [Scene.of(fold) for fold in bundle.folds]
    lines = [(family, criterion) for criterion in criteria for family in families()]
    columns = ("family", "parameters", "basis", "fit", *(scene.name for scene in scenes), "mean")
    table = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    with Bar("Table 1", len(lines), visible=sys.stderr.isatty()) as bar:
        for family, criterion in lines:
            bar.note(f"{family.name}, {criterion}")
            values = [f"{obs:.4f}/{pred:.4f}" for obs, pred in errors(family, scenes, criterion)]
            table.append(
                f"| {family.name} | {family.parameters} | {family.basis} | {criterion} | {' | '.join(values)} |"
            )
            bar.advance()
    print("\n".join(table))
    return 0


def _fit_curve(kind: str, options: dict[str, int]) -> Fit:
    def fit(scene: Scene, criterion: str) -> tuple[Tensor, Tensor]:
        return _distances(scene.test, [curve(kind, part.shape[1], **options) for part in scene.test.parts()], criterion)

    return fit


def _fit_in_sample(rank: int) -> Fit:
    def fit(scene: Scene, criterion: str) -> tuple[Tensor, Tensor]:
        return _distances(scene.test, _bases(scene.test, rank), criterion)

    return fit


def _fit_elsewhere(scene: Scene, criterion: str) -> tuple[Tensor, Tensor]:
    return _distances(scene.test, _bases(scene.elsewhere, RANK_ELSEWHERE), criterion)


def _fit_split(scene: Scene, criterion: str) -> tuple[Tensor, Tensor]:
    """As the forecaster: a basis for each class, from mirrored paths, those of the moving at their own scale.

    A fit to a scaled path is the scaled fit, so that the test paths may stay in metres.
    """
    moving = scene.elsewhere.speed > scene.static_distance
    scale = torch.where(moving, 1 / torch.where(moving, scene.elsewhere.speed, 1), 1)[:, None, None]
    learnt = Paths(scene.elsewhere.obs * scale, scene.elsewhere.pred * scale, scene.elsewhere.speed)
    tested = scene.test.speed > scene.static_distance
    fits = [
        _distances(scene.test.take(test), _bases(learnt.take(train), RANK_ELSEWHERE, mirrored=True), criterion)
        for train, test in ((moving, tested), (~moving, ~tested))
    ]
    obs, pred = zip(*fits, strict=True)
    return torch.cat(obs), torch.cat(pred)


def _bases(paths: Paths, rank: int, *, mirrored: bool = False) -> list[Tensor]:
    return [svd_basis(part, rank, mirrored=mirrored)[0] for part in paths.parts()]


def _distances(paths: Paths, families: Sequence[Tensor], criterion: str) -> tuple[Tensor, Tensor]:
    obs, pred = (
        (reconstruct(part, family, criterion) - part).norm(dim=-1)
        for part, family in zip(paths.parts(), families, strict=True)
    )
    return obs, pred


if __name__ == "__main__":
    raise SystemExit(main())
