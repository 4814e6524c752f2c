"""Pictures of a run: which windows, what is drawn, and that no figure hangs on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import runner, scoring
from benchmarks.canvas import BLUE, FINE, PAPER, Canvas, Stroke, tint
from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.worst import read_pictured, read_worst
from benchmarks.models.trajectory.descriptor import svd_basis
from benchmarks.models.trajectory.space import fit_space
from benchmarks.solver import NetworkSolver, build
from benchmarks.spec import RunSpec
from benchmarks.trajectory.descriptor_picture import draw_descriptor
from benchmarks.trajectory.forecast_picture import CROWD, busiest, draw_forecasts, opacity
from benchmarks.trajectory.metrics import METRICS
from benchmarks.trajectory.plane import Plane
from benchmarks.trajectory.task import Trajectory

SCHEMA = {"obs_len": 8, "pred_len": 12, "step_seconds": 0.4, "scene": "square", "static_distance": 0.3}
WORDS = (
    "task=trajectory", "method=stay", "scale=smoke", "data.pedestrians=30", "profile=none", "trainer.threads=1",
)  # fmt: skip


def crowd(*windows: int, samples: int = 20) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Observed paths and scored samples of windows of so many pedestrians, all of them different people."""
    random = np.random.default_rng(0)
    count = sum(windows)
    paths = random.normal(0, 5, (count, 1, 2)) + random.normal(0.3, 0.2, (count, 20, 2)).cumsum(1)
    probability = random.dirichlet(np.ones(samples), count)
    return paths[:, :8], {
        "pred": paths[:, 8:],
        "forecast": paths[:, None, 7:8] + random.normal(0.3, 0.3, (count, samples, 12, 2)).cumsum(2),
        "probability": probability,
        "unit": np.arange(count),
        "group": np.repeat(np.arange(len(windows)), windows),
    }


def fold_of(obs: np.ndarray, samples: dict[str, np.ndarray]) -> Fold:
    split = Split({"obs": obs, "pred": samples["pred"]}, np.arange(len(obs)), samples["unit"], None, samples["group"])
    return Fold("square", TrainingData(split, split, SCHEMA), split)


def forecaster(classes: int = 2, rank: int = 6, name: str = "anchors") -> NetworkSolver:
    task = Trajectory()
    space = {"obs_rank": rank, "rank": rank, "samples": 20, "classes": classes}
    network = build(task, name, {"space": space}, SCHEMA)
    torch.manual_seed(0)
    paths = (torch.randn(200, 1, 2) * 0.3 + torch.randn(200, 20, 2) * 0.05).cumsum(1)
    fit_space(
        network, paths[:, :8], paths[:, 8:], lambda obs, pred: (svd_basis(obs, rank)[0], svd_basis(pred, rank)[0]),
        restarts=1,
    )  # fmt: skip
    return NetworkSolver(task, network, SCHEMA)


