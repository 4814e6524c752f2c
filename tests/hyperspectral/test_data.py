"""Data of the task: real files by their facts, splits that share no pixel, statistics, rasters of one's own, clear errors."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from benchmarks.datasets.bands import BandSet
from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.datasets.cubes import CubeColumn, Scenes, scaled
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.rasters import opened, read_header
from benchmarks.datasets.readers import indian_pines, rasters, sim_spectra
from benchmarks.errors import BenchmarkError

PLACE = {"crs": "EPSG:32633", "transform": Affine(30.0, 0.0, 366015.0, 0.0, -30.0, 5809965.0)}
SMALL = {"tile": 16, "window": 8, "stride": 8, "visible": 3, "infrared": 2}


def labels_of(fold: Fold) -> dict[str, int]:
    parts = {"train": fold.training.train, "val": fold.training.val, "test": fold.test}
    return {name: int((part.columns["label"] != 255).sum()) for name, part in parts.items()}


def test_statistics_are_of_pixels_with_data_and_standardised_values_lie_within_two_deviations() -> None:
    random = np.random.default_rng(0)
    cubes = random.normal(3000, 500, (2, 3, 8, 8)).astype(np.float32)
    cubes[0, :, :2] = np.nan
    cubes[:, 2] = 7.0
    source, places = Scenes(cubes), np.array([(0, 0, 0), (1, 0, 0)])
    sets = [BandSet("id", np.array([500.0, 900.0]), rows=np.array([2, 0])),
            BandSet("mixed", np.array([600.0]), weights=np.array([[0.5, 0.5, 0.0]]))]  # fmt: skip
    known = scaled(source, places, 8, sets)
    seen = np.moveaxis(cubes, 1, 0)[:, np.isfinite(cubes[:, 0])].astype(np.float64)
    np.testing.assert_allclose(known[0].mean, [7, seen[0].mean()])
    np.testing.assert_allclose(known[0].std, [0, seen[0].std()], atol=1e-6)
    np.testing.assert_allclose([known[1].mean[0], known[1].std[0]], [(mixed := seen[:2].mean(0)).mean(), mixed.std()])
    column = CubeColumn(source, np.repeat(places, 2, 0), 8, known, np.array([0, 1, 0, 1]))
    made = column[:]
    assert made.shape == column.shape == (4, 2, 8, 8)
    assert (made[0, 0] == 0.5).all()
    assert (made[0, 1, :2] == 0.5).all()
    expected = ((cubes[1, 0] - (seen[0].mean() - 2 * seen[0].std())) / (4 * seen[0].std())).clip(0, 1)
    np.testing.assert_allclose(made[2, 1], expected, atol=1e-5)
    assert not made[1, 1].any()
    assert np.array_equal(column[np.array([2, 1])], made[[2, 1]])
    beyond = source.windows(np.array([(1, 6, 6)]), 4)
    assert np.isfinite(beyond[0, 0]).sum() == 4


def test_simulated_tiles_are_equal_for_equal_seeds_and_in_one_part_each() -> None:
    one, two = (sim_spectra.read({}, tiles=10)[0] for _ in range(2))
    assert np.array_equal(one.test.columns["cube"][:], two.test.columns["cube"][:])
    assert set(one.training.val.units) & set(one.test.units) == set()
    assert [len(one.training.val), len(one.test)] == [2, 8]
    with pytest.raises(BenchmarkError, match=r"given: 3 and 16\. Type data\.tiles=20"):
        sim_spectra.read({}, tiles=3)
    with pytest.raises(BenchmarkError, match=r"No window of data\.window=20 pixels fits into a tile of 16"):
        sim_spectra.read({}, window=20)


def test_potsdam_has_its_pixels_and_every_tile_is_tested_once(mirror: Path) -> None:
    folds = open_bundle("enmap_potsdam", {"step": 1}, progress=False).folds
    tested = [unit for fold in folds for unit in np.unique(fold.test.units)]
    assert len(folds) == 6
    assert len(tested) == len(set(tested)) == 18
    rows = [fold.test.conditions == "id" for fold in folds]
    labels = np.concatenate([fold.test.columns["label"][own] for fold, own in zip(folds, rows, strict=True)])
    assert np.bincount(labels[labels != 255]).tolist() == [505, 953, 1694, 2070, 91, 359]
    for fold in folds:
        schema = fold.training.schema
        assert (len(schema["trained"]), len(schema["wavelengths"])) == (120, 202)
        assert np.isfinite(schema["mean"]).all()
        assert min(schema["std"]) > 0
        assert min(schema["mean"]) > 0
        counts = np.isfinite(fold.test.columns["bands"]).sum(1)
        sizes = {name: set(counts[fold.test.conditions == name].tolist()) for name in np.unique(fold.test.conditions)}
        assert sizes == {"id": {120}, "shifted": {120}, "complement": {82}, "all": {202}}
    with pytest.raises(BenchmarkError, match=r"data\.folds=2 data\.step=5 is not valid: folds are 3 to 18"):
        open_bundle("enmap_potsdam", {"folds": 2}, progress=False)


def test_potsdam_files_say_their_wavelengths_and_which_bands_are_dead(mirror: Path) -> None:
    header = read_header(mirror / "enmap_potsdam" / "images" / "enmap_potsdam_tile_128_0.tif")
    assert header.gsd == pytest.approx(30.0)
    assert len(header.bands) == 218
    assert not set(range(130, 136)) & set(header.bands.tolist())
    assert header.wavelengths[:2].tolist() == [418.24, 423.874]
    assert (np.diff(header.wavelengths) < 0).sum() == 1
    with pytest.warns(UserWarning, match="Bands of sentinel2 at 1375 nm lie beyond"):
        other = open_bundle("enmap_potsdam", {"sensors": "sentinel2", "folds": 18}, progress=False).folds[0].test
    bands = other.columns["bands"][np.flatnonzero(other.conditions == "sentinel2")[0]]
    assert np.isfinite(bands).sum() == 12


@pytest.fixture(scope="module")
def pines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("BENCH_DATA", str(tmp_path_factory.mktemp("data")))
        try:
            return fetch(load_card("indian_pines"), progress=False)
        except BenchmarkError as error:
            pytest.skip(f"the tensorly wheel cannot be had: {error}")


def test_no_window_of_indian_pines_comes_near_a_pixel_of_the_test(pines: dict[str, Path]) -> None:
    fold = indian_pines.read(pines)[0]
    scene = np.zeros((3, 145, 145), bool)
    parts = (fold.training.train, fold.training.val, fold.test)
    for seen, part in zip(scene, parts, strict=True):
        column: Any = part.columns["cube"]
        for _, top, left in column.places:
            seen[top : top + column.side, left : left + column.side] = True
    assert not (scene[0] & scene[1]).any()
    assert not (scene[1] & scene[2]).any()
    near = np.zeros((145, 145), bool)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            near |= np.roll(scene[0], (down, right), (0, 1))
    assert not (near & scene[2]).any()
    assert sum(labels_of(fold).values()) > 10_249 / 2


def test_indian_pines_trains_on_all_classes_that_are_tested(pines: dict[str, Path]) -> None:
    fold = indian_pines.read(pines)[0]
    trained, tested = (
        set(np.unique(part.columns["label"]).tolist()) - {255} for part in (fold.training.train, fold.test)
    )
    assert trained == tested == set(range(16))
    assert len(fold.training.schema["trained"]) == 24
    assert fold.training.schema["gsd"] == 20.0
    with pytest.raises(BenchmarkError, match=r"data\.block=40 is not valid"):
        indian_pines.read(pines, block=40)


WAVELENGTHS = np.array([450.0, 500, 550, 600, 650, 700, 800, 900, 1100, 1300, 1500, 1700, 2000, 2300])


def archive(where: Path, **changed: Any) -> dict[str, Path]:
    """Two scenes of 48 x 80 pixels and 14 bands with labels of three classes, packed; keywords change what is written."""
    random = np.random.default_rng(0)
    folder = where / "mine"
    for name in ("a", "b"):
        label = random.integers(0, 4, (48, 80)).astype(np.uint8)
        cube = (1000 + 300.0 * label[None] + random.normal(0, 50, (len(WAVELENGTHS), 48, 80))).astype(np.int16)
        _write(
            folder / "images" / f"{name}.tif",
            changed.get("cube", cube),
            changed.get("wavelengths", WAVELENGTHS),
            nodata=-1,
        )
        _write(
            folder / "labels" / f"{name}.tif", changed.get("label", label)[None], None, **changed.get("label_place", {})
        )
    if table := changed.get("table"):
        (folder / "data_split.csv").write_text(table)
    if header := changed.get("envi"):
        for name in ("a", "b"):
            (folder / "images" / f"{name}.hdr").write_text(header)
    packed = where / "rasters.zip"
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(where))
    return {"rasters.zip": packed}


def _write(path: Path, bands: np.ndarray, wavelengths: np.ndarray | None, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = bands.shape
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=count, dtype=bands.dtype, **{**PLACE, **options}
    ) as file:
        file.write(bands)
        for band, centre in enumerate([] if wavelengths is None else wavelengths, start=1):
            file.update_tags(band, wavelength=str(centre))


def read(where: Path, options: dict[str, Any] | None = None, **changed: Any) -> Fold:
    return rasters.read(archive(where, **changed), where / "store", **{**SMALL, **(options or {})})[0]


def test_rasters_of_ones_own_are_dealt_by_tiles_and_read_when_they_are_asked_for(tmp_path: Path) -> None:
    fold = read(tmp_path, {"names": "oats, rye, wheat"})
    assert fold.training.schema["classes"] == ["oats", "rye", "wheat"]
    assert fold.training.schema["gsd"] == pytest.approx(30.0)
    assert [len(np.unique(part.units)) for part in (fold.training.val, fold.test)] == [6, 6]
    column: Any = fold.test.columns["cube"]
    assert column[:3].shape == (3, 14, 16, 16)
    again = rasters.read(archive(tmp_path / "two"), tmp_path / "two" / "store", **SMALL)[0]
    assert np.array_equal(again.test.columns["cube"][:], column[:])


@pytest.mark.parametrize(
    ("place", "metres"),
    [
        ({"crs": "EPSG:32633", "transform": Affine(0, 10.0, 4e5, -10.0, 0, 5e6)}, 10.0),
        ({"crs": "EPSG:2263", "transform": Affine(10.0, 0, 9e5, 0, -10.0, 2e5)}, 3.048),
        ({"crs": "EPSG:4326", "transform": Affine(0.001, 0, 13.0, 0, -0.001, 60.012)}, 111.195 * 0.5**0.5),
        ({"crs": None, "transform": Affine(10.0, 0, 4e5, 0, -10.0, 5e6)}, None),
        ({"crs": None, "transform": None}, None),
    ],
)
def test_the_size_of_a_pixel_is_in_metres_whatever_the_unit_of_the_ground(
    tmp_path: Path, place: dict[str, Any], metres: float | None
) -> None:
    """Turned by 90 degrees, in US survey feet, in degrees (a mean of both sides at 60 degrees north), and nowhere."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        _write(tmp_path / "scene.tif", np.ones((2, 24, 24), np.int16), np.array([500.0, 600.0]), **place)
    found = read_header(tmp_path / "scene.tif").gsd
    assert found == (None if metres is None else pytest.approx(metres, rel=1e-4))


