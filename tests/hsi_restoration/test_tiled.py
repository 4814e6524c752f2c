"""Scenes that are too large to be held: surveyed once, restored tile by tile, blended as reduced images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from benchmarks.errors import BenchmarkError
from benchmarks.hsi_restoration import rasters, tiled
from benchmarks.hsi_restoration.ranges import signal_range
from benchmarks.hsi_restoration.surveyed import survey
from benchmarks.hsi_restoration.task import HSIRestoration
from benchmarks.hsi_restoration.tiled import blended
from benchmarks.inference import answers
from benchmarks.models.hsi_restoration.closed_form import SVDTV, Noisy, SVDTruncate
from benchmarks.models.hsi_restoration.fill import filled
from benchmarks.models.hsi_restoration.hir_diff import HIRDiff
from benchmarks.models.hsi_restoration.observation import Observation, Surroundings
from benchmarks.solver import NetworkSolver

BANDS, HEIGHT, WIDTH = 6, 43, 61
SIDE, OVERLAP = 24, 8
NODATA = -9.0


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scene is a large one, of tiles that do not divide it."""
    monkeypatch.setattr(rasters, "WHOLE", 0)
    monkeypatch.setattr(tiled, "SIDE", SIDE)
    for module in (rasters, tiled):
        monkeypatch.setattr(module, "OVERLAP", OVERLAP)


def scene(sigma: float = 40.0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A cube float32 [c, h, w] of rank 3 from about 0 to 1000, with noise."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width] / 12
    maps = np.stack([1 + np.sin(x), 1 + np.cos(y), (x + y > 4) * 1.0])
    clean = np.tensordot(random.uniform(50, 200, (BANDS, 3)), maps, 1)
    return (clean + sigma * random.normal(size=clean.shape)).astype(np.float32)


def write(path: Path, values: np.ndarray, **profile: object) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), height=values.shape[1], width=values.shape[2], dtype=values.dtype,
        **{"crs": "EPSG:32633", "transform": from_origin(500_000.0, 5_800_000.0, 30.0, 30.0), "nodata": NODATA, **profile},
    ) as file:  # fmt: skip
        file.write(values)
        file.descriptions = [f"band {band}" for band in file.indexes]
    return path


def restored(source: Path, target: Path, network: torch.nn.Module, factor: int = 1) -> np.ndarray:
    """What `predict` does; the cube of the written file."""
    task = HSIRestoration()
    raw, split = task.read_input(source, {"factor": factor})
    task.write_output(target, raw, answers(NetworkSolver(task, network, {}), split, 8))
    with rasterio.open(target) as file:
        return file.read()


def with_holes() -> np.ndarray:
    values = scene()
    values[:, :26, :26] = NODATA  # more than a tile
    values[2, 30:33, 40:50] = NODATA
    values[:4, 10, 50] = np.nan
    return values


@pytest.mark.parametrize("profile", [{}, {"tiled": True, "blockxsize": 16, "blockysize": 16}])
def test_a_survey_finds_what_reading_all_would(tmp_path: Path, profile: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.hsi_restoration.surveyed.ROW_VALUES", 5 * WIDTH * BANDS)
    monkeypatch.setattr("benchmarks.hsi_restoration.surveyed.BLOCK", 16)
    values = with_holes()
    with rasterio.open(write(tmp_path / "in.tif", values, **profile)) as file:
        found = survey(file, tmp_path / "in.tif")
    seen = np.isfinite(values) & (values != NODATA)
    mean = np.nanmean(np.where(seen, values, np.nan).astype(float), (1, 2))
    cube = np.where(seen, values, mean[:, None, None]).astype(np.float64)
    np.testing.assert_allclose(found.mean, mean)
    assert np.array_equal(found.empty, ~seen.any(0))
    assert found.lacking == pytest.approx((~seen & seen.any(0)).sum() / (BANDS * seen.any(0).sum()))
    spectra = ((cube - found.low) / (found.high - found.low)).reshape(BANDS, -1)
    np.testing.assert_allclose(found.inner, spectra @ spectra.T, rtol=1e-9)
    assert found.sigma * (found.high - found.low) == pytest.approx(40, rel=0.1)
    # The whole cube has its noise from squares without data as well, which are constant.
    np.testing.assert_allclose((found.low, found.high), signal_range(cube), atol=15)


def test_rank_truncation_by_tiles_is_that_of_the_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method that acts on every pixel alone: what differs is rounding and, by the noise's estimate, the range."""
    source = write(tmp_path / "in.tif", scene(sigma=1.0))
    whole = restored(source, tmp_path / "whole.tif", SVDTruncate(3))
    monkeypatch.setattr(rasters, "WHOLE", 0)
    monkeypatch.setattr(tiled, "SIDE", SIDE)
    by_tiles = restored(source, tmp_path / "tiles.tif", SVDTruncate(3))
    np.testing.assert_allclose(by_tiles, whole, atol=0.01)
    with rasterio.open(tmp_path / "tiles.tif") as one, rasterio.open(tmp_path / "whole.tif") as two:
        assert (one.profile, one.descriptions, one.bounds) == (two.profile, two.descriptions, two.bounds)
        np.testing.assert_allclose(
            json.loads(one.tags()["COEFFICIENTS"]), json.loads(two.tags()["COEFFICIENTS"]), atol=1e-4
        )
        assert "REDUCED_BANDS" not in one.tags()


def test_total_variation_by_tiles_is_that_of_the_scene_but_for_its_seams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "in.tif", scene(sigma=1.0))
    whole = restored(source, tmp_path / "whole.tif", SVDTV(3, 0.02))
    monkeypatch.setattr(rasters, "WHOLE", 0)
    monkeypatch.setattr(tiled, "SIDE", 32)
    for module in (rasters, tiled):
        monkeypatch.setattr(module, "OVERLAP", 16)
    by_tiles = restored(source, tmp_path / "tiles.tif", SVDTV(3, 0.02))
    change = np.abs(whole - scene(sigma=1.0)).mean()
    assert np.abs(by_tiles - whole).mean() < 0.1 * change


