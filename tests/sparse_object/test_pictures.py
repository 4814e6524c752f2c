"""Pictures of a run, and the measures that they print."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.open import open_bundle
from benchmarks.inference import collect
from benchmarks.models.sparse_object.lowrankness import hoyer_sparsity, low_rankness
from benchmarks.segmentation.overlays import typical
from benchmarks.solver import NetworkSolver, build
from benchmarks.sparse_object.pictures import draw
from benchmarks.sparse_object.task import SparseObject

TINY = {"stages": 2, "channels": 4, "sparse_depth": 1, "merge_depth": 1}


@pytest.mark.parametrize(("model", "files"), [("tophat", 1), ("rpcanet", 2), ("rpcanet_pp", 2)])
def test_detections_are_drawn_of_every_solver_and_stages_of_unfolded_networks(
    model: str, files: int, tmp_path: Path
) -> None:
    fold, task = open_bundle("sim_infrared", {"images": 20, "size": 24}, progress=False).folds[0], SparseObject()
    schema = fold.training.schema
    solver = NetworkSolver(task, build(task, model, TINY if files > 1 else {}, schema), schema)
    samples = collect(solver, fold.test, task, 4)
    shown = draw(solver, fold, samples, tmp_path)
    assert shown["detections.png"] == typical(samples)
    drawn = sorted(path.name for path in tmp_path.iterdir())
    assert drawn == sorted(shown) == ["detections.png", "stages.png"][:files]
    for name in drawn:
        with Image.open(tmp_path / name) as picture:
            assert picture.width > 200
            assert len(picture.getcolors()) > 20


def test_images_are_chosen_from_the_worst_to_the_best_among_those_with_objects() -> None:
    mask = np.zeros((6, 4, 4), bool)
    mask[1:, 0] = True
    soft = np.zeros((6, 4, 4), np.float32)
    for index in range(6):
        soft[index, 0, : max(0, index - 1)] = 1
    assert typical({"probability": soft, "mask": mask}) == [1, 2, 3, 5]
    assert typical({"probability": soft[:1], "mask": mask[:1]}) == [0]


def test_measures_do_not_change_with_the_scale_and_know_the_extremes() -> None:
    random = np.random.default_rng(0)
    image = np.outer(*random.random((2, 20))) + 1e-6 * random.random((20, 20))
    assert low_rankness(image).energy_rank == 1
    assert low_rankness(np.eye(20)) == pytest.approx((20, 20.0, 20**0.5))
    assert low_rankness(10 * image) == pytest.approx(low_rankness(image))
    assert low_rankness(np.zeros((3, 3))) == (0, 0, 0)
    assert hoyer_sparsity(np.ones((5, 5))) == pytest.approx(0)
    assert hoyer_sparsity(np.eye(1, 25)) == pytest.approx(1)
    assert hoyer_sparsity(-7 * image) == pytest.approx(hoyer_sparsity(image))