def test_scenes_of_different_pixels_have_no_common_size(tmp_path: Path) -> None:
    headers = []
    for name, side in (("a", 30.0), ("b", 30.5), ("c", 10.0)):
        place = {"crs": "EPSG:32633", "transform": Affine(side, 0, 4e5, 0, -side, 5e6)}
        _write(tmp_path / f"{name}.tif", np.ones((2, 8, 8), np.int16), np.array([500.0, 600.0]), **place)
        headers.append(read_header(tmp_path / f"{name}.tif"))
    assert rasters._common_gsd(headers[:2]) == pytest.approx(30.25)
    assert rasters._common_gsd(headers) is None


def test_a_table_deals_whole_scenes_and_an_envi_header_names_wavelengths(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no tile for val"):
        read(tmp_path / "one", table="imgs,split\na.tif,train\nb.tif,test\n")
    with pytest.raises(BenchmarkError, match=r"Unknown part of images/b\.tif in data_split\.csv: 'None'"):
        read(tmp_path / "two", table="imgs,split\na.tif,train\n")
    listed = ", ".join(f"{nm / 1000:.3f}" for nm in WAVELENGTHS)
    header = f"ENVI\nwavelength units = Micrometers\nwavelength = {{\n {listed}}}\n"
    fold = read(tmp_path / "three", wavelengths=None, envi=header)
    np.testing.assert_allclose(fold.training.schema["wavelengths"], WAVELENGTHS)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"wavelengths": None}, "names no wavelengths: its 14 bands need a tag"),
        ({"wavelengths": WAVELENGTHS[:12]}, "names no wavelengths of bands 13, 14: its 14 bands need a tag"),
        ({"wavelengths": WAVELENGTHS[[1, 0, *range(2, 14)]]}, r"do not rise from band 1 \(500 nm\) to band 2 .*data\.sort=true"),
        ({"cube": np.full((14, 48, 80), -1, np.int16)}, r"have no data in any training pixel: nodata everywhere"),
        ({"cube": np.full((14, 48, 80), -25_000, np.int16)}, r"holds -25000 at row 0, column \d+: int16 ends at 32767"),
        ({"cube": np.ones((1, 48, 80), np.int16), "wavelengths": WAVELENGTHS[:1]}, "has 1 band with data and a wavelength"),
        ({"label": np.ones((40, 80), np.uint8)}, r"are 40 x 80 pixels and the scene a\.tif 48 x 80"),
        ({"label_place": {"crs": "EPSG:32632"}}, r"lie elsewhere than the scene a\.tif: CRS EPSG:32632 and EPSG:32633"),
        ({"label": np.full((48, 80), 0.5, np.float32)}, r"must be whole numbers from 0 to 254"),
        ({"label": np.zeros((48, 80), np.uint8)}, "hold 0 class beside the ignored one"),
        ({"wavelengths": np.linspace(450, 950, 14)}, r"450 to 950 nm, lie on one side of data\.boundary=1000.*boundary=700"),
    ],
)  # fmt: skip
def test_rasters_that_cannot_be_used_are_named(tmp_path: Path, changed: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        read(tmp_path, **changed)


def test_a_virtual_raster_does_not_lead_out_of_its_folder(tmp_path: Path) -> None:
    secret = tmp_path / "secret.tif"
    with rasterio.open(secret, "w", driver="GTiff", height=4, width=4, count=1, dtype="uint8") as file:
        file.write(np.full((1, 4, 4), 7, np.uint8))
    virtual = tmp_path / "scene.tif"
    virtual.write_text(
        f'<VRTDataset rasterXSize="4" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
        f"<SourceFilename>{secret}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(virtual) as file:
        assert file.read().max() == 7  # what GDAL itself would do
    with pytest.raises(BenchmarkError, match="cannot be read as a raster"), opened(virtual):
        pass


def test_a_tile_without_a_side_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"data\.tile=0 is no side of a tile"):
        read(tmp_path, {"tile": 0})


def test_bands_whose_wavelength_is_no_number_are_left_out(tmp_path: Path) -> None:
    centres = np.where(WAVELENGTHS == 1100.0, np.nan, np.where(WAVELENGTHS == 600.0, np.inf, WAVELENGTHS))
    found = read(tmp_path, wavelengths=centres).training.schema["wavelengths"]
    assert found == [nm for nm in WAVELENGTHS.tolist() if nm not in (600.0, 1100.0)]


def test_labels_without_data_do_not_count_whichever_label_is_ignored(tmp_path: Path) -> None:
    label = np.random.default_rng(0).integers(0, 3, (48, 80)).astype(np.uint8)
    label[:, ::7] = 255
    fold = read(tmp_path, {"ignore": 254}, label=label, label_place={"nodata": 255})
    assert fold.training.schema["classes"] == ["class 0", "class 1", "class 2"]
    test: Any = fold.test.columns
    for (_, top, left), found in zip(test["cube"].places, test["label"], strict=True):
        part = label[top : top + 16, left : left + 16]
        assert np.array_equal(found, part)


def test_a_camera_without_infrared_bands_has_layouts_on_either_side_of_another_boundary(tmp_path: Path) -> None:
    fold = read(tmp_path, {"boundary": 700.0}, wavelengths=np.linspace(450, 950, 14))
    trained = np.array(fold.training.schema["trained"])
    assert [(trained < 700).sum(), (trained >= 700).sum()] == [3, 2]


def test_bands_out_of_order_are_ordered_where_that_is_typed_and_names_are_counted(tmp_path: Path) -> None:
    mixed = WAVELENGTHS[[1, 0, *range(2, 14)]]
    fold = read(tmp_path / "one", {"sort": True}, wavelengths=mixed)
    assert fold.training.schema["wavelengths"] == WAVELENGTHS.tolist()
    with pytest.raises(BenchmarkError, match=r"data\.names has 2 names, but the labels are \[1, 2, 3\]"):
        read(tmp_path / "two", {"names": "oats, rye"})