def test_tiles_without_data_are_not_read_and_stay_without(tmp_path: Path, small_tiles: None) -> None:
    source = write(tmp_path / "in.tif", with_holes())
    _, split = HSIRestoration().read_input(source, {})
    assert len(split) == 3 * 4 - 1  # rows from 0, 16, 19; columns from 0, 16, 32, 37
    assert [0, 0] not in split.columns["place"].tolist()
    assert {len(batch["noisy"]) for batch in split.batches(8)} == {1}
    torch.manual_seed(0)
    network = HIRDiff({"base": 8, "mults": (1, 2), "groups": 4}, steps=2)
    answer = restored(source, tmp_path / "out.tif", network)
    empty = (with_holes() == NODATA).all(0)
    assert np.array_equal((answer == NODATA).any(0), empty)
    assert np.isfinite(answer).all()
    with rasterio.open(tmp_path / "out.tif") as file:
        E, bands = json.loads(file.tags()["COEFFICIENTS"]), json.loads(file.tags()["REDUCED_BANDS"])
    np.testing.assert_allclose(np.array(E)[np.array(bands) - 1], np.eye(3), atol=1e-6)


def test_a_higher_resolution_by_tiles_is_that_of_the_scene_but_for_edges_of_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "in.tif", scene(sigma=1.0))
    whole = restored(source, tmp_path / "whole.tif", SVDTruncate(3), factor=2)
    monkeypatch.setattr(rasters, "WHOLE", 0)
    monkeypatch.setattr(tiled, "SIDE", SIDE)
    monkeypatch.setattr(rasters, "OVERLAP", 8)
    monkeypatch.setattr(tiled, "OVERLAP", 8)
    by_tiles = restored(source, tmp_path / "tiles.tif", SVDTruncate(3), factor=2)
    assert by_tiles.shape == (BANDS, 2 * HEIGHT, 2 * WIDTH)
    with rasterio.open(tmp_path / "tiles.tif") as file:
        assert file.res == (15.0, 15.0)
    assert np.abs(by_tiles - whole).max() < 5
    assert np.median(np.abs(by_tiles - whole)) < 0.01


def test_blended_tiles_of_one_image_are_that_image_and_of_two_go_over_into_each_other() -> None:
    image = np.random.default_rng(0).random((3, 20, 33)).astype(np.float32)
    places = np.array([(top, left) for top in (0, 8) for left in (0, 8, 16, 21)])
    tiles = np.stack([image[:, top : top + 12, left : left + 12] for top, left in places])
    np.testing.assert_allclose(blended(tiles, places, (20, 33), 4), image, rtol=1e-5)
    two = blended(np.stack([np.zeros((1, 4, 8)), np.ones((1, 4, 8))]), np.array([(0, 0), (0, 4)]), (4, 12), 4)[0]
    expected = [0] * 4 + [np.sin(np.pi / 8 * (step + 0.5)) ** 2 for step in range(4)] + [1] * 4
    np.testing.assert_allclose(two, [expected] * 4, atol=1e-6)
    assert (blended(tiles[:1], places[:1], (20, 33), 4)[:, 12:] == 0).all()


def test_tiles_that_overlap_begin_with_the_same_noise() -> None:
    torch.manual_seed(0)
    network = HIRDiff({"base": 8, "mults": (1, 2), "groups": 4}, steps=2)
    cube = torch.rand(5, 16, 16)
    known = [Surroundings(torch.eye(5, dtype=torch.float64), place=place) for place in ((0, 0), (12, 8))]
    begun, _ = network._begin([Observation(cube, scene=each) for each in known], [], [0.5] * 1000)
    assert torch.equal(begun[0][:, 12:, 8:], begun[1][:, :4, :8])
    assert not torch.equal(begun[0], begun[1])


def test_a_band_that_a_tile_lacks_has_the_mean_of_the_scene() -> None:
    cube = torch.rand(4, 6, 6)
    cube[1] = 0.25
    observed = torch.ones(4, 6, 6, dtype=torch.bool)
    observed[1] = False
    known = Surroundings(torch.eye(4, dtype=torch.float64), lacking=0.01)
    seen = Observation(cube, observed, scene=known)
    assert seen.kind == "denoise"  # whatever this tile lacks
    assert torch.equal(filled(seen), cube)


def test_a_method_without_reduced_images_and_gaps_at_low_resolution_are_refused(
    tmp_path: Path, small_tiles: None
) -> None:
    with pytest.raises(BenchmarkError, match="tile by tile as a few images"):
        restored(write(tmp_path / "in.tif", scene()), tmp_path / "out.tif", Noisy())
    with pytest.raises(BenchmarkError, match="lacks single entries"):
        restored(write(tmp_path / "in.tif", with_holes()), tmp_path / "out.tif", SVDTruncate(3), factor=2)
    with pytest.raises(BenchmarkError, match="no pixel with data"):
        restored(write(tmp_path / "in.tif", scene() * 0 + NODATA), tmp_path / "out.tif", SVDTruncate(3))
    values = scene()
    values[0] = NODATA
    with pytest.raises(BenchmarkError, match=r"band 1 \(1 such\) has no data at all"):
        restored(write(tmp_path / "in.tif", values), tmp_path / "out.tif", SVDTruncate(3))
