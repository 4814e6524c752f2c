"""Speed of spectral rasters: `uv run pytest tests/speed/test_spectral_rasters.py --benchmark-only -p no:cacheprovider`; and
what memory a large scene takes, which is among the slow tests.

Both ways of reading take turns on one file with one handle each; what is asserted is the ratio of their processor times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

from benchmarks.__main__ import main
from benchmarks.datasets.rasters import RasterSource, read_header

BANDS, SIDE, WINDOW = 200, 435, 64
LEAST = 10.0
"""How many times as fast as a loop over bands one read of all has to be."""
HEIGHT, WHOLE = 5000, 5000**2
"""Pixels along the large scene, and of all of it."""
WIDTH = int(os.environ.get("BENCH_SCENE", "600"))
"""Pixels across the scene that is answered; 5000, which is all of it, needs 10 GB of disk and many minutes."""
MOST_BYTES = 4 * 2**30
WAVELENGTHS = np.linspace(420.0, 2450.0, BANDS)


def write(path: Path, height: int, width: int) -> Path:
    """A scene of noise, uint16, in tiles of 64 x 64 with the bands of a pixel side by side; written strip by strip."""
    random = np.random.default_rng(0)
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=BANDS, dtype="uint16", tiled=True, blockxsize=WINDOW,
        blockysize=WINDOW, interleave="pixel", crs="EPSG:32633", transform=Affine(30, 0, 366015, 0, -30, 5809965),
        BIGTIFF="IF_SAFER",
    ) as file:  # fmt: skip
        for band, centre in enumerate(WAVELENGTHS, start=1):
            file.update_tags(band, wavelength=f"{centre:g}")
        for top in range(0, height, WINDOW):
            rows = min(WINDOW, height - top)
            strip = random.integers(100, 6000, (BANDS, rows, width), np.uint16)
            file.write(strip, window=Window(0, top, width, rows))
    return path


def test_one_read_of_all_bands_is_faster_than_a_loop_over_them(benchmark, tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", SIDE, SIDE)
    source = RasterSource([read_header(path)])
    places = np.random.default_rng(1).integers(0, SIDE - WINDOW, (6, 2))
    taken: dict[str, list[float]] = {"whole": [], "loop": []}
    with rasterio.open(path) as file:
        for top, left in places.tolist():
            started = time.process_time()
            whole = source.windows(np.array([(0, top, left)]), WINDOW)[0]
            between = time.process_time()
            loop = np.stack([file.read(band, window=Window(left, top, WINDOW, WINDOW)) for band in file.indexes])
            taken["whole"].append(between - started)
            taken["loop"].append(time.process_time() - between)
            assert np.array_equal(whole, loop)
    benchmark.pedantic(lambda: source.windows(np.array([(0, 0, 0)]), WINDOW), rounds=3)
    medians = {name: float(np.median(seconds)) for name, seconds in taken.items()}
    benchmark.extra_info |= medians
    assert medians["loop"] >= LEAST * medians["whole"], f"only {medians['loop'] / medians['whole']:.1f} times as fast"


@pytest.mark.slow
def test_a_scene_of_5000_by_5000_pixels_and_200_bands_is_answered_within_4_gib(tmp_path: Path) -> None:
    """Shown on a narrower scene of as many rows, 5000 x 600, since all of it would take a quarter of an hour.

    Tiles are read and answered one batch after another, so that memory has a part that no scene changes and one that grows
    with the number of its pixels: the answers, and the names and places of tiles. The second is measured between two scenes,
    both larger than what GDAL may keep of blocks, and what it would be for all pixels is added to the first. `BENCH_SCENE=5000`
    answers the whole scene.
    """
    store = tmp_path / "results"
    words = ["task=hyperspectral", "method=spectral_logistic", "scale=smoke", "data.tiles=8", "profile=none"]
    assert main([*words, "pictures=false", "report=false", "companions=false", f"store={store}"]) == 0
    first, second = (peak(store, tmp_path, height) for height in (HEIGHT // 4, HEIGHT))
    a_pixel = max(0, second - first) / ((HEIGHT - HEIGHT // 4) * WIDTH)
    whole = second + a_pixel * (WHOLE - HEIGHT * WIDTH)
    found = f"{first / 2**20:.0f} and {second / 2**20:.0f} MiB, {whole / 2**20:.0f} MiB for all pixels"
    print(found)
    assert whole < MOST_BYTES, found


def peak(store: Path, folder: Path, height: int) -> int:
    """The most bytes that a process holds while it answers a scene of so many rows, which is not kept."""
    source, answer = write(folder / "scene.tif", height, WIDTH), folder / "answer.tif"
    code = (
        "import resource, sys; from benchmarks.__main__ import main; code = main(sys.argv[1:]); "
        "print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    words = ["predict", "latest", str(source), str(answer), "--store", str(store)]
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=root, capture_output=True, text=True, check=True)
    with rasterio.open(answer) as file:
        assert file.shape == (height, WIDTH)
    source.unlink()
    return int(done.stdout.split()[-1])
