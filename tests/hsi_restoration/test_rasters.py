"""A GeoTIFF in, a GeoTIFF out: place, nodata, band tags, type and units are those of the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from rasterio.transform import from_origin

from benchmarks.errors import BenchmarkError
from benchmarks.hsi_restoration.ranges import signal_range
from benchmarks.hsi_restoration.task import HSIRestoration
from benchmarks.models.hsi_restoration.closed_form import Noisy, SVDTruncate
from benchmarks.models.hsi_restoration.hir_diff import HIRDiff
from benchmarks.solver import NetworkSolver

BANDS, HEIGHT, WIDTH = 5, 12, 17
PLACE = from_origin(500_000.0, 5_800_000.0, 30.0, 30.0)


def cube(kind: str = "uint16", seed: int = 0) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    slopes = np.random.default_rng(seed).uniform(50, 300, (2, BANDS, 1, 1))
    return (100 + slopes[0] * y + slopes[1] * x).round().astype(kind)


def write(path: Path, values: np.ndarray, nodata: float | None = 0, **profile: object) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", count=len(values), height=values.shape[1], width=values.shape[2], dtype=values.dtype,
        **{"crs": "EPSG:32633", "transform": PLACE, "nodata": nodata, **profile},
    ) as file:  # fmt: skip
        file.write(values)
        file.update_tags(sensor="made up")
        for band in file.indexes:
            file.update_tags(band, wavelength=str(400 + 10 * band), wavelength_units="Nanometers")
        file.descriptions = [f"band {band}" for band in file.indexes]
        file.units = ["reflectance"] * len(values)
        file.scales, file.offsets = [1e-4] * len(values), [0.0] * len(values)
    return path


def restored(source: Path, target: Path, network: torch.nn.Module | None = None, factor: int = 1) -> None:
    task = HSIRestoration()
    raw, split = task.read_input(source, {"factor": factor})
    outputs = NetworkSolver(task, network or Noisy(), {}).predict(dict(split.columns))
    task.write_output(target, raw, outputs)


@pytest.mark.parametrize("kind", ["uint16", "int16", "float32", "uint8"])
def test_a_cube_that_nothing_is_done_to_comes_back_as_it_was(tmp_path: Path, kind: str) -> None:
    values = (cube() // 40).astype(kind) + 1
    values[:, 3:5, 7] = 0
    source, target = write(tmp_path / "in.tif", values), tmp_path / "out.tif"
    restored(source, target)
    with rasterio.open(source) as before, rasterio.open(target) as after:
        np.testing.assert_allclose(
            after.read().astype(float), values.astype(float), atol=0 if kind != "float32" else 1e-2
        )
        for key in (
            "crs",
            "transform",
            "nodata",
            "dtypes",
            "descriptions",
            "units",
            "scales",
            "offsets",
            "shape",
            "count",
        ):
            assert getattr(after, key) == getattr(before, key), key
        assert [after.tags(band) for band in after.indexes] == [before.tags(band) for band in before.indexes]
        assert after.tags()["sensor"] == "made up"
        assert after.xy(11, 16) == before.xy(11, 16) == (500_000 + 16.5 * 30, 5_800_000 - 11.5 * 30)
        assert np.array_equal(after.read_masks(1), before.read_masks(1))


def test_entries_that_single_bands_lack_are_filled_and_empty_pixels_stay_empty(tmp_path: Path) -> None:
    values = cube()
    values[2, 4:6] = 0
    values[:, :2, :2] = 0
    restored(write(tmp_path / "in.tif", values), tmp_path / "out.tif", SVDTruncate(3))
    with rasterio.open(tmp_path / "out.tif") as file:
        masks = file.read_masks() > 0
    assert not masks[:, :2, :2].any()
    assert masks[:, 2:].all()


def test_a_higher_resolution_has_smaller_pixels_at_the_same_corner(tmp_path: Path) -> None:
    restored(write(tmp_path / "in.tif", cube()), tmp_path / "out.tif", factor=2)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.shape == (2 * HEIGHT, 2 * WIDTH)
        assert file.res == (15.0, 15.0)
        assert (file.bounds.left, file.bounds.top) == (500_000.0, 5_800_000.0)
        assert file.bounds.right == 500_000 + 30 * WIDTH


def test_the_reduced_model_goes_with_the_product(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = HIRDiff({"base": 8, "mults": (1, 2), "groups": 4}, steps=2)
    restored(write(tmp_path / "in.tif", cube("float32"), nodata=-1), tmp_path / "out.tif", network)
    with rasterio.open(tmp_path / "out.tif") as file:
        tags, values = file.tags(), file.read()
    bands = [number - 1 for number in eval(tags["REDUCED_BANDS"])]
    coefficients = np.array(eval(tags["COEFFICIENTS"]))
    np.testing.assert_allclose(coefficients[bands], np.eye(3), atol=1e-5)
    assert np.isfinite(values).all()
    assert (values >= cube("float32").min() - 1).all()


def test_a_restored_value_is_never_taken_for_no_data(tmp_path: Path) -> None:
    values = cube()
    values[0, 0, 0] = 50  # the smallest, which is nodata of the written file
    source = write(tmp_path / "in.tif", values, nodata=None)
    task = HSIRestoration()
    raw, split = task.read_input(source, {})
    object.__setattr__(raw, "profile", {**raw.profile, "nodata": 50})
    task.write_output(tmp_path / "out.tif", raw, {"restored": split.columns["noisy"]})
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.read(1)[0, 0] == 51
        assert file.read_masks().all()


def test_the_range_of_a_noisy_cube_is_that_of_its_signal() -> None:
    y, x = np.mgrid[:40, :40] / 40
    clean = np.stack([100 + 900 * (share * x + (1 - share) * y) for share in np.linspace(0, 1, 30)])
    noisy = clean + 200 * np.random.default_rng(0).normal(size=clean.shape)
    assert noisy.min() < -500
    np.testing.assert_allclose(signal_range(noisy), (100, 1000), atol=300)
    assert signal_range(clean) == (clean.min(), clean.max())


@pytest.mark.parametrize("share", [0.3, 0.6])
def test_pixels_without_data_do_not_hide_the_noise_of_the_others(tmp_path: Path, share: float) -> None:
    y, x = np.mgrid[:96, :96]
    values = (1000 + 20 * x + 10 * y + np.zeros((6, 1, 1))).astype(np.float32)
    values += 100 * np.random.default_rng(0).normal(size=values.shape).astype(np.float32)
    values[:, : int(96 * share)] = -1
    raw, split = HSIRestoration().read_input(write(tmp_path / "in.tif", values, nodata=-1), {})
    assert split.columns["sigma"][0] * (raw.high - raw.low) == pytest.approx(100, rel=0.1)


def test_a_mask_of_whole_numbers_without_a_mark_goes_with_them(tmp_path: Path) -> None:
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[3:5, 7:] = False
    source = write(tmp_path / "in.tif", cube(), nodata=None)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(source, "r+") as file:
        file.write_mask(mask)
    restored(source, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as file:
        assert np.array_equal(file.dataset_mask() > 0, mask)
        np.testing.assert_array_equal(file.read()[:, mask], cube()[:, mask])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values * 0, r"no pixel with data \(nodata is 0"),
        (lambda values: values * 0 + 7, "holds the value 7 alone"),
        (lambda values: np.concatenate([values, values[:1] * 0]), r"band 6 \(1 such\) has no data at all"),
        (
            lambda values: np.concatenate([values, values[:1] * 0 + 300]),
            r"Band 5 \(counted from 0; 1 such\) holds one value",
        ),
        (lambda values: values[:2], "3 bands or more"),
    ],
)
def test_files_that_cannot_be_restored_are_refused_in_words(tmp_path: Path, change, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        restored(write(tmp_path / "in.tif", change(cube())), tmp_path / "out.tif")


def test_text_is_no_raster(tmp_path: Path) -> None:
    (tmp_path / "in.tif").write_text("nothing")
    with pytest.raises(BenchmarkError, match="cannot be read as a raster"):
        HSIRestoration().read_input(tmp_path / "in.tif", {})