def colours(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return {tuple(colour) for _, colour in image.convert("RGB").getcolors(1 << 24)}


def test_the_largest_windows_are_shown_and_nobody_twice() -> None:
    group = np.array([0, 0, 1, 1, 1, 2, 2, 2, 3, 3])
    unit = np.array([8, 9, 1, 2, 3, 3, 4, 5, 6, 7])
    assert [rows.tolist() for rows in busiest(group, unit, 4)] == [[2, 3, 4], [0, 1], [8, 9]]
    assert [rows.tolist() for rows in busiest(group, unit, 1)] == [[2, 3, 4]]


def test_a_forecaster_gets_two_pictures_and_a_baseline_one(tmp_path: Path) -> None:
    obs, samples = crowd(3, 2)
    task, fold = Trajectory(), fold_of(obs, samples)
    assert sorted(task.pictures(forecaster(), fold, samples, tmp_path)["square-forecasts.png"]) == [0, 1, 2, 3, 4]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["square-descriptor.png", "square-forecasts.png"]
    other = tmp_path / "other"
    other.mkdir()
    for name, settings in (("stay", {}), ("mlp", {"hidden_units": [8]})):
        task.pictures(NetworkSolver(task, build(task, name, settings, SCHEMA), SCHEMA), fold, samples, other)
    assert [path.name for path in other.iterdir()] == ["square-forecasts.png"]


@pytest.mark.parametrize("windows", [(1,), (3, 2), (2, 2, 2, 2, 2), (CROWD + 1, 3)], ids=str)
@pytest.mark.parametrize("samples", [1, 20])
def test_any_number_of_windows_people_and_forecasts_can_be_drawn(
    windows: tuple[int, ...], samples: int, tmp_path: Path
) -> None:
    obs, kept = crowd(*windows, samples=samples)
    for name in ("one.png", "two.png"):
        draw_forecasts(tmp_path / name, "square", obs, kept, 0.4)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert len(colours(tmp_path / "one.png")) > 10


def test_people_who_stand_on_one_spot_can_be_drawn(tmp_path: Path) -> None:
    obs, samples = crowd(2)
    still = {name: np.zeros_like(value) if value.ndim > 2 else value for name, value in samples.items()}
    draw_forecasts(tmp_path / "still.png", "square", np.zeros_like(obs), still, 0.4)
    assert len(colours(tmp_path / "still.png")) > 10


@pytest.mark.parametrize(("classes", "rank", "name"), [(1, 15, "anchors"), (2, 2, "anchors"), (2, 6, "ridge")])
def test_every_descriptor_can_be_drawn(classes: int, rank: int, name: str, tmp_path: Path) -> None:
    draw_descriptor(tmp_path / "space.png", "square", forecaster(classes, rank, name).network)
    assert len(colours(tmp_path / "space.png")) > 10


def test_what_is_more_probable_is_darker() -> None:
    shades = [opacity(probability) for probability in np.linspace(0, 1, 20)]
    assert shades == sorted(shades)
    assert (shades[0], shades[-1]) == (pytest.approx(0.2), pytest.approx(1))
    assert (tint(BLUE, 0), tint(BLUE, 1)) == (PAPER, BLUE)


def test_a_plane_has_one_scale_points_north_upwards_and_shows_what_it_must() -> None:
    shown = np.array([(-3.0, 10.0), (5.0, 11.0)])
    plane = Plane(400, 300, shown)
    (left, low), (right, high) = plane.at(shown)
    assert 0 <= left < right <= 400
    assert 0 <= high < low <= 300
    assert (right - left) / 8 == pytest.approx(low - high)
    assert plane.unit * plane.scale <= 0.25 * 400
    assert Plane(400, 300, shown[:1]).scale < 400


def test_a_picture_within_a_picture_is_cut_at_its_edges(tmp_path: Path) -> None:
    inner, outer = Canvas(10, 10), Canvas(30, 30)
    inner.line(np.array([(-50, 5), (50, 5)]), BLUE, 4)
    outer.put(inner, (10, 10))
    outer.save(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        assert image.size == (30, 30)
        blue = np.asarray(image.convert("RGB"))[..., 0] < 128
    rows, columns = np.nonzero(blue)
    assert (columns.min(), columns.max()) == (10, 19)
    assert abs(rows.mean() - 14.5) <= 1 / FINE


def test_a_legend_shows_each_of_its_colours(tmp_path: Path) -> None:
    picture = Canvas(200, 30)
    picture.legend((5, 20), [Stroke("words", [BLUE, "#d55e00"], 3, 1.5)])
    picture.save(tmp_path / "legend.png")
    assert {(0, 0x72, 0xB2), (0xD5, 0x5E, 0)} <= colours(tmp_path / "legend.png")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trajectory, "metrics", METRICS[:1])
    monkeypatch.setattr(scoring, "RESAMPLES", 20)


def test_a_run_keeps_its_pictures_and_they_change_no_figure(quick: None, tmp_path: Path) -> None:
    with_pictures, without = RunSpec.of(WORDS), RunSpec.of([*WORDS, "pictures=false"])
    assert with_pictures.key == without.key
    stores = Store(tmp_path / "one"), Store(tmp_path / "two")
    one, two = runner.run(with_pictures, stores[0]), runner.run(without, stores[1])
    kept = {file.name for file in stores[0].get(one.run_id).files}
    assert {f"pictures/{scene}-forecasts.png" for scene in ("crossing", "corridor")} <= kept
    assert kept - {file.name for file in stores[1].get(two.run_id).files} == {
        name for name in kept if name.startswith("pictures/")
    }
    assert one.notes == two.notes
    assert [row.value for row in one.quality] == [row.value for row in two.quality]
    stored = stores[0].get(one.run_id), stores[1].get(two.run_id)
    shown, found = read_pictured(stores[0], stored[0]), read_worst(stores[0], stored[0])
    assert set(shown.values()) == {"crossing-forecasts.png", "corridor-forecasts.png"}
    assert found == read_worst(stores[1], stored[1])
    assert found is not None
    assert len(found.worst) == 8
    assert {each.condition for each in found.worst} <= {"crossing", "corridor"}
    assert all(shown[each.name].startswith(str(each.condition)) for each in found.worst if each.name in shown)
    log = (stores[0].folder(one.run_id) / "log.txt").read_text()
    assert log.index("evaluate:") < log.index("pictures:") < log.index("score:")


def test_a_picture_that_fails_is_a_note_and_no_failure(
    quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def smudge(self: Trajectory, solver: object, fold: Fold, samples: object, folder: Path) -> None:
        if fold.name == "crossing":
            raise RuntimeError("no ink")
        (folder / "drawn.png").write_bytes(b"")

    monkeypatch.setattr(Trajectory, "pictures", smudge)
    store = Store(tmp_path)
    record = runner.run(RunSpec.of(WORDS), store)
    assert record.status == "ok"
    assert [note for note in record.notes if "drawn" in note] == [
        "Pictures of fold crossing could not be drawn: RuntimeError: no ink."
    ]
    assert "pictures/drawn.png" in {file.name for file in store.get(record.run_id).files}


def test_a_task_without_pictures_leaves_no_folder(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trajectory, "pictures", lambda *_: None)
    store = Store(tmp_path)
    assert not (store.folder(runner.run(RunSpec.of(WORDS), store).run_id) / "pictures").exists()
