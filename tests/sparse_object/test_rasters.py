"""Files of the user's own: GeoTIFFs stay where they are on the ground, and images of any mode and size are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from benchmarks.__main__ import main
from benchmarks.errors import BenchmarkError
from benchmarks.sparse_object.rasters import NO_DATA, read_raster

PLACE = {"crs": "EPSG:32633", "transform": Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 5800020.0)}


def write(path: Path, bands: np.ndarray, **options: Any) -> Path:
    count, height, width = bands.shape
    colours = options.pop("colours", None)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=count, dtype=bands.dtype, **{**PLACE, **options}
    ) as file:
        file.write(bands)
        if colours:
            file.colorinterp = colours
    return path


def scene(height: int = 21, width: int = 33) -> np.ndarray:
    """Dark noise with a bright target of 2 x 2 pixels."""
    levels = np.random.default_rng(0).integers(1, 100, (height, width)).astype(np.uint8)
    levels[8:10, 20:22] = 250
    return levels


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a run of the top-hat."""
    store = tmp_path_factory.mktemp("results")
    words = ["task=sparse_object", "method=tophat", "scale=smoke", "data.images=10", "data.size=16", "profile=none"]
    assert main([*words, "pictures=false", "report=false", "companions=false", f"store={store}"]) == 0
    return store


def predict(run: Path, source: Path, output: str) -> int:
    return main(["predict", "latest", str(source), output, "--store", str(run)])


def test_a_geotiff_is_answered_by_a_mask_at_its_place(run: Path, tmp_path: Path) -> None:
    wide = scene().astype(np.uint16) * 40
    wide[:, :4] = 0
    source = write(tmp_path / "scene.tif", wide[None], nodata=0)
    assert predict(run, source, f"{tmp_path}/out/") == 0
    with rasterio.open(source) as ours, rasterio.open(tmp_path / "out/scene.tif") as found:
        assert (found.driver, found.crs, found.transform, found.shape) == (
            "GTiff",
            ours.crs,
            ours.transform,
            ours.shape,
        )
        assert found.bounds == ours.bounds
        assert found.descriptions == ("mask", "percent")
        mask, percent = found.read()
        assert not found.dataset_mask()[:, :4].any()
    assert (mask[:, :4] == NO_DATA).all()
    assert (percent[:, :4] == NO_DATA).all()
    assert mask[8:10, 20:22].all()
    assert set(np.unique(mask[:, 4:])) == {0, 1}
    assert np.array_equal(mask[:, 4:] == 1, percent[:, 4:] > 50)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["scene.tif"]


def test_a_tiff_without_a_place_is_answered_without_one(run: Path, tmp_path: Path, recwarn: Any) -> None:
    Image.fromarray(scene()).save(tmp_path / "plain.TIFF")
    assert predict(run, tmp_path / "plain.TIFF", f"{tmp_path}/out.tif") == 0
    assert not [each for each in recwarn if "georeferenc" in str(each.message)]
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        found = rasterio.open(tmp_path / "out.tif")
    with found:
        assert found.crs is None
        assert found.read(1)[8:10, 20:22].all()


def test_bytes_are_as_they_are_and_wider_types_fill_the_range(tmp_path: Path) -> None:
    levels = scene()
    assert np.array_equal(read_raster(write(tmp_path / "a.tif", levels[None])).levels, levels)
    wide = read_raster(write(tmp_path / "b.tif", levels[None].astype(np.uint16) * 9 + 1000)).levels
    low, high = levels.min(), levels.max()
    assert np.abs(wide - 255.0 * (levels - low) / (high - low)).max() <= 0.5
    soft = levels.astype(np.float32)[None] / 7
    soft[0, 0, :3] = np.nan, np.inf, -np.inf
    found = read_raster(write(tmp_path / "c.tif", soft))
    assert found.valid.sum() == levels.size - 3
    assert not found.levels[0, :3].any()
    assert found.levels[8, 20] == 255
    flat = read_raster(write(tmp_path / "d.tif", np.full((1, 5, 4), 3000, np.int16)))
    assert not flat.levels.any()
    assert flat.valid.all()


def test_palettes_and_levels_of_few_bits_are_read_as_what_they_show(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    picture = Image.fromarray(colours).quantize(16)
    picture.save(tmp_path / "palette.tif")
    shown = np.asarray(picture.convert("RGB"))
    exact = np.tensordot(shown.astype(float), [0.299, 0.587, 0.114], 1)
    assert np.abs(read_raster(tmp_path / "palette.tif").levels - exact).max() <= 1
    bits = colours[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / "bits.tif")
    assert np.array_equal(read_raster(tmp_path / "bits.tif").levels, np.where(bits, 255, 0))


def test_colours_become_luminance_and_alpha_says_where_data_are(tmp_path: Path) -> None:
    levels = scene()
    opaque = np.full_like(levels, 255)
    opaque[:, -5:] = 0
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    rgba = write(tmp_path / "rgba.tif", np.stack([levels, levels, levels, opaque]), colours=colours)
    found = read_raster(rgba)
    assert np.array_equal(found.levels[:, :-5], levels[:, :-5])
    assert not found.valid[:, -5:].any()
    mixed = np.stack([levels, np.roll(levels, 1, 0), np.roll(levels, 1, 1)])
    gray = read_raster(write(tmp_path / "rgb.tif", mixed, photometric="RGB")).levels
    exact = np.tensordot([0.299, 0.587, 0.114], mixed.astype(float), 1)
    assert np.abs(gray - exact).max() <= 1
    with pytest.raises(BenchmarkError, match="has 5 bands"):
        read_raster(write(tmp_path / "many.tif", np.stack([levels] * 5), photometric="MINISBLACK"))
    (tmp_path / "text.tif").write_text("no image")
    with pytest.raises(BenchmarkError, match=r"text\.tif cannot be read as an image"):
        read_raster(tmp_path / "text.tif")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "I;16"])
def test_images_of_every_mode_and_odd_size_are_answered_in_their_size(run: Path, tmp_path: Path, mode: str) -> None:
    levels = scene(15, 27)
    wide = Image.fromarray(levels.astype(np.uint16) * 257)
    (wide if mode == "I;16" else Image.fromarray(levels).convert(mode)).save(tmp_path / "mine.png")
    Image.fromarray(levels).save(tmp_path / "gray.png")
    assert predict(run, tmp_path / "mine.png", f"{tmp_path}/answers/") == 0
    assert predict(run, tmp_path / "gray.png", f"{tmp_path}/answers/") == 0
    found, gray = (np.array(Image.open(tmp_path / f"answers/{name}.png")) for name in ("mine", "gray"))
    assert found.shape == (15, 27)
    assert np.array_equal(found, gray)
    assert found[8:10, 20:22].min() > 150


def test_a_photograph_is_answered_by_a_png_in_a_folder(run: Path, tmp_path: Path) -> None:
    Image.fromarray(scene()).save(tmp_path / "mine.jpg", quality=95)
    assert predict(run, tmp_path / "mine.jpg", f"{tmp_path}/out/") == 0
    with Image.open(tmp_path / "out/mine.png") as answer:
        assert (answer.format, answer.size) == ("PNG", (33, 21))
