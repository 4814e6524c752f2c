"""Speed of spectral rasters: `uv run pytest tests/speed/test_spectral_rasters.py --benchmark-only -p no:cacheprovider`.

Both ways of reading take turns on one file with one handle each; what is asserted is the ratio of their processor times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window

from benchmarks.__main__ import main
from benchmarks.datasets.rasters import RasterSource, read_header

BANDS, SIDE, WINDOW = 200, 435, 64
LEAST = 10.0
"""How many times as fast as a loop over bands one read of all has to be."""
SCENE = int(os.environ.get("BENCH_SCENE", "1000"))
"""Pixels along the scene that is answered; 5000 needs 10 GB of disk."""
MOST_BYTES = 4 * 2**30
WAVELENGTHS = np.linspace(420.0, 2450.0, BANDS)


def write(path: Path, side: int) -> Path:
    """A scene of noise, uint16, in tiles of 64 x 64 with the bands of a pixel side by side; written strip by strip."""
    random = np.random.default_rng(0)
    with rasterio.open(
        path, "w", driver="GTiff", height=side, width=side, count=BANDS, dtype="uint16", tiled=True, blockxsize=WINDOW,
        blockysize=WINDOW, interleave="pixel", crs="EPSG:32633", transform=Affine(30, 0, 366015, 0, -30, 5809965),
        BIGTIFF="IF_SAFER",
    ) as file:  # fmt: skip
        for band, centre in enumerate(WAVELENGTHS, start=1):
            file.update_tags(band, wavelength=f"{centre:g}")
        for top in range(0, side, WINDOW):
            rows = min(WINDOW, side - top)
            strip = random.integers(100, 6000, (BANDS, rows, side), np.uint16)
            file.write(strip, window=Window(0, top, side, rows))
    return path


def test_one_read_of_all_bands_is_faster_than_a_loop_over_them(benchmark, tmp_path: Path) -> None:
    path = write(tmp_path / "scene.tif", SIDE)
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


def test_a_large_scene_is_answered_in_bounded_memory(benchmark, tmp_path: Path) -> None:
    store = tmp_path / "results"
    words = ["task=hyperspectral", "method=spectral_logistic", "scale=smoke", "data.tiles=8", "profile=none"]
    assert main([*words, "pictures=false", "report=false", "companions=false", f"store={store}"]) == 0
    source = write(tmp_path / "scene.tif", SCENE)
    code = (
        "import resource, sys; from benchmarks.__main__ import main; code = main(sys.argv[1:]); "
        "print(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    command = [
        sys.executable,
        "-c",
        code,
        "predict",
        "latest",
        str(source),
        f"{tmp_path}/out.tif",
        "--store",
        str(store),
    ]
    root = Path(__file__).parents[2]
    done = benchmark.pedantic(
        lambda: subprocess.run(command, cwd=root, capture_output=True, text=True, check=True), rounds=1
    )
    peak = int(done.stdout.split()[-1])
    benchmark.extra_info |= {"peak bytes": peak, "pixels": SCENE**2}
    with rasterio.open(tmp_path / "out.tif") as file:
        assert file.shape == (SCENE, SCENE)
    assert peak < MOST_BYTES, f"{peak / 2**30:.1f} GiB"
