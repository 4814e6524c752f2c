"""The task: several layouts in a batch, windows of larger images, what the loss sees, pictures, parts and records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.hyperspectral.mosaic import mosaic
from benchmarks.hyperspectral.task import Hyperspectral
from benchmarks.inference import collect
from benchmarks.leaderboard.store import Store
from benchmarks.runner import run
from benchmarks.solver import NetworkSolver, build
from benchmarks.spec import RunSpec

NAN = float("nan")


class Brightest(nn.Module):
    """Logits are the first band and its opposite; keeps what it saw."""

    multiple, window, keep_dense = 2, 8, ()

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        self.seen.append((cube, wavelengths))
        return torch.stack((cube[:, 0], 1 - cube[:, 0]), 1)


def fold():
    return open_bundle("sim_spectra", {"tiles": 8}, progress=False).folds[0]


def test_every_layout_of_a_batch_is_answered_by_its_own_bands() -> None:
    cube = torch.rand(4, 3, 8, 8)
    bands = torch.tensor([[500.0, 600.0, NAN], [500.0, 600.0, 700.0], [500.0, 600.0, NAN], [900.0, NAN, NAN]])
    network = Brightest()
    answer = Hyperspectral().predict(network, {"cube": cube, "bands": bands})["prediction"]
    assert answer.shape == (4, 8, 8)
    assert torch.equal(answer, (cube[:, 0] < 0.5).to(torch.uint8))
    seen = {tuple(wavelengths.tolist()): len(part) for part, wavelengths in network.seen}
    assert seen == {(500.0, 600.0): 2, (500.0, 600.0, 700.0): 1, (900.0,): 1}


@pytest.mark.parametrize("size", [(3, 5), (8, 8), (11, 29), (32, 32)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_a_network_of_single_pixels_does_not_see_the_windows(size: tuple[int, int], overlap: float) -> None:
    network, cube = Brightest(), torch.rand(2, 4, *size)
    logits = mosaic(network, cube, torch.arange(4.0), overlap)
    torch.testing.assert_close(logits[:, 0], cube[:, 0])
    assert {part.shape[2:] for part, _ in network.seen} == {(8, 8)}


def test_where_windows_overlap_the_logits_are_means() -> None:
    class Count(Brightest):
        def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
            index = torch.arange(len(cube), dtype=torch.float32)[:, None, None, None]
            return index.expand(-1, 2, *cube.shape[2:])

    logits = mosaic(Count(), torch.rand(1, 3, 8, 12), torch.arange(3.0), 0.5)
    assert logits[0, 0, 0].tolist() == [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5, 1, 1, 1, 1]


def test_pixels_without_a_label_have_no_part_in_the_loss() -> None:
    task, network = Hyperspectral(flips=False), Brightest()
    cube, bands = torch.rand(2, 3, 8, 8), torch.tensor([500.0, 600.0, NAN]).repeat(2, 1)
    label = torch.full((2, 8, 8), 255, dtype=torch.uint8)
    label[0, 2, 3], label[1, 4, 4] = 0, 1
    loss = task.loss(network, {"cube": cube, "bands": bands, "label": label})
    right = [torch.stack((v, 1 - v)).log_softmax(0)[k] for v, k in ((cube[0, 0, 2, 3], 0), (cube[1, 0, 4, 4], 1))]
    assert loss.item() == pytest.approx(-torch.stack(right).mean().item())
    assert network.seen[0][0].shape == (2, 2, 8, 8)
    torch.manual_seed(0)
    mirrored = Hyperspectral().loss(network, {"cube": cube, "bands": bands, "label": label})
    assert mirrored.item() == pytest.approx(loss.item())
    with pytest.raises(BenchmarkError, match=r"task\.overlap=1\.0 task\.keep=1\.0 is not valid"):
        Hyperspectral(overlap=1.0)


def test_a_step_may_see_a_share_of_the_bands_in_their_order() -> None:
    network, bands = Brightest(), torch.linspace(400, 2500, 10).repeat(2, 1)
    batch = {"cube": torch.rand(2, 10, 8, 8), "bands": bands, "label": torch.zeros(2, 8, 8, dtype=torch.uint8)}
    torch.manual_seed(0)
    for _ in range(3):
        Hyperspectral(flips=False, keep=0.4).loss(network, batch)
    drawn = [tuple(wavelengths.tolist()) for _, wavelengths in network.seen]
    assert len(set(drawn)) == 3
    for part, wavelengths in network.seen:
        rows = [bands[0].tolist().index(nm) for nm in wavelengths.tolist()]
        assert len(rows) == 4
        assert rows == sorted(rows)
        assert torch.equal(part, batch["cube"][:, rows])


def test_training_and_validation_see_the_bands_of_training_alone() -> None:
    made = fold()
    schema = made.training.schema
    for part in (made.training.train, made.training.val):
        assert part.columns["cube"].shape[1] == len(schema["trained"])
        assert np.allclose(part.columns["bands"], np.array(schema["trained"])[None])
        assert part.conditions is None
    names, counts = np.unique(made.test.conditions, return_counts=True)
    assert names.tolist() == ["all", "complement", "id", "shifted"]
    assert len(set(counts)) == 1


def test_networks_are_told_the_pixel_size_of_the_data_unless_it_is_typed() -> None:
    task, schema = Hyperspectral(), fold().training.schema
    assert schema["gsd"] == 30.0
    for typed, facts, expected in (
        (None, schema, 30.0),
        (None, {**schema, "gsd": 20.0}, 20.0),
        (12.5, schema, 12.5),
        (None, {**schema, "gsd": None}, None),
    ):
        network = build(task, "less_vit", {"depth": 1, "gsd": typed}, facts)
        assert network.encoder.geometry.gsd == expected
    assert RunSpec.of(["task=hyperspectral", "method=none", "scale=smoke"]).config["model"]["gsd"] is None
    with pytest.raises(ValueError, match=r"the data do not say how many a pixel has\. Type model\.gsd=30"):
        build(task, "less_vit", {"gsd": None, "position": "sincos"}, {**schema, "gsd": None})


def test_pictures_are_drawn_and_tell_their_rows(tmp_path: Path) -> None:
    task, made = Hyperspectral(), fold()
    torch.manual_seed(0)
    network = build(task, "vit", {"dim": 16, "depth": 1}, made.training.schema)
    solver = NetworkSolver(task, network, made.training.schema)
    samples = collect(solver, made.test, task, 3)
    shown = task.pictures(solver, made, samples, tmp_path)
    assert list(shown) == ["maps.png"]
    assert {path.name for path in tmp_path.iterdir()} == {"maps.png", "spectra.png", "features.png"}
    assert set(samples["condition"][shown["maps.png"]].tolist()) == set(made.test.conditions.tolist())
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            assert len(picture.getcolors(256)) > 5
    example = task.example(made.training.schema, 3)
    assert task.predict(network.eval(), example)["prediction"].shape == (3, 8, 8)


def test_a_run_has_a_row_for_every_layout_and_metric(tmp_path: Path) -> None:
    words = ["task=hyperspectral", "method=none", "model=vit", "scale=smoke", "data.tiles=8", "model.dim=16", "model.depth=1",
             "trainer.max_epochs=2", "trainer.progress=false", "trainer.accelerator=cpu", "profile=fast",
             "pictures=false"]  # fmt: skip
    record = run(RunSpec.of(words), Store(tmp_path / "results"))
    assert record.status == "ok"
    primary = {row.condition: row.value for row in record.quality if row.metric == "miou"}
    assert list(primary) == [None, "id", "shifted", "complement", "all"]
    assert primary[None] == pytest.approx(np.mean([value for name, value in primary.items() if name]))
    assert all(0 <= value <= 1 for value in primary.values())
    assert all(row.ci_kind for row in record.quality if row.metric == "miou")
    assert record.cost.flops is not None
