"""Scenes of one's own: classes lie where the pixels lie, whatever the size, the sensor and the order of the bands."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from benchmarks.__main__ import main
from benchmarks.datasets.rasters import RasterSource, read_header
from benchmarks.errors import BenchmarkError
from benchmarks.hyperspectral.scenes import NO_DATA, read_scene
from benchmarks.trained import find

PLACE = {"crs": "EPSG:32633", "transform": Affine(30.0, 0.0, 366015.0, 0.0, -30.0, 5809965.0)}
WAVELENGTHS = np.linspace(400.0, 2500.0, 60)


def write(path: Path, cube: np.ndarray, wavelengths: np.ndarray | None, **options: Any) -> Path:
    count, height, width = cube.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=count, dtype=cube.dtype, **{**PLACE, **options}
    ) as file:
        file.write(cube)
        for band, centre in enumerate([] if wavelengths is None else wavelengths, start=1):
            file.update_tags(band, wavelength=f"{centre:.9g}", wavelength_units="Nanometers")
    return path


def scene(height: int = 70, width: int = 130) -> np.ndarray:
    """Reflectance of random smooth patches [60, h, w]."""
    random = np.random.default_rng(0)
    ends = random.uniform(0.2, 1.2, (2, len(WAVELENGTHS), 1, 1))
    share = np.linspace(0, 1, width)[None, None] * np.ones((1, height, 1))
    return (ends[0] * share + ends[1] * (1 - share)).astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of logistic regression on simulated spectra."""
    place = tmp_path_factory.mktemp("results")
    words = ["task=hyperspectral", "method=spectral_logistic", "scale=smoke", "data.tiles=8", "profile=none"]
    assert main([*words, "pictures=false", "report=false", "companions=false", f"store={place}"]) == 0
    return place


def predict(store: Path, source: Path, output: Path) -> np.ndarray:
    assert main(["predict", "latest", str(source), str(output), "--store", str(store)]) == 0
    with rasterio.open(output) as file:
        return file.read(1)


def test_what_a_mask_hides_is_no_data(tmp_path: Path) -> None:
    path = write(tmp_path / "in.tif", scene(20, 24), WAVELENGTHS)
    mask = np.ones((20, 24), bool)
    mask[:7] = False
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(mask)
    (window,) = RasterSource([read_header(path)]).windows(np.array([[0, 0, 0]]), 20)
    assert np.array_equal(np.isfinite(window).all(0), mask[:, :20])


@pytest.mark.parametrize("bad", ["0", "0.0"])
def test_bad_bands_of_an_envi_header_are_left_out(tmp_path: Path, bad: str) -> None:
    path = write(tmp_path / "in.tif", scene(5, 6)[:6], WAVELENGTHS[:6])
    (tmp_path / "in.hdr").write_text(f"ENVI\nbands = 6\nbbl = {{1, 1, 1, {bad}, 1, 1}}\n")
    assert read_header(path).bands.tolist() == [1, 2, 3, 5, 6]


def test_classes_lie_where_the_scene_does_with_names_and_colours(store: Path, tmp_path: Path) -> None:
    cube = scene()
    cube[:, :3, :5] = -9999
    source = write(tmp_path / "scene.tif", cube, WAVELENGTHS, nodata=-9999)
    answer = predict(store, source, tmp_path / "classes.tif")
    with rasterio.open(source) as ours, rasterio.open(tmp_path / "classes.tif") as found:
        assert (found.crs, found.transform, found.shape, found.count) == (ours.crs, ours.transform, ours.shape, 1)
        assert (found.dtypes[0], found.nodata) == ("uint8", NO_DATA)
        assert found.tags(1)["class_0"] == "water"
        assert len({found.colormap(1)[number] for number in range(5)}) == 5
    assert {path.name for path in tmp_path.iterdir()} == {"scene.tif", "classes.tif"}
    assert (answer[:3, :5] == NO_DATA).all()
    assert answer[3:].max() < 5
    assert len(np.unique(answer)) > 2


def test_tiles_and_whole_scenes_answer_alike_and_the_order_of_bands_does_not_matter(
    store: Path, tmp_path: Path
) -> None:
    """Logistic regression looks at one pixel, so whatever differs would be an error of tiles."""
    cube = scene()
    answer = predict(store, write(tmp_path / "scene.tif", cube, WAVELENGTHS), tmp_path / "classes.tif")
    solver = find(str(store), "latest").load()
    schema = solver.schema
    low = np.array(schema["mean"]) - 2 * np.array(schema["std"])
    seen = ((cube - low[:, None, None]) / (4 * np.array(schema["std"])[:, None, None])).clip(0, 1).astype(np.float32)
    bands = WAVELENGTHS.astype(np.float32)[None]
    assert np.array_equal(solver.predict({"cube": seen[None], "bands": bands})["prediction"][0], answer)
    order = np.random.default_rng(1).permutation(60)
    mixed = predict(store, write(tmp_path / "mixed.tif", cube[order], WAVELENGTHS[order]), tmp_path / "again.tif")
    assert np.array_equal(mixed, answer)


@pytest.mark.parametrize(("height", "width"), [(5, 7), (64, 64), (65, 200)])
def test_scenes_of_any_size_are_answered_whole(store: Path, tmp_path: Path, height: int, width: int) -> None:
    source = write(tmp_path / "scene.tif", scene(height, width), WAVELENGTHS)
    answer = predict(store, source, tmp_path / "classes.tif")
    assert answer.shape == (height, width)
    assert answer.max() < 5


def test_reading_waits_until_a_tile_is_asked_for_and_no_handle_is_pickled(store: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "scene.tif", scene(200, 200), WAVELENGTHS)
    _, split = read_scene(source, find(str(store), "latest").load().schema)
    column = split.columns["cube"]
    assert column.shape == (len(split), 60, 64, 64)
    assert not column.source._handles
    assert column[0:2].shape == (2, 60, 64, 64)
    raster = RasterSource([read_header(source)])
    places = np.array([(0, 3, 5)])
    first = raster.windows(places, 8)
    assert raster._handles
    copy = pickle.loads(pickle.dumps(raster))
    assert not copy._handles
    assert np.array_equal(copy.windows(places, 8), first)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"wavelengths": None}, r"names no wavelengths: its 60 bands need a tag `wavelength`"),
        ({"wavelengths": WAVELENGTHS + 5000}, r"bands from 5400 to 7500 nm; the run was trained on 400 to 2500 nm"),
        (
            {"cube": np.ones((1, 8, 8), np.float32), "wavelengths": WAVELENGTHS[:1]},
            r"has 1 band with data and a wavelength",
        ),
    ],
)
def test_scenes_that_cannot_be_answered_are_refused(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict, message: str
) -> None:
    source = write(tmp_path / "scene.tif", **{"cube": scene(20, 20), "wavelengths": WAVELENGTHS, **changed})
    schema = find(str(store), "latest").load().schema
    with pytest.raises(BenchmarkError, match=message):
        read_scene(source, schema)


def test_a_scene_without_any_data_is_refused_and_leaves_nothing(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "scene.tif", np.full((60, 20, 20), -9999, np.float32), WAVELENGTHS, nodata=-9999)
    assert main(["predict", "latest", str(source), str(tmp_path / "out.tif"), "--store", str(store)]) == 1
    assert "has no data in any pixel" in (said := capsys.readouterr().err)
    assert "nodata everywhere (-9999)" in said
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_numbers_that_have_wrapped_and_images_are_refused(store: Path, tmp_path: Path) -> None:
    wide = (scene(20, 20) * 40_000).astype(np.uint16).astype(np.int16)
    source = write(tmp_path / "scene.tif", wide, WAVELENGTHS)
    assert main(["predict", "latest", str(source), str(tmp_path / "out.tif"), "--store", str(store)]) == 1
    with pytest.raises(BenchmarkError, match="int16 ends at 32767"):
        RasterSource([read_header(source)]).windows(np.array([(0, 0, 0)]), 20)
    assert not (tmp_path / "out.tif").exists()
    (tmp_path / "text.tif").write_text("no raster")
    with pytest.raises(BenchmarkError, match="cannot be read as a raster"):
        read_header(tmp_path / "text.tif")
